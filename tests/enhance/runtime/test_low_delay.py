"""Streams for other programs: all samples come back, at once or as soon as they can, later by what is said."""

import re
from itertools import pairwise

import numpy as np
import pytest
from helpers import lag, si_sdr_db, speech_like
from readme import README

from enhance import Denoiser
from enhance.runtime.low_delay import FrameStream, LowDelayStream

RATES = [8_000, 16_000, 22_050, 24_000, 44_100, 48_000]


def pieces(audio: np.ndarray, sizes: list[int]) -> list[np.ndarray]:
    """[channels, time] cut into pieces of these sizes, over and over."""
    edges = [0]
    while edges[-1] < audio.shape[1]:
        edges.append(edges[-1] + sizes[(len(edges) - 1) % len(sizes)])
    return [audio[:, begin:end] for begin, end in pairwise(edges)]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("sizes", [[1, 30], [4096], [160, 7, 0, 333]])
def test_a_low_delay_stream_gives_all_samples_in_place(tiny_denoiser: Denoiser, rate: int, sizes: list[int]) -> None:
    audio = speech_like(0.25 if sizes[0] > 1 else 0.1, rate, channels=2)
    stream = LowDelayStream(tiny_denoiser, rate, 2)
    given, late = [], 0
    for index, piece in enumerate(pieces(audio, sizes)):
        given.append(stream.process(piece))
        taken = min(sum(sizes[i % len(sizes)] for i in range(index + 1)), audio.shape[1])
        late = max(late, taken - sum(part.shape[1] for part in given))
    out = np.concatenate([*given, stream.flush()], axis=1)
    assert out.shape == audio.shape
    assert lag(out[0], audio[0]) == 0
    assert late <= stream.latency_samples + stream.block - 1
    assert si_sdr_db(out[1], tiny_denoiser.denoise(audio, rate)[1]) > 20  # the top of the band is cut


def test_a_piece_of_whole_blocks_comes_back_without_the_latency_alone(tiny_denoiser: Denoiser) -> None:
    stream = LowDelayStream(tiny_denoiser, 16_000)
    assert stream.process(np.zeros((1, 1600), np.float32)).shape == (1, 1600 - stream.latency_samples)
    assert stream.latency_samples == 64 + 160  # two resamplers of 2 ms, and the hop by which this model is late


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("size", [10, 50, 8.5])
def test_frames_come_back_at_their_size_with_a_constant_lag(tiny_denoiser: Denoiser, rate: int, size: float) -> None:
    """`size` in ms; the lag is found by cross-correlation."""
    samples = round(size * rate / 1000)
    audio = speech_like(0.5, rate)
    stream = FrameStream(tiny_denoiser, rate)
    frames = pieces(audio, [samples])
    given = [stream.process(frame) for frame in frames]
    assert [frame.shape for frame in given] == [frame.shape for frame in frames]
    out = np.concatenate([*given, stream.flush()], axis=1)
    assert out.shape[1] == audio.shape[1] + stream.latency_samples
    assert lag(out[0], audio[0]) == stream.latency_samples
    whole = tiny_denoiser.denoise(audio, rate)
    assert si_sdr_db(out[0, stream.latency_samples :], whole[0]) > 20  # the top of the band is cut


def test_frames_may_change_their_size_and_nothing_is_lost_or_clicks(tiny_denoiser: Denoiser) -> None:
    """From 10 ms to 441 samples: the delay grows once, and no step is larger than the sound's own."""
    rate = 16_000
    audio = np.sin(2 * np.pi * 100 * np.arange(rate) / rate, dtype=np.float32)[None]
    stream = FrameStream(tiny_denoiser, rate)
    first = [stream.process(frame) for frame in pieces(audio[:, :8000], [160])]
    before = stream.latency_samples
    second = [stream.process(frame) for frame in pieces(audio[:, 8000:], [441, 160, 37])]
    out = np.concatenate([*first, *second, stream.flush()], axis=1)[0]
    assert before < stream.latency_samples <= before + 160
    assert len(out) == rate + stream.latency_samples
    start = before + 100
    assert np.abs(np.diff(out[start:-start])).max() < 2 * np.abs(np.diff(0.5 * audio[0])).max()
    tail = out[-6000:-1000]
    assert lag(tail, audio[0, -6000:-1000]) == 0


def test_the_delays_are_those_of_the_readme(tiny_denoiser: Denoiser) -> None:
    text = README.read_text(encoding="utf-8")
    (frames,) = re.findall(r"comes\s(\d+) to (\d+) ms later, .* up to (\d+) ms later", text)
    (pipes,) = re.findall(r"at most (\d+) to (\d+) ms after", text)
    (least, most, most_in_others), (least_in_pipes, most_in_pipes) = map(float, frames), map(float, pipes)
    for rate in (8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000):
        for samples in (rate // 100, rate // 50, rate // 20, 441, 512, 1):
            stream = FrameStream(tiny_denoiser, rate)
            stream.process(np.zeros((1, samples), np.float32))
            whole = rate % 100 == 0 and samples % (rate // 100) == 0
            assert least <= 1000 * stream.latency_samples / rate <= (most if whole else most_in_others)
        pipe = LowDelayStream(tiny_denoiser, rate)
        assert least_in_pipes <= 1000 * (pipe.latency_samples + pipe.block) / rate <= most_in_pipes


def test_many_channels_and_lists_are_taken_in_pieces_of_any_size(tiny_denoiser: Denoiser) -> None:
    """100 channels of 10 samples are no array [time, channels]: the stream knows how many channels it has."""
    stream = LowDelayStream(tiny_denoiser, 48_000, 100)
    given = [stream.process(np.zeros((100, 10), np.float32)), stream.flush()]
    assert sum(part.shape[1] for part in given) == 10
    assert FrameStream(tiny_denoiser, 48_000).process([[0.0, 0.1, 0.2]]).shape == (1, 3)  # type: ignore[arg-type]


def test_what_is_no_sound_is_refused_and_the_stream_goes_on(tiny_denoiser: Denoiser) -> None:
    stream = FrameStream(tiny_denoiser, 48_000)
    for wrong in (np.zeros(480, np.float32), np.zeros((2, 480), np.float32), np.full((1, 480), np.nan, np.float32)):
        with pytest.raises(ValueError):
            stream.process(wrong)
    assert stream.process(np.zeros((1, 480), np.float32)).shape == (1, 480)
