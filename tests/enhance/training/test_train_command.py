"""`python -m enhance.train`: its settings, what it refuses, Ctrl-C, and several processes."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from command import ROOT
from recordings import write_folders

from enhance.data import room_responses
from enhance.model.checkpoint import load_checkpoint
from enhance.runtime.registry import checkpoints_folder
from enhance.train import get_parser, main, open_caches, settings
from enhance.training.loop import LAST
from enhance.training.task import find_weights
from enhance.utils.atomic import write_text

TINY_RUN = (
    "stem_channels=8", "channels=8", "head_channels=4", "segment_seconds=0.25", "synthetic_count=2",
    "synthetic_seconds=1.0", "log_every=1", "warmup=1",
)  # fmt: skip


def command(folder: Path, *options: str, values: Sequence[str] = ()) -> list[str]:
    """Arguments of `enhance.train` for the recordings of `write_folders`, on one CPU process unless named otherwise."""
    paths = ["--speech", folder / "speech", "--noise", folder / "noise", "--cache", folder / "cache"]
    usual = ["--simulated-rooms", "0", "--rooms", folder / "rooms", "--accelerator", "cpu", "--size", "tiny"]
    return [str(part) for part in [*paths, *usual, *options, "--set", *TINY_RUN, *values]]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


def test_ctrl_c_stops_between_steps_with_a_checkpoint_and_status_130(tmp_path: Path) -> None:
    write_folders(tmp_path)
    arguments = command(tmp_path, "--out", str(tmp_path / "out"), values=("batch=8", "steps=100000"))
    process = subprocess.Popen(
        [sys.executable, "-m", "enhance.train", *arguments],
        env=environment(), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("step 2/"):
                process.send_signal(signal.SIGINT)
                break
        _, errors = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 130, errors
    assert errors.splitlines()[-1] == "enhance.train: stopped; the same command goes on from the last checkpoint"
    assert "Traceback" not in errors
    assert load_checkpoint(tmp_path / "out" / LAST)["step"] >= 2


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of recordings; in `out` the checkpoint of three steps in one process, in `first` that of one step."""
    folder = tmp_path_factory.mktemp("single")
    write_folders(folder)
    for name, steps in (("first", 1), ("out", 3)):
        options = ("--out", str(folder / name), "--precision", "32")
        assert main(command(folder, *options, values=("batch=16", f"steps={steps}", "muon=false", "decay=0.4"))) == 0
    return folder


@pytest.mark.long
@pytest.mark.parametrize("launcher", ["fabric", "torchrun"])
def test_two_processes_train_as_one(single: Path, tmp_path: Path, launcher: str) -> None:
    """Each computes half of a batch, and gradients are averaged by gloo.

    The sums of a gradient are then taken in another order, 1e-7 of it or so. AdamW divides by the gradient's own size,
    which makes that more for the few weights whose gradient nearly cancels: over three steps the whole change of the
    weights agrees to a thousandth (examples shared or averaged wrongly change it by more than a tenth).
    """
    options = ("--out", str(tmp_path / "out"), "--precision", "32", "--devices", "2")
    arguments = command(single, *options, values=("batch=16", "steps=3", "muon=false", "decay=0.4"))
    start = [] if launcher == "fabric" else ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [sys.executable, *start, "-m", "enhance.train", *arguments],
        env=environment(), cwd=tmp_path, capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("step 3/3") == 1  # one of them prints
    first = load_checkpoint(single / "first" / LAST)["network"]
    ours, theirs = (load_checkpoint(folder / "out" / LAST)["network"] for folder in (tmp_path, single))
    change = torch.cat([(theirs[name] - first[name]).flatten() for name in theirs])
    differ = torch.cat([(ours[name] - theirs[name]).flatten() for name in theirs])
    assert change.norm() > 0.01
    assert differ.norm() < 1e-3 * change.norm()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["stepps=3"], "unknown setting 'stepps'; --list shows all"),
        (["steps=many"], "setting steps needs a value like 10000; got 'many'"),
        (["snr_db=5"], r"setting snr_db needs a value like \[-5.0, 25.0\]; got '5'"),
        (["reuse=9"], "reuse must be 1 to 8; got 9"),
        (["log_every=0"], "log_every must be 1 or more; got 0"),
        (["rate=-0.001"], "rate must be 0 or more; got -0.001"),
        (["room=1.5"], "room must be 0 to 1; got 1.5"),
        (["synthetic_count=0"], "synthetic noises must be one or more, of 0.1 s or more; got 0 of"),
        (["more_windows=[512,0]"], r"must be 2 samples or more; got \[960, 512, 0\]"),
        (['extra=["mell"]'], "unknown further loss 'mell'; known are: noise-to-mask, loudness"),
    ],
)
def test_wrong_settings_are_one_clear_line_and_status_1(
    tmp_path: Path, values: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match=message):
        settings("small", values)
    assert main(command(tmp_path, "--out", str(tmp_path / "out"), values=values)) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert re.search("^enhance.train: .*" + message, lines[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--devices", "two"], "--devices: expected a number from 1, or auto; got two"),
        (["--devices", "0"], "--devices: expected a number from 1, or auto; got 0"),
        (["--nodes", "0"], "--nodes: expected 1 or more; got 0"),
        (["--simulated-rooms", "-1"], "--simulated-rooms: expected 0 or more; got -1"),
    ],
)
def test_numbers_that_are_none_are_one_clear_line(
    tmp_path: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(tmp_path, "--out", str(tmp_path / "out"), *options)) == 1
    assert capsys.readouterr().err == f"enhance.train: {message}\n"


