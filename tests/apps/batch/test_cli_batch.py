"""Whole runs: several processes, Ctrl-C, dead processes, globs, the report, the other commands."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from command import mpeace, partial_files, read, start, write, write_silence
from helpers import speech_like
from tiny_model import tiny_result

from apps.batch import workers
from apps.batch.workers import run_in_processes
from enhance import Denoiser, denoise_file, list_models, model_for_files
from enhance.io.options import DenoiseOptions
from enhance.io.task import PARTIAL, Outcome, Task
from enhance.utils.interrupt import Stopped, Stopper


def wait_for(condition: object, process: subprocess.Popen[bytes]) -> None:
    """Wait until a function returns something true, as long as the process lives."""
    assert callable(condition)
    while not condition():
        assert process.poll() is None, "it ended too early"
        time.sleep(0.005)


@pytest.mark.parametrize(
    ("jobs", "number", "status"), [(1, signal.SIGINT, 130), (2, signal.SIGINT, 130), (2, signal.SIGTERM, 143)]
)
def test_ctrl_c_in_the_middle(tmp_path: Path, tiny_model: Path, jobs: int, number: int, status: int) -> None:
    short = write(tmp_path / "in" / "short.wav", speech_like(0.1, 48_000))
    long = write_silence(tmp_path / "in" / "long.wav", seconds=5000)
    other = write_silence(tmp_path / "in" / "other.wav", seconds=5000)
    order = (short, long, other) if jobs == 1 else (long, short, other)
    out, report = tmp_path / "out", tmp_path / "report.json"
    process = start("denoise", *order, "-o", out, "--model", tiny_model, "-j", jobs, "--report", report)
    if jobs == 1:
        wait_for(lambda: (out / "short.wav").exists() and partial_files(out), process)
        process.send_signal(number)
    else:
        wait_for(lambda: len(partial_files(out)) == 2, process)
        os.killpg(process.pid, number)  # a terminal sends it to the whole group
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == status, stderr.decode()
    assert not partial_files(out)
    finished = [path.name for path in out.iterdir()]
    assert finished == (["short.wav"] if jobs == 1 else [])
    assert json.loads(report.read_text())["done"] == len(finished)
    assert stderr.decode().splitlines()[-1].startswith("mpeace: stopped; finished files are kept")
    assert "Traceback" not in stderr.decode()


def test_ctrl_c_while_it_waits_for_standard_input(tmp_path: Path, tiny_model: Path) -> None:
    process = start("denoise", "-", "--model", tiny_model, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    sound = write(tmp_path / "a.wav", speech_like(2, 48_000)).read_bytes()
    process.stdin.write(sound[:100_000])
    process.stdin.flush()
    os.read(process.stdout.fileno(), 100)  # it is at work, and will want more than there is
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 130
    assert len(stderr.decode().splitlines()) == 1


def test_several_processes_give_the_same_files(tmp_path: Path, tiny_model: Path) -> None:
    for number in range(5):
        write(tmp_path / "in" / f"{number}.wav", speech_like(0.5, 44_100, seed=number), 44_100)
    (tmp_path / "in" / "bad.wav").write_text("no sound")
    arguments = ("denoise", tmp_path / "in", "--model", tiny_model)
    one = mpeace(*arguments, "-o", tmp_path / "one")
    process = start(*arguments, "-o", tmp_path / "two", "--jobs", 2)
    _, stderr = process.communicate()
    assert one.status == process.returncode == 1
    assert "5 done, 0 skipped, 1 failed" in stderr.decode()
    for number in range(5):
        first, second = (tmp_path / run / f"{number}.wav" for run in ("one", "two"))
        assert first.read_bytes() == second.read_bytes()


def test_a_process_that_dies_costs_one_file(tmp_path: Path, tiny_model: Path) -> None:
    """As when the system runs out of memory: the file counts as failed, its rest is removed, the others are done."""
    good = write(tmp_path / "good.wav", speech_like(0.1, 48_000))
    long = write_silence(tmp_path / "long.wav", seconds=20_000)
    tasks = [Task(str(path), str(tmp_path / f"out-{path.name}"), str(tmp_path / f".{path.stem}{PARTIAL}"))
             for path in (good, long)]  # fmt: skip
    outcomes: dict[str, Outcome] = {}
    killed: list[int] = []

    def on_progress(task: Task, seconds: float, total: float | None) -> None:
        if task.source == str(long) and not killed:
            for child in Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split():
                if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                    killed.append(int(child))
            for child in killed:
                os.kill(child, signal.SIGKILL)

    with Stopper() as stopper:
        run_in_processes(
            tasks,
            1,
            DenoiseOptions(model=str(tiny_model)),
            stopper,
            on_progress,
            lambda task, outcome: outcomes.update({task.source: outcome}),
            {},
        )
    assert killed
    assert outcomes[str(long)].status == "failed"
    assert "died (exit code -9)" in outcomes[str(long)].message
    assert outcomes[str(good)].status == "done"
    assert not partial_files(tmp_path)


def test_a_file_of_which_no_more_sound_comes_is_given_up_and_the_others_are_done(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("a.wav", "b.wav", "c.wav")
    for name in ("a.wav", "c.wav"):
        write(tmp_path / name, speech_like(0.1, 48_000))
    os.mkfifo(tmp_path / "b.wav")  # opening it waits for a writer who never comes
    tasks = [Task(str(tmp_path / name), str(tmp_path / f"out-{name}"), str(tmp_path / f".{name}{PARTIAL}"))
             for name in names]  # fmt: skip
    outcomes: list[Outcome] = []

    def done(task: Task, outcome: Outcome) -> None:
        outcomes.append(outcome)
        monkeypatch.setattr(workers, "STALLED", 0.5 if len(outcomes) == 1 else 600)

    with Stopper() as stopper:
        settings = DenoiseOptions(model=str(tiny_model))
        run_in_processes(tasks, 1, settings, stopper, lambda *_: None, done, {})
    assert [outcome.status for outcome in outcomes] == ["done", "failed", "done"]
    assert outcomes[1].message == "no more sound came of it in 0.5 s; it may be damaged"
    assert not partial_files(tmp_path)


def test_a_model_that_several_processes_cannot_load_is_named_once(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / "in" / f"{number}.wav", speech_like(0.1, 48_000))
    (tmp_path / "model.onnx").write_text("not a network")
    process = start("denoise", tmp_path / "in", "-o", tmp_path / "out", "--model", tmp_path / "model.onnx", "-j", 2)
    _, stderr = process.communicate()
    assert process.returncode == 2
    assert len(stderr.decode().splitlines()) == 1
    assert "model.onnx" in stderr.decode()
    assert not (tmp_path / "out").exists()


def test_a_second_signal_does_not_wait() -> None:
    with Stopper() as stopper:
        signal.raise_signal(signal.SIGINT)  # the first is only noted, for the next look
        with pytest.raises(Stopped, match="SIGINT"):
            stopper.check()
        with pytest.raises(Stopped, match="SIGTERM"):
            signal.raise_signal(signal.SIGTERM)


def test_a_worker_that_gets_a_signal_twice_cleans_up_in_peace() -> None:
    with Stopper(worker=True) as stopper:
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Stopped, match="SIGTERM"):
            stopper.check()
        signal.raise_signal(signal.SIGTERM)


def test_a_signal_while_the_stopper_is_left_does_not_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    former, restore = signal.getsignal(signal.SIGTERM), signal.signal
    with Stopper() as stopper:
        signal.raise_signal(signal.SIGTERM)

        def signaled(number: int, handler: Any) -> Any:
            if number == signal.SIGINT:  # SIGTERM's handler is still the stopper's
                signal.raise_signal(signal.SIGTERM)
            return restore(number, handler)

        monkeypatch.setattr(signal, "signal", signaled)
    assert signal.getsignal(signal.SIGTERM) is former
    with pytest.raises(Stopped, match="SIGTERM"):
        stopper.check()


def test_patterns_keep_the_tree_below_their_first_wildcard(tmp_path: Path, tiny_model: Path) -> None:
    for name in ("x/a.wav", "x/y/b.wav", "x/y/c.flac", "z[1].wav"):
        write(tmp_path / "in" / name, speech_like(0.1, 48_000))
    inputs = (tmp_path / "in" / "**" / "*.wav", tmp_path / "in" / "z[1].wav")
    ended = mpeace("denoise", *inputs, "-o", tmp_path / "out", "--model", tiny_model)
    assert ended.status == 0, ended.stderr
    outputs = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*")}
    assert outputs == {str(Path("x/a.wav")), str(Path("x/y/b.wav")), "z[1].wav"}


def test_a_run_with_nothing_left_to_do_needs_no_model(tmp_path: Path, tiny_model: Path) -> None:
    write(tmp_path / "a.wav", speech_like(0.1, 48_000))
    assert mpeace("denoise", tmp_path, "--model", tiny_model).status == 0
    ended = mpeace("denoise", tmp_path, "--model", tmp_path / "nowhere.onnx")
    assert ended.status == 0
    assert "skipped" in ended.stderr


def test_outputs_inside_the_input_folder_are_not_inputs(tmp_path: Path, tiny_model: Path) -> None:
    write(tmp_path / "a.wav", speech_like(0.1, 48_000))
    for _ in range(2):
        assert mpeace("denoise", tmp_path, "-o", tmp_path / "clean", "--model", tiny_model).status == 0
    assert len(list(tmp_path.rglob("*.wav"))) == 2


def test_what_a_killed_run_left_is_swept_up(tmp_path: Path, tiny_model: Path) -> None:
    write(tmp_path / "a.wav", speech_like(0.1, 48_000))
    old, fresh = tmp_path / f".old{PARTIAL}", tmp_path / f".fresh{PARTIAL}"
    for path in (old, fresh):
        path.touch()
    os.utime(old, (0, 0))
    assert mpeace("denoise", tmp_path, "--model", tiny_model).status == 0
    assert partial_files(tmp_path) == [fresh], "a fresh one may belong to a program that is running"


def test_a_name_that_is_not_utf8_stands_in_the_report_and_comes_back(tmp_path: Path, tiny_model: Path) -> None:
    name = os.fsdecode(b"latin-\xe9.wav")
    try:
        source = write(tmp_path / "in.wav", speech_like(0.1, 48_000)).rename(tmp_path / name)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    report = tmp_path / "r.json"
    ended = mpeace("denoise", source, "-o", tmp_path / "out.wav", "--model", tiny_model, "--report", report)
    assert ended.status == 0
    (file,) = json.loads(report.read_bytes().decode("utf-8"))["files"]
    assert os.fsencode(file["input"]) == os.fsencode(source)


def test_the_report_has_each_file(tmp_path: Path, tiny_model: Path) -> None:
    source = write(tmp_path / "a.wav", speech_like(2, 44_100, 2), 44_100, subtype="PCM_24")
    arguments = ("denoise", source, tmp_path / "nowhere.wav", "-o", tmp_path / "out", "--model", tiny_model)
    assert mpeace(*arguments, "--mix", 0.5, "--report", tmp_path / "r.json").status == 1
    report = json.loads((tmp_path / "r.json").read_text())
    assert (report["done"], report["skipped"], report["failed"]) == (1, 0, 1)
    assert report["model"] == {"name": "tiny-delay", "file": str(tiny_model)}
    assert report["options"]["mix"] == 0.5
    done = next(entry for entry in report["files"] if entry["status"] == "done")
    assert done["input"] == str(source)
    assert done["output"] == str(tmp_path / "out" / "a.wav")
    assert (done["seconds"], done["sample_rate"], done["channels"]) == (2.0, 44_100, 2)
    assert (done["format"], done["subtype"], done["clamped"]) == ("WAV", "PCM_24", 0)
    assert done["speed"] == pytest.approx(done["seconds"] / done["elapsed"], rel=0.01)


def test_from_standard_input_to_a_file(tmp_path: Path, tiny_model: Path) -> None:
    audio = speech_like(1, 48_000)
    source = write(tmp_path / "a.wav", audio)
    with source.open("rb") as stdin:
        process = start("denoise", "-", "-o", tmp_path / "out.flac", "--model", tiny_model, "-q", stdin=stdin)
        _, stderr = process.communicate()
    assert (process.returncode, stderr) == (0, b"")
    with soundfile.SoundFile(tmp_path / "out.flac") as file:
        assert (file.format, file.subtype) == ("FLAC", "PCM_16")
    np.testing.assert_allclose(read(tmp_path / "out.flac"), tiny_result(audio), atol=2.0**-15)


def test_files_and_standard_input_have_each_their_default_model(tmp_path: Path, shipped_denoiser: Denoiser) -> None:
    source = write(tmp_path / "a.wav", speech_like(1, 48_000))
    with source.open("rb") as stdin:
        process = start("denoise", "-", "-o", tmp_path / "stream.wav", "-q", stdin=stdin)
    assert process.wait() == 0
    assert mpeace("denoise", source, "-o", tmp_path / "file.wav").status == 0
    for name, model in (("stream.wav", shipped_denoiser), ("file.wav", Denoiser(model_for_files()))):
        denoise_file(source, tmp_path / "expected.wav", model=model)
        np.testing.assert_array_equal(read(tmp_path / name), read(tmp_path / "expected.wav"))


def test_info_shows_the_metadata(tiny_model: Path, tiny_denoiser: Denoiser) -> None:
    ended = mpeace("info", tiny_model)
    assert ended.status == 0
    about, _, _ = ended.stdout.partition("\n\ntraining\n")
    shown = dict(line.split(None, 1) for line in about.splitlines())
    assert shown["name"] == tiny_denoiser.info.name
    assert shown["sample_rate"] == "48000"
    assert shown["delay"].startswith("20 ms")


def test_info_lists_the_settings_of_the_training(shipped_denoiser: Denoiser) -> None:
    _, _, listed = mpeace("info", shipped_denoiser.path).stdout.partition("\n\ntraining\n")
    shown = dict(line.split(None, 1) for line in listed.splitlines())
    training = shipped_denoiser.info.training
    assert shown["step"] == str(training["step"])
    assert shown["config.rate"] == str(training["config"]["rate"])
    assert shown["task.mix.snr_db"] == "-5.0, 25.0"


def test_models_says_what_each_is_the_default_of(shipped_denoiser: Denoiser) -> None:
    ended = mpeace("models")
    assert ended.status == 0
    lines = ended.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [entry.name for entry in list_models()]
    assert "default of streams" in lines[0]
    assert [line.split()[0] for line in lines if re.search("default of .*files", line)] == [model_for_files()]
    assert mpeace("info", lines[0].split()[0]).status == 0


def test_version_and_usage() -> None:
    assert mpeace("--version").stdout.startswith("mpeace ")
    assert mpeace("denoise").status == 2
    assert mpeace("denoise", "a.wav", "--no-such-option").status == 2
    assert mpeace("no-such-command").status == 2
