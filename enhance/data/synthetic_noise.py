"""Noises made by rule: coloured noise, hum, tones, beeps, chirps and clicks.

Every function returns float32 `[batch, time]` with an RMS of about 0.1 and takes all its randomness from a generator.
"""

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from enhance.dsp.rate import SAMPLE_RATE

RMS = 0.1
TONE_HZ = (60.0, 12_000.0)  # range of tones and chirps
KNOTS = 9  # points of the random spectrum of coloured noise, evenly spaced from 20 Hz to 24 kHz in octaves


def _uniform(shape: tuple[int, ...], low: float, high: float, generator: Generator) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator)


def _frequency(shape: tuple[int, ...], generator: Generator) -> Tensor:
    """Return frequencies (Hz), evenly spread in octaves."""
    return torch.exp(_uniform(shape, math.log(TONE_HZ[0]), math.log(TONE_HZ[1]), generator))


def _seconds(time: int) -> Tensor:
    return torch.arange(time) / SAMPLE_RATE


def _normalise(audio: Tensor) -> Tensor:
    rms = audio.square().mean(dim=-1, keepdim=True).sqrt()
    return (audio * (RMS / rms.clamp_min(1e-9))).clamp(-1.0, 1.0)


def coloured(batch: int, time: int, generator: Generator) -> Tensor:
    """Return Gaussian noise with a random slope (-9 to 3 dB per octave) and random shape on top of it."""
    spectrum = torch.fft.rfft(torch.randn((batch, time), generator=generator))
    octave = torch.log2(torch.fft.rfftfreq(time, 1 / SAMPLE_RATE).clamp_min(20.0) / 20.0)
    slope = _uniform((batch, 1), -9.0, 3.0, generator)
    knots = _uniform((batch, KNOTS), -10.0, 10.0, generator)
    place = octave / octave[-1] * (KNOTS - 1)
    left = place.long().clamp_max(KNOTS - 2)
    shape = torch.lerp(knots[:, left], knots[:, left + 1], place - left)
    gain = 10 ** ((slope * octave + shape) / 20)
    return _normalise(torch.fft.irfft(spectrum * gain, n=time))


def hum(batch: int, time: int, generator: Generator) -> Tensor:
    """Return mains or motor hum: 3 to 40 harmonics of 45 to 400 Hz with random decay."""
    mains = 50.0 + 10.0 * torch.randint(0, 2, (batch, 1), generator=generator)
    motor = _uniform((batch, 1), 45.0, 400.0, generator)
    base = torch.where(torch.rand((batch, 1), generator=generator) < 0.5, mains, motor)
    decay = _uniform((batch, 1), 0.5, 0.95, generator)
    phase = _uniform((batch, 40), 0.0, math.tau, generator)
    weight = _uniform((batch, 40), 0.0, 1.0, generator)
    cycles = math.tau * base * _seconds(time)
    audio = torch.zeros(batch, time)
    for harmonic in range(1, 41):
        level = weight[:, harmonic - 1, None] * decay**harmonic * (base * harmonic < SAMPLE_RATE / 2)
        audio += level * torch.sin(cycles * harmonic + phase[:, harmonic - 1, None])
    return _normalise(audio)


def tones(batch: int, time: int, generator: Generator) -> Tensor:
    """Return three steady tones of random frequency and level, each slightly modulated in level."""
    seconds = _seconds(time)
    audio = torch.zeros(batch, time)
    for _ in range(3):
        frequency, level = _frequency((batch, 1), generator), _uniform((batch, 1), 0.0, 1.0, generator)
        swing = 0.3 * torch.sin(math.tau * _uniform((batch, 1), 0.1, 8.0, generator) * seconds)
        audio += level * (1 + swing) * torch.sin(math.tau * frequency * seconds)
    return _normalise(audio)


def beeps(batch: int, time: int, generator: Generator) -> Tensor:
    """Return one tone keyed on and off 0.5 to 8 times a second, soft edges, a random number of odd harmonics."""
    seconds = _seconds(time)
    frequency = _frequency((batch, 1), generator).clamp_max(4000.0)
    rate, duty = _uniform((batch, 1), 0.5, 8.0, generator), _uniform((batch, 1), 0.15, 0.7, generator)
    place = (seconds * rate + torch.rand((batch, 1), generator=generator)) % 1.0
    edge = 0.005 * rate  # 5 ms, in periods of the keying
    gate = (place / edge).clamp(0.0, 1.0) * ((duty - place) / edge).clamp(0.0, 1.0)
    angle = math.tau * frequency * seconds
    richness = _uniform((batch, 1), 0.0, 1.0, generator)
    wave = torch.sin(angle) + richness * (torch.sin(3 * angle) / 3 + torch.sin(5 * angle) / 5)
    return _normalise(gate * wave)


def chirps(batch: int, time: int, generator: Generator) -> Tensor:
    """Return a tone that sweeps evenly in octaves between two frequencies, back and forth, 0.2 to 4 times a second."""
    low, high = _frequency((batch, 1), generator), _frequency((batch, 1), generator)
    rate = _uniform((batch, 1), 0.2, 4.0, generator)
    sweep = 0.5 - 0.5 * torch.cos(math.tau * rate * _seconds(time))
    frequency = low * (high / low) ** sweep
    return _normalise(torch.sin(math.tau * torch.cumsum(frequency.double() / SAMPLE_RATE, dim=-1)).float())


def clicks(batch: int, time: int, generator: Generator) -> Tensor:
    """Return impulses, 0.5 to 30 a second, each followed by a short ring or a burst of noise of 1 to 30 ms."""
    rate = torch.exp(_uniform((batch, 1), math.log(0.5), math.log(30.0), generator))
    struck = torch.rand((batch, time), generator=generator) < rate / SAMPLE_RATE
    struck[:, 0] = True
    level = _uniform((batch, time), -1.0, 1.0, generator)
    decay = _uniform((batch, 1), 0.001, 0.03, generator)
    seconds = _seconds(time)
    ring = torch.sin(math.tau * _frequency((batch, 1), generator) * seconds)
    noisy = torch.rand((batch, 1), generator=generator) < 0.5
    sound = torch.where(noisy, torch.randn((batch, time), generator=generator), ring) * torch.exp(-seconds / decay)
    size = 2 * time
    spectrum = torch.fft.rfft(struck * level, n=size) * torch.fft.rfft(sound, n=size)
    return _normalise(torch.fft.irfft(spectrum, n=size)[:, :time])


GENERATORS: tuple[Callable[[int, int, Generator], Tensor], ...] = (
    coloured, coloured, coloured, coloured, hum, tones, beeps, chirps, clicks, clicks,
)  # fmt: skip


def synthetic_noise(batch: int, time: int, generator: Generator) -> Tensor:
    """Return noises of all kinds in turn, four in ten of them coloured noise.

    Example:
        >>> synthetic_noise(3, 4800, torch.Generator().manual_seed(0)).shape
        torch.Size([3, 4800])
    """
    rows = [GENERATORS[index % len(GENERATORS)](1, time, generator) for index in range(batch)]
    return torch.cat(rows)
