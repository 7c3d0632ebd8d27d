"""The real codec's sound: aligned to the sample, no sample lost, silence, channels, level and low-pass as measured."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from helpers import lag, speech_like
from scipy import signal

from emulator.lame import DELAY, SAMPLE_RATES, Setting, decode, encode, round_trip

ROUNDING = 2 / 32768  # miniaudio rounds to 16 bits after a filter bank of its own: 1.5 steps at most were seen


def noise(seconds: float, sample_rate: int, channels: int = 1) -> np.ndarray:
    """Low-passed noise at -24 dB, [channels, time]; a copy that is one sample late has an SNR of 7 dB."""
    white = np.random.default_rng(0).standard_normal((channels, round(seconds * sample_rate)))
    return 0.028 * np.asarray(signal.lfilter([1], [1, -0.9], white))


def snr_db(estimate: np.ndarray, target: np.ndarray) -> float:
    return float(10 * np.log10(np.sum(target**2) / np.sum((estimate - target) ** 2)))


def settings(sample_rate: int, channels: int) -> list[Setting]:
    """Every mode from the lowest rate with room for the channels to the best."""
    low, high = (32, 320) if sample_rate >= 32000 else (8 * channels, 160 if sample_rate >= 16000 else 64)
    rates = [Setting("cbr", low), Setting("cbr", 64), Setting("cbr", high)]
    rates += [Setting("abr", low), Setting("abr", 61), Setting("abr", high)]
    return rates + [Setting("vbr", quality) for quality in (0, 4, 6, 9)]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("sample_rate", SAMPLE_RATES)
def test_the_result_is_aligned_to_the_sample_at_every_rate_in_every_mode(sample_rate: int, channels: int) -> None:
    audio = noise(0.3, sample_rate, channels)
    for setting in settings(sample_rate, channels):
        coded = round_trip(audio, sample_rate, setting)
        raw = decode(encode(audio, sample_rate, setting), sample_rate, channels, setting)
        for channel in range(channels):
            assert lag(coded[channel], audio[channel]) == 0, setting
            assert lag(raw[channel], audio[channel]) == DELAY == 1105, setting


@pytest.mark.parametrize("setting", ["cbr64", "abr64", "v0", "v4", "v9"])
@pytest.mark.parametrize("sample_rate", SAMPLE_RATES)
def test_one_sample_of_misalignment_would_be_noticed(sample_rate: int, setting: str) -> None:
    audio = noise(0.3, sample_rate)[0]
    coded = round_trip(audio, sample_rate, Setting.parse(setting))
    aligned = snr_db(coded, audio)
    assert aligned > snr_db(coded[1:], audio[:-1]) + 1.0
    assert aligned > snr_db(coded[:-1], audio[1:]) + 1.0


@pytest.mark.parametrize("setting", ["cbr16", "v9"])
def test_the_length_is_kept_for_every_length_of_the_first_frame(setting: str) -> None:
    audio = noise(0.1, 16000)[0]
    for length in range(577):
        assert round_trip(audio[:length], 16000, Setting.parse(setting)).shape == (length,)


@pytest.mark.parametrize("sample_rate", SAMPLE_RATES)
def test_the_length_is_kept_at_every_rate_in_every_mode(sample_rate: int) -> None:
    audio = noise(3.0, sample_rate, channels=2)
    for setting in settings(sample_rate, 2):
        for length in (0, 1, 575, 576, 577, 1105, 1151, 1152, 1153, 7919):
            coded = round_trip(audio[:, :length], sample_rate, setting)
            assert coded.shape == (2, length)
            assert coded.dtype == np.float32
    for setting in (Setting("cbr", 64), Setting("vbr", 4)):
        assert round_trip(audio, sample_rate, setting).shape == audio.shape


def test_the_shape_is_kept() -> None:
    for shape in [(700,), (1, 700), (2, 700), (0,), (1, 0), (2, 0)]:
        for setting in (Setting("cbr", 32), Setting("vbr", 4)):
            assert round_trip(np.zeros(shape, np.float32), 16000, setting).shape == shape


@pytest.mark.parametrize(("sample_rate", "kbps"), [(11025, 16), (22050, 8), (44100, 32)])
def test_padding_of_a_constant_rate_loses_nothing_over_a_minute(sample_rate: int, kbps: int) -> None:
    """At these sample rates frames differ by one byte, so that the number of samples is no multiple of the bytes."""
    audio = speech_like(60, sample_rate)[0]
    coded = round_trip(audio, sample_rate, Setting("cbr", kbps))
    tail = slice(-3 * sample_rate, None)
    assert lag(coded[tail], audio[tail]) == 0


@pytest.mark.parametrize("setting", ["abr40", "v0", "v4", "v9"])
def test_a_stream_of_variable_rate_is_decoded_to_its_end(setting: str) -> None:
    audio = speech_like(10, 16000)[0]
    coded = round_trip(audio, 16000, Setting.parse(setting))
    for start in range(0, 160000, 16000):
        part = slice(start, start + 16000)
        assert lag(coded[part], audio[part]) == 0
        assert snr_db(coded[part], audio[part]) > 6.0


def test_the_last_sample_comes_back() -> None:
    audio = np.zeros(5000)
    audio[-1] = 0.5
    for setting in (Setting("cbr", 64), Setting("vbr", 0)):
        assert np.argmax(np.abs(round_trip(audio, 16000, setting))) == 4999


# Sound


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("sample_rate", SAMPLE_RATES)
def test_silence_stays_exact_silence(sample_rate: int, channels: int) -> None:
    silence = np.zeros((channels, sample_rate // 4))
    for setting in settings(sample_rate, channels):
        assert not round_trip(silence, sample_rate, setting).any()
        assert not round_trip(silence + 0.4 / 32768, sample_rate, setting).any(), "less than half a 16-bit step"


@pytest.mark.parametrize("setting", ["cbr128", "abr128", "v2"])
@pytest.mark.parametrize("sample_rate", [16000, 44100])
def test_channels_stay_apart_and_in_order(sample_rate: int, setting: str) -> None:
    time = np.arange(sample_rate) / sample_rate
    left, right = 0.3 * np.sin(2 * np.pi * 400 * time), 0.3 * np.sin(2 * np.pi * 1500 * time)
    coded = round_trip(np.stack([left, right]), sample_rate, Setting.parse(setting))

    def amplitude(audio: np.ndarray, tone: np.ndarray) -> float:
        return float(audio @ tone / (tone @ tone))

    for channel, (own, other) in enumerate([(left, right), (right, left)]):
        assert amplitude(coded[channel], own) > 0.9
        assert abs(amplitude(coded[channel], other)) < 0.01  # -40 dB


def test_memory_layout_and_type_of_the_input_do_not_matter() -> None:
    audio = (np.rint(noise(0.2, 16000, channels=2) * 2**10) / 2**10).astype(np.float16)  # exact in every type
    expected = round_trip(audio.astype(np.float64), 16000, Setting("vbr", 4))
    for other in (audio, audio.astype(np.float32), np.asfortranarray(audio.astype(np.float64))):
        np.testing.assert_array_equal(round_trip(other, 16000, Setting("vbr", 4)), expected)


def test_full_scale_does_not_wrap() -> None:
    for dtype in (np.float16, np.float32, np.float64):
        for sign in (1.0, -1.0):
            square = np.where(np.arange(16000) // 400 % 2, sign, 0.0).astype(dtype)
            coded = round_trip(square, 16000, Setting("vbr", 0))
            assert np.min(sign * coded) > -0.4, "a wrapped peak would come back with the other sign"
            assert snr_db(coded, square.astype(np.float64)) > 15.0


@pytest.mark.parametrize("setting", ["cbr16", "abr24", "v4", "v9"])
def test_the_codec_is_deterministic_in_one_thread_and_in_many(setting: str) -> None:
    parsed = Setting.parse(setting)
    signals = [speech_like(0.3, 16000, channels=1 + seed % 2, seed=seed) for seed in range(12)]
    results = [round_trip(audio, 16000, parsed) for audio in signals]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            for result, expected in zip(
                pool.map(lambda audio: round_trip(audio, 16000, parsed), signals), results, strict=True
            ):
                np.testing.assert_array_equal(result, expected)


def test_both_decoders_agree() -> None:
    for channels in (1, 2):
        stream = encode(noise(1.0, 22050, channels), 22050, Setting("cbr", 40))
        constant = decode(stream, 22050, channels, Setting("cbr", 40))
        variable = decode(stream, 22050, channels, Setting("vbr", 4))
        np.testing.assert_allclose(variable, constant, atol=ROUNDING)


def test_overshoots_are_kept_at_a_constant_rate_and_clipped_at_a_variable_one() -> None:
    loud = np.clip(0.9 * np.random.default_rng(0).standard_normal(16000), -1, 1)
    assert np.abs(round_trip(loud, 16000, Setting("cbr", 16))).max() > 1.2
    assert np.abs(round_trip(loud, 16000, Setting("vbr", 9))).max() == 1.0


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        *[("cbr32", 0.95), ("cbr160", 0.95), ("cbr192", 0.97), ("cbr224", 0.98), ("cbr256", 1.0)],
        *[("abr96", 0.95), ("abr192", 0.97), ("v0", 1.0), ("v4", 1.0)],
    ],
)
def test_the_level_is_that_of_lames_tables(setting: str, expected: float) -> None:
    """`abr_switch_map` in LAME's presets.c, column `scale`."""
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(48000) / 48000)
    coded = round_trip(tone, 48000, Setting.parse(setting))
    middle = slice(12000, 36000)
    assert coded[middle] @ tone[middle] / (tone[middle] @ tone[middle]) == pytest.approx(expected, abs=0.003)


