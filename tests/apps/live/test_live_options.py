"""Values of the options of `mpeace live` that are refused in one line."""

import pytest
from command import mpeace

from apps.live.engine.latency import parse


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


def test_ctrl_c_while_a_library_loads_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime and others, written in C, raise an ImportError of it."""

    def interrupted(*_: object, **__: object) -> None:
        raise ImportError("initialization failed") from KeyboardInterrupt()

    monkeypatch.setattr("apps.cli.app", interrupted)
    ended = mpeace("devices")
    assert (ended.status, ended.stderr) == (130, "mpeace: stopped\n")
