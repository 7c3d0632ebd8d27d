"""A package that only an extra brings, and is not there, is said in one line with what to install."""

import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import emulator
from enhance.utils.extras import EXTRAS, end_commands_in_one_line, missing

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("command", "package", "extra"), [("enhance.widen", "torch", "train"), ("enhance.evaluate", "pesq", "eval")]
)
def test_a_command_ends_in_one_line(command: str, package: str, extra: str, tmp_path: Path) -> None:
    (tmp_path / f"{package}.py").write_text(f'raise ModuleNotFoundError("No module named", name="{package}")')
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    call = [sys.executable, "-m", command, "--help"]
    done = subprocess.run(call, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=60)
    assert done.returncode == 1
    assert done.stderr == f"{command}: needs the package {package}: pip install 'mpeace[{extra}]'\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C as a terminal of Unix sends it")
@pytest.mark.parametrize("command", ["enhance.widen", "emulator.card"])
def test_ctrl_c_while_a_command_loads_is_one_line(command: str, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(30)\n")
    done = subprocess.run(
        [sys.executable, "-m", command, "--help"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}, cwd=tmp_path, timeout=60,
        capture_output=True, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # not as in a background job
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, "", f"{command}: stopped\n")


def test_a_public_name_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(vars(emulator), "round_trip", raising=False)
    monkeypatch.delitem(sys.modules, "emulator.lame", raising=False)
    monkeypatch.setitem(sys.modules, "lameenc", None)
    with pytest.raises(ModuleNotFoundError, match=r"emulator.round_trip needs .* pip install 'mpeace\[train\]'"):
        emulator.round_trip  # noqa: B018


def test_other_modules_and_other_programs_keep_their_excepthook(monkeypatch: pytest.MonkeyPatch) -> None:
    assert missing(ModuleNotFoundError("No module named 'numby'", name="numby")) is None
    assert missing(ModuleNotFoundError("no name")) is None
    error = ModuleNotFoundError("No module named 'torch'", name="torch")  # in this program, which is pytest
    came: list[object] = []
    monkeypatch.setattr(sys, "excepthook", lambda *what: came.append(what))
    end_commands_in_one_line()
    sys.excepthook(type(error), error, None)
    assert came == [(type(error), error, None)]


def test_a_program_that_imports_mpeace_in_its_package_keeps_its_excepthook(tmp_path: Path) -> None:
    (tmp_path / "program").mkdir()
    hook = "import sys\nsys.excepthook = lambda *what: print('reported:', what[1])\nimport enhance\n"
    (tmp_path / "program" / "__init__.py").write_text(hook)
    (tmp_path / "program" / "__main__.py").write_text("raise RuntimeError('of the program')\n")
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    call = [sys.executable, "-m", "program"]
    done = subprocess.run(call, capture_output=True, text=True, env=environment, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (1, "reported: of the program\n", "")


def test_the_extras_bring_these_packages() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for extra, packages in EXTRAS.items():
        assert all(any(line.startswith(package) for line in wanted[extra]) for package in packages)
