"""`python -m enhance.benchmark_agents`: processors for LiveKit at the frames of LiveKit Agents (24 kHz, mono, 50 ms).

For each processor that is installed, as it comes and at full strength: SI-SDR to the clean speech and PESQ-WB after its
lag is taken away, the lag by cross-correlation with the input, the share of frames that came back as they were and of
those that were padded with zeros, and the CPU time that a frame of one session takes in the thread of the event loop
while so many sessions take turns. What is not installed or fails is named above the table.
"""
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false
# (LiveKit need not be installed where the types are checked.)

import argparse
import math
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from time import thread_time
from typing import Any

import numpy as np
import soundfile

from enhance.dsp.resampling import resample
from enhance.evaluation.pairs import find_pairs
from enhance.reporting.documents import prepare
from enhance.reporting.markdown import markdown_table
from enhance.runtime.denoiser import Denoiser
from enhance.utils.atomic import write_text
from enhance.utils.command import run
from enhance.utils.environment import own_version
from enhance.utils.errors import DatasetError, fail, one_line

RATE, FRAME = 24_000, 1200
SESSIONS = (1, 4, 16)
TIMED_FRAMES = 20  # of each session: a second
WARM_UP = 5
LONGEST_LAG = 0.3  # seconds
PADDING = 24  # zeros in a row at an end of a frame, 1 ms, beside sound that does not fade out
ABRUPT = 32  # of int16's 32768: more than what fades out to zero
SETTLED = 6  # frames, after which nothing is padded for the delay alone
PESQ_RATE = 16_000
PLUGINS = {"dtln": "DTLNNoiseSuppressor", "hush": "HushNoiseSuppressor"}  # livekit-plugins-NAME, and its class

Make = Callable[[], Any]  # a new processor; LiveKit calls its `_process` and `_close`, and has no public names for them


def processors() -> tuple[dict[str, Make], list[str]]:
    """Return the processors that are installed, by name, and why others are missing, a phrase each."""
    from enhance.agents.livekit import NoiseCancellation

    denoiser = Denoiser()
    found: dict[str, Make] = {f"mpeace {own_version()}": lambda: NoiseCancellation(denoiser)}
    missing = []
    for plugin, kind in PLUGINS.items():
        try:
            make = getattr(import_module(f"livekit.plugins.{plugin}"), kind)
            make()._close()
        except Exception as error:  # whatever another package does, the others are measured
            missing.append(f"livekit-plugins-{plugin} ({one_line(error)})")
            continue
        name = f"{plugin} {version(f'livekit-plugins-{plugin}')}"
        found[f"{name}, as it comes"] = make
        found[f"{name}, strength 1"] = partial(make, strength=1.0)
    return found, missing


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


def pesq_wb(estimate: np.ndarray, target: np.ndarray) -> float:
    """Return PESQ-WB of [time] at 24 kHz and int16 scale; NaN where the package `pesq` is missing or fails."""
    try:
        from pesq import PesqError, pesq
    except ImportError:
        return math.nan
    degraded, reference = (
        resample(sound[None].astype(np.float32) / 32768, RATE, PESQ_RATE)[0] for sound in (estimate, target)
    )
    try:
        return float(pesq(PESQ_RATE, reference, degraded, "wb"))
    except PesqError:
        return math.nan


def is_padded(out: np.ndarray, given: np.ndarray) -> bool:
    """Return whether a frame begins or ends with zeros that the input did not have, next to sound.

    Example:
        >>> sound = np.full(48, 100)
        >>> is_padded(np.append(np.zeros(24), sound), np.full(72, 9)), is_padded(sound, sound)
        (True, False)
    """
    for frame, came in ((out, given), (out[::-1], given[::-1])):
        zeros = int(np.argmax(frame != 0))
        beside = np.abs(frame[zeros : zeros + PADDING].astype(int))
        if zeros >= PADDING and beside.max() > ABRUPT and came[:PADDING].any():
            return True
    return False