@pytest.mark.skipif(torch.cuda.is_available() or torch.backends.mps.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command(tmp_path, "--out", str(tmp_path / "out"), "--accelerator", "gpu")) == 1
    error = capsys.readouterr().err
    assert error.startswith("enhance.train: --accelerator gpu --devices 1 cannot be had on this machine: ")
    assert error.count("\n") == 1


def test_a_finished_run_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("enhance.train.finished", lambda *_: (4, 60.0))
    assert main(command(tmp_path, "--out", str(tmp_path / "out"))) == 0
    said = capsys.readouterr().out
    assert "is finished: 4 steps in 1.0 min, nothing is left to train; to go on from its weights, export them" in said
    assert "name them by --start with another --out" in said


def test_a_finished_run_does_not_pass_over_other_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_folders(tmp_path)
    options, values = ("--out", str(tmp_path / "out")), ("batch=2", "steps=1")
    assert main(command(tmp_path, *options, values=values)) == 0
    for other, made in (
        ("snr_db=[0,10]", "snr_db=[-5.0, 25.0]"), ("phase=0.25", "phase=0.5"), ("channels=16", "channels=8"),
        ('extra=["bark"]', "extra=[]"),
    ):  # fmt: skip
        assert main(command(tmp_path, *options, values=(*values, other))) == 1
        said = capsys.readouterr().err
        assert said.endswith(f"last.pt' was made with {made}; name the same, or choose another folder\n")
    assert main(command(tmp_path, *options, values=values)) == 0
    assert "nothing is left to train" in capsys.readouterr().out


def test_as_many_rooms_are_simulated_as_asked_for_whatever_the_cache_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room_responses, "simulate_room", lambda *_: np.eye(1, 480, dtype=np.float32)[0])
    write_folders(tmp_path)
    for count in (3, 1):
        options = ("--out", str(tmp_path / "out"), "--simulated-rooms", str(count))
        caches = open_caches(get_parser().parse_args(command(tmp_path, *options)))
        assert len(caches["rooms"]) == 2 + count  # two are recorded


def test_settings_reach_the_configuration_that_has_them() -> None:
    network, loss, objective, mix, config = settings(
        "tiny", ["channels=8", "phase=0.25", 'extra=["bark"]', "snr_db=[0,10]", "steps=7", "muon=false"]
    )
    assert (network.channels, network.stem_channels) == (8, 24)
    assert (loss.phase, objective.extra, mix.snr_db) == (0.25, ("bark",), (0, 10))
    assert (config.steps, config.muon) == (7, False)


def test_missing_folders_are_one_clear_line_and_status_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rooms").mkdir()
    assert main(command(tmp_path, "--out", str(tmp_path / "out"))) == 1
    assert capsys.readouterr().err == f"enhance.train: no such folder of recordings: '{tmp_path / 'speech'}'\n"


