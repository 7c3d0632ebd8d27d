"""What training minimises: the plain loss, and beside it distances by the ear of an MP3 encoder, or their controls.

The further distances are computed at 16 kHz, between signals that are brought to the level which the emulators are
trained at, and hear no difference above a recording's own band, where its target is empty for no good reason. Their
weights follow from a rule that knows no network: for the first mixtures of a training with their noise lowered by 10
dB, the gradient of each has, in the mean over examples, its share (`extra_share`, or its own of `extra_shares`) times
the norm of that of the plain loss. So they are the same in every process and after every restart.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from emulator.losses.distances import Distance, codec_distances, plain_distances
from emulator.losses.terms import LEVEL, MISSING
from enhance.data.mixing import Mixer, Mixture
from enhance.data.sinc_resampling import SincResample
from enhance.model.config import SAMPLE_RATE
from enhance.training.loss import LossConfig, PlainLoss

RATE = 16_000  # Hz, of the further distances
SILENT_TARGET_RMS = 1e-4  # RMS (-80 dBFS): a softer target is compared by the plain loss alone
BATCHES, EXAMPLES = 4, 8  # that the weights follow from
NOISE_LEFT = 10 ** (-10 / 20)  # in the estimates that the weights follow from, -10 dB


@dataclass(frozen=True)
class Extra:
    """A further distance: its name in :mod:`emulator.losses.distances`, and the emulator that it comes from."""

    distance: str
    preset: str | None = None
    trained: bool = True
    missing: float = MISSING  # how many times loudness that is missing counts, in a distance of loudness

    def make(self, device: torch.device) -> Distance:
        """The distance at 16 kHz."""
        if self.preset is None:
            found = plain_distances(RATE, str(device), self.missing)
        else:
            found = codec_distances(self.preset, RATE, self.trained, str(device), self.missing)
        return next(distance for distance in found if distance.name == self.distance)


ADDED = 0.5  # the other way round: loudness that is added counts twice
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
    "l1": Extra("l1"),
    "l2": Extra("l2"),
}


@dataclass(frozen=True)
class ObjectiveConfig:
    """What is added to the plain loss.

    Example:
        >>> ObjectiveConfig(extra=("bork",))
        Traceback (most recent call last):
        ...
        ValueError: unknown further loss 'bork'; known are: noise-to-mask, loudness, ...
    """

    extra: tuple[str, ...] = ()  # names in EXTRAS
    extra_share: float = 1.0  # norm of the gradient of each of them, relative to that of the plain loss
    extra_shares: tuple[float, ...] = ()  # the same for each of them on its own, if they differ
    extra_last: float = 1.0  # part of their weights that is left when training ends; they change as the rates fall
    plain: float = 1.0  # weight of the plain loss; 0 leaves the others alone

    @property
    def shares(self) -> tuple[float, ...]:
        """Of each further loss."""
        return self.extra_shares or (self.extra_share,) * len(self.extra)

    def __post_init__(self) -> None:
        for name in self.extra:
            if name not in EXTRAS:
                raise ValueError(f"unknown further loss {name!r}; known are: {', '.join(EXTRAS)}")
        if self.extra_shares and len(self.extra_shares) != len(self.extra):
            raise ValueError(f"extra_shares needs one share for each of extra; got {self}")
        if (
            not min((self.extra_share, *self.extra_shares)) > 0
            or self.extra_last < 0
            or self.plain < 0
            or (self.plain == 0 and not self.extra)
        ):
            raise ValueError(f"shares must be positive, and some loss be left; got {self}")


class Terms(NamedTuple):
    """The loss and its parts, means over the batch; all but `total` and `extra` before weights."""

    total: Tensor
    magnitude: Tensor
    asymmetry: Tensor
    excess: Tensor
    phase: Tensor
    snr_db: Tensor
    extra: Tensor  # weighted sum of the further distances


class TargetFeatures(NamedTuple):
    """What the further distances need of a mixture's source."""

    source: Tensor  # [batch, samples] at 48 kHz
    level: Tensor  # [batch, 1], RMS
    target: Tensor  # [batch, samples] at 16 kHz, at LEVEL
    compare: list[Callable[[Tensor], Tensor]]  # from such an estimate to each distance


