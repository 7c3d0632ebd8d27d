"""Speed on one thread, beside peers in the same run.

Everybody gets the same audio in turn, several times over, so that whatever else the machine does falls on all alike.
RTF is CPU seconds per second of audio; the time of a hop is wall-clock time, because that must stay under 10 ms.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from enhance.evaluation.peers import HOP as PEER_HOP
from enhance.evaluation.peers import PEERS
from enhance.runtime.denoiser import Denoiser

Audio = NDArray[np.float32]

RATE = 48000  # Hz
HOP_BY_HOP = "hop by hop"
WHOLE_FILE = "whole file"


@dataclass(frozen=True)
class Contender:
    """Something to time: `run` takes `size` samples a call."""

    system: str
    mode: str  # HOP_BY_HOP, or how much it takes at once
    size: int
    run: Callable[[Audio], object]


@dataclass(frozen=True)
class Speed:
    """Speed of one contender: median RTF, its ratio to that of the unit, percentiles of a hop in microseconds."""

    system: str
    mode: str
    rtf: float
    ratio: float
    p50: float | None
    p95: float | None
    p99: float | None


def speech_like(seconds: float, seed: int = 0) -> Audio:
    """Return a buzz with formants, melody and syllables of speech in white noise at 10 dB SNR, float32 [time].

    Example:
        >>> speech_like(0.5).shape
        (24000,)
    """
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 0.5 * t)) / RATE
    voice = sum(np.sin(k * phase) / k for k in range(1, 40)) * np.maximum(np.sin(2 * np.pi * 2 * t), 0)
    noise = rng.standard_normal(t.size) * np.sqrt(np.mean(voice**2) / 10)
    return (0.1 * (voice + noise)).astype(np.float32)


def measure_speed(denoiser: Denoiser, audio: Audio, repeats: int) -> list[Speed]:
    """Return the median RTF and hop times of the model and its peers on the same audio, taken in turn.

    A model that hears ahead has whole files only, and stands beside the default model of streams.
    """

    def whole(denoiser: Denoiser) -> Contender:
        run = partial(denoiser.denoise, sample_rate=RATE)
        return Contender(f"mpeace {denoiser.info.name}", WHOLE_FILE, audio.size, run)

    contenders = [whole(denoiser)]
    if denoiser.info.block:
        contenders.append(whole(Denoiser()))
    else:
        name, hop = contenders[0].system, denoiser.info.hop
        contenders.append(Contender(name, "blocks of 1 s", RATE // hop * hop, stepper(denoiser)))
        contenders.append(Contender(name, HOP_BY_HOP, hop, stepper(denoiser)))
    unit = contenders[-1]
    for peer in PEERS:
        try:
            system, run = peer()
        except ImportError as error:
            print(f"left out: {peer.__name__}, {error}", file=sys.stderr)
            continue
        contenders.append(Contender(system, HOP_BY_HOP, PEER_HOP, run))
    rtf: dict[Contender, list[float]] = {contender: [] for contender in contenders}
    calls: dict[Contender, list[NDArray[np.int64]]] = {contender: [] for contender in contenders}
    for turn in range(repeats + 1):  # the first one warms up and does not count
        for contender in contenders:
            cpu, times = time_calls(contender, audio)
            if turn:
                rtf[contender].append(cpu * RATE / (times.size * contender.size))
                calls[contender].append(times)
    speeds = []
    for contender in contenders:
        percentiles = np.percentile(np.concatenate(calls[contender]), [50, 95, 99]) / 1e3
        hops = map(float, percentiles) if contender.mode == HOP_BY_HOP else (None, None, None)
        cost = median(rtf[contender])
        speeds.append(Speed(contender.system, contender.mode, cost, cost / median(rtf[unit]), *hops))
    return speeds


def load_speeds(path: Path) -> list[Speed]:
    """Read the speeds that a benchmark wrote to its JSON.

    Raises:
        ValueError: if the file is no benchmark.
    """
    try:
        return [Speed(**speed) for speed in json.loads(path.read_text(encoding="utf-8"))["speeds"]]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: expected the JSON of a benchmark ({error})") from error


def stepper(denoiser: Denoiser) -> Callable[[Audio], None]:
    """Return a stream that takes whole hops of ``[time]`` and keeps its state."""
    state = denoiser.initial_state(1)

    def step(audio: Audio) -> None:
        nonlocal state
        _, state = denoiser.step(audio[None], state)

    return step


def time_calls(contender: Contender, audio: Audio) -> tuple[float, NDArray[np.int64]]:
    """Return CPU seconds of the whole, and nanoseconds of each call."""
    blocks = audio[: audio.size // contender.size * contender.size].reshape(-1, contender.size)
    times = np.zeros(len(blocks), np.int64)
    begin = time.process_time()
    for index, block in enumerate(blocks):
        start = time.perf_counter_ns()
        contender.run(block)
        times[index] = time.perf_counter_ns() - start
    return time.process_time() - begin, times
