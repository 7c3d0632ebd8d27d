"""The distances that the evidence and the ablation compare, by name: the codec loss's terms and their controls.

A distance takes its target first and gives a function of the estimate, so that what depends on the target alone is
computed once. Its `degree` says how it grows with the amplitude of a small error, by which a ratio becomes dB.

The controls are those of Saddler et al., "Speech Denoising with Auditory Models" (arXiv:2011.10706), who found that
much simpler things did what deep features were praised for: plain waveform and spectral distances, a filter bank, a
hand-made model of masking, and the very terms of the codec loss with a network that was never trained.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from emulator.losses.codec_loss import CodecLoss
from emulator.losses.codec_terms import CodecTerms
from emulator.losses.noise_to_mask import bark_loss
from emulator.losses.terms import (
    MISSING,
    critical_bands,
    loudness_distance,
    smooth,
    specific_loudness,
    threshold_in_quiet,
)
from emulator.model.config import PRESETS
from emulator.model.presets import load_emulator, random_emulator
from emulator.model.spectrum import power, stft, unit_window

SPECTRUM_SECONDS = 0.064  # window of the compressed magnitude and the mel distance, a quarter of it the hop
COMPRESSION, COMPRESSION_FLOOR = 0.3, 1e-8  # of magnitudes; and the power of a bin that it starts from, that of dither
QUIET_DB = -80.0  # dBFS, the threshold in quiet of the plain distance of loudness
LOUDNESS_FRAMES = 3  # over which its powers are averaged, about 50 ms
MELS = 80
MEL_FLOOR = 1e-5  # of a mel magnitude, as in HiFi-GAN (arXiv:2010.05646)
PAIRS = "2.11.0 beside torch 2.11 and 2.12, 2.11.1 beside 2.13 and newer"
RANDOM_SEED = 1000  # of untrained weights
BASELINE = "MR-STFT"
TERMS: dict[str, tuple[int, dict[str, float], Literal["encoder", "masking"]]] = {
    "noise-to-mask": (2, {"noise_to_mask": 1.0}, "masking"),
    "loudness": (1, {"loudness": 1.0}, "masking"),
    "output": (2, {"output": 1.0}, "masking"),
    "encoder layers": (1, {"layers": 1.0}, "encoder"),
    "masking layers": (1, {"layers": 1.0}, "masking"),
}
"""Of the codec loss: degree, weights that are not 0, and choice of layers."""

To = Callable[[Tensor], Callable[[Tensor], Tensor]]


@dataclass(frozen=True)
class Distance:
    """A named distance of signals `[signals, time]`, as a mean over them.

    Args:
        name: in tables.
        degree: power of the amplitude of a small error with which it grows.
        to: from the target to the distance as a function of the estimate.
        setting: of the codec that its emulator stands for, if there is one.
        trained: whether that emulator is.
    """

    name: str
    degree: int
    to: To
    setting: str | None = None
    trained: bool = True

    def __call__(self, estimate: Tensor, target: Tensor) -> Tensor:
        return self.to(target)(estimate)


def plain_distances(sample_rate: int, device: str = "cpu", missing: float = MISSING) -> list[Distance]:
    """Return the distances that no codec had a hand in.

    Args:
        sample_rate: of the signals, Hz.
        device: where to compute.
        missing: how many times loudness that is missing counts, against loudness that is added.

    Raises:
        ValueError: by the log mel distance when it is used, if there is no torchaudio that loads.

    Example:
        >>> [distance.name for distance in plain_distances(16_000)]
        ['l1', 'l2', 'compressed magnitude', 'MR-STFT', 'log mel', 'ERB loudness', 'Bark noise-to-mask']
        >>> target = torch.randn(2, 16_000)
        >>> all(distance(1.1 * target, target) > distance(target, target) for distance in plain_distances(16_000))
        True
    """
    size = round(SPECTRUM_SECONDS * sample_rate)
    window = torch.hann_window(size, device=device)

    def compressed(audio: Tensor) -> Tensor:
        return (power(stft(audio, window, size // 4, "reflect")) + COMPRESSION_FLOOR) ** (COMPRESSION / 2)

    bands = critical_bands(size // 2 + 1, sample_rate).float().to(device)
    quiet = threshold_in_quiet(bands, QUIET_DB)
    loudness_window = unit_window(size, device=device)

    def loudness(audio: Tensor) -> Tensor:
        spectrum = stft(audio, loudness_window, size // 4, "reflect")
        return specific_loudness(smooth(power(spectrum), bands, LOUDNESS_FRAMES), quiet)

    def bark(target: Tensor) -> Callable[[Tensor], Tensor]:
        return lambda estimate: bark_loss(estimate, target, sample_rate)

    def mr_stft(target: Tensor) -> Callable[[Tensor], Tensor]:
        import auraloss  # of the extra `eval`, while training needs the others

        multi_resolution = auraloss.freq.MultiResolutionSTFTLoss()
        return lambda estimate: multi_resolution(estimate[:, None], target[:, None])

    @cache
    def mel() -> nn.Module:
        try:
            from torchaudio.transforms import MelSpectrogram  # loads beside some releases of PyTorch only
        except (ImportError, OSError, RuntimeError) as error:
            raise ValueError(
                f"log mel needs a torchaudio that loads beside torch {torch.__version__}: {PAIRS}"
            ) from error
        with torch.inference_mode(False):  # the first call may be a validation's
            return MelSpectrogram(sample_rate, size, hop_length=size // 4, n_mels=MELS, power=1.0).to(device)

    def log_mel(audio: Tensor) -> Tensor:
        return mel()(audio).clamp(min=MEL_FLOOR).log()

    return [
        Distance("l1", 1, partial(_compared, _same, _mean_absolute)),
        Distance("l2", 2, partial(_compared, _same, _mean_square)),
        Distance("compressed magnitude", 1, partial(_compared, compressed, _mean_absolute)),
        Distance(BASELINE, 1, mr_stft),
        Distance("log mel", 1, partial(_compared, log_mel, _mean_absolute)),
        Distance("ERB loudness", 1, partial(_compared, loudness, partial(_mean_loudness, missing))),
        Distance("Bark noise-to-mask", 2, bark),
    ]


def codec_distances(
    emulator: str | Path, sample_rate: int, trained: bool = True, device: str = "cpu", missing: float = MISSING
) -> list[Distance]:
    """Return each term of the codec loss.

    Args:
        emulator: a preset, or the file of a checkpoint.
        sample_rate: of the signals, Hz.
        trained: False for a network of a preset's dimensions that was never trained.
        device: where to compute.
        missing: how many times loudness that is missing counts, against loudness that is added.

    Raises:
        ModelError: there is no such preset or file.

    Example:
        >>> [distance.name for distance in codec_distances("mp3-v9-16k", 16_000, trained=False)][:2]
        ['mp3-v9-16k noise-to-mask, random weights', 'mp3-v9-16k loudness, random weights']
    """
    network = load_emulator(emulator) if trained else random_emulator(str(emulator), RANDOM_SEED)
    label = Path(emulator).stem
    found = []
    for term, (degree, weights, layers) in TERMS.items():
        loss = CodecLoss(
            network,
            sample_rate=sample_rate,
            noise_to_mask=weights.get("noise_to_mask", 0.0),
            loudness=weights.get("loudness", 0.0),
            missing=missing,
            output=weights.get("output", 0.0),
            layers=weights.get("layers", 0.0),
            layer_names=layers,
        ).to(device)
        name = f"{label} {term}" if trained else f"{label} {term}, random weights"
        found.append(Distance(name, degree, partial(_term, loss), network.config.setting, trained))
    return found


def all_distances(sample_rate: int, emulators: Iterable[str | Path], device: str = "cpu") -> list[Distance]:
    """Return the plain distances, then the terms for each emulator, and for presets those with random weights."""
    found = plain_distances(sample_rate, device)
    for emulator in emulators:
        found += codec_distances(emulator, sample_rate, True, device)
        if str(emulator) in PRESETS:
            found += codec_distances(emulator, sample_rate, False, device)
    return found


def _term(loss: CodecLoss, target: Tensor) -> Callable[[Tensor], Tensor]:
    reference = loss.reference(target)

    def measure(estimate: Tensor) -> Tensor:
        terms: CodecTerms = loss.terms(estimate, reference)
        return terms.total

    return measure


def _compared(
    feature: Callable[[Tensor], Tensor], distance: Callable[[Tensor], Tensor], target: Tensor
) -> Callable[[Tensor], Tensor]:
    reference = feature(target).detach()
    return lambda estimate: distance(feature(estimate) - reference)


def _same(audio: Tensor) -> Tensor:
    return audio


def _mean_absolute(difference: Tensor) -> Tensor:
    return difference.abs().mean()


def _mean_loudness(missing: float, difference: Tensor) -> Tensor:
    nothing = torch.zeros_like(difference)
    return loudness_distance(difference, nothing, nothing, missing)


def _mean_square(difference: Tensor) -> Tensor:
    return difference.square().mean()