class Objective(nn.Module):
    """The whole loss of an estimate of a mixture's target.

    Args:
        config: what is added to the plain loss.
        plain: the plain loss.
        mixer: makes the mixtures that the weights follow from.

    Raises:
        enhance.runtime.registry.ModelError: an emulator's weights are not there.
    """

    def __init__(self, config: ObjectiveConfig, plain: LossConfig, mixer: Mixer) -> None:
        super().__init__()
        self.config = config
        self.plain = PlainLoss(plain).to(mixer.device)
        self._distances = [EXTRAS[name].make(mixer.device) for name in config.extra]
        self._resample = SincResample(SAMPLE_RATE, RATE).to(mixer.device)
        self._heard: TargetFeatures | None = None
        self.weights = calibrate(self, mixer) if config.extra else []

    def forward(
        self,
        estimate: Tensor,
        mixture: Mixture,
        progress: float | Tensor,
        turn: int = 0,
        heard: TargetFeatures | None = None,
    ) -> Terms:
        """Compare.

        Args:
            estimate: ``[batch, samples]`` at 48 kHz, aligned with the target.
            mixture: that it was made from.
            progress: 0 at the start of the training, 1 at its end.
            turn: number of the step, which picks among the plain loss's resolutions.
            heard: of the mixture's source; without it, that is kept from call to call while the source is the same.

        Raises:
            ValueError: the shapes differ.
        """
        noisy, target, band_limit, _ = mixture
        plain = self.plain(estimate, target, noisy, band_limit, progress, turn)
        extra = estimate.new_zeros(())
        for weight, value in zip(self.weights, self.distances(estimate, mixture, heard), strict=True):
            extra = extra + weight * value
        extra = extra * (1 + (self.config.extra_last - 1) * progress)
        total = self.config.plain * plain.total + extra
        magnitude, asymmetry, excess, phase, snr_db = plain[1:]
        return Terms(total, magnitude, asymmetry, excess, phase, snr_db, extra.detach())

    @torch.no_grad()
    def hear(self, source: Tensor) -> TargetFeatures:
        """All that the further distances need of ``[batch, samples]``."""
        level = rms(source)
        target = self._resample(source * (LEVEL / level.clamp(min=SILENT_TARGET_RMS)))
        return TargetFeatures(source, level, target, [distance.to(target) for distance in self._distances])

    def distances(self, estimate: Tensor, mixture: Mixture, heard: TargetFeatures | None = None) -> list[Tensor]:
        """The further distances, without weights; `heard` as above."""
        if not self._distances:
            return []
        if heard is None:
            if self._heard is None or mixture.source is not self._heard.source:
                self._heard = self.hear(mixture.source)
            heard = self._heard
        level = rms(mixture.target)
        ours = self._resample(estimate * (LEVEL / level.clamp(min=SILENT_TARGET_RMS)))
        ours = torch.where((level > SILENT_TARGET_RMS) & (heard.level > SILENT_TARGET_RMS), ours, heard.target)
        ours = heard.target + low_pass(ours - heard.target, mixture.band_limit)
        return [compare(ours) for compare in heard.compare]


def low_pass(audio: Tensor, limit: Tensor) -> Tensor:
    """``[batch, time]`` at 16 kHz without what lies above ``[batch]`` Hz, faded over the last 6 % below it."""
    frequency = torch.fft.rfftfreq(audio.shape[1], 1 / RATE, device=audio.device)
    gain = ((limit[:, None] - frequency) / (0.06 * limit[:, None])).clamp(0.0, 1.0)
    return torch.fft.irfft(torch.fft.rfft(audio) * gain, n=audio.shape[1])


def rms(audio: Tensor) -> Tensor:
    """``[batch, time]`` to ``[batch, 1]``."""
    return audio.square().mean(dim=1, keepdim=True).sqrt()


def calibrate(objective: Objective, mixer: Mixer) -> list[float]:
    """Weights of the further distances of an objective, by the rule at the top of this module."""
    plain: list[Tensor] = []
    further: list[list[Tensor]] = []
    for batch in range(BATCHES):
        mixture = mixer.batch(0, EXAMPLES * batch, EXAMPLES)
        estimate = torch.lerp(mixture.target, mixture.noisy, NOISE_LEFT).requires_grad_()
        noisy, target, band_limit, _ = mixture
        values = objective.distances(estimate, mixture)
        plain.append(gradient_norm(objective.plain(estimate, target, noisy, band_limit, 1.0).total, estimate))
        further.append([gradient_norm(value, estimate) for value in values])
    reference = torch.stack(plain).mean()
    means: Sequence[Tensor] = torch.stack([torch.stack(row) for row in further]).mean(dim=0).unbind()
    return [float(share * reference / mean) for share, mean in zip(objective.config.shares, means, strict=True)]


def gradient_norm(loss: Tensor, estimate: Tensor) -> Tensor:
    """Norm of the gradient with respect to ``[batch, time]``, mean over examples."""
    (gradient,) = torch.autograd.grad(loss, estimate, retain_graph=True)  # distances share the resampled estimate
    return gradient.norm(dim=1).mean()
