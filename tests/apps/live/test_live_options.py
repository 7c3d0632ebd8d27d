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
