"""How commands end: closed and full standard streams, Ctrl-C, and a command that runs another one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command import ROOT

PRINTS = "print('a table')\n    return 0"
UNREAD = "| true; exit ${PIPESTATUS[0]}"
COMMANDS = [path for package in ("enhance", "emulator") for path in sorted((ROOT / package).rglob("*.py"))]


def start(body: str, shell: str = "", folder: Path = ROOT) -> subprocess.Popen[str]:
    """Start a command whose main is `body`, with what the shell does to its streams."""
    script = f"import sys\nfrom enhance.utils.command import run\ndef main():\n    {body}\nrun('enhance.x', main)"
    return subprocess.Popen(
        ["bash", "-c", f'"$0" -c "$1" {shell}', sys.executable, script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, cwd=folder,
    )  # fmt: skip


def test_each_command_is_run_by_its_own_name() -> None:
    for path in COMMANDS:
        _, found, rest = path.read_text(encoding="utf-8").rpartition('\nif __name__ == "__main__":\n')
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__")
        assert not found or rest == f'    run("{name}", main)\n'


@pytest.mark.skipif(sys.platform == "win32", reason="a shell of Unix closes the streams")
@pytest.mark.parametrize(
    ("body", "shell", "status", "output", "errors"),
    [
        (PRINTS, "", 0, "a table\n", ""),
        (PRINTS, ">&-", 0, "", ""),
        (PRINTS, ">/dev/full", 1, "", "enhance.x: no space left on device\n"),
        (
            PRINTS,
            "| true; exit ${PIPESTATUS[0]}",
            1,
            "",
            "enhance.x: the program that reads the output has closed it\n",
        ),
        ("print('note', file=sys.stderr); return 3", "2>&-", 3, "", ""),
        ("open('/no/where')", "", 1, "", "enhance.x: [Errno 2] No such file or directory: '/no/where'\n"),
        ("print('a table'); open('/no/where')", "2>&-", 1, "a table\n", ""),
        ("open('/no/where')", ">&-", 1, "", "enhance.x: [Errno 2] No such file or directory: '/no/where'\n"),
        ("sys.exit(2)", "", 2, "", ""),
        ("raise KeyboardInterrupt", "", 130, "", "enhance.x: stopped\n"),
    ],
)
def test_closed_and_full_streams_and_ctrl_c_end_a_command_in_order(
    body: str, shell: str, status: int, output: str, errors: str
) -> None:
    process = start(f"import time; time.sleep(.3 * {shell == UNREAD}); {body}", shell)
    assert (*process.communicate(timeout=60), process.returncode) == (output, errors, status)


@pytest.mark.parametrize(
    "start", ["", "from apps import cli; cli.app = lambda **_: print(words); sys.exit(cli.main([]))"]
)
@pytest.mark.parametrize(
    ("encoding", "shown"), [("cp1252", b"\xfc \\u2192 \\udce9"), ("utf-8", b"\xc3\xbc \xe2\x86\x92 \\udce9")]
)
def test_letters_that_standard_output_cannot_show_are_escaped(start: str, encoding: str, shown: bytes) -> None:
    """As of a file of Windows, and of names that are no UTF-8; they ended a command in a traceback."""
    script = f"import sys\nwords = '\\xfc \\u2192 \\udce9'\n{start}\n"
    script += "from enhance.utils.command import run\nrun('enhance.x', lambda: print(words))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding}
    ended = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, timeout=60)
    assert (ended.returncode, ended.stdout.strip(), ended.stderr) == (0, shown, b"")


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C as a terminal of Unix sends it")
def test_a_command_that_runs_another_one_lets_it_end_after_ctrl_c(tmp_path: Path) -> None:
    """A training writes its checkpoint then, which may take longer than Python waits of its own accord."""
    (tmp_path / "inner.py").write_text(
        "import pathlib, time\n"
        "try:\n    pathlib.Path('begun').touch(); time.sleep(60)\n"
        "except KeyboardInterrupt:\n    time.sleep(1); pathlib.Path('saved').touch()\n"
    )
    process = start(
        "from enhance.utils.command import wait_out; return wait_out([sys.executable, 'inner.py'])", folder=tmp_path
    )
    while not (tmp_path / "begun").exists():
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=60) == ("", "enhance.x: stopped\n")
    assert (tmp_path / "saved").exists()
