"""Impulse responses of simulated shoebox rooms: image sources for the early part, ray tracing for the tail.

Reference: Scheibler, Bezzam, Dokmanic, "Pyroomacoustics: a Python package for audio room simulation", ICASSP 2018,
doi:10.1109/ICASSP.2018.8461310. Walls absorb more at high frequencies by a random slope, and the air absorbs too.
"""

import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from enhance.data.decoding import trim_room
from enhance.dsp.rate import SAMPLE_RATE
from enhance.utils.atomic import replacing

LENGTH_METRES = (2.5, 12.0)
HEIGHT_METRES = (2.3, 4.5)
REVERBERATION_SECONDS = (0.15, 1.0)  # RT60
DISTANCE_METRES = (0.3, 4.0)  # between source and microphone
WALL_METRES = 0.3  # least distance of either from a wall
IMAGE_ORDER = 8  # reflections that are traced exactly
RAYS = 3000
OCTAVES_HZ = (125, 250, 500, 1000, 2000, 4000, 8000)
REPORT_SECONDS = 10.0  # between two reports of progress
HIGH_PASS_HZ = 20.0  # images are all positive, which leaves energy at 0 Hz


def simulate_room(seed: int, index: int) -> np.ndarray:
    """Return the response `[time]`, float32 at 48 kHz, of room `index` of the rooms that `seed` stands for.

    At most 1 s long, the direct sound within the first 2 ms, peak 0.5.
    """
    import pyroomacoustics  # here: it takes seconds, with SciPy, that trainings in recorded rooms do without

    random = np.random.default_rng((seed, index))
    size = np.append(random.uniform(*LENGTH_METRES, 2), random.uniform(*HEIGHT_METRES))
    shortest = 0.05 * float(np.prod(size)) ** (1 / 3)  # Sabine: a large room cannot be as dry as a small one
    low = max(REVERBERATION_SECONDS[0], shortest)
    absorption, _ = pyroomacoustics.inverse_sabine(random.uniform(low, REVERBERATION_SECONDS[1]), size)
    slope = random.uniform(0.0, 0.25)  # growth of the absorption per octave
    coefficients = absorption * (1 + slope) ** np.arange(-3, 4)
    material = pyroomacoustics.Material(
        {"coeffs": np.clip(coefficients, 0.01, 0.98).tolist(), "center_freqs": list(OCTAVES_HZ)},
        scattering=random.uniform(0.05, 0.5),
    )
    pyroomacoustics.random.seed(int(random.integers(1 << 31)))
    room = pyroomacoustics.ShoeBox(
        size, fs=SAMPLE_RATE, materials=material, max_order=IMAGE_ORDER, ray_tracing=True, air_absorption=True
    )
    room.set_ray_tracing(n_rays=RAYS, time_thres=REVERBERATION_SECONDS[1] + 0.2)
    source, microphone = _place(random, size)
    room.add_source(source)
    room.add_microphone(microphone)
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(int(random.integers(1 << 31)))  # noqa: NPY002 (the tail's noise comes from the global generator)
    room.compute_rir()
    np.random.set_state(state)  # noqa: NPY002
    assert room.rir is not None
    return trim_room(_high_pass(np.asarray(room.rir[0][0])))


def _place(random: np.random.Generator, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return positions of source and microphone in the room, at a distance drawn evenly from what fits."""
    while True:
        source = random.uniform(WALL_METRES, size - WALL_METRES)
        direction = random.standard_normal(3) * (1.0, 1.0, 0.3)
        distance = random.uniform(*DISTANCE_METRES)
        microphone = source + direction / np.linalg.norm(direction) * distance
        if np.all(microphone > WALL_METRES) and np.all(microphone < size - WALL_METRES):
            return source, microphone


def _high_pass(response: np.ndarray) -> np.ndarray:
    spectrum = np.fft.rfft(response, n=2 * len(response))
    frequency = np.fft.rfftfreq(2 * len(response), 1 / SAMPLE_RATE)
    ratio = 1j * frequency / HIGH_PASS_HZ
    return np.fft.irfft(spectrum * (ratio / (1 + ratio)) ** 2)[: len(response)]


def write_rooms(
    folder: Path, count: int, seed: int, report: Callable[[int, int], object] = lambda done, count: None
) -> list[Path]:
    """Return `count` simulated rooms as WAV files, for `build_cache`; those that are in `folder` are not made again.

    The folder may hold others besides, of another seed or from a call for more: they are not returned.

    Each file is put in place by a rename, so processes that call this at once do the same work and never meet a
    half-written file.

    Args:
        folder: is made where it is missing.
        count: of rooms.
        seed: that they are drawn from.
        report: called with the number of rooms that are there and `count`, before the first that is missing and then
            after every ten seconds of work.
    """
    folder.mkdir(parents=True, exist_ok=True)
    reported = -math.inf
    paths = [folder / f"room-{seed}-{index:05d}.wav" for index in range(count)]
    for index, path in enumerate(paths):
        if not path.exists():
            if time.monotonic() - reported > REPORT_SECONDS:
                report(index, count)
                reported = time.monotonic()
            with replacing(path) as partial:
                soundfile.write(partial, simulate_room(seed, index), SAMPLE_RATE, subtype="FLOAT", format="WAV")
    return paths
