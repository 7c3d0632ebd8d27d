"""Synthesised recordings, the caches made of them, and settings small enough for tests of data and training."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from helpers import speech_like
from torch import Tensor

from enhance.data.cache import AudioCache, build_cache
from enhance.data.mixing import MixConfig, Mixer, Mixture
from enhance.model.config import NetworkConfig

RATE = 48_000
SMALLEST = NetworkConfig(stem_channels=8, channels=8, head_channels=4)
SHORT = MixConfig(segment_seconds=0.5, synthetic_count=2, synthetic_seconds=1.0)
PLAIN = replace(  # nothing but speech and one recorded noise
    SHORT, speeds=(1.0,), join=0.0, late_onset=0.0, speech_eq_db=0.0, noise_eq_db=0.0, room=0.0, noises=(1.0,),
    synthetic=0.0, babble=0.0, noise_only=0.0, clean_only=0.0, clip=0.0, band_limit=0.0, level_db=(-30.0, -30.0),
    disguise=0.0,
)  # fmt: skip

Caches = tuple[AudioCache, AudioCache, AudioCache]


def sine(hertz: float, seconds: float, sample_rate: int = RATE, peak: float = 0.5) -> np.ndarray:
    """A sine [time], float64."""
    return peak * np.sin(2 * np.pi * hertz * np.arange(round(seconds * sample_rate)) / sample_rate)


def white(seconds: float, sample_rate: int = RATE, seed: int = 0) -> np.ndarray:
    """White noise [time] with an RMS of 0.1, float64."""
    return 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * sample_rate))


def room_response(seconds: float, direct: int, seed: int = 0) -> np.ndarray:
    """A direct sound of 1 at sample `direct`, then a decaying tail 6 dB below it in energy, [time]."""
    tail = np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    tail *= 0.01 * np.exp(-np.arange(tail.size) / (0.1 * RATE))
    tail[: direct + 1] = 0
    tail[direct] = 1
    return tail


def write(path: Path, audio: np.ndarray, sample_rate: int = RATE, **named: Any) -> Path:
    """Write [time] or [time, channels], 32-bit float WAV unless named otherwise; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, audio, sample_rate, **(named or {"subtype": "FLOAT"}))
    return path


def write_folders(folder: Path) -> tuple[Path, Path, Path]:
    """Folders of speech (four files of 3 s), noise (three of 2 s) and room responses (two)."""
    for number in range(4):
        write(folder / "speech" / f"{number}.wav", speech_like(3.0, RATE, seed=number)[0])
    for number in range(3):
        write(folder / "noise" / f"{number}.wav", white(2.0, seed=10 + number))
    for number in range(2):
        write(folder / "rooms" / f"{number}.wav", room_response(0.4, 200, seed=number))
    return folder / "speech", folder / "noise", folder / "rooms"


def build(folder: Path) -> Caches:
    """The caches of `write_folders`."""
    speech, noise, rooms = write_folders(folder)
    return (
        build_cache([speech], folder / "cache" / "speech", kind="speech"),
        build_cache([noise], folder / "cache" / "noise", kind="noise"),
        build_cache([rooms], folder / "cache" / "rooms", kind="rooms"),
    )


def build_tones(folder: Path) -> Caches:
    """Speech is a sine of 1 kHz; noises are sines of 3, 5, 7, 9 and 11 kHz; a room that is a direct sound alone."""
    write(folder / "speech" / "a.wav", sine(1000, 2.0))
    for kilohertz in (3, 5, 7, 9, 11):
        write(folder / "noise" / f"{kilohertz}.wav", sine(1000 * kilohertz, 2.0))
    write(folder / "rooms" / "a.wav", np.eye(1, 4800)[0])
    return (
        build_cache([folder / "speech"], folder / "cache" / "speech", kind="speech"),
        build_cache([folder / "noise"], folder / "cache" / "noise", kind="noise"),
        build_cache([folder / "rooms"], folder / "cache" / "rooms", kind="rooms"),
    )


def mixer(caches: Caches, config: MixConfig, seed: int = 0) -> Mixer:
    return Mixer(*caches, config, seed)


def assert_same(ours: Mixture, theirs: Mixture, tolerance: float = 0.0) -> None:
    for name, one, other in zip(ours._fields, ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=tolerance, msg=lambda text, name=name: f"{name}: {text}")


def peaks_hz(audio: Tensor, above_db: float = -26.0) -> list[int]:
    """Frequencies, to 100 Hz, of the tones in `[time]` that are within 26 dB of the strongest one."""
    spectrum = np.abs(np.fft.rfft(audio.numpy() * np.hanning(len(audio))))
    loud = np.flatnonzero(spectrum > spectrum.max() * 10 ** (above_db / 20)) * RATE / len(audio)
    return sorted({round(float(hertz), -2) for hertz in loud})  # pyright: ignore[reportReturnType]
