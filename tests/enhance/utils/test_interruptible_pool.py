"""Worker processes end at Ctrl-C, at whatever moment it comes: no further task, no traceback."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command import ROOT

PROGRAM = """
import pathlib, sys, time
from enhance.utils.command import run
from enhance.utils.interruptible_pool import InterruptiblePool

if __name__ == "__mp_main__":
    pathlib.Path("starts").touch()
    time.sleep(1)

def work(number):
    pathlib.Path(f"begun-{number}").touch()
    if number == 2:
        raise ValueError("two")
    time.sleep(float(sys.argv[1]))
    return number

def main():
    with InterruptiblePool(2) as pool:
        print(list(pool.map(work, range(int(sys.argv[2])))), flush=True)
    return 0

if __name__ == "__main__":
    run("x", main)
"""


def start(folder: Path, seconds: float, count: int) -> subprocess.Popen[str]:
    (folder / "program.py").write_text(PROGRAM)
    return subprocess.Popen(
        [sys.executable, "program.py", str(seconds), str(count)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=folder, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # not as in a background job
    )  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C as a terminal of Unix sends it")
@pytest.mark.parametrize(("moment", "begun"), [("starts", []), ("begun-1", ["begun-0", "begun-1"])])
def test_ctrl_c_leaves_the_tasks_that_have_not_begun_and_says_so_once(
    tmp_path: Path, moment: str, begun: list[str]
) -> None:
    process = start(tmp_path, 30, 6)
    while not (tmp_path / moment).exists():
        assert process.poll() is None
        time.sleep(0.02)
    time.sleep(0.2)  # both of them
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=25) == ("", "x: stopped\n")
    assert process.returncode == 130
    assert sorted(path.name for path in tmp_path.glob("begun-*")) == begun


def test_results_and_errors_come_back(tmp_path: Path) -> None:
    process = start(tmp_path, 0, 2)
    assert process.communicate(timeout=60) == ("[0, 1]\n", "")
    process = start(tmp_path, 0, 3)
    assert process.communicate(timeout=60)[1].rstrip().endswith("ValueError: two")
