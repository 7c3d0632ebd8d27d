"""What the autoencoders of the paper's experiment learn from and are judged on: short crops of speech and of music.

Both are read in small pieces at random places, so that nothing is decoded that is not used. Speech is held out by
speaker group (`speech/valid`), music by file (:func:`emulator.training.corpus.split_music`). Every crop is brought to
one level, so that an l1 of a crop weighs as much as that of any other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from emulator.training.corpus import split_music
from enhance.data.recordings import find_recordings
from enhance.utils.file_names import native_name

SAMPLE_RATE = 16_000  # Hz
CROP = 63 * 256  # samples of a training crop: 64 frames of the emulator, the most for its three halvings
LEVEL_DB = -25.0  # RMS of a crop, dB relative to full scale, lowered where the peak would pass PEAK
PEAK = 0.98
LEAST_DB = -45.0  # a softer place is not taken
PLACES = 8  # tried for a held-out item; the loudest is taken
DOMAINS = ("speech", "music")

Audio = NDArray[np.float32]


@dataclass(frozen=True)
class Item:
    """A held-out piece."""

    name: str
    file: str  # items of one file count as one in the bootstrap
    audio: Audio  # [time]


@dataclass(frozen=True)
class Domain:
    """Training batches and held-out items of one kind of sound."""

    name: str
    batches: Tensor  # [batches, crops, CROP]
    items: tuple[Item, ...]


def find_files(domain: str, data: Path) -> tuple[list[Path], list[Path]]:
    """Return files to train on and held-out files.

    Args:
        domain: one of DOMAINS.
        data: a folder with speech/train, speech/valid and music; or one audio file, which then is both.

    Raises:
        ValueError: there are none.
    """
    if data.is_file():
        return [data], [data]
    folders = [data / "music"] if domain == "music" else [data / "speech" / "train", data / "speech" / "valid"]
    found = []
    for folder in folders:
        files = find_recordings(folder) if folder.is_dir() else []
        if not files:
            raise ValueError(f"expected recordings in {folder}, found none; name their folder by --data")
        found.append(files)
    train, held_out = split_music(found[0]) if domain == "music" else found
    if not train or not held_out:
        raise ValueError(f"expected two files or more in {folders[0]}, found {len(found[0])}")
    return train, held_out


def load_domain(domain: str, data: Path, *, batches: int, crops: int, items: int, item_seconds: float) -> Domain:
    """Read a domain; the same arguments give the same samples.

    Args:
        domain: one of DOMAINS.
        data: as in :func:`find_files`.
        batches: number of training batches.
        crops: in each batch.
        items: number of held-out items, over evenly spaced files, or several in each file when there are fewer.
        item_seconds: their length.

    Raises:
        ValueError: there are no files, or they are silent or too short.
    """
    train, held_out = find_files(domain, data)
    rng = np.random.default_rng([0, DOMAINS.index(domain)])
    pool = [_crop(train, CROP, rng) for _ in range(batches * crops)]
    length = round(item_seconds * SAMPLE_RATE)
    chosen = []
    for number in range(items):
        spread = number * len(held_out) // items if items < len(held_out) else number % len(held_out)
        file = held_out[spread]
        places = [_crop([file], length, rng) for _ in range(PLACES)]
        loudest = max(places, key=lambda place: place[1])
        chosen.append(Item(f"{file.stem}-{number:02d}", file.name, _levelled(loudest[0])))
    stacked = torch.from_numpy(np.stack([_levelled(audio) for audio, _ in pool]))
    return Domain(domain, stacked.reshape(batches, crops, CROP), tuple(chosen))


def _crop(files: Sequence[Path], length: int, rng: np.random.Generator) -> tuple[Audio, float]:
    """Return a piece of `length` samples that is not silent, and its level in dB."""
    for _ in range(100):
        with soundfile.SoundFile(native_name(files[int(rng.integers(len(files)))])) as file:
            wanted = -(-length * file.samplerate // SAMPLE_RATE)
            file.seek(int(rng.integers(max(file.frames - wanted, 0) + 1)))
            audio = file.read(wanted, dtype="float32", always_2d=True).mean(axis=1)
            audio = np.asarray(soxr.resample(audio, file.samplerate, SAMPLE_RATE), np.float32)[:length]
        level = 10 * np.log10(float(np.mean(np.square(audio, dtype=np.float64))) + 1e-12) if audio.size else -120.0
        if audio.size == length and level > LEAST_DB:
            return audio, level
    raise ValueError(f"found no {length / SAMPLE_RATE:.1f} s above {LEAST_DB:.0f} dBFS in {len(files)} recordings")


def _levelled(audio: Audio) -> Audio:
    level = float(np.sqrt(np.mean(np.square(audio, dtype=np.float64))))
    return audio * np.float32(min(10 ** (LEVEL_DB / 20) / level, PEAK / float(np.abs(audio).max())))
