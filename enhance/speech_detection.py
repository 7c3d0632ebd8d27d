"""`python -m enhance.speech_detection`: how well the speech probability tells speech from pauses and noise.

A hop of 10 ms counts as speech when the clean recording, averaged over 30 ms, is within 30 dB of its loud parts (its
95th percentile). The measure is the area under the ROC curve over all hops: the chance that a hop of speech gets a
higher probability than one without. Other detectors are measured on the same hops where they are installed:
`silero-vad` (its ONNX file) and `webrtcvad-wheels` (the mean of its four modes). Silero's windows of 32 ms are moved
to where they are best, as it answers late.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import distribution, version
from pathlib import Path

import numpy as np
import onnxruntime
import soundfile

from enhance.data.recordings import require_recordings
from enhance.dsp.resampling import resample
from enhance.evaluation.pairs import find_pairs
from enhance.reporting.markdown import markdown_table
from enhance.runtime.denoiser import Denoiser
from enhance.runtime.speech import OFFSET, SLOPE
from enhance.utils.command import run
from enhance.utils.errors import MpeaceError, fail
from enhance.utils.file_names import native_name

RATE, HOP = 48_000, 480
SECONDS = 12  # of each recording
QUIET_DB = 30.0  # below the loud parts of a recording: no speech
SILERO_LATE = range(-2, 7)  # hops that are tried

Scores = Callable[[np.ndarray], np.ndarray]  # [time] at 48 kHz to [hops]


def area_under_roc(scores: np.ndarray, is_speech: np.ndarray) -> float:
    """Return the chance that a hop of speech scores higher than another; equal scores count half.

    Example:
        >>> area_under_roc(np.array([0.1, 0.4, 0.4, 0.9]), np.array([False, False, True, True]))
        0.875
    """
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    speech = int(is_speech.sum())
    return float((ranks[is_speech].sum() - speech * (speech + 1) / 2) / (speech * (len(scores) - speech)))


def speech_hops(clean: np.ndarray) -> np.ndarray:
    """Return which hops of a clean recording, [time] at 48 kHz, are speech: bool [hops]."""
    power = np.square(clean[: len(clean) // HOP * HOP].reshape(-1, HOP)).mean(axis=1)
    power = np.convolve(power, np.ones(3) / 3, "same")
    return power > np.quantile(power, 0.95) * 10 ** (-QUIET_DB / 10)


def recording(path: Path) -> np.ndarray:
    """Return the beginning of a recording, its first channel, [time] at 48 kHz."""
    with soundfile.SoundFile(native_name(path)) as file:
        audio = file.read(SECONDS * file.samplerate, dtype="float32", always_2d=True)[:, 0]
        return audio if file.samplerate == RATE else resample(audio[None], file.samplerate, RATE)[0]


def mixtures(folder: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield noisy speech and which of its hops are speech, of the pairs of a set.

    Raises:
        DatasetError: the set cannot be used.
    """
    for clean, noisy in find_pairs(folder):
        yield recording(noisy), speech_hops(recording(clean))


