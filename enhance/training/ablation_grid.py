"""The grid of `enhance.ablate`: its losses, its runs, and what all runs have in common."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from enhance.training.task import find_weights


@dataclass(frozen=True)
class Loss:
    """A loss of the grid: what it is called in tables, and what sets it in `enhance.train`."""

    label: str
    settings: tuple[str, ...] = ()


BASELINE = "baseline"
LOSSES = {
    BASELINE: Loss("compressed complex + multi-resolution STFT"),
    "noise-to-mask": Loss("+ V9 noise-to-mask", ('extra=["noise-to-mask"]',)),
    "loudness": Loss("+ V9 loudness", ('extra=["loudness"]',)),
    "fading-loudness": Loss("+ V9 loudness, fading to .3", ('extra=["loudness"]', "extra_last=0.3")),
    "plain-loudness": Loss("+ loudness without the codec", ('extra=["plain-loudness"]',)),
    "layers": Loss("+ CBR16 layers (the paper's)", ('extra=["layers"]',)),
    "random-layers": Loss("+ layers with random weights", ('extra=["random-layers"]',)),
    "mel": Loss("+ log mel", ('extra=["mel"]',)),
    "bark": Loss("+ Bark noise-to-mask", ('extra=["bark"]',)),
    "less-noise-to-mask": Loss("+ V9 noise-to-mask, a third of it", ('extra=["noise-to-mask"]', "extra_share=0.33")),
    "more-layers": Loss("+ CBR16 layers, four times that weight", ('extra=["layers"]', "extra_share=4")),
    "both": Loss("+ V9 noise-to-mask + CBR16 layers", ('extra=["noise-to-mask", "layers"]',)),
    "l1": Loss("l1 alone", ('extra=["l1"]', "plain=0")),
    "l2": Loss("l2 alone", ('extra=["l2"]', "plain=0")),
}
SMALL_GRID = tuple(list(LOSSES)[:9])
NO_SNR = ("snr_first=0", "snr_last=0")
REVERSED = ("asymmetry=0", "excess=1")
LOSSES |= {
    "symmetric": Loss("missing and added magnitudes count alike", ("asymmetry=0",)),
    "reversed": Loss("added magnitudes count twice", REVERSED),
    "more-reversed": Loss("added magnitudes count three times", ("asymmetry=0", "excess=2")),
    "cautious": Loss("missing magnitudes count three times", ("asymmetry=2",)),
    "no-snr": Loss("without the SNR", NO_SNR),
    "more-compressed": Loss("magnitudes to the power .2", ("compression=0.2",)),
    "more-noise-to-mask": Loss("+ V9 noise-to-mask, twice", ('extra=["noise-to-mask"]', "extra_share=2")),
    "loudness-added": Loss("+ V9 loudness, added counts twice", ('extra=["loudness-added"]',)),
    "plain-loudness-added": Loss(
        "+ loudness without the codec, added counts twice", ('extra=["plain-loudness-added"]',)
    ),
    "noise-to-mask-loudness": Loss("+ V9 noise-to-mask + V9 loudness", ('extra=["noise-to-mask", "loudness"]',)),
    "noise-to-mask-some-loudness": Loss(
        "+ V9 noise-to-mask + half of V9 loudness",
        ('extra=["noise-to-mask", "loudness"]', "extra_shares=[1.0, 0.5]"),
    ),
    "some-noise-to-mask-loudness": Loss(
        "+ half of V9 noise-to-mask + V9 loudness",
        ('extra=["noise-to-mask", "loudness"]', "extra_shares=[0.5, 1.0]"),
    ),
    "bark-plain-loudness": Loss("+ Bark noise-to-mask + ERB loudness", ('extra=["bark", "plain-loudness"]',)),
    "pesq": Loss("+ PESQ itself (torch-pesq)", ('extra=["pesq"]',)),
    "some-pesq": Loss("+ half of PESQ", ('extra=["pesq"]', "extra_share=0.5")),
    "some-pesq-noise-to-mask": Loss(
        "+ half of PESQ + a fifth of V9 noise-to-mask", ('extra=["pesq", "noise-to-mask"]', "extra_shares=[0.5, 0.2]")
    ),
    "some-pesq-bark": Loss(
        "+ half of PESQ + a fifth of Bark noise-to-mask", ('extra=["pesq", "bark"]', "extra_shares=[0.5, 0.2]")
    ),
    "layers-alone": Loss("CBR16 layers alone (the paper's)", ('extra=["layers"]', "plain=0")),
    "random-layers-alone": Loss("layers with random weights alone", ('extra=["random-layers"]', "plain=0")),
    "noise-to-mask-alone": Loss(
        "V9 noise-to-mask + a tenth of l1", ('extra=["noise-to-mask", "l1"]', "extra_shares=[1.0, 0.1]", "plain=0")
    ),
}
FINE_GRID = (
    *(BASELINE, "symmetric", "reversed", "more-reversed", "cautious", "no-snr", "more-compressed"),
    *("less-noise-to-mask", "noise-to-mask", "more-noise-to-mask", "loudness", "loudness-added"),
    *("noise-to-mask-loudness", "noise-to-mask-some-loudness", "some-noise-to-mask-loudness"),
    *("layers", "bark-plain-loudness", "plain-loudness-added"),
)
"""What is tried from a finished network; "pesq" needs a package of its own."""


@dataclass(frozen=True, order=True)
class Run:
    """One training."""

    seed: int
    size: str
    loss: str

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"{self.size}-{self.loss}-{self.seed}"


@dataclass(frozen=True)
class AblationSettings:
    """All that a run depends on beside its size, loss, seed and data.

    Raises:
        ValueError: `steps` or `batch` is below 1.
    """

    steps: int = 500
    batch: int = 8
    rate: float = 0.003
    warmup: int = 50
    reuse: int = 3
    disguise: float = 0.0  # of recorded noises, which the runs on record do without

    def __post_init__(self) -> None:
        for name in ("steps", "batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name}: expected 1 or more, got {getattr(self, name)}")

    def pairs(self) -> list[str]:
        """Return arguments of `enhance.train --set`; the average spans as large a part of the run as in a long one."""
        common = [f"{key}={value}" for key, value in asdict(self).items()]
        return [*common, f"validate_every={self.steps}", f"average={max(0.9, 1 - 5 / self.steps):.5f}"]

    def plain(self) -> dict[str, Any]:
        """Return the settings as a report notes them."""
        return asdict(self)

    @property
    def weights(self) -> list[str]:
        """Arguments of `enhance.train` that say what weights a run begins with; none for random ones."""
        return []


@dataclass(frozen=True)
class FineTuning(AblationSettings):
    """The same for runs that go on from a finished network."""

    steps: int = 160
    rate: float = 0.001
    warmup: int = 10
    disguise: float = 1.0
    decay: float = 1.0  # the rate falls from the first step on
    snr_first: float = 0.005  # the weight that training ends with
    start: str = ""  # name of the network

    def pairs(self) -> list[str]:
        return [pair for pair in super().pairs() if not pair.startswith("start=")]

    def plain(self) -> dict[str, Any]:
        return super().plain() | {"start_sha256": self.digest}

    @property
    def file(self) -> Path:
        """Weights that the runs begin with."""
        return find_weights(self.start)

    @property
    def digest(self) -> str:
        """Digest of these weights: a network of one name may have others in another release."""
        return hashlib.sha256(self.file.read_bytes()).hexdigest()

    @property
    def weights(self) -> list[str]:
        return ["--start", str(self.file)]


def plan(sizes: Sequence[str], losses: Sequence[str], seeds: Sequence[int]) -> list[Run]:
    """Return the grid, seed by seed, so that a part of it is a smaller grid.

    Example:
        >>> [run.name for run in plan(["tiny", "small"], ["baseline", "mel"], [0])]
        ['small-baseline-0', 'tiny-baseline-0', 'small-mel-0', 'tiny-mel-0']
    """
    return [Run(seed, size, loss) for seed in seeds for loss in losses for size in reversed(sizes)]