def edge_hertz(sample_rate: int, setting: Setting, channels: int = 1) -> float:
    """Where a chirp from 0 Hz to half the sample rate falls to half its amplitude."""
    samples = 4 * sample_rate
    time = np.arange(samples) / sample_rate
    chirp = 0.2 * signal.chirp(time, 0, 4, sample_rate / 2)
    coded = round_trip(np.tile(chirp, (channels, 1)), sample_rate, setting)[0]
    width = sample_rate // 50
    envelope = np.sqrt(np.convolve(2 * coded**2, np.ones(width) / width, "same"))
    return float(np.flatnonzero(envelope > 0.1)[-1] / samples * sample_rate / 2)


@pytest.mark.parametrize(
    ("sample_rate", "setting", "hertz"),
    [
        *[(16000, "cbr16", 5500), (16000, "abr16", 5500), (16000, "cbr24", 5800), (16000, "cbr32", 7250)],
        *[
            (16000, "v9", 7250),
            (48000, "cbr64", 16500),
            (48000, "v9", 7500),
            (48000, "v6", 16400),
            (48000, "v4", 16800),
        ],
    ],
)
def test_the_low_pass_is_where_it_was_measured(sample_rate: int, setting: str, hertz: float) -> None:
    assert edge_hertz(sample_rate, Setting.parse(setting)) == pytest.approx(hertz, rel=0.02)


