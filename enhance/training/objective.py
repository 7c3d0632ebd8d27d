"""The training loss: the plain loss, and beside it any further distances that the caller hands in.

`enhance.train` hands in those made of an MP3 encoder and their controls (`emulator.losses.plugins`). The further
distances are computed at 16 kHz, between signals that are brought to the level which the emulators are
trained at, and hear no difference above a recording's own band, where its target is empty for no good reason. Their
weights follow from a rule that knows no network: for the first mixtures of a training with their noise lowered by 10
dB, the gradient of each has, in the mean over examples, its share (`extra_share`, or its own of `extra_shares`) times
the norm of that of the plain loss. So they are the same in every process and after every restart.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from enhance.data.levels import LEVEL_DBFS
from enhance.data.mixing import Mixer, Mixture
from enhance.data.sinc_resampling import SincResample
from enhance.dsp.rate import SAMPLE_RATE
from enhance.training.loss import LossConfig, PlainLoss

RATE = 16_000  # Hz, of the further distances
LEVEL = 10 ** (LEVEL_DBFS / 20)
SILENT_TARGET_RMS = 1e-4  # RMS (-80 dBFS): a softer target is compared by the plain loss alone
BATCHES, EXAMPLES = 4, 8  # that the weights follow from
NOISE_LEFT = 10 ** (-10 / 20)  # in the estimates that the weights follow from, -10 dB


class Distance(Protocol):
    """A further loss: hears a target once, and then compares any number of estimates with it."""

    @property
    def to(self) -> Callable[[Tensor], Callable[[Tensor], Tensor]]:
        """Function from a target `[batch, samples]` at RATE to a function of such an estimate, a scalar."""
        ...


@dataclass(frozen=True)
class ObjectiveConfig:
    """Further losses, and their weights beside the plain loss.

    Raises:
        ValueError: a share or weight is out of range.

    Example:
        >>> ObjectiveConfig(extra=("loudness", "bark"), extra_share=0.5).shares
        (0.5, 0.5)
    """

    extra: tuple[str, ...] = ()  # names of further losses; for `enhance.train` those of `emulator.losses.plugins`
    extra_share: float = 1.0  # norm of the gradient of each of them, relative to that of the plain loss
    extra_shares: tuple[float, ...] = ()  # the same for each of them on its own, if they differ
    extra_last: float = 1.0  # part of their weights that is left when training ends; they change as the rates fall
    plain: float = 1.0  # weight of the plain loss; 0 leaves the others alone

    @property
    def shares(self) -> tuple[float, ...]:
        """Share of each further loss."""
        return self.extra_shares or (self.extra_share,) * len(self.extra)

    def __post_init__(self) -> None:
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
    """Features of a mixture's source that the further distances compare with."""

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
        distances: the further losses, on the mixer's device, in the order of `config.extra`.

    Raises:
        ValueError: there is not one distance for each name in `config.extra`.
    """

    def __init__(
        self, config: ObjectiveConfig, plain: LossConfig, mixer: Mixer, distances: Sequence[Distance] = ()
    ) -> None:
        super().__init__()
        if len(distances) != len(config.extra):
            raise ValueError(f"expected a distance for each of {config.extra}, got {len(distances)}")
        self.config = config
        self.plain = PlainLoss(plain).to(mixer.device)
        self._distances = list(distances)
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
        """Return all that the further distances need of ``[batch, samples]``."""
        level = rms(source)
        target = self._resample(source * (LEVEL / level.clamp(min=SILENT_TARGET_RMS)))
        return TargetFeatures(source, level, target, [distance.to(target) for distance in self._distances])

    def distances(self, estimate: Tensor, mixture: Mixture, heard: TargetFeatures | None = None) -> list[Tensor]:
        """Return the further distances, without weights; `heard` as above."""
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
    """Return ``[batch, time]`` at 16 kHz without what lies above ``[batch]`` Hz, faded over the last 6 % below it."""
    frequency = torch.fft.rfftfreq(audio.shape[1], 1 / RATE, device=audio.device)
    gain = ((limit[:, None] - frequency) / (0.06 * limit[:, None])).clamp(0.0, 1.0)
    return torch.fft.irfft(torch.fft.rfft(audio) * gain, n=audio.shape[1])


def rms(audio: Tensor) -> Tensor:
    """Turn ``[batch, time]`` into ``[batch, 1]``."""
    return audio.square().mean(dim=1, keepdim=True).sqrt()


def calibrate(objective: Objective, mixer: Mixer) -> list[float]:
    """Return weights of the further distances of an objective, by the rule at the top of this module."""
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
    """Return norm of the gradient with respect to ``[batch, time]``, mean over examples."""
    (gradient,) = torch.autograd.grad(loss, estimate, retain_graph=True)  # distances share the resampled estimate
    return gradient.norm(dim=1).mean()
