"""`python -m enhance.benchmark_agents`: processors for LiveKit at the frames of LiveKit Agents (24 kHz, mono, 50 ms).

For each processor that is installed, as it comes and at full strength: SI-SDR to the clean speech after its lag is
taken away, the lag by cross-correlation with the input, the share of frames that came back as they were, and the CPU
time that a frame of one session takes in the thread of the event loop while so many sessions take turns.
"""
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false
# (LiveKit need not be installed where the types are checked.)

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from time import thread_time
from typing import Any

import numpy as np
import soundfile

from enhance.dsp.resampling import resample
from enhance.reporting.markdown import markdown_table
from enhance.runtime.denoiser import Denoiser
from enhance.utils.errors import fail

RATE, FRAME = 24_000, 1200
SESSIONS = (1, 4, 16)
TIMED_FRAMES = 20  # of each session: a second
WARM_UP = 5
LONGEST_LAG = 0.3  # seconds

Make = Callable[[], Any]  # a new processor


def processors() -> dict[str, Make]:
    """Return the processors that are installed, by name."""
    from enhance.agents.livekit import NoiseCancellation

    denoiser = Denoiser()
    found: dict[str, Make] = {"mpeace": lambda: NoiseCancellation(denoiser)}
    try:
        from livekit.plugins import dtln

        found["dtln (as it comes)"] = dtln.DTLNNoiseSuppressor
        found["dtln (strength 1)"] = lambda: dtln.DTLNNoiseSuppressor(strength=1.0)
        from livekit.plugins import hush

        found["hush (as it comes)"] = hush.HushNoiseSuppressor
        found["hush (strength 1)"] = lambda: hush.HushNoiseSuppressor(strength=1.0)
    except ImportError as error:
        print(f"not measured: {error}", file=sys.stderr)
    return found


def frames(audio: np.ndarray) -> list[Any]:
    """Return [time] at 24 kHz as LiveKit's frames; what does not fill one is left out."""
    from livekit import rtc

    samples = np.rint(np.clip(audio, -1, 1) * 32767).astype(np.int16)
    parts = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    return [rtc.AudioFrame(part.tobytes(), RATE, 1, FRAME) for part in parts]


def lag_of(out: np.ndarray, given: np.ndarray) -> int:
    """Return by how many samples `out` [time] is later: the peak of the cross-correlation up to 0.3 s."""
    size = 1 << (2 * len(given)).bit_length()
    spectrum = np.fft.rfft(out, size) * np.conj(np.fft.rfft(given, size))
    return int(np.argmax(np.fft.irfft(spectrum, size)[: round(LONGEST_LAG * RATE)]))


def si_sdr(estimate: np.ndarray, target: np.ndarray) -> float:
    """Return the scale-invariant signal-to-distortion ratio of [time], dB."""
    part = target * (estimate @ target) / (target @ target)
    return float(10 * np.log10((part @ part) / np.sum((estimate - part) ** 2)))


def quality(make: Make, pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[float]:
    """Return SI-SDR in dB, lag in ms (medians), and the percentage of raw frames."""
    ratios, lags, raw, count = [], [], 0, 0
    for clean, noisy in pairs:
        processor, given = make(), frames(noisy)
        out = [np.frombuffer(processor._process(frame).data, np.int16) for frame in given]
        count += len(out)
        raw += sum(bytes(frame.data) == one.tobytes() for frame, one in zip(given, out, strict=True))
        heard = np.concatenate(out).astype(float)
        lag = lag_of(heard, noisy[: len(heard)].astype(float))
        lags.append(1000 * lag / RATE)
        ratios.append(si_sdr(heard[lag:], clean[: len(heard) - lag].astype(float)))
        processor._close()
    return [float(np.median(ratios)), float(np.median(lags)), 100 * raw / count]


def times(make: Make, sessions: int, noisy: np.ndarray) -> np.ndarray:
    """Return p50, p95 and p99 of the ms that one frame takes while `sessions` take turns in one thread."""
    given = frames(np.resize(noisy, (TIMED_FRAMES + WARM_UP) * FRAME))
    running = [make() for _ in range(sessions)]
    taken = np.empty((len(given), sessions))
    for index, frame in enumerate(given):
        for session, processor in enumerate(running):
            start = thread_time()
            processor._process(frame)
            taken[index, session] = 1000 * (thread_time() - start)
    return np.percentile(taken[WARM_UP:], (50, 95, 99))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m enhance.benchmark_agents", description=__doc__)
    parser.add_argument("--set", type=Path, required=True, metavar="DIR", help="DIR/clean and DIR/noisy, same names")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take each Nth pair (default: all)")
    arguments = parser.parse_args(argv)
    try:
        made = processors()
        names = sorted(path.name for path in (arguments.set / "clean").iterdir())[:: arguments.every]
        pairs = [(_read(arguments.set / "clean" / name), _read(arguments.set / "noisy" / name)) for name in names]
    except (OSError, ImportError, soundfile.LibsndfileError) as error:
        return fail("enhance.benchmark_agents", error)
    unprocessed = float(np.median([si_sdr(noisy.astype(float), clean.astype(float)) for clean, noisy in pairs]))
    head = ["24 kHz, frames of 50 ms", "SI-SDR, dB", "lag, ms", "raw frames, %"]
    head += [f"CPU ms a frame, p50 / p95 / p99, sessions: {count}" for count in SESSIONS]
    rows: list[list[str | float]] = [["noisy", unprocessed, *[math.nan] * (len(head) - 2)]]
    for name, make in made.items():
        timed = [" / ".join(f"{ms:.1f}" for ms in times(make, count, pairs[0][1])) for count in SESSIONS]
        rows.append([name, *quality(make, pairs), *timed])
    print(markdown_table(head, rows))
    return 0


def _read(path: Path) -> np.ndarray:
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return resample(np.ascontiguousarray(audio[:, :1].T), rate, RATE)[0]


if __name__ == "__main__":
    sys.exit(main())