def quality(make: Make, pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[float]:
    """Return SI-SDR in dB, PESQ-WB, lag in ms (medians), and the percentages of raw and of padded frames."""
    ratios, opinions, lags, raw, padded, count = [], [], [], 0, 0, 0
    for clean, noisy in pairs:
        processor, given = make(), frames(noisy)
        out = [np.frombuffer(processor._process(frame).data, np.int16) for frame in given]
        came = [np.frombuffer(frame.data, np.int16) for frame in given]
        both = list(zip(out, came, strict=True))[SETTLED:]
        count += len(both)
        raw += sum(np.array_equal(*frame) and frame[0].any() for frame in both)
        padded += sum(is_padded(*frame) for frame in both)
        heard = np.concatenate(out).astype(float)
        lag = lag_of(heard, noisy[: len(heard)].astype(float))
        lags.append(1000 * lag / RATE)
        target = 32768 * clean[: len(heard) - lag].astype(float)
        ratios.append(si_sdr(heard[lag:], target))
        opinions.append(pesq_wb(heard[lag:], target))
        processor._close()
    medians = [float(np.median(values)) for values in (ratios, opinions, lags)]
    return [*medians, 100 * raw / count, 100 * padded / count]


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
    parser.add_argument("--output", type=Path, metavar="FILE.md", help="write a document (default: print it)")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take every Nth pair (default: all)")
    arguments = parser.parse_args(argv)
    try:
        if arguments.every < 1:
            raise ValueError(f"--every: expected 1 or more, got {arguments.every}")
        if arguments.output is not None:
            prepare(arguments.output)
        made, missing = processors()
        pairs = [(_read(clean), _read(noisy)) for clean, noisy in find_pairs(arguments.set)[:: arguments.every]]
    except (OSError, ValueError, ImportError, soundfile.LibsndfileError, DatasetError) as error:
        return fail("enhance.benchmark_agents", error)
    unprocessed = [
        float(np.median([score(32768 * noisy.astype(float), 32768 * clean.astype(float)) for clean, noisy in pairs]))
        for score in (si_sdr, pesq_wb)
    ]
    head = ["24 kHz, frames of 50 ms", "SI-SDR, dB", "PESQ-WB", "lag, ms", "raw frames, %", "padded frames, %"]
    head += [f"CPU ms a frame, p50 / p95 / p99, sessions: {count}" for count in SESSIONS]
    rows: list[list[str | float]] = [["noisy", *unprocessed, *[math.nan] * (len(head) - 3)]]
    for name, make in made.items():
        timed = [" / ".join(f"{ms:.1f}" for ms in times(make, count, pairs[0][1])) for count in SESSIONS]
        rows.append([name, *quality(make, pairs), *timed])
    document = f"{_introduction(len(pairs), arguments.every, missing)}\n\n{markdown_table(head, rows, digits=2)}\n"
    if arguments.output is None:
        print(document, end="")
    else:
        write_text(arguments.output, document)
    return 0


def _introduction(mixtures: int, every: int, missing: Sequence[str]) -> str:
    lines = [
        f"Processors for `noise_cancellation=` of LiveKit, at the frames of LiveKit Agents: medians over {mixtures}",
        "mixtures of the evaluation set, SI-SDR and PESQ after the lag is taken away. A raw frame came back as it was,",
        "a padded one with zeros at an end. CPU time is that of the one thread of the event loop, in which sessions",
        f"take turns. Made by `python -m enhance.benchmark_agents --set eval --every {every}`,",
        f"livekit {version('livekit')}.",
    ]
    if missing:
        lines.append(f"Not installed, or does not run: {', '.join(missing)}.")
    return "\n".join(lines)


def _read(path: Path) -> np.ndarray:
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return resample(np.ascontiguousarray(audio[:, :1].T), rate, RATE)[0]


if __name__ == "__main__":
    run("enhance.benchmark_agents", main)
