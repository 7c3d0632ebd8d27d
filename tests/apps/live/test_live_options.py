"""Values of the options of `mpeace live` that are refused in one line."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from command import mpeace

from apps.live.engine.latency import parse
from apps.live.session.session import LiveSettings, Session
from apps.live.ui import run_live as run_live_module


@pytest.mark.parametrize("value", ["-0.1", "1.5", "nan"])
def test_promise_12_a_mix_that_is_none(value: str) -> None:
    ended = mpeace("live", "--mix", value)
    assert ended.status == 2
    assert ended.problems == [f"mpeace: --mix {value}: expected a number from 0 (the input) to 1 (denoised)"]


@pytest.mark.parametrize("text", ["0", "-1", "fast", "nan", "3"])
def test_latency_that_is_none(text: str) -> None:
    ended = mpeace("live", "--latency", text)
    assert ended.status == 2
    assert ended.problems == [f"mpeace: --latency is low, safe, or seconds up to 2, not {text}"]
    assert parse("0.08").split(fixed=0.02, parts=3).device == pytest.approx(0.02)
    assert parse("0.01").split(fixed=0.02, parts=2).device == 0
    assert parse("safe").split(fixed=0.02, parts=2) == parse("safe")


@pytest.mark.parametrize(
    ("first", "second"),
    [("stdout", "install-service"), ("setup", "measure"), ("status", "remove-service")],
)
def test_two_things_at_once(first: str, second: str) -> None:
    ended = mpeace("live", f"--{second}", f"--{first}")
    assert (ended.status, ended.stdout) == (2, "")
    assert ended.problems == [f"mpeace: --{first} and --{second} are two things: give one of them"]


def test_a_monitor_that_no_key_can_switch_on() -> None:
    ended = mpeace("live", "--install-service", "--monitor", "headphones")
    assert (ended.status, ended.stdout) == (2, "")
    assert ended.problems == ["mpeace: --monitor is switched on by a key, and a service has none: leave it out"]


def test_a_monitor_that_a_log_without_keys_cannot_switch_on() -> None:
    ended = mpeace("live", "--no-ui", "--monitor", "headphones")
    assert (ended.status, ended.stdout) == (2, "")
    assert ended.problems == ["mpeace: --monitor is switched on by a key, and --no-ui has none: leave it out"]


@pytest.mark.parametrize(
    ("task", "option"),
    [
        ("status", ("--input", "USB")),
        ("remove-service", ("--mix", "0.5")),
        ("setup", ("--record",)),
        ("measure", ("--attenuation-limit", "12")),
        ("stdout", ("--shared-clock",)),
        ("stdout", ("--folder", "recordings")),
    ],
)
def test_options_that_a_task_would_pass_over(
    task: str, option: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    ended = mpeace("live", f"--{task}", *option)
    assert (ended.status, ended.stdout) == (2, "")
    assert ended.problems == [f"mpeace: {option[0]} does nothing with --{task}: leave it out"]


def test_a_folder_for_recordings_that_a_service_does_not_make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    ended = mpeace("live", "--install-service", "--folder", tmp_path / "recordings")
    assert (ended.status, ended.stdout) == (2, "")
    assert ended.problems == ["mpeace: --folder is for recordings, which a service makes with --record alone"]


def test_a_recording_that_cannot_begin_ends_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was asked for from the start: who speaks for an hour would find nothing."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    closed = []

    class NoDisk(Session):
        """What is left of a session without devices."""

        def __init__(self, settings: LiveSettings) -> None:
            self._settings, self._recorder, self._messages = settings, None, ["other words"]
            self.path = SimpleNamespace(sample_rate=48_000, channels=1, latency_samples=480)
            self.record()

        def status(self) -> Any:
            return SimpleNamespace(messages=self._messages, as_dict=dict)

        def poll(self) -> None:
            raise AssertionError("it runs without recording")

        def close(self) -> list[str]:
            closed.append(self)
            return []

    monkeypatch.setattr(run_live_module, "Session", NoDisk)
    monkeypatch.setattr(run_live_module.portaudio, "load", lambda: None)
    (tmp_path / "file").touch()
    ended = mpeace("live", "--no-ui", "--record", "--folder", tmp_path / "file")
    assert (ended.status, ended.stdout, len(closed)) == (1, "", 1)
    assert len(ended.problems) == 1
    assert f"cannot record to {tmp_path / 'file'}" in ended.problems[0]


def test_ctrl_c_while_a_library_loads_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime and others, written in C, raise an ImportError of it."""

    def interrupted(*_: object, **__: object) -> None:
        raise ImportError("initialization failed") from KeyboardInterrupt()

    monkeypatch.setattr("apps.cli.app", interrupted)
    ended = mpeace("devices")
    assert (ended.status, ended.stderr) == (130, "mpeace: stopped\n")