@pytest.fixture
def no_rooms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulating a room fails: it takes minutes, and nothing wrong may be found only after it."""
    monkeypatch.setattr("enhance.train.write_rooms", lambda *_: pytest.fail("rooms are simulated"))


def test_a_batch_that_reuse_cannot_share_is_refused_before_rooms_are_simulated(
    tmp_path: Path, no_rooms: None, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folders(tmp_path)
    options = ("--out", str(tmp_path / "out"), "--simulated-rooms", "1")
    assert main(command(tmp_path, *options, values=("reuse=3", "batch=12"))) == 1
    said = capsys.readouterr().err
    assert said.endswith("enhance.train: with reuse=3 batch must be a multiple of 8; got 12\n")


def test_a_folder_that_cannot_be_made_is_refused_before_rooms_are_simulated(
    tmp_path: Path, no_rooms: None, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(command(tmp_path, "--out", str(tmp_path / "file" / "out"), "--simulated-rooms", "1")) == 1
    said = capsys.readouterr().err
    assert said == f"enhance.train: [Errno 20] Not a directory: '{tmp_path / 'file' / 'out'}'\n"


def test_a_cache_that_cannot_be_made_is_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_folders(tmp_path)
    (tmp_path / "cache").touch()
    assert main(command(tmp_path, "--out", str(tmp_path / "out"))) == 1
    error = capsys.readouterr().err
    assert error.startswith("enhance.train: [Errno ")
    assert error.count("\n") == 1


@pytest.mark.parametrize("content", [None, b"no weights"])
def test_weights_to_begin_with_that_cannot_be_read_are_refused_before_rooms_are_simulated(
    tmp_path: Path, content: bytes | None, no_rooms: None, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folders(tmp_path)
    if content:
        (tmp_path / "w.safetensors").write_bytes(content)
    options = ("--out", str(tmp_path / "out"), "--simulated-rooms", "1", "--start", str(tmp_path / "w.safetensors"))
    assert main(command(tmp_path, *options)) == 1
    assert "w.safetensors' cannot be read as safetensors" in capsys.readouterr().err


def test_a_model_to_go_on_from_brings_its_dimensions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options, channels in (["--start", "tiny"], 32), (["--start", "tiny", "--size", "micro"], 16), ([], 80):
        assert main(["--list", *options]) == 0
        assert re.search(rf"^channels={channels} ", capsys.readouterr().out, re.M)
    assert find_weights("tiny").name == "tiny.safetensors"
    assert find_weights("tiny.safetensors") == Path("tiny.safetensors")
    write_text(tmp_path / "registry.json", (checkpoints_folder() / "registry.json").read_text())
    with pytest.raises(ValueError, match=r"^no model 'tinny': the models are small, .*; or name a \.safetensors file$"):
        find_weights("tinny", tmp_path)
    with pytest.raises(ValueError, match=r"^tiny\.safetensors is not in the installed package; name the one in"):
        find_weights("tiny", tmp_path)


def test_folders_without_recordings_are_refused_before_rooms_are_simulated(
    tmp_path: Path, no_rooms: None, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folders(tmp_path)
    (tmp_path / "empty").mkdir()
    for name, message in (("empty", "no recordings in '"), ("nowhere", "no such folder of recordings: '")):
        options = ("--valid-speech", str(tmp_path / "speech"), "--valid-noise", str(tmp_path / name))
        assert main(command(tmp_path, "--out", str(tmp_path / "out"), "--simulated-rooms", "1", *options)) == 1
        error = capsys.readouterr().err
        assert error.startswith(f"enhance.train: {message}{tmp_path / name}'")
        assert error.count("\n") == 1


def test_the_list_of_settings_works_alone_and_explains_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "--size", "tiny", "--set", "steps=7"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(re.fullmatch(r"steps=7 +# updates of the weights", line) for line in lines)
    assert any(re.fullmatch(r"stem_channels=24 +# channels at a quarter.*", line) for line in lines)
    settings = [line for line in lines if line and not line.startswith("# ")]
    assert len(settings) > 60
    assert [line for line in settings if " # " not in line] == []
    values = dict(line.partition(" # ")[0].strip().split("=", 1) for line in settings)
    assert all(json.loads(value) is not None for value in values.values())
    assert "# Settings of a training; all of them are saved in the checkpoint." in lines
