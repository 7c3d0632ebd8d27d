"""The ablation: one command, resumed from its rows, with paired differences that are right."""

import csv
import json
import math
import os
import shutil
import sys
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile
from helpers import AtOnce, speech_like
from recordings import white, write, write_folders

from emulator.evidence.listening_files import ListeningEntry, write_manifest, write_outputs
from enhance import ablate
from enhance.ablate import main, read_rows
from enhance.model import onnx_export
from enhance.model.checkpoint import load_checkpoint
from enhance.reporting.ablation import SCORES, SPLIT, difference, figure, tables
from enhance.train import main as train_main
from enhance.train import settings as train_settings
from enhance.training import training_process
from enhance.training.ablation_grid import FINE_GRID, LOSSES, SMALL_GRID, FineTuning, Run, plan

SECONDS = 1.25  # of each pair: doubled three times it is what DNSMOS rates once
SHORT = (
    "segment_seconds=0.25", "synthetic_count=2", "synthetic_seconds=1.0", "stem_channels=8", "channels=8",
    "head_channels=4",
)  # fmt: skip


def arguments(folder: Path, *more: str) -> list[str]:
    """A command line for one run and the smallest of everything."""
    paths = {name: str(folder / name) for name in ("out", "work", "cache")}
    return [
        *(part for name, path in paths.items() for part in (f"--{name}", path)),
        *("--sets", str(folder / "pairs"), "--sizes", "tiny", "--losses", "baseline", "bark", "--seeds", "0"),
        *("--steps", "2", *more, "--arguments", "--speech", str(folder / "speech"), "--noise", str(folder / "noise")),
        *("--rooms", str(folder / "rooms"), "--simulated-rooms", "0", "--accelerator", "cpu", "--set", *SHORT),
    ]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are done in this process."""
    monkeypatch.setattr(ablate, "InterruptiblePool", lambda *_: AtOnce())


@pytest.fixture(scope="module")
def folder(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings, a set of two pairs, and the ablation of two losses on them.

    The commands work in this process, and so do the trainings, each by its command line: to load PyTorch again and
    again would take most of the time. What PyTorch would convert to ONNX becomes the tiny model.
    """

    def train(command: list[str]) -> int:
        assert command[:3] == [sys.executable, "-m", "enhance.train"]
        return train_main(command[3:])

    path = tmp_path_factory.mktemp("ablation")
    write_folders(path)
    for number in range(2):
        clean = speech_like(SECONDS, 48_000, seed=20 + number)[0]
        write(path / "pairs" / "clean" / f"{number}.flac", clean, subtype="PCM_16")
        write(path / "pairs" / "noisy" / f"{number}.flac", clean + 0.1 * white(SECONDS), subtype="PCM_16")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ablate, "InterruptiblePool", lambda *_: AtOnce())
        patch.setattr(training_process, "wait_out", train)
        patch.setattr(onnx_export, "to_onnx", lambda *_: onnx.load(tiny_model))
        patch.setattr(onnx_export, "parity", lambda *_: 0.0)
        assert main(arguments(path, "--train-only")) == 0
    assert not (path / "out" / "ablation.csv").exists()
    checkpoints = list((path / "work" / "runs").glob("*/last.pt"))
    assert [load_checkpoint(checkpoint)["step"] for checkpoint in checkpoints] == [2, 2]
    trained = [file.stat().st_mtime_ns for file in sorted((path / "work" / "runs").rglob("*.onnx"))]
    assert main(arguments(path)) == 0
    assert trained == [file.stat().st_mtime_ns for file in sorted((path / "work" / "runs").rglob("*.onnx"))]
    return path


