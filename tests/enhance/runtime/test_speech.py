"""The speech probability: high where somebody speaks, low in pauses and noise, whatever the level."""

import threading
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
from command import read

from enhance import Denoiser, speech_detection
from enhance.runtime.speech import KEPT_HOPS, SpeechDetector
from enhance.speech_detection import area_under_roc, mixtures, mpeace, recording

DATA = Path(__file__).parents[2] / "data"


def test_it_separates_speech_from_pauses_and_noise_better_than_silero_vad(
    shipped_denoiser: Denoiser, shared: Path
) -> None:
    """On every fourth of the mixtures and the noises that nothing was fitted to; silero-vad 6.2.3 has .916 and .926."""
    score = mpeace(shipped_denoiser)
    pairs = [(audio, speech) for audio, speech in list(mixtures(shared / "eval"))[::4]]
    noises = [recording(path) for path in sorted((shared / "data" / "noise" / "valid").iterdir())[1::4]]
    scores = [score(audio) for audio, _ in pairs]
    speech = [speech for _, speech in pairs]
    assert area_under_roc(np.concatenate(scores), np.concatenate(speech)) > 0.93
    scores += [score(noise) for noise in noises]
    speech += [np.zeros(len(noise) // 480, bool) for noise in noises]
    assert area_under_roc(np.concatenate(scores), np.concatenate(speech)) > 0.94


def test_a_detector_that_is_installed_is_measured_where_another_is_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def version(package: str) -> str:
        if package == "silero-vad":
            raise PackageNotFoundError(package)
        return "2"

    monkeypatch.setattr(speech_detection, "version", version)
    monkeypatch.setattr(speech_detection, "webrtc", lambda: lambda audio: audio[::480])
    pairs = [(np.repeat(np.array([0, 1, 1], np.float32), 480), np.array([False, True, True]))]
    assert "| webrtcvad-wheels 2 | 1.000 | 1.000 |" in speech_detection.table(None, pairs, [])
    assert capsys.readouterr().err.startswith("silero-vad is not measured: ")


def test_a_set_that_is_none_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert speech_detection.main(["--set", str(tmp_path), "--noise", str(tmp_path)]) == 1
    assert capsys.readouterr().err.endswith("expected the folders clean/ and noisy/ in it, found no clean/\n")


@pytest.mark.parametrize("peak", [1.0, 0.003])
def test_speech_is_likely_and_its_pauses_are_not_at_any_level(shipped_denoiser: Denoiser, peak: float) -> None:
    clean = recording(DATA / "clean.flac")
    voice = np.concatenate([clean, np.zeros(48_000, np.float32)])
    voice += 1e-4 * np.random.default_rng(0).standard_normal(len(voice)).astype(np.float32) * np.abs(clean).max()
    probability = mpeace(shipped_denoiser)((peak * voice / np.abs(voice).max()).astype(np.float32))
    loud = np.square(clean[: len(clean) // 480 * 480].reshape(-1, 480)).mean(axis=1)
    assert np.median(probability[: len(loud)][loud > np.quantile(loud, 0.8)]) > 0.9
    assert probability[-80:].max() < 0.3


def test_silence_is_no_speech_and_a_stream_says_so_before_it_begins(shipped_denoiser: Denoiser) -> None:
    stream = shipped_denoiser.stream(48_000)
    assert stream.speech_probability == 0
    stream.process(np.zeros((1, 48_000), np.float32))
    assert stream.speech_probability < 0.05
    assert stream.take_speech().shape == (100,)
    assert stream.take_speech().shape == (0,)
    stream.process(np.zeros((1, 480), np.float32))
    stream.reset()
    assert stream.speech_probability == 0
    assert stream.take_speech().size == 0


def test_it_does_not_depend_on_the_blocks(shipped_denoiser: Denoiser) -> None:
    noisy = read(DATA / "noisy.flac")[:, :48_000]
    whole, cut = shipped_denoiser.stream(48_000), shipped_denoiser.stream(48_000)
    whole.process(noisy)
    for start in range(0, 48_000, 777):
        cut.process(noisy[:, start : start + 777])
    np.testing.assert_allclose(cut.take_speech(), whole.take_speech(), atol=1e-3)


def test_it_keeps_no_more_than_a_minute() -> None:
    detector = SpeechDetector(channels=2, hop=1)
    detector.update(np.ones((2, KEPT_HOPS + 500), np.float32), np.ones((2, KEPT_HOPS + 500), np.float32))
    assert len(detector.take()) == KEPT_HOPS


def test_one_thread_asks_while_another_hands_over_sound() -> None:
    """As the screen of `mpeace live` does beside the callback of the sound device."""
    detector, hops, ended = SpeechDetector(channels=1, hop=48), 20_000, threading.Event()
    hop = np.full((1, 48), 0.1, np.float32)

    def hand_over() -> None:
        for _ in range(hops):
            detector.update(hop, hop)
        ended.set()

    thread = threading.Thread(target=hand_over)
    thread.start()
    taken = 0
    while not ended.is_set():
        taken += len(detector.take())
    thread.join()
    assert taken + len(detector.take()) == hops
