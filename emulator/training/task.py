"""The emulation task: an emulator and pairs of sounds before and after the codec, as the training loop wants them."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.utils.tensorboard import SummaryWriter

from emulator.model.network import Emulator
from emulator.model.paper_unet import PaperEmulation, PaperUNet
from emulator.training.corpus import KINDS, CorpusConfig
from emulator.training.loss import EmulationTerms, emulation_loss, paper_loss
from enhance.data.cache import AudioCache
from enhance.data.counter_random import CounterRandom
from enhance.training.settings import plain

VALID_CROPS = 8  # of each kind of sound, in a validation


@dataclass(frozen=True)
class CropConfig:
    """Crops of a step."""

    crop_frames: int = 128  # STFT frames of an example

    def __post_init__(self) -> None:
        if self.crop_frames < 2:
            raise ValueError(f"crop_frames must be 2 or more; got {self.crop_frames}")


class Corpus(NamedTuple):
    """The same recordings three times."""

    originals: AudioCache
    coded: AudioCache  # what the codec leaves of them
    allowed: AudioCache  # noise that it allows itself


class EmulationTask:
    """The task of `enhance.training.loop.fit`: an emulator and pairs of sounds before and after the codec.

    Args:
        network: our emulator or the paper's.
        data: the corpus.
        valid: a held-out corpus, or None.
        corpus: what the corpus holds, for the checkpoint.
        crop: what a step sees.
        seed: with step and index all that an example depends on.
        fast: compute the network in bfloat16.
    """

    def __init__(
        self,
        network: Emulator | PaperUNet,
        data: Corpus,
        valid: Corpus | None,
        corpus: CorpusConfig,
        crop: CropConfig,
        seed: int,
        fast: bool,
    ) -> None:
        self.network, self.data, self.valid = network, data, valid
        self.corpus, self.crop, self.seed, self.fast = corpus, crop, seed, fast

    @property
    def device(self) -> torch.device:
        """Device of the network."""
        return next(self.network.parameters()).device

    def describe(self) -> dict[str, Any]:
        """Return dimensions of the network and all settings of its data."""
        return {
            "architecture": type(self.network).__name__,
            "dimensions": self.network.config.to_dict(),
            "corpus": plain(self.corpus),
            "crop": plain(self.crop),
        }

    def recordings(self) -> dict[str, str]:
        """Return what the corpus holds."""
        return {"the corpus": self.data.originals.contents}

    def compare(self, network: nn.Module, data: Corpus, rows: np.ndarray, place: np.ndarray) -> EmulationTerms:
        """Return the loss of crops of recordings ``rows``, each from ``place`` (0 to 1) of its length on."""
        samples = (self.crop.crop_frames - 1) * self.network.config.hop
        starts = (place * np.maximum(1, data.originals.lengths[rows] - samples)).astype(np.int64)
        original, after, allowed = (cache.gather(rows, starts, samples).to(self.device) for cache in data)
        with torch.autocast(original.device.type, torch.bfloat16, enabled=self.fast):
            emulation = network(original)
        if isinstance(emulation, PaperEmulation):
            return paper_loss(emulation, self.network.spectrum(after))
        return emulation_loss(emulation, self.network.spectrum(after), self.network.spectrum(allowed))

    def terms(self, network: nn.Module, step: int, first: int, count: int, progress: float) -> EmulationTerms:
        """Return the loss of some examples of a step."""
        draws = CounterRandom(self.seed, 0, step, first, count)
        return self.compare(network, self.data, self.data.originals.choose(draws.take()), draws.take())

    @torch.no_grad()
    def validate(self, network: nn.Module, writer: SummaryWriter | None, step: int) -> dict[str, float]:
        """Return the loss terms of fixed held-out crops, by kind of sound."""
        if self.valid is None:
            return {}
        figures: dict[str, float] = {}
        names = np.array([recording.name.partition("/")[0] for recording in self.valid.originals.recordings])
        for kind in KINDS:
            rows = np.flatnonzero(names == kind)
            if not rows.size:
                continue
            draws = CounterRandom(1, 0, 0, 0, VALID_CROPS)
            chosen = rows[draws.index(rows.size)]
            terms = self.compare(network, self.valid, chosen, draws.take())
            figures[f"{kind}_log_spectral"] = float(terms.log_spectral)
            figures[f"{kind}_likelihood"] = float(terms.likelihood)
        return figures
