"""Further training losses by name, for `enhance.train --set extra=[...]`: the codec's ear, and its controls."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from emulator.losses.distances import Distance, codec_distances, plain_distances
from emulator.losses.pesq import PESQ, pesq_distance
from emulator.losses.terms import MISSING

RATE = 16_000  # Hz, of the signals that they compare
ADDED = 0.5  # the other way round: loudness that is added counts twice


@dataclass(frozen=True)
class Extra:
    """A further loss: its name in :mod:`emulator.losses.distances`, and the emulator that it comes from."""

    distance: str
    preset: str | None = None
    trained: bool = True
    missing: float = MISSING  # how many times loudness that is missing counts, in a distance of loudness

    def make(self, device: torch.device) -> Distance:
        """Return the distance of signals at RATE.

        Raises:
            enhance.ModelError: the emulator's weights are not there.
            ValueError: it is PESQ, and torch-pesq is not installed.
        """
        if self.distance == PESQ:
            return pesq_distance(RATE, str(device))
        if self.preset is None:
            found = plain_distances(RATE, str(device), self.missing)
        else:
            found = codec_distances(self.preset, RATE, self.trained, str(device), self.missing)
        return next(distance for distance in found if distance.name == self.distance)


EXTRAS = {
    "noise-to-mask": Extra("mp3-v9-16k noise-to-mask", "mp3-v9-16k"),
    "loudness": Extra("mp3-v9-16k loudness", "mp3-v9-16k"),
    "loudness-added": Extra("mp3-v9-16k loudness", "mp3-v9-16k", missing=ADDED),
    "plain-loudness": Extra("ERB loudness"),
    "plain-loudness-added": Extra("ERB loudness", missing=ADDED),
    "layers": Extra("mp3-cbr16-16k encoder layers", "mp3-cbr16-16k"),
    "random-layers": Extra("mp3-cbr16-16k encoder layers, random weights", "mp3-cbr16-16k", trained=False),
    "mel": Extra("log mel"),
    "bark": Extra("Bark noise-to-mask"),
    "pesq": Extra(PESQ),
    "l1": Extra("l1"),
    "l2": Extra("l2"),
}


def find_extras(names: Sequence[str]) -> list[Extra]:
    """Return the further losses of these names.

    Raises:
        ValueError: a name is unknown.

    Example:
        >>> find_extras(["bork"])
        Traceback (most recent call last):
        ...
        ValueError: unknown further loss 'bork'; known are: noise-to-mask, loudness, ...
    """
    for name in names:
        if name not in EXTRAS:
            raise ValueError(f"unknown further loss {name!r}; known are: {', '.join(EXTRAS)}")
    return [EXTRAS[name] for name in names]
