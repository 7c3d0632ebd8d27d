"""Cards of the presets and the contents page of the evidence: read from what commands wrote, never typed in."""

import json
import shutil
from pathlib import Path

import pytest

from emulator.card import main as card_main
from emulator.evidence.document import TITLES, contents, main
from emulator.evidence.fidelity import PAPER_BESIDE
from emulator.model.config import PRESETS
from emulator.model.presets import EMULATORS, PAPER, describe
from enhance.runtime.registry import find_model, register_model

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "checkpoints" / "evidence"
DATA = "| files | source | licence |\n| --- | --- | --- |\n| speech | someone | CC0 |\n"
FIDELITY = (
    "preset,kind,piece,system,snr,lsd,f1,noise_error,noise_correlation\n"
    "mp3-v9-16k,speech,0,identity,20,9,0,nan,nan\nmp3-v9-16k,music,0,identity,10,9,0,nan,nan\n"
    "mp3-v9-16k,noisy,0,identity,10,9,0,nan,nan\nother,noisy,0,identity,10,9,0,nan,nan\n"
)


def test_a_card_is_read_from_the_file_the_figures_and_the_data(tmp_path: Path) -> None:
    (tmp_path / "data.md").write_text(DATA)
    (tmp_path / "fidelity.csv").write_text(FIDELITY)
    out = tmp_path / "card.md"
    files = ["--fidelity", str(tmp_path / "fidelity.csv"), "--data", str(tmp_path / "data.md"), "--out", str(out)]
    assert card_main(["mp3-v9-16k", *files]) == 0
    text = out.read_text()
    about = describe("mp3-v9-16k")
    for said in (f"{about['parameters']:,}", "| setting | v9 |", f"| config.steps | {about['config']['steps']} |"):
        assert said in text
    assert "| identity | 20.0 / 10.0 / 10.0 |" in text
    assert "other" not in text.split("## Fidelity")[1].split("## Data")[0]
    assert "CC0" in text


def test_a_card_of_nothing_is_one_line_and_status_1(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    files = ["--fidelity", "none.csv", "--data", "none.md", "--out", str(tmp_path / "card.md")]
    for name in ("mp3-v9-16k", "aac"):
        assert card_main([name, *files]) == 1
        error = capfd.readouterr().err
        assert error.startswith("emulator.card: ")
        assert error.count("\n") == 1


def test_a_card_with_figures_from_another_table_is_one_line_that_names_the_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data.md").write_text(DATA)
    for content in ("a,b\n1,2\n", FIDELITY.replace("20,9,0", "20,x,0")):
        (tmp_path / "other.csv").write_text(content)
        files = ["--fidelity", str(tmp_path / "other.csv"), "--data", str(tmp_path / "data.md")]
        assert card_main(["mp3-v9-16k", *files, "--out", str(tmp_path / "card.md")]) == 1
        error = capfd.readouterr().err
        assert "other.csv: expected the CSV of emulator.evidence.fidelity" in error
        assert error.count("\n") == 1


def test_a_card_of_ones_own_network_has_what_its_export_says_of_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.safetensors"
    shutil.copy(find_model("mp3-v9-16k", collection=EMULATORS), path)
    (tmp_path / "data.md").write_text(DATA)
    (tmp_path / "fidelity.csv").write_text(FIDELITY)
    command = [str(path), "--data", str(tmp_path / "data.md"), "--out", str(tmp_path / "card.md")]
    assert card_main(command) == 0
    assert (tmp_path / "card.md").read_text().startswith("# mine\n\nAn emulator of mpeace; how it works")
    register_model(path, "ours", "LAME as we use it", collection=EMULATORS)
    assert card_main(command) == 0
    text = (tmp_path / "card.md").read_text()
    assert text.startswith("# mine\n\nLAME as we use it. An emulator of mpeace; how it works")
    assert "## Fidelity\n\nNot measured.\n" in text
    assert card_main([*command, "--fidelity", str(tmp_path / "fidelity.csv")]) == 1
    assert "fidelity.csv: no rows of 'mine', only of mp3-v9-16k, other" in capfd.readouterr().err
    (tmp_path / "fidelity.csv").write_text(FIDELITY.replace("mp3-v9-16k", "mine"))
    assert card_main([*command, "--fidelity", str(tmp_path / "fidelity.csv")]) == 0
    assert "| mine | SNR, dB" in (tmp_path / "card.md").read_text()
    alike = path.rename(tmp_path / "mp3-v9-16k.safetensors")  # its rows would be those of the preset
    assert card_main([str(alike), *command[1:], "--fidelity", str(tmp_path / "fidelity.csv")]) == 1
    assert "--fidelity has the figures of the preset 'mp3-v9-16k' by that name" in capfd.readouterr().err


def test_the_contents_page_links_each_table_and_says_how_it_was_made(tmp_path: Path) -> None:
    (tmp_path / "cost.md").write_text("| new |\n")
    made = {"seconds": 90, "machine": "one core", "versions": {"torch": "2"}, "settings": {"quick": True}}
    (tmp_path / "cost.json").write_text(json.dumps(made))
    assert main([str(tmp_path)]) == 0
    text = (tmp_path / "README.md").read_text()
    assert "[table](cost.md), [settings](cost.json).\n\n1.5 minutes on one core; torch 2. A quick run" in text
    assert "masking" not in text


def test_a_folder_without_tables_is_one_line_and_status_1(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 1
    assert main([str(tmp_path / "none")]) == 1
    assert capfd.readouterr().err.count("\n") == 2
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", TITLES)
def test_the_readme_links_the_committed_results_of_full_runs(name: str) -> None:
    assert f"](../checkpoints/evidence/{name}.md)" in (ROOT / "emulator" / "README.md").read_text()
    assert not json.loads((RESULTS / f"{name}.json").read_text())["settings"].get("quick")


def test_the_committed_contents_page_is_that_of_the_committed_results() -> None:
    assert (RESULTS / "README.md").read_text() == contents(RESULTS)


def test_the_card_of_the_papers_network_has_the_table_that_it_was_measured_in() -> None:
    tables = [(ROOT / "checkpoints" / f"{name}.md").read_text() for name in (PAPER, PAPER_BESIDE)]
    found = [text.split("## Fidelity")[1].split("## Data")[0] for text in tables]
    assert found[0] == found[1]
    assert "the paper's U-Net" in found[0]


@pytest.mark.parametrize("name", [*PRESETS, PAPER])
def test_every_network_has_a_card_that_is_up_to_date(name: str) -> None:
    text = (ROOT / "checkpoints" / f"{name}.md").read_text()
    about = describe(name)
    assert f"| parameters | {about['parameters']:,} |" in text
    assert f"| step | {about['step']} |" in text
