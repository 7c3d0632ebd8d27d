"""Cards of the presets and the tables in emulator/README.md: read from what commands wrote, never typed in."""

import json
from pathlib import Path

import pytest

from emulator.card import main as card_main
from emulator.evidence.document import COMMANDS, main
from emulator.model.config import PRESETS
from emulator.model.presets import PAPER, describe

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


def test_tables_go_between_their_markers_with_what_they_were_made_with(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text("a\n<!-- cost:begin -->\nold\n<!-- cost:end -->\nb\n")
    (tmp_path / "cost.md").write_text("| new |\n")
    made = {"seconds": 90, "machine": "one core", "versions": {"torch": "2"}, "settings": {"quick": True}}
    (tmp_path / "cost.json").write_text(json.dumps(made))
    assert main([str(document), "--results", str(tmp_path)]) == 0
    text = document.read_text()
    assert "old" not in text
    assert "| new |\n\n1.5 minutes on one core; torch 2. A quick run" in text
    assert text.endswith("<!-- cost:end -->\nb\n")
    assert main([str(tmp_path / "none.md"), "--results", str(tmp_path)]) == 1


@pytest.mark.parametrize("name", COMMANDS)
def test_the_readme_shows_the_committed_results_of_full_runs(name: str) -> None:
    page = (ROOT / "emulator" / "README.md").read_text()
    table = (RESULTS / f"{name}.md").read_text().strip()
    assert table in page
    assert not json.loads((RESULTS / f"{name}.json").read_text())["settings"].get("quick")


@pytest.mark.parametrize("name", [*PRESETS, PAPER])
def test_every_network_has_a_card_that_is_up_to_date(name: str) -> None:
    text = (ROOT / "checkpoints" / f"{name}.md").read_text()
    about = describe(name)
    assert f"| parameters | {about['parameters']:,} |" in text
    assert f"| step | {about['step']} |" in text
