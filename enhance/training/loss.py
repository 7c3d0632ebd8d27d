"""The plain training loss: compressed spectra at several resolutions, complex at one, and the SNR of the waveform.

Magnitudes are compressed by a power of 0.3 (Braun and Tashev, "A consolidated view of loss functions for supervised
deep learning-based speech enhancement", TSP 2021), which weighs soft parts of speech as hearing does. Losses of speech
may count more than residues of noise (the asymmetric term of Wang et al., "VoiceFilter-Lite", Interspeech 2020), or
less, as in PESQ and in hearing. The complex term and the SNR are aware of phase; the SNR also fixes the scale.
Frequencies weigh by the square root of the ERB density, between uniform in Hz and uniform along the basilar membrane.

All is relative to the level of the noisy input, so the loss does not depend on gain, and a silent target is safe.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from enhance.dsp.rate import SAMPLE_RATE

POWER_FLOOR = 1e-7  # power that compression starts from, relative to the input's mean power per bin
SILENT_INPUT_POWER = 1e-10  # mean power under which an input counts as silent (-100 dBFS)


@dataclass(frozen=True)
class LossConfig:
    """Weights and resolutions of :class:`PlainLoss`."""

    complex_window: int = 960  # samples per frame (hop half of it) of the resolution that enters with its phase too
    more_windows: tuple[int, ...] = (512, 2048)  # other resolutions, magnitudes only; they take turns from step to step
    compression: float = 0.3  # power that magnitudes are raised to
    magnitude: float = 1.0  # weight of compressed magnitudes
    asymmetry: float = 1.0  # extra weight of magnitudes that are too small: speech that is missing
    excess: float = 0.0  # extra weight of magnitudes that are too large: noise that is left
    phase: float = 0.5  # weight of compressed complex spectra
    snr_first: float = 0.05  # weight of each dB of SNR when training starts
    snr_last: float = 0.005  # ... and when it ends; the change between is linear
    snr_limit_db: float = 30.0  # an SNR much better than this gains nothing

    def __post_init__(self) -> None:
        if not 0 < self.compression <= 1:
            raise ValueError(f"compression must be in (0, 1]; got {self.compression}")
        if min((self.complex_window, *self.more_windows)) < 2:
            windows = [self.complex_window, *self.more_windows]
            raise ValueError(f"complex_window and more_windows must be 2 samples or more; got {windows}")


class PlainTerms(NamedTuple):
    """The loss and its parts, means over the batch, before weights."""

    total: Tensor
    magnitude: Tensor
    asymmetry: Tensor
    excess: Tensor
    phase: Tensor
    snr_db: Tensor


def frequency_weights(window: int) -> Tensor:
    """Return weights of mean 1 for the bins of a window: the square root of the density of ERBs."""
    frequency = torch.linspace(0, SAMPLE_RATE / 2, window // 2 + 1, dtype=torch.float64)
    weights = (24.7 * (0.00437 * frequency + 1)).rsqrt()
    return (weights / weights.mean()).float()


class PlainLoss(nn.Module):
    """Loss of an estimate against its target.

    Example:
        >>> target = torch.randn(2, 9600)
        >>> limit = torch.full((2,), 24000.0)
        >>> terms = PlainLoss(LossConfig())(target, target, target, limit, progress=0.0)
        >>> float(terms.magnitude), round(float(terms.snr_db))
        (0.0, 30)
    """

    def __init__(self, config: LossConfig) -> None:
        super().__init__()
        self.config = config
        for window in {config.complex_window, *config.more_windows}:
            self.register_buffer(f"window_{window}", torch.hann_window(window), persistent=False)
            self.register_buffer(f"weights_{window}", frequency_weights(window), persistent=False)

    def spectrum(self, audio: Tensor, size: int) -> Tensor:
        """Turn ``[batch, samples]`` into ``[batch, bins, frames]``; white noise of power 1 has power 1 per bin."""
        window = self.get_buffer(f"window_{size}")
        spectrum = torch.stft(audio, size, size // 2, window=window, center=True, return_complex=True)
        return spectrum / window.square().sum().sqrt()

    def forward(
        self,
        estimate: Tensor,
        target: Tensor,
        noisy: Tensor,
        band_limit: Tensor,
        progress: float | Tensor,
        turn: int = 0,
    ) -> PlainTerms:
        """Compare.

        Args:
            estimate: ``[batch, samples]`` at 48 kHz, aligned with the target.
            target: ``[batch, samples]``.
            noisy: ``[batch, samples]``, the input; it sets the level.
            band_limit: ``[batch]`` in Hz; spectra above do not count, since the target has no content there.
            progress: 0 at the start of the training, 1 at its end; a tensor [] may change under a captured graph.
            turn: number of the step, which picks among the further resolutions.

        Raises:
            ValueError: the shapes differ.
        """
        if not estimate.shape == target.shape == noisy.shape:
            raise ValueError(
                f"estimate, target and noisy must have one shape; got {tuple(estimate.shape)}, "
                f"{tuple(target.shape)}, {tuple(noisy.shape)}"
            )
        c = self.config
        scale = (noisy.square().mean(dim=1, keepdim=True) + SILENT_INPUT_POWER).rsqrt()
        estimate, target, noisy = estimate * scale, target * scale, noisy * scale
        zero = estimate.new_zeros(())
        magnitude, asymmetry, excess, phase = zero, zero, zero, zero
        sizes = [c.complex_window]
        if c.more_windows:
            sizes.append(c.more_windows[turn % len(c.more_windows)])
        for size in sizes:
            ours, theirs = self.spectrum(estimate, size), self.spectrum(target, size)
            bins = torch.linspace(0, SAMPLE_RATE / 2, size // 2 + 1, device=estimate.device)
            weights = self.get_buffer(f"weights_{size}") * (bins <= band_limit[:, None])
            weights = (weights / weights.mean(dim=1, keepdim=True))[..., None]
            our_power = ours.real.square() + ours.imag.square() + POWER_FLOOR
            their_power = theirs.real.square() + theirs.imag.square() + POWER_FLOOR
            our_compressed, their_compressed = our_power ** (c.compression / 2), their_power ** (c.compression / 2)
            missing = their_compressed - our_compressed
            magnitude = magnitude + (weights * missing.square()).mean() / len(sizes)
            asymmetry = asymmetry + (weights * missing.clamp(min=0).square()).mean() / len(sizes)
            excess = excess + (weights * missing.clamp(max=0).square()).mean() / len(sizes)
            if size == c.complex_window:
                ours = torch.view_as_real(ours) * (our_compressed / our_power.sqrt())[..., None]
                theirs = torch.view_as_real(theirs) * (their_compressed / their_power.sqrt())[..., None]
                phase = (weights * (ours - theirs).square().sum(dim=-1)).mean()
        signal = (target.square() + 0.01 * noisy.square() + POWER_FLOOR).sum(dim=1)  # not zero, even in silence
        error = (estimate - target).square().sum(dim=1) + 10 ** (-c.snr_limit_db / 10) * signal
        snr_db = (10 * torch.log10(signal / error)).mean()
        weight = c.snr_first + (c.snr_last - c.snr_first) * progress
        total = c.magnitude * magnitude + c.asymmetry * asymmetry + c.excess * excess + c.phase * phase
        total = total - weight * snr_db
        parts = (magnitude, asymmetry, excess, phase, snr_db)
        return PlainTerms(total, *(part.detach() for part in parts))