def mpeace(denoiser: Denoiser) -> Scores:
    """Return scores by the speech probability of a stream."""

    def scores(audio: np.ndarray) -> np.ndarray:
        stream = denoiser.stream(RATE)
        stream.process(audio[None])
        stream.flush()
        late = denoiser.info.latency // HOP
        return stream.take_speech()[late : late + len(audio) // HOP]

    return scores


def silero(late: int) -> Scores:
    """Return scores by silero-vad, taken so many hops later.

    Raises:
        PackageNotFoundError: it is not installed.
    """
    file = Path(str(distribution("silero-vad").locate_file("silero_vad/data/silero_vad.onnx")))
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])

    def scores(audio: np.ndarray) -> np.ndarray:
        state, context, found = np.zeros((2, 1, 128), np.float32), np.zeros((1, 64), np.float32), []
        narrow = np.pad(resample(audio[None], RATE, 16_000), ((0, 0), (0, 512)))
        for start in range(0, narrow.shape[1] - 511, 512):
            window = np.concatenate([context, narrow[:, start : start + 512]], axis=1)
            context = window[:, -64:]
            probability, state = session.run(None, {"input": window, "state": state, "sr": np.array(16_000)})
            found.append(float(np.asarray(probability).ravel()[0]))
        hops = np.clip((np.arange(len(audio) // HOP) + late) * 160 // 512, 0, len(found) - 1)
        return np.array(found)[hops]

    return scores


def webrtc() -> Scores:
    """Return scores by webrtcvad: in how many of its four modes it hears speech.

    Raises:
        ImportError: it is not installed.
    """
    import webrtcvad  # pyright: ignore[reportMissingImports]

    def scores(audio: np.ndarray) -> np.ndarray:
        hops = len(audio) // HOP
        narrow = np.rint(np.clip(resample(audio[None], RATE, 16_000)[0], -1, 1) * 32767).astype(np.int16)
        modes = [webrtcvad.Vad(mode) for mode in range(4)]
        frames = [narrow[160 * hop : 160 * hop + 160].tobytes() for hop in range(hops)]
        return np.array([sum(mode.is_speech(frame, 16_000) for mode in modes) for frame in frames], float)

    return scores


def fit(denoiser: Denoiser, pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[float, float]:
    """Return slope and offset by logistic regression (Newton's method) of what is speech on the ratio of powers."""
    score = mpeace(denoiser)
    chances = np.concatenate([score(audio).astype(float)[: len(speech)] for audio, speech in pairs])
    speech = np.concatenate([speech for _, speech in pairs])
    logits = np.log(chances / (1 - chances))  # linear in what it is fitted on
    inputs, weights = np.stack([(logits - OFFSET) / SLOPE, np.ones_like(logits)], axis=1), np.zeros(2)
    for _ in range(30):
        expected = 1 / (1 + np.exp(-inputs @ weights))
        curvature = (inputs * (expected * (1 - expected))[:, None]).T @ inputs
        weights -= np.linalg.solve(curvature, inputs.T @ (expected - speech))
    return float(weights[0]), float(weights[1])


def table(model: str | None, pairs: list[tuple[np.ndarray, np.ndarray]], noises: list[np.ndarray]) -> str:
    """Return the table: a row for each detector that is installed, best first."""
    alone = [(noise, np.zeros(len(noise) // HOP, bool)) for noise in noises]
    detectors: list[tuple[str, list[Scores]]] = [("mpeace", [mpeace(Denoiser(model))])]
    others: dict[str, Callable[[], list[Scores]]] = {
        "silero-vad": lambda: [silero(late) for late in SILERO_LATE],
        "webrtcvad-wheels": lambda: [webrtc()],
    }
    for package, made in others.items():
        try:
            detectors.append((f"{package} {version(package)}", made()))
        except ImportError as error:  # PackageNotFoundError is one
            print(f"{package} is not measured: {error}", file=sys.stderr)
    rows = []
    for name, choices in detectors:
        areas = []
        for score in choices:
            scores = [score(audio) for audio, _ in [*pairs, *alone]]
            sets = (scores[: len(pairs)], pairs), (scores, [*pairs, *alone])
            areas.append(
                [area_under_roc(np.concatenate(s), np.concatenate([label for _, label in p])) for s, p in sets]
            )
        rows.append((name, *max(areas)))
    rows.sort(key=lambda row: -row[1])
    return markdown_table(["ROC AUC, hops of 10 ms", "mixtures", "mixtures and noise alone"], rows, digits=3)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m enhance.speech_detection", description=__doc__)
    parser.add_argument("--set", type=Path, required=True, metavar="DIR", help="DIR/clean and DIR/noisy, same names")
    parser.add_argument("--noise", type=Path, required=True, metavar="DIR", help="recordings without speech")
    parser.add_argument("--model", metavar="NAME|FILE", help="model of mpeace (default: that of streams)")
    parser.add_argument("--fit", action="store_true", help="fit slope and offset to these recordings, and print them")
    arguments = parser.parse_args(argv)
    try:
        pairs = list(mixtures(arguments.set))
        noises = [recording(path) for path in require_recordings(arguments.noise)]
        if arguments.fit:
            alone = [(noise, np.zeros(len(noise) // HOP, bool)) for noise in noises]
            print("slope {:.3f}, offset {:.3f}".format(*fit(Denoiser(arguments.model), [*pairs, *alone])))
        else:
            print(table(arguments.model, pairs, noises))
    except (OSError, ValueError, soundfile.LibsndfileError, MpeaceError) as error:
        return fail("enhance.speech_detection", error)
    return 0


if __name__ == "__main__":
    run("enhance.speech_detection", main)
