"""The folders that the experiments of this project write are listening tests as they are.

Both experiments write them by the functions used here; that each of them calls these is tested with the experiments.
"""

from pathlib import Path

import numpy as np
import pytest
from command import mpeace, write
from helpers import speech_like
from listening import open_session

from apps.listen.serving.bs1534_advice import advice
from emulator.evidence.listening_files import ListeningEntry, write_manifest, write_outputs


def make_folders(folder: Path, *systems: str) -> Path:
    """Two items of each system."""
    for system in systems:
        for item in ("one", "two"):
            write(folder / system / f"{item}.wav", speech_like(0.5, 16_000), 16_000)
    return folder


def test_a_reference_is_known_by_its_usual_name(tmp_path: Path) -> None:
    folder = make_folders(tmp_path, "Clean", "noisy", "small", "tiny")
    assert mpeace("listen", "--new", folder, "--method", "mushra").status == 0
    _, plan, _ = open_session(folder / "listen.toml")
    assert plan.reference == "Clean"
    assert plan.systems == ("noisy", "small", "tiny")


def test_one_page_is_called_one_page(tmp_path: Path) -> None:
    for system in ("clean", "noisy", "small"):
        write(tmp_path / system / "one.wav", speech_like(0.5, 16_000), 16_000)
    ended = mpeace("listen", "--new", tmp_path, "--method", "mushra")
    assert ": 1 page for each listener;" in ended.stdout


def test_a_reference_is_named(tmp_path: Path) -> None:
    folder = make_folders(tmp_path, "talker", "noisy", "small")
    refused = mpeace("listen", "--new", folder, "--method", "mushra")
    assert refused.status == 2
    assert refused.problems == [
        "mpeace: MUSHRA needs a reference: name its folder by --reference, one of noisy, small, talker"
    ]
    assert not (folder / "listen.toml").exists()
    wrong = mpeace("listen", "--new", folder, "--method", "mushra", "--reference", "clean")
    assert wrong.problems == [f"mpeace: --reference clean: {folder} has no such folder with all items"]
    assert mpeace("listen", "--new", folder, "--method", "mushra", "--reference", "talker").status == 0
    _, plan, _ = open_session(folder / "listen.toml")
    assert plan.reference == "talker"


def test_two_files_of_one_item_are_refused(tmp_path: Path) -> None:
    """Which of them is heard would be chance."""
    folder = make_folders(tmp_path, "noisy", "small")
    write(folder / "small" / "one.flac", speech_like(0.5, 16_000), 16_000)
    refused = mpeace("listen", "--new", folder)
    assert refused.status == 2
    flac, wav = (folder / "small" / f"one.{suffix}" for suffix in ("flac", "wav"))
    assert refused.problems == [f"mpeace: {flac} and {wav} are both the item 'one': move one away"]
    assert not (folder / "listen.toml").exists()


def test_a_folder_of_traps_beside_the_systems_is_none_of_them(tmp_path: Path) -> None:
    """As the README has it: `traps/choose-excellent.wav` beside the TOML file."""
    folder = make_folders(tmp_path, "noisy", "small")
    for name in ("choose-excellent", "choose-poor"):
        write(folder / "traps" / f"{name}.wav", speech_like(0.5, 16_000), 16_000)
    trap = '[[traps]]\nanswer = 5\nsound = "traps/choose-excellent.wav"\n'
    (folder / "listen.toml").write_text(f'method = "acr"\n{trap}')
    _, plan, _ = open_session(folder / "listen.toml")
    assert plan.systems == ("noisy", "small")
    assert plan.items == {"all": ("one", "two")}


def test_folders_of_the_experiments_load(tmp_path: Path) -> None:
    """What the autoencoder and the enhancement experiments write is a test at once."""
    rng = np.random.default_rng(0)
    items = {f"talk-{number}": 0.1 * rng.standard_normal(16_000, np.float32) for number in range(3)}
    heard = []
    for width in (16, 64):
        for system in ("l1", "ours"):
            outputs = {name: audio + 0.01 * rng.standard_normal(16_000) for name, audio in items.items()}
            write_outputs(f"speech-{width}", system, items, outputs, 16_000, tmp_path)
            heard.append(ListeningEntry(f"speech-{width}", {"width": width}, system, f"trained with {system}"))
    manifest = write_manifest(heard, 16_000, tmp_path)
    assert mpeace("listen", "--new", manifest.parent).status == 0
    session, plan, _ = open_session(manifest.parent / "listen.toml")
    assert list(plan.sets) == ["speech-16", "speech-64"]
    assert plan.pairs == (("l1", "ours"),)
    assert plan.labels["ours"] == "trained with ours"
    assert plan.reference == "reference"
    assert plan.pages == 4
    assert session.state("anna")["phase"] == "setup"


def test_items_that_not_every_folder_has_are_named(tmp_path: Path) -> None:
    folder = make_folders(tmp_path, "reference", "noisy", "small")
    assert mpeace("listen", "--new", folder).status == 0

    def said() -> list[str]:
        _, plan, stimuli = open_session(folder / "listen.toml")
        return [line for line in advice(plan, stimuli) if "not every folder" in line]

    assert said() == []
    (folder / "small" / "two.wav").unlink()
    assert said() == ["1 item not in the test, since not every folder has it: two"]
    for number in range(6):
        write(folder / "noisy" / f"{number}.wav", speech_like(0.5, 16_000), 16_000)
    assert said() == ["7 items not in the test, since not every folder has them: 0, 1, 2, 3, 4, ..."]


@pytest.mark.parametrize("task", ["--new", "--texts", "--analyse"])
@pytest.mark.parametrize("option", [("--port", 8000), ("--host", "0.0.0.0"), ("--allow-host", "example.org")])
def test_what_is_for_a_served_test_is_refused_elsewhere(task: str, option: tuple[object, ...], tmp_path: Path) -> None:
    folder = make_folders(tmp_path, "reference", "noisy")
    ended = mpeace("listen", folder, task, *option)
    assert ended.status == 2
    assert ended.problems == [
        f"mpeace: {option[0]} is for a test that is served, not for one that is written or analysed"
    ]
    assert not list(folder.glob("*.toml"))


def test_one_folder_is_enough_for_what_is_graded_alone(tmp_path: Path) -> None:
    folder = make_folders(tmp_path, "small")
    for method in ("pairwise", "abx", "ccr"):
        ended = mpeace("listen", "--new", folder, "--method", method)
        assert ended.problems == [f"mpeace: {method} needs another folder of sounds beside small in {folder}"]
    assert mpeace("listen", "--new", folder, "--method", "acr").status == 0
    assert open_session(folder / "listen.toml")[1].on_a_page == (("small",),)


def test_a_reference_among_the_systems_is_said(tmp_path: Path) -> None:
    folder = make_folders(tmp_path, "original", "small")
    (folder / "listen.toml").write_text('method = "acr"\nsystems = ["original", "small"]\n')
    (problem,) = mpeace("listen", folder, "--analyse").problems
    assert "systems names 'original', which is the reference: leave it out" in problem
