"""Signals and measures that several tests use, time last; and work for processes, done in this one."""

import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from scipy import signal

from enhance import Stream


def speech_like(seconds: float, sample_rate: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    """Noise in syllables: a 4 Hz envelope on low-passed noise, peak about 0.3, float32 [channels, time]."""
    rng = np.random.default_rng(seed)
    samples = round(seconds * sample_rate)
    noise = rng.standard_normal((channels, samples))
    coloured = signal.lfilter([1], [1, -0.9], noise)
    envelope = np.sin(2 * np.pi * 2 * np.arange(samples) / sample_rate) ** 2
    return (0.05 * envelope * coloured).astype(np.float32)


def blocks(audio: np.ndarray, size: int) -> list[np.ndarray]:
    """Cut [channels, time] into blocks of `size` samples, the last one shorter."""
    return [audio[:, start : start + size] for start in range(0, audio.shape[1], size)]


def streamed(stream: Stream, parts: list[np.ndarray]) -> np.ndarray:
    """Everything that a stream returns for these blocks."""
    return np.concatenate([*(stream.process(part) for part in parts), stream.flush()], axis=1)


def lag(estimate: np.ndarray, target: np.ndarray) -> int:
    """Samples by which `estimate` [time] comes after `target` [time]: the peak of their cross-correlation."""
    correlation = signal.correlate(estimate.astype(np.float64), target.astype(np.float64), method="fft")
    return int(np.argmax(np.abs(correlation))) - (target.shape[-1] - 1)


def level_db(audio: np.ndarray) -> float:
    """RMS level in dB relative to full scale 1.0."""
    return float(10 * np.log10(np.mean(np.square(audio, dtype=np.float64)) + 1e-20))


def si_sdr_db(estimate: np.ndarray, target: np.ndarray) -> float:
    """Scale-invariant signal-to-distortion ratio of [time] in dB (Le Roux et al., 10.1109/ICASSP.2019.8683855)."""
    estimate, target = estimate.astype(np.float64), target.astype(np.float64)
    scaled = target * (estimate @ target) / (target @ target)
    return float(10 * np.log10((scaled @ scaled) / np.sum((estimate - scaled) ** 2)))


class AtOnce(Executor):
    """In place of a pool of processes: does in this thread what is submitted, when it is, sent as to a process."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        call, given, named = pickle.loads(pickle.dumps((fn, args, kwargs)))
        try:
            future.set_result(call(*given, **named))
        except ValueError as error:
            future.set_exception(error)
        return future


@contextmanager
def full_disk(room: int = 1000) -> Iterator[None]:
    """Within the block no file can grow over `room` bytes, which a program meets as it meets a full disk."""
    resource = pytest.importorskip("resource")  # of Unix
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
