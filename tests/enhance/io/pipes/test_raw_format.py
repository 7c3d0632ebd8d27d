"""Samples without a header are named as ffmpeg names them."""

import pytest

from enhance.io.pipes.raw_format import RawFormat
from enhance.utils.errors import UsageError


@pytest.mark.parametrize(
    ("text", "subtype", "whole"),
    [
        ("s16le:16000:1", "PCM_16", "s16le:16000:1"),
        ("f32le:48000", "FLOAT", "f32le:48000:1"),
        ("S24LE:44100:2", "PCM_24", "s24le:44100:2"),
    ],
)
def test_format_rate_and_channels(text: str, subtype: str, whole: str) -> None:
    found = RawFormat.parse(text)
    assert (found.subtype, str(found)) == (subtype, whole)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("s16le", "expected FORMAT:RATE:CHANNELS"),
        ("s16be:16000:1", "expected FORMAT:RATE:CHANNELS"),
        ("s16le:16000:1:1", "expected FORMAT:RATE:CHANNELS"),
        ("s16le:16k:1", "expected FORMAT:RATE:CHANNELS"),
        ("s16le:100:1", "the rate is 100 Hz"),
        ("s16le:16000:65", "65 channels"),
        pytest.param(f"s16le:16000:{'1' * 5000}", "expected FORMAT:RATE:CHANNELS", id="5000 digits"),
    ],
)
def test_what_is_none_is_refused_by_its_name(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=f"^--raw {text}: .*{said}"):
        RawFormat.parse(text)
