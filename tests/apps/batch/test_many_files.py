"""A hundred thousand files: listing, planning and resuming take seconds, and memory that does not count."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from command import ROOT, mpeace, write
from helpers import speech_like

from apps.batch.choices import IfExists
from apps.batch.plan import make_plan
from enhance.io.options import DenoiseOptions
from enhance.io.task import Task


def make_files(folder: Path, count: int) -> None:
    """Make empty files, a hundred in a folder."""
    for number in range(count):
        path = folder / f"{number // 100:03d}" / f"call-{number:06d}.wav"
        if number % 100 == 0:
            path.parent.mkdir(parents=True)
        path.touch()


def test_each_file_is_looked_at_once_and_each_output_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_files(tmp_path / "in", 500)
    looks: list[str] = []
    stat = os.stat

    def counted(path: object, **options: object) -> os.stat_result:
        looks.append(str(path))
        return stat(path, **options)  # type: ignore[arg-type, call-overload]

    monkeypatch.setattr(os, "stat", counted)
    plan = make_plan([str(tmp_path / "in")], str(tmp_path / "out"), None, IfExists.SKIP, DenoiseOptions())
    assert len(plan.tasks) == 500
    assert [task.source for task in plan.tasks] == sorted(task.source for task in plan.tasks)
    assert len(looks) < 2 * 500 + 10 * 5 + 10, "two looks a file, and a few a folder"


def test_what_waits_is_small() -> None:
    task = Task("in", "out", "partial")
    assert not hasattr(task, "__dict__")
    assert sys.getsizeof(task) < 120


def test_names_sort_as_they_did_and_links_are_followed_to_files_only(tmp_path: Path, tiny_model: Path) -> None:
    sound = write(tmp_path / "in" / "b" / "z.wav", speech_like(0.1, 48_000))
    (tmp_path / "in" / "a.wav").symlink_to(sound)
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "dead.wav").symlink_to(tmp_path / "nowhere.wav")
    (tmp_path / "in" / "circle.wav").symlink_to(tmp_path / "in" / "circle.wav")
    ended = mpeace("denoise", tmp_path / "in", "-o", tmp_path / "out", "--model", tiny_model)
    assert ended.status == 1
    assert len(ended.problems) == 1
    assert "circle.wav: too many levels of symbolic links" in ended.problems[0]
    outputs = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.wav"))
    assert outputs == ["a.wav", str(Path("b/z.wav"))]


@pytest.mark.long
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_hundred_thousand_files_are_planned_and_resumed_in_ten_seconds_and_300_megabytes(tmp_path: Path) -> None:
    for side in ("in", "out"):
        make_files(tmp_path / side, 100_000)
    code = (
        "import pathlib, re, sys, time; from apps.cli import main\n"
        "assert main(['denoise', 'in', '-o', 'out', '--model', 'none']) == 0\n"
        "peak = re.search(r'VmHWM:\\s*(\\d+)', pathlib.Path('/proc/self/status').read_text())[1]\n"
        "print(time.process_time(), int(peak) / 1024)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert re.search(r"0 done, 100000 skipped, 0 failed", done.stderr)
    seconds, megabytes = map(float, done.stdout.split())
    print(f"{seconds:.1f} s of CPU, {megabytes:.0f} MB")
    assert seconds < 10
    assert megabytes < 300
