"""Attenuation limit and mix: the blend is in phase, bit for bit at its ends, and glides; an offset keeps its share."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers import blocks, si_sdr_db, speech_like, streamed
from tiny_model import without_offset

from enhance import Denoiser

RATES = (8000, 16000, 22050, 44100, 48000, 96000)
SAME_SAMPLES_TOLERANCE = 1e-6  # the order of sums in the network may depend on the number of hops in a call


@pytest.mark.parametrize("rate", RATES)
def test_mix_0_and_limit_0_db_return_the_input_bit_for_bit(tiny_denoiser: Denoiser, rate: int) -> None:
    audio = speech_like(0.9, rate, channels=2)
    for stream in (tiny_denoiser.stream(rate, 2, mix=0), tiny_denoiser.stream(rate, 2, attenuation_limit_db=0)):
        np.testing.assert_array_equal(streamed(stream, blocks(audio, 700)), audio)


@pytest.mark.parametrize("rate", [16000, 44100, 48000])
def test_mix_and_limit_blend_without_phasing(tiny_denoiser: Denoiser, rate: int) -> None:
    audio = speech_like(0.9, rate)
    denoised = tiny_denoiser.denoise(audio, rate)
    for limit, mix in ((6.0, 1.0), (None, 0.25), (20.0, 0.5), (float("inf"), 1.0)):
        kept = 0.0 if limit is None else 10 ** (-limit / 20)
        limited = kept * audio + (1 - kept) * denoised
        expected = mix * limited + (1 - mix) * audio
        blended = tiny_denoiser.denoise(audio, rate, attenuation_limit_db=limit, mix=mix)
        np.testing.assert_allclose(blended, expected, rtol=0, atol=SAME_SAMPLES_TOLERANCE)


def test_attenuation_limit_is_the_most_that_silence_is_lowered(tiny_denoiser: Denoiser) -> None:
    """The tiny model lowers by 6 dB; with a limit of 3 dB the sum must stay above -3 dB."""
    sine = np.sin(np.arange(48000) / 20)[np.newaxis].astype(np.float32)
    limited = tiny_denoiser.denoise(sine, 48000, attenuation_limit_db=3)
    lowered_db = -20 * np.log10(np.abs(limited).max() / np.abs(sine).max())
    assert 0 < lowered_db < 3


def test_adjust_takes_effect_from_the_next_sample(tiny_denoiser: Denoiser) -> None:
    audio = speech_like(0.1, 48000)
    expected = tiny_denoiser.denoise(audio, 48000)
    stream = tiny_denoiser.stream(48000)
    denoised = stream.process(audio)
    stream.adjust(mix=0.0)
    rest = stream.flush()
    change = denoised.shape[1]
    np.testing.assert_array_equal(denoised, expected[:, :change])
    np.testing.assert_array_equal(rest, audio[:, change:])
    assert change + rest.shape[1] == 4800


def test_a_glide_is_a_straight_line_of_any_length(tiny_denoiser: Denoiser) -> None:
    """It may take years, may be left half-way, and ends at its target."""
    audio = speech_like(0.2, 48_000)
    stream = tiny_denoiser.stream(48_000, mix=0)
    stream.adjust(mix=1, glide_seconds=1e9)
    stream.adjust(mix=1, glide_seconds=0.1)
    out = [stream.process(part) for part in blocks(audio, 479)]
    glided = np.concatenate([*out, stream.flush()], axis=1)
    weight = np.minimum(np.arange(1, 9601) / 4800, 1)
    np.testing.assert_allclose(glided, audio + weight * (tiny_denoiser.denoise(audio, 48_000) - audio), atol=1e-6)


def test_a_glide_ends_with_the_signal_it_was_for(tiny_denoiser: Denoiser) -> None:
    audio = speech_like(0.2, 48_000)
    stream = tiny_denoiser.stream(48_000, mix=0)
    stream.adjust(mix=1, glide_seconds=10)
    stream.process(audio)
    stream.reset()
    again = np.concatenate([stream.process(audio), stream.flush()], axis=1)
    np.testing.assert_allclose(again, tiny_denoiser.denoise(audio, 48_000), rtol=0, atol=1e-6)


@pytest.mark.parametrize("rate", [44100, 48000])
@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("offset", [0.01, 0.2, -0.5])
def test_an_offset_does_not_reach_the_network_and_a_mix_keeps_its_share(
    tiny_denoiser: Denoiser, offset: float, live: bool, rate: int
) -> None:
    """Louder than its uncertainty, it is gone from the first sample on and up to the last; no edge is left of it."""
    audio = np.zeros((2, 2 * rate), np.float32)
    audio[:, rate // 2 :] = speech_like(1.5, rate, channels=2)
    shift = np.array([[offset], [-offset / 2]], np.float32)
    for mix in (1.0, 0.25):
        parts = blocks(audio, rate // 10)
        stream = tiny_denoiser.stream(rate, 2, mix=mix, live_block=rate // 100 if live else None)
        plain = streamed(stream, parts)
        stream.reset()
        shifted = streamed(stream, [part + shift for part in parts])
        late = shifted.shape[1] - audio.shape[1]
        end = -rate // 500 if live and rate != 48000 else None  # a live resampler ends with the device
        left = shifted[:, late:end] - plain[:, late:end] - (1 - mix) * shift
        np.testing.assert_allclose(left, 0, atol=3e-3)
        np.testing.assert_allclose(left[:, : rate // 2], 0, atol=1e-5)


@pytest.mark.parametrize(("begin", "cost_db"), [(0.0, 0.05), (0.613, 0.05), (1.1, 0.15)])
def test_an_offset_costs_nothing_and_a_clean_voice_stays(
    shipped_denoiser: Denoiser, begin: float, cost_db: float
) -> None:
    """Where a recording of 1.3 s begins in mid-speech, voice and offset are not told apart in its first hops."""
    folder = Path(__file__).parents[2] / "data"
    clean, rate = soundfile.read(folder / "clean.flac", dtype="float32")
    clean = clean[round(begin * rate) :]
    noisy = clean + np.random.default_rng(0).normal(0, 0.02, clean.size).astype(np.float32)
    score = si_sdr_db(shipped_denoiser.denoise(noisy, rate), clean)
    for offset in (0.01, 0.2):
        shifted = shipped_denoiser.denoise(noisy + np.float32(offset), rate)
        assert si_sdr_db(shifted, clean) > score - cost_db
    assert si_sdr_db(without_offset(clean[np.newaxis])[0], clean) > 40
