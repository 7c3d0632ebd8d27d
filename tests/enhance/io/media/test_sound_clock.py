"""Sound on the clock of its file: holes are filled, what trembles is left alone, what drifts is followed."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import mpeace, read

from enhance.io.media.sound_clock import SoundClock

RATE = 16_000
FRAME = 320  # samples, 20 ms
STEADY = 0.001  # of full scale: far under what a cut or a hole in the tone would make


def tone(seconds: float) -> np.ndarray:
    """440 Hz with a click each second, float32 [1, samples]."""
    time = np.arange(round(seconds * RATE)) / RATE
    audio = 0.1 * np.sin(2 * np.pi * 440 * time)
    for second in range(1, int(seconds)):
        audio[second * RATE : second * RATE + 8] = 1
    return audio[np.newaxis].astype(np.float32)


def through(audio: np.ndarray, late: Callable[[int], float]) -> tuple[np.ndarray, SoundClock]:
    """Send sound through a clock in frames; `late` gives the seconds by which each frame's time is off."""
    clock = SoundClock(RATE, audio.shape[0])
    made: list[np.ndarray] = []
    for number, begin in enumerate(range(0, audio.shape[1], FRAME)):
        time = Fraction(begin, RATE) + Fraction(late(number)).limit_denominator(10**6)
        made += clock.push(audio[:, begin : begin + FRAME], time)
    made += clock.flush()
    return np.concatenate(made, axis=1), clock