def read(folder: Path) -> list[dict[str, str]]:
    with (folder / "out" / "ablation.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_each_run_has_a_row_for_each_file_with_all_scores(folder: Path) -> None:
    rows = read(folder)
    assert [(row["loss"], row["file"]) for row in rows] == [(n, f) for n in ("baseline", "bark") for f in ("0", "1")]
    assert {*SCORES, *SPLIT} < set(rows[0])
    settings = json.loads((folder / "out" / "ablation.json").read_text())["settings"]
    assert (settings["steps"], settings["sets"]) == (2, ["pairs"])
    table = (folder / "out" / "ablation.md").read_text()
    assert all(table.count(LOSSES[name].label) >= 2 for name in ("baseline", "bark"))
    assert all(metric.label in table for metric in SPLIT.values())
    assert (folder / "out" / "ablation.png").stat().st_size > 10_000


@pytest.mark.long
def test_a_training_in_a_process_that_fails_ends_the_ablation_with_its_status(tmp_path: Path) -> None:
    folders = [part for name in ("speech", "noise", "cache") for part in (f"--{name}", str(tmp_path))]
    with pytest.raises(RuntimeError, match="failed with exit status 1"):
        training_process.train(["stepps=3"], 2, tmp_path / "run", folders)


def test_what_is_finished_is_not_trained_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = read(folder)
    assert main(arguments(folder)) == 0
    assert read(folder) == before
    assert "trained" not in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux alone")
def test_outputs_of_a_file_whose_name_is_not_utf_8_are_kept(tmp_path: Path) -> None:
    name, audio = os.fsdecode(b"caf\xe9"), white(0.1)
    write_outputs("tiny", "bark", {name: audio}, {name: audio}, 48_000, tmp_path)
    manifest = write_manifest([ListeningEntry("tiny", {}, "bark", "Bark")], 48_000, tmp_path)
    assert json.loads(manifest.read_text())["sets"]["tiny"]["items"] == [name]


def test_two_sets_of_one_name_are_refused(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Their rows would be taken for those of one set."""
    command = arguments(folder)
    command[command.index("--sets") + 1 : command.index("--sizes")] = [str(folder / "pairs"), str(tmp_path / "pairs")]
    assert main(command) == 1
    assert capsys.readouterr().err.startswith("enhance.ablate: --sets: two sets are called 'pairs'")


@pytest.mark.usefixtures("here")
def test_a_set_that_has_other_files_now_is_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(folder / "pairs", tmp_path / "pairs")
    for part in ("clean", "noisy"):
        (tmp_path / "pairs" / part / "1.flac").unlink()
    command = arguments(folder)
    command[command.index("--sets") + 1] = str(tmp_path / "pairs")
    assert main(command) == 1
    assert "other files than the set has now ('1' is in one of them alone)" in capsys.readouterr().err


@pytest.mark.usefixtures("here")
def test_other_settings_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also those of `enhance.train`; rows of one table differ in the loss alone."""
    before, options = read(folder), json.dumps(["--precision auto", "--simulated-rooms 0", *SHORT])
    for command, made in (
        (arguments(folder, "--batch", "16"), "batch 8"),
        ([*arguments(folder), "room=0.1"], f"options {options}"),
    ):
        assert main(command) == 1
        message = capsys.readouterr().err
        assert message.startswith("enhance.ablate: the runs in")
        assert message.endswith(f"were made with {made}; name the same, or another folder by --out\n")
        assert message.count("\n") == 1
    assert read(folder) == before


@pytest.mark.usefixtures("here")
def test_networks_of_other_settings_are_not_scored(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(folder, "--batch", "16", "--out", str(folder / "elsewhere"))) == 1
    assert capsys.readouterr().err.endswith("name another --work\n")


def killed(*_: object) -> None:
    raise BrokenProcessPool("A process in the process pool was terminated abruptly")


@pytest.mark.usefixtures("here")
def test_a_run_that_is_killed_is_one_short_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All runs that are left fail with it; they are not listed one by one."""
    monkeypatch.setattr(ablate, "perform", killed)
    before = read(folder)
    assert main(arguments(folder, "--seeds", "0", "1", "2")) == 1
    error = capsys.readouterr().err
    assert error == (
        "enhance.ablate: the process of a run was killed, perhaps for want of memory; "
        "finished runs are kept, the same command goes on with the rest\n"
    )
    assert read(folder) == before


def test_outputs_are_kept_for_a_listening_test(folder: Path) -> None:
    manifest = json.loads((folder / "work" / "audio" / "manifest.json").read_text())
    assert manifest["sets"]["tiny"]["items"] == ["0", "1"]
    assert set(manifest["sets"]["tiny"]["systems"]) == {"baseline", "bark"}
    for system in ("reference", "bark"):
        info = soundfile.info(folder / "work" / "audio" / "tiny" / system / "0.flac")
        assert (info.samplerate, info.frames) == (48_000, SECONDS * 48_000)


def test_a_missing_set_is_one_line_before_any_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(tmp_path)) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "work").exists()


def test_no_steps_are_refused_and_are_not_the_usual_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("steps", "batch"):
        assert main(arguments(tmp_path, f"--{option}", "0")) == 1
        assert capsys.readouterr().err == f"enhance.ablate: --{option}: expected 1 or more, got 0\n"
    assert not (tmp_path / "out").exists()


def test_differences_are_paired_by_file_and_averaged_over_seeds() -> None:
    theirs = {seed: {str(file): float(file) for file in range(30)} for seed in (0, 1)}
    ours = {seed: {file: value + (0.1, 0.3)[seed] for file, value in row.items()} for seed, row in theirs.items()}
    summary, agree = difference(ours, theirs)
    assert summary.mean == pytest.approx(0.2)
    assert summary.high - summary.low < 1e-9  # the spread between files is none of the difference's
    assert agree
    ours[1] = {file: value - 0.3 for file, value in theirs[1].items()}
    assert not difference(ours, theirs)[1]


def test_only_a_clear_difference_is_bold() -> None:
    rng = np.random.default_rng(0)
    rows = [
        {"seed": seed, "size": "tiny", "loss": loss, "set": "eval", "file": str(file), "minutes": 1.0}
        | dict.fromkeys(SCORES, 0.0)
        | {"pesq": float(loss == "bark") + 0.01 * rng.normal(), "estoi": rng.normal(), "pause_residual": math.nan}
        for seed in (0, 1)
        for loss in ("baseline", "bark")
        for file in range(20)
    ]
    text = tables(rows, {"baseline": "B", "bark": "K"}, "baseline")
    paired = text.splitlines()[-1]
    assert "**+1.00" in paired
    assert paired.count("**") == 2
    assert "nan" not in text, "a score that no file has is a dash"


def test_losses_are_compared_with_l1_too_where_there_are_runs_of_it() -> None:
    rows = [
        {"seed": 0, "size": "tiny", "loss": loss, "set": "eval", "file": str(file), "minutes": 1.0}
        | dict.fromkeys(SCORES, gain + file)
        for loss, gain in (("baseline", 3.0), ("bark", 2.0), ("l1", 0.5))
        for file in range(5)
    ]
    text = tables(rows, {"baseline": "B", "bark": "K", "l1": "L"}, "baseline")
    plain, against = text.split("Difference from L, with its 95 % interval:")
    assert "| K | **-1.000** (-1.000 to -1.000) |" in plain
    assert "| L | **-2.500** (-2.500 to -2.500) |" in plain
    assert "| K | **+1.500** (+1.500 to +1.500) |" in against


@pytest.mark.filterwarnings("error")
def test_runs_that_come_before_their_baseline_are_tabled_without_differences() -> None:
    row = {"seed": 0, "size": "tiny", "loss": "bark", "set": "eval", "file": "a", "minutes": 1.0}
    rows, labels = [row | dict.fromkeys(SCORES, 1.0)], {"baseline": "B", "bark": "K"}
    assert "| K | 1.000 |" in tables(rows, labels, "baseline")
    assert not figure(rows, labels, "baseline").axes[0].containers


def test_a_part_of_the_grid_is_a_smaller_grid() -> None:
    runs = plan(["tiny", "small"], ["baseline", "mel"], [0, 1])
    assert [run.seed for run in runs] == [0] * 4 + [1] * 4
    assert len(set(runs)) == 8


def test_runs_from_before_the_split_was_measured_are_tabled_without_it(tmp_path: Path) -> None:
    row = {"seed": 0, "size": "tiny", "loss": "bark", "set": "eval", "file": "a", "minutes": 1.0}
    row |= dict.fromkeys(SCORES, 1.0)
    with (tmp_path / "ablation.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(row))
        writer.writeheader()
        writer.writerow(row)
    rows = read_rows(tmp_path / "ablation.csv")
    assert math.isnan(rows[0]["distortion"])
    labels = {"baseline": "B", "bark": "K"}
    assert SPLIT["distortion"].label not in tables(rows, labels, "baseline")
    assert "| K | -20.0 |" in tables([rows[0] | dict.fromkeys(SPLIT, -20.0)], labels, "baseline")


def test_fine_tuning_goes_on_from_a_shipped_network_with_the_weights_of_a_trainings_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own settings and grid; a network that was trained from elsewhere is not taken for it."""
    called: dict[str, list[str]] = {}

    def train(chosen: list[str], steps: int, folder: Path, arguments: list[str]) -> float:
        called.update(set=chosen, arguments=arguments)
        folder.mkdir(parents=True)
        return 1.0

    monkeypatch.setattr(ablate, "train", train)
    monkeypatch.setattr(ablate, "export", lambda *_: None)
    needed = ["--out", "o", "--work", "w", "--cache", "c"]
    settings = ablate.chosen_settings(ablate.get_parser().parse_args([*needed, "--start", "tiny", "--steps", "9"]))
    run = Run(3, "tiny", "reversed")
    ablate.trained(run, settings, tmp_path, ["--speech", "s", "--noise", "n", "--cache", "c"])
    place = called["arguments"].index("--start") + 1
    assert Path(called["arguments"][place]).name == "tiny.safetensors"
    assert {"steps=9", "decay=1.0", "snr_first=0.005", "seed=3", "asymmetry=0", "excess=1"} <= set(called["set"])
    assert not any(pair.startswith("start=") for pair in called["set"])
    other = FineTuning(steps=9, start="small")
    with pytest.raises(ValueError, match="name another --work"):
        ablate.trained(run, other, tmp_path, ["--speech", "s", "--noise", "n", "--cache", "c"])


def test_every_loss_of_the_grids_is_known_to_training() -> None:
    for name in {*SMALL_GRID, *FINE_GRID, *LOSSES}:
        train_settings("tiny", LOSSES[name].settings)
