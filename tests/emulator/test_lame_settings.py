"""The settings of the real codec: LAME changes none of those that are accepted; bad input gets one clear line."""

import re
from collections.abc import Iterator
from typing import NamedTuple

import lameenc
import numpy as np
import pytest
from helpers import speech_like

from emulator.lame import SAMPLE_RATES, Setting, check_setting, encode, round_trip

MPEG_1 = (
    32,
    40,
    48,
    56,
    64,
    80,
    96,
    112,
    128,
    160,
    192,
    224,
    256,
    320,
)  # kbit/s, by the four bits of a header from 1 on
MPEG_2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)  # ISO 13818-3, layer III; also used by MPEG-2.5
HERTZ = {0b11: (44100, 48000, 32000), 0b10: (22050, 24000, 16000), 0b00: (11025, 12000, 8000)}


class Frame(NamedTuple):
    sample_rate: int
    kbps: int
    channels: int


def frames(stream: bytes) -> Iterator[Frame]:
    """What the headers of a stream say, which is whole frames of layer III and nothing else (ISO 11172-3, 2.4.1.3)."""
    start = 0
    while start < len(stream):
        header = int.from_bytes(stream[start : start + 4], "big")
        version, layer = header >> 19 & 0b11, header >> 17 & 0b11
        assert (header >> 21, layer) == (0x7FF, 0b01), f"no frame of layer III at byte {start} of {len(stream)}"
        sample_rate = HERTZ[version][header >> 10 & 0b11]
        kbps = (MPEG_1 if version == 0b11 else MPEG_2)[(header >> 12 & 0b1111) - 1]
        yield Frame(sample_rate, kbps, 1 if header >> 6 & 0b11 == 0b11 else 2)
        samples = 1152 if version == 0b11 else 576
        start += samples // 8 * kbps * 1000 // sample_rate + (header >> 9 & 1)
    assert start == len(stream), "the last frame is cut short"


def noise(seconds: float, sample_rate: int, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.3, 0.3, (channels, round(seconds * sample_rate)))


def bounds(sample_rate: int) -> tuple[int, int]:
    """The lowest and highest rate in kbit/s."""
    return (32, 320) if sample_rate >= 32000 else (8, 160 if sample_rate >= 16000 else 64)


def lame_by_itself(audio: np.ndarray, sample_rate: int, mode: str, value: int) -> bytes:
    """The stream that lameenc writes for any request, without the checks of `encode`."""
    encoder = lameenc.Encoder()
    encoder.silence()
    encoder.set_channels(audio.shape[0])
    encoder.set_in_sample_rate(sample_rate)
    encoder.set_out_sample_rate(sample_rate)
    if mode == "cbr":
        encoder.set_bit_rate(value)
    else:
        encoder.set_vbr(3)
        encoder.set_vbr_mean_bitrate_kbps(value)
    return bytes(encoder.encode(np.rint(audio.T * 32767).astype("<i2").tobytes()) + encoder.flush())


def accepted(setting: Setting, sample_rate: int) -> bool:
    try:
        check_setting(setting, sample_rate)
    except ValueError:
        return False
    return True


