"""The process of a batch that begins before the command line is read."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from command import ROOT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes are looked at by signals")

BEGIN = """
import os, sys
from apps.batch import worker_process
worker_process.begin_early()
"""


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", BEGIN + code], capture_output=True, text=True, check=True).stdout


def is_gone(number: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(number, 0)
        return False
    return True


def test_the_first_worker_is_the_one_that_began_early_and_the_next_is_new() -> None:
    code = """
early = worker_process._early[0].pid
first, second = worker_process.start_worker(), worker_process.start_worker()
print(first[0].pid == early, second[0].pid == early)
"""
    assert run(code).split() == ["True", "False"]


def test_the_early_process_loads_the_model_of_the_settings_that_come() -> None:
    code = """
from enhance.io.options import DenoiseOptions
process, pipe = worker_process.start_worker()
pipe.send(DenoiseOptions(model="tiny"))
print(pipe.recv()["name"])
pipe.close()
process.join()
print(process.exitcode)
"""
    assert run(code).split() == ["tiny", "0"]


def test_a_command_that_cannot_be_started_leaves_no_process(tmp_path: Path) -> None:
    code = """
number = worker_process._early[0].pid
worker_process.end_early()
worker_process.end_early()
print(number)
"""
    assert is_gone(int(run(code)))
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from apps.start import run; run()",
            "denoise",
            str(tmp_path / "none.wav"),
            "--mix",
            "2",
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") <= 3
    assert "Traceback" not in done.stderr


def test_the_early_process_ends_when_the_program_was_killed() -> None:
    code = BEGIN + "print('begun', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == b"begun\n"
        program.send_signal(signal.SIGKILL)
        program.communicate(timeout=60)  # until nobody holds the other end of the pipe


def test_the_program_that_waits_for_its_processes_loads_no_numpy_and_no_codec(tiny_model: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from apps.cli import main; status = main(sys.argv[1:]);"
        "print(status, sorted({'numpy', 'onnxruntime', 'soundfile', 'soxr', 'mutagen'} & set(sys.modules)))"
    )
    command = ["denoise", ROOT / "tests/data/noisy.flac", "-o", tmp_path / "out.flac", "--model", tiny_model, "--quiet"]
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0 []"


def test_where_no_process_of_ours_denoises_the_early_one_ends_before_the_work(tiny_model: Path, tmp_path: Path) -> None:
    code = """
from pathlib import Path
from apps.cli import main

number = worker_process._early[0].pid
status = main(["denoise", sys.argv[1], "-o", "memory://out.wav", "--model", sys.argv[2], "--quiet"])
print(status, worker_process._early, Path(f"/proc/{number}").exists())
"""
    command = [sys.executable, "-c", BEGIN + code, ROOT / "tests/data/noisy.flac", tiny_model]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "None", "False"]
