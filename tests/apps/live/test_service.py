"""`mpeace live` as a service: the unit that is written, the wait for devices, and the state that is told."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from command import ROOT, mpeace
from livecommand import LATER
from soundserver import SoundServer

from apps.live.engine.latency import parse
from apps.live.service import install
from apps.live.service.install import UNIT, service_command, unit_text
from apps.live.session.session import LiveSettings

SETTINGS = LiveSettings(source='a "b" $HOME 50%', target="headset", policy=parse("0.15"), attenuation_limit_db=12.0)


def test_the_command_has_every_setting() -> None:
    command = service_command(SETTINGS)
    assert command[:5] == [sys.executable, "-m", "apps.cli", "live", "--service"]
    given = ["--input", 'a "b" $HOME 50%', "--output", "headset", "--latency", "0.15", "--attenuation-limit", "12.0"]
    assert command[5:] == given


def test_a_registered_name_stays_one_beside_a_file_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for model, named in (("small", "small"), ("mine.onnx", str(tmp_path / "mine.onnx"))):
        (tmp_path / model).touch()
        command = service_command(replace(SETTINGS, model=model))
        assert command[command.index("--model") + 1] == named


def test_systemd_reads_the_unit_and_expands_nothing_in_it(tmp_path: Path) -> None:
    unit = tmp_path / UNIT
    unit.write_text(unit_text(service_command(SETTINGS)))
    assert r'"a \"b\" $$HOME 50%%"' in unit.read_text()
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze (package systemd)")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", "--man=no", unit], capture_output=True, text=True, timeout=60
    )
    complaints = [line for line in done.stderr.splitlines() if UNIT in line]
    assert complaints == []


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """A systemctl that only notes what it is told; returns that."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "systemctl"
    program.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/told\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(install.portaudio, "system", lambda: "Linux")
    return lambda: (tmp_path / "told").read_text().splitlines()


def test_it_is_installed_started_and_removed(systemctl: Callable[[], list[str]], tmp_path: Path) -> None:
    assert install.install_service(LiveSettings()) == 0
    unit = tmp_path / "config" / "systemd" / "user" / UNIT
    assert f'ExecStart="{sys.executable}" "-m" "apps.cli" "live" "--service" "--latency" "low"\n' in unit.read_text()
    assert systemctl() == ["--user daemon-reload", f"--user enable {UNIT}", f"--user restart {UNIT}"]
    assert install.remove_service() == 0
    assert not unit.exists()
    assert systemctl()[3:] == [f"--user disable --now {UNIT}", "--user daemon-reload"]


def test_what_cannot_be_removed_or_started_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(install.portaudio, "system", lambda: "Linux")
    ended = mpeace("live", "--remove-service")
    assert ended.status == 1
    assert ended.problems == [f"mpeace: no service is installed ({tmp_path / 'systemd' / 'user' / UNIT} is not there)"]
    ended = mpeace("live", "--install-service")
    assert ended.status == 1
    assert len(ended.problems) == 1
    assert ended.problems[0].startswith("mpeace: no systemd here; let your desktop start at login")


def test_it_is_removed_where_systemd_does_not_answer(
    systemctl: Callable[[], list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert install.install_service(LiveSettings()) == 0
    unit = tmp_path / "config" / "systemd" / "user" / UNIT
    wanted = unit.parent / "default.target.wants" / UNIT
    wanted.parent.mkdir()
    wanted.symlink_to(unit)  # as `systemctl enable` makes it
    said = "Failed to connect to bus: No such file or directory"
    (tmp_path / "bin" / "systemctl").write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 1\n")
    ended = mpeace("live", "--remove-service")
    assert (ended.status, ended.stdout) == (1, f"Removed: {unit}\n")
    assert ended.problems == [
        f"mpeace: it starts at no login any more, but may still run: systemctl --user disable --now {UNIT}: {said}; "
        "run it in a terminal of your desktop, as yourself"
    ]
    assert not unit.exists()
    assert not wanted.is_symlink()


def test_it_is_removed_where_there_is_no_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(install.portaudio, "system", lambda: "Linux")
    unit = tmp_path / "systemd" / "user" / UNIT
    assert mpeace("live", "--install-service").status == 1
    assert unit.exists()
    ended = mpeace("live", "--remove-service")
    assert (ended.status, ended.stdout, ended.stderr) == (0, f"Removed: {unit}\n", "")
    assert not unit.exists()


@pytest.mark.parametrize(("model", "problem"), [("nosuch", "no model"), ("studio", "hears seconds ahead")])
def test_a_model_that_cannot_run_live_is_not_installed(
    systemctl: Callable[[], list[str]], tmp_path: Path, model: str, problem: str
) -> None:
    """Systemd would start it every five seconds for ever."""
    ended = mpeace("live", "--install-service", "--model", model)
    assert (ended.status, ended.stdout) == (2, "")
    assert len(ended.problems) == 1
    assert problem in ended.stderr
    assert not (tmp_path / "config").exists()


def test_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    ended = mpeace("live", "--status")
    assert (ended.status, ended.stderr) == (3, "")
    assert ended.stdout.startswith("mpeace live does not run; start it by: mpeace live")


@pytest.mark.sound
def test_it_waits_for_its_devices_and_reports_its_state(server: SoundServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", server.environment["XDG_RUNTIME_DIR"])  # for --status, in this process
    command = [sys.executable, "-m", "apps.cli", "live", "--service", "-i", "studio.monitor", "--latency", "0.4"]
    environment = {**server.environment, "PYTHONPATH": str(ROOT)}
    service = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)

    def told(condition: Callable[[dict[str, Any]], bool]) -> str:
        """The line of --status, once the state fulfils a condition."""
        folder, deadline = Path(server.environment["XDG_RUNTIME_DIR"]) / "mpeace", time.monotonic() + 2 * LATER
        while time.monotonic() < deadline and service.poll() is None:
            for path in folder.glob("live-*.json"):
                if condition(json.loads(path.read_text())):
                    ended = mpeace("live", "--status")
                    assert ended.status == 0
                    return ended.stdout
            time.sleep(0.1)
        raise AssertionError(f"it did not happen; ended {service.poll()}")

    try:
        assert "waiting (" in told(lambda state: state["state"].startswith("waiting ("))
        server.pactl("load-module", "module-null-sink", "sink_name=studio", "rate=48000")
        line = told(lambda state: state["state"] == "running")
        assert re.match(
            r"running: Monitor of .*(Null Output|studio).* -> mpeace-output, 48 kHz, model \w+, delay ", line
        )
        service.send_signal(signal.SIGTERM)
        assert service.wait(LATER) == 143
    finally:
        service.kill()
        service.wait()
    assert service.stderr is not None
    assert all(line.startswith("mpeace: ") for line in service.stderr.read().splitlines())
    assert not list((Path(server.environment["XDG_RUNTIME_DIR"]) / "mpeace").glob("*.json"))