def refusal(audio: object = (0.0, 0.1), sample_rate: object = 16000, setting: object = None) -> str:
    """What `round_trip` says when it refuses."""
    with pytest.raises(ValueError) as error:
        round_trip(audio, sample_rate, setting or Setting("cbr", 32))  # pyright: ignore[reportArgumentType]
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("sample_rate", SAMPLE_RATES)
def test_exactly_the_constant_rates_that_lame_keeps_are_accepted(sample_rate: int, channels: int) -> None:
    """Against the headers that LAME writes, over all bit rates that any version has and some that none has."""
    audio = noise(0.2, sample_rate, channels)
    for kbps in sorted({1, 7, 9, 12, 20, 33, 100, 321, 640, *MPEG_1, *MPEG_2}):
        wanted = {Frame(sample_rate, kbps, channels)}
        kept = set(frames(lame_by_itself(audio, sample_rate, "cbr", kbps))) == wanted
        assert accepted(Setting("cbr", kbps), sample_rate) == kept, kbps
        if kept:
            assert set(frames(encode(audio, sample_rate, Setting("cbr", kbps)))) == wanted


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("sample_rate", SAMPLE_RATES)
def test_exactly_the_average_rates_that_lame_keeps_are_accepted(sample_rate: int, channels: int) -> None:
    """LAME replaces a rate beyond its bounds by the bound: the stream is that of the bound to the byte."""
    audio = noise(0.3, sample_rate, channels)
    low, high = bounds(sample_rate)
    lowest, highest = (lame_by_itself(audio, sample_rate, "abr", kbps) for kbps in (low, high))
    for kbps in (1, low - 1):
        assert lame_by_itself(audio, sample_rate, "abr", kbps) == lowest
        assert not accepted(Setting("abr", kbps), sample_rate)
    for kbps in (high + 1, 640):
        assert lame_by_itself(audio, sample_rate, "abr", kbps) == highest
        assert not accepted(Setting("abr", kbps), sample_rate)
    inside = [lame_by_itself(audio, sample_rate, "abr", kbps) for kbps in (low, low + 1, (low + high) // 2)]
    assert len({*inside, highest}) == 4
    assert all(accepted(Setting("abr", kbps), sample_rate) for kbps in range(low, high + 1))
    assert {(frame.sample_rate, frame.channels) for frame in frames(b"".join(inside))} == {(sample_rate, channels)}


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("sample_rate", SAMPLE_RATES)
def test_lame_keeps_every_quality_of_a_variable_rate(sample_rate: int, channels: int) -> None:
    audio = speech_like(0.5, sample_rate, channels)
    streams = [encode(audio, sample_rate, Setting("vbr", quality)) for quality in range(10)]
    assert len(set(streams)) == 10
    sizes = [len(stream) for stream in streams]
    assert sizes == sorted(sizes, reverse=True)
    assert {(frame.sample_rate, frame.channels) for frame in frames(b"".join(streams))} == {(sample_rate, channels)}


def test_a_higher_average_rate_spends_more() -> None:
    audio = noise(1.0, 16000)
    sizes = [len(encode(audio, 16000, Setting("abr", kbps))) for kbps in range(8, 100, 6)]
    assert all(np.diff(sizes) > 0)


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    for setting in ("cbr8", "cbr64", "abr24", "v0", "v9"):
        for length in (0, 1, 8000):
            round_trip(np.zeros((2, length)), 8000, Setting.parse(setting))
    assert capfd.readouterr() == ("", "")


# Bad input


@pytest.mark.parametrize(
    ("audio", "said"),
    [
        ([0.0, np.nan, np.inf], "the codec takes finite samples; 2 of 3 are NaN or infinite"),
        ([0.5, -1.5], "the codec takes samples from -1 to 1; the peak is 1.5: scale the audio down first"),
        ([1.000001], "the peak is 1.000001: scale"),
        (np.zeros((3, 10)), "[time] or [channels, time] with 1 or 2 channels; got [3, 10]"),
        (np.zeros((10, 2)), "with 1 or 2 channels; got [10, 2]"),
        (np.zeros((0, 10)), "with 1 or 2 channels; got [0, 10]"),
        (np.zeros((1, 2, 10)), "with 1 or 2 channels; got [1, 2, 10]"),
        (0.5, "with 1 or 2 channels; got []"),
        (np.zeros(10, np.int16), "floats from -1 to 1; got int16: divide integers by their full scale"),
        ([0, 1], "floats from -1 to 1; got int64"),
        (np.zeros(10, bool), "floats from -1 to 1; got bool"),
        (np.zeros(10, complex), "floats from -1 to 1; got complex128"),
        (["a"], "floats from -1 to 1; got <U1"),
    ],
)
def test_audio_that_cannot_be_encoded_is_refused(audio: object, said: str) -> None:
    assert said in refusal(audio)


@pytest.mark.parametrize("sample_rate", [0, -16000, 44000, 96000])
def test_a_sample_rate_that_mp3_lacks_is_refused(sample_rate: int) -> None:
    known = "8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000"
    expected = f"MP3 has no sample rate of {sample_rate} Hz; it has {known}: resample first"
    assert refusal(sample_rate=sample_rate) == expected


@pytest.mark.parametrize("sample_rate", [16000.0, float("nan"), "16000", None])
def test_a_sample_rate_that_is_no_whole_number_is_refused(sample_rate: object) -> None:
    assert refusal(sample_rate=sample_rate) == f"the sample rate is a whole number of Hz; got {sample_rate!r}"


def test_a_sample_rate_of_numpy_is_taken() -> None:
    assert round_trip(np.zeros(10), np.int64(16000), Setting("vbr", 9)).shape == (10,)  # pyright: ignore[reportArgumentType]


def test_a_refused_setting_says_what_the_format_has() -> None:
    assert refusal(setting=Setting("cbr", 20)) == (
        "LAME would change 20 kbit/s at 16000 Hz by itself: MPEG-2 has constant bit rates of "
        "8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160"
    )
    assert refusal(sample_rate=48000, setting=Setting("abr", 24)) == (
        "LAME would change an average of 24 kbit/s at 48000 Hz by itself: MPEG-1 has 32 to 320"
    )
    assert refusal(setting="cbr32") == "expected a Setting, such as Setting.parse('cbr16') gives; got 'cbr32'"


@pytest.mark.parametrize(("text", "mode", "value"), [("cbr16", "cbr", 16), ("ABR48", "abr", 48), ("v9", "vbr", 9)])
def test_settings_are_read_and_written(text: str, mode: str, value: int) -> None:
    setting = Setting.parse(text)
    assert (setting.mode, setting.value) == (mode, value)
    assert str(setting) == text.lower()
    assert Setting.parse(str(setting)) == setting


def test_vbr_is_another_name_of_v() -> None:
    assert Setting.parse("vbr4") == Setting.parse("V4") == Setting("vbr", 4)


@pytest.mark.parametrize(
    "text", ["", "mp3", "16", "cbr", "v", "v-1", "cbr 16", "cbr16k", "cbr16.5", "v٤", "xcbr16", None]
)
def test_a_text_that_is_no_setting_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"a setting looks like cbr64, abr96 or v4; got {text!r}")):
        Setting.parse(text)


@pytest.mark.parametrize(
    ("mode", "value", "quality", "said"),
    [
        ("mp3", 16, 2, "the mode is cbr, abr or vbr; got 'mp3'"),
        ("vbr", 10, 2, "the quality of a variable bit rate is 0 to 9; got 10"),
        ("vbr", -1, 2, "the quality of a variable bit rate is 0 to 9; got -1"),
        ("vbr", 4.5, 2, "the quality is a whole number; got 4.5"),
        ("cbr", 16.0, 2, "the bit rate in kbit/s is a whole number; got 16.0"),
        ("abr", "48", 2, "the bit rate in kbit/s is a whole number; got '48'"),
        ("cbr", 16, 10, "the effort of the encoder is a whole number from 0 to 9; got 10"),
        ("cbr", 16, 2.5, "the effort of the encoder is a whole number from 0 to 9; got 2.5"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(mode: str, value: float, quality: float, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        Setting(mode, value, quality)  # pyright: ignore[reportArgumentType]