def clicks(audio: np.ndarray) -> np.ndarray:
    """Times of the clicks in seconds."""
    loud = np.flatnonzero(audio[0] > 0.5)
    return loud[np.diff(loud, prepend=-RATE) > RATE // 10] / RATE


@pytest.mark.parametrize("drift", [0.001, 0.005, 0.01, -0.001, -0.01])
def test_a_clock_that_drifts_leaves_the_sound_whole_and_in_step(drift: float) -> None:
    audio = tone(60)
    made, clock = through(audio, lambda number: drift * number * FRAME / RATE)
    assert clock.drifts
    assert made.shape[1] / RATE == pytest.approx(60 * (1 + drift), abs=0.03)
    wanted = np.arange(1, 60) * (1 + drift)
    assert np.abs(clicks(made) - wanted).max() < 0.03
    quiet = np.ones(made.shape[1], bool)
    for time in clicks(made):
        quiet[max(0, int(time * RATE) - 40) : int(time * RATE) + 60] = False
    # a tone of 440 Hz with no cut and no hole obeys x[n+1] + x[n-1] = 2 cos(w) x[n]
    bend = made[0, 2:] + made[0, :-2] - 2 * np.cos(2 * np.pi * 440 / RATE) * made[0, 1:-1]
    inside = quiet[1:-1].copy()
    inside[:64] = inside[-64:] = False
    assert np.abs(bend[inside]).max() < STEADY


def test_time_stamps_that_tremble_change_nothing() -> None:
    audio = tone(20)
    jitter = np.random.default_rng(0).uniform(-0.012, 0.012, 2000)
    made, clock = through(audio, lambda number: float(jitter[number]) if number else 0.0)
    assert not clock.drifts
    np.testing.assert_array_equal(made, audio)


def test_one_frame_with_a_wrong_time_changes_nothing() -> None:
    audio = tone(10)
    made, _ = through(audio, lambda number: 0.7 if number == 200 else 0.0)
    np.testing.assert_array_equal(made, audio)


def test_a_packet_that_jumps_leaves_a_hole_of_that_length() -> None:
    audio = tone(10)
    made, _ = through(audio, lambda number: 0.25 if number >= 200 else 0.0)
    np.testing.assert_array_equal(made[:, : 200 * FRAME], audio[:, : 200 * FRAME])
    assert not made[:, 200 * FRAME : 200 * FRAME + RATE // 4].any()
    np.testing.assert_array_equal(made[:, 200 * FRAME + RATE // 4 :], audio[:, 200 * FRAME :])


@pytest.mark.parametrize("rounded", [False, True])
def test_a_lost_packet_leaves_a_hole_of_its_length(rounded: bool) -> None:
    audio = tone(10)
    jitter = np.random.default_rng(3).uniform(-0.0005, 0.0005, 500) * rounded  # as Matroska rounds
    made, clock = through(audio, lambda number: float(jitter[number]) * (number > 0) + 0.02 * (number >= 200))
    assert not clock.drifts
    np.testing.assert_array_equal(made[:, : 200 * FRAME], audio[:, : 200 * FRAME])
    hole = made.shape[1] - audio.shape[1]
    assert hole == pytest.approx(FRAME, abs=RATE // 1000)
    np.testing.assert_array_equal(made[:, 200 * FRAME + hole :], audio[:, 200 * FRAME :])


def test_sound_that_comes_twice_is_heard_once() -> None:
    audio = tone(10)
    made, _ = through(audio, lambda number: -0.25 if number >= 200 else 0.0)
    assert made.shape[1] == audio.shape[1] - RATE // 4
    np.testing.assert_array_equal(made[:, 200 * FRAME :], audio[:, 200 * FRAME + RATE // 4 :])


def test_a_clock_that_begins_again_is_a_recording_that_was_joined() -> None:
    audio = tone(10)
    made, clock = through(audio, lambda number: -6.0 if number >= 300 else 0.0)
    np.testing.assert_array_equal(made, audio)
    assert clock.restarts == 1


@pytest.mark.parametrize(("name", "seconds"), [("a.mka", 3), ("a.mka", 1), ("a.oga", 3), ("a.mp4", 3), ("a.mp4", 1)])
def test_joined_files_with_clocks_are_read_one_after_the_other(
    tmp_path: Path, tiny_model: Path, name: str, seconds: int
) -> None:
    av: Any = pytest.importorskip("av")
    muxer = {"a.mka": "matroska", "a.oga": "ogg", "a.mp4": "mp4"}[name]
    fragments = {"movflags": "empty_moov+default_base_moof+frag_every_frame"} if muxer == "mp4" else {}
    with av.open(str(tmp_path / name), "w", format=muxer, container_options=fragments) as out:
        stream = out.add_stream("flac", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone(seconds), "flt", "mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        out.mux(stream.encode(frame))
        out.mux([packet for packet in stream.encode(None) if packet.size])
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes() * 2)
    ended = mpeace("denoise", tmp_path / name, "--mix", 0, "-o", tmp_path / "out.wav", "--model", tiny_model)
    assert ended.status == 0, ended.stderr
    assert "2 recordings, joined in one file: all are read" in ended.stderr
    np.testing.assert_allclose(read(tmp_path / "out.wav"), np.tile(tone(seconds), 2), atol=1e-4)


def test_a_hole_in_a_drifting_track_is_a_hole_and_the_rest_stays_in_step() -> None:
    audio = tone(60)
    made, _ = through(audio, lambda number: 0.01 * number * FRAME / RATE + (2.0 if number >= 1525 else 0.0))
    wanted = np.arange(1, 60) * 1.01 + 2.0 * (np.arange(1, 60) > 30.4)
    assert np.abs(clicks(made) - wanted).max() < 0.03
    assert np.count_nonzero(made == 0) == pytest.approx(2.0 * RATE, rel=0.03)


@pytest.mark.parametrize("name", ["camera.mkv", "camera.mp4"])
def test_a_video_whose_clock_drifts(tmp_path: Path, tiny_model: Path, name: str) -> None:
    av: Any = pytest.importorskip("av")
    audio = tone(30)
    muxer = "matroska" if name.endswith("mkv") else "mp4"
    with av.open(str(tmp_path / name), "w", format=muxer) as out:
        stream = out.add_stream("aac", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(audio, "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        packets = [*stream.encode(frame), *stream.encode(None)]
        for packet in packets:
            packet.pts = packet.dts = round(packet.pts * 1.008)
            packet.duration = round(packet.duration * 1.008)
            out.mux(packet)
    ended = mpeace("denoise", tmp_path / name, "--mix", 0, "-o", tmp_path / "out.wav", "--model", tiny_model)
    assert ended.status == 0, ended.stderr
    assert "drifts" in ended.problems[0]
    made = read(tmp_path / "out.wav")
    assert np.abs(clicks(made) - np.arange(1, 30) * 1.008).max() < 0.04
    assert np.diff(np.flatnonzero(np.abs(made[0]) > 0.02)).max() < 40  # samples: nowhere silence in the tone