def test_the_low_pass_of_stereo_is_lower_at_a_constant_rate() -> None:
    assert edge_hertz(16000, Setting("cbr", 16), channels=2) == pytest.approx(5500 / 1.5, rel=0.04)
    assert edge_hertz(16000, Setting("vbr", 9), channels=2) == pytest.approx(7250, rel=0.02)


def test_from_effort_7_on_no_noise_is_shaped() -> None:
    """Unshaped noise has the least power for the rate."""
    audio = speech_like(2, 16000)[0]
    shaped, unshaped = (snr_db(round_trip(audio, 16000, Setting("cbr", 32, effort)), audio) for effort in (2, 7))
    assert unshaped > shaped + 0.5


@pytest.mark.parametrize(
    ("setting", "first_equal"),
    [("cbr32", "0123455777"), ("abr48", "0123455777"), ("v4", "0000055777"), ("v9", "0000055777")],
)
def test_lame_knows_as_many_efforts_as_documented(setting: str, first_equal: str) -> None:
    audio = speech_like(0.5, 16000)
    parsed = Setting.parse(setting)
    streams = [encode(audio, 16000, Setting(parsed.mode, parsed.value, effort)) for effort in range(10)]
    assert "".join(str(streams.index(stream)) for stream in streams) == first_equal
