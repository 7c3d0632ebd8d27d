"""`python -m emulator.train`: train an emulator of LAME on folders of speech, noise and music."""

if __name__ == "__main__":
    from enhance.training.malloc import restart_with_kept_heap

    restart_with_kept_heap()

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.utils.tensorboard import SummaryWriter

from emulator.lame import Setting
from emulator.model.config import PRESETS
from emulator.model.network import Emulator
from emulator.model.paper_unet import PaperEmulation, PaperUNet, paper_loss
from emulator.model.presets import DEFAULT
from emulator.training.corpus import (
    KINDS,
    CorpusConfig,
    Sources,
    allowed_noise,
    build_changed,
    build_originals,
    coded,
    split_music,
)
from emulator.training.loss import ImitationTerms, emulation_loss
from enhance.data.cache import AudioCache, build_cache
from enhance.data.counter_random import CounterRandom
from enhance.data.decoding import SUFFIXES
from enhance.data.room_responses import write_rooms
from enhance.training.launch import add_launch_arguments, in_bfloat16, make_fabric, run
from enhance.training.loop import fit
from enhance.training.schedule import TrainConfig
from enhance.training.settings import apply_settings, plain, print_settings
from enhance.utils.errors import fail

if TYPE_CHECKING:
    from lightning.fabric import Fabric

VALID_SHARE = 0.05  # of the minutes of a corpus that its held-out counterpart has
VALID_CROPS = 8  # of each kind of sound, in a validation


@dataclass(frozen=True)
class CropConfig:
    """What a step sees."""

    crop_frames: int = 128  # STFT frames of an example


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
        """Where the network lies."""
        return next(self.network.parameters()).device

    def describe(self) -> dict[str, Any]:
        """Dimensions of the network and all settings of its data."""
        return {
            "architecture": type(self.network).__name__,
            "dimensions": self.network.config.to_dict(),
            "corpus": plain(self.corpus),
            "crop": plain(self.crop),
        }

    def compare(self, network: nn.Module, data: Corpus, rows: np.ndarray, place: np.ndarray) -> ImitationTerms:
        """Loss of crops of recordings ``rows``, each from ``place`` (0 to 1) of its length on."""
        samples = (self.crop.crop_frames - 1) * self.network.config.hop
        starts = (place * np.maximum(1, data.originals.lengths[rows] - samples)).astype(np.int64)
        original, after, allowed = (cache.gather(rows, starts, samples).to(self.device) for cache in data)
        with torch.autocast(original.device.type, torch.bfloat16, enabled=self.fast):
            emulation = network(original)
        if isinstance(emulation, PaperEmulation):
            return paper_loss(emulation, self.network.spectrum(after))
        return emulation_loss(emulation, self.network.spectrum(after), self.network.spectrum(allowed))

    def terms(self, network: nn.Module, step: int, first: int, count: int, progress: float) -> ImitationTerms:
        """Loss of some examples of a step."""
        draws = CounterRandom(self.seed, 0, step, first, count)
        return self.compare(network, self.data, self.data.originals.choose(draws.take()), draws.take())

    @torch.no_grad()
    def validate(self, network: nn.Module, writer: SummaryWriter | None, step: int) -> dict[str, float]:
        """Loss terms of fixed held-out crops, by kind of sound."""
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


def add_source_arguments(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Adds the folders of recordings that :func:`open_sources` reads."""
    folders = {"nargs": "+", "type": Path, "metavar": "DIR"}
    parser.add_argument("--speech", required=required, help="folders of clean speech", **folders)
    parser.add_argument("--noise", required=required, help="folders of noise", **folders)
    parser.add_argument("--music", required=required, help="folders of music; every fifth file is held out", **folders)
    parser.add_argument("--rooms", default=[], help="folders of room impulse responses", **folders)
    parser.add_argument("--valid-speech", default=[], help="held-out speech", **folders)
    parser.add_argument("--valid-noise", default=[], help="held-out noise", **folders)
    parser.add_argument("--simulated-rooms", type=int, default=60, help="rooms to simulate in addition (default 60)")


def get_parser(required: bool = True) -> argparse.ArgumentParser:
    """Return the command line; `required` is false where settings are only listed."""
    parser = argparse.ArgumentParser(prog="python -m emulator.train", description=__doc__)
    parser.add_argument("--preset", choices=PRESETS, default=DEFAULT, required=required, help="what to emulate")
    add_source_arguments(parser, required)
    parser.add_argument("--paper", action="store_true", help="train the paper's magnitude U-Net in place of ours")
    add_launch_arguments(parser, required)
    return parser


def music_files(folders: Sequence[Path]) -> list[Path]:
    """All audio files below the folders.

    Raises:
        FileNotFoundError: a folder does not exist.
    """
    for folder in folders:
        if not folder.exists():
            raise FileNotFoundError(f"no such folder of recordings: '{folder}'")
    return [f for folder in folders for f in folder.rglob("*") if f.suffix.lower() in SUFFIXES and f.is_file()]


def open_sources(arguments: argparse.Namespace, seed: int) -> tuple[Sources, Sources | None]:
    """Decodes the folders into ``--cache`` for training and for validation, or opens what is there."""
    cache = arguments.cache
    rooms = list(arguments.rooms)
    if arguments.simulated_rooms:
        rooms.append(write_rooms(cache / "simulated", arguments.simulated_rooms, seed))
    responses = build_cache(rooms, cache / "rooms", kind="rooms") if rooms else None
    music, held_out = split_music(music_files(arguments.music))
    train = Sources(
        build_cache(arguments.speech, cache / "speech", kind="speech"),
        build_cache(arguments.noise, cache / "noise", kind="noise"),
        build_cache(music, cache / "music", kind="noise"),
        responses,
    )
    if not arguments.valid_speech or not arguments.valid_noise or not held_out:
        return train, None
    valid = Sources(
        build_cache(arguments.valid_speech, cache / "valid_speech", kind="speech"),
        build_cache(arguments.valid_noise, cache / "valid_noise", kind="noise"),
        build_cache(held_out, cache / "valid_music", kind="noise"),
        responses,
    )
    return train, valid


def open_corpus(sources: Sources, preset: str, config: CorpusConfig, folder: Path) -> Corpus:
    """The corpus of a preset, made or opened."""
    emulator = PRESETS[preset]
    setting, name = Setting.parse(emulator.setting), f"{emulator.sample_rate}-{emulator.setting}"
    originals = build_originals(sources, emulator.sample_rate, config, folder / f"originals-{emulator.sample_rate}")
    corpus = Corpus(
        originals,
        build_changed(originals, coded, setting, folder / f"coded-{name}"),
        build_changed(originals, allowed_noise, setting, folder / f"allowed-{name}"),
    )
    for cache in corpus:
        cache.warm()
    return corpus


def train(arguments: argparse.Namespace, fabric: "Fabric", configs: Sequence[Any]) -> None:
    """Trains with parsed arguments, or goes on.

    Raises:
        ValueError, FileNotFoundError, FloatingPointError: with a message for the user.
        KeyboardInterrupt: stopped; the checkpoint is written.
    """
    dimensions, corpus, crop, config = configs
    fabric.launch()
    with fabric.rank_zero_first():
        sources, valid_sources = open_sources(arguments, config.seed)
        data = open_corpus(sources, arguments.preset, corpus, arguments.cache / "train")
        valid = None
        if valid_sources:
            held_out = replace(corpus.scaled(VALID_SHARE), corpus_seed=1)
            valid = open_corpus(valid_sources, arguments.preset, held_out, arguments.cache / "valid")
    torch.manual_seed(config.seed)
    network = PaperUNet(dimensions) if arguments.paper else Emulator(dimensions)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    task = EmulationTask(
        network, data, valid, corpus, crop, config.seed, in_bfloat16(arguments.precision, fabric.device)
    )
    fit(fabric, task, config, arguments.out)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    listing = "--list" in (sys.argv if argv is None else argv)
    arguments = get_parser(required=not listing).parse_args(argv)
    try:
        defaults = [PRESETS[arguments.preset], CorpusConfig(), CropConfig(), TrainConfig(batch=8)]
        configs = apply_settings(defaults, arguments.set)
        if arguments.list:
            print_settings(configs)
            return 0
        if bool(arguments.valid_speech) != bool(arguments.valid_noise):
            raise ValueError("validation needs both --valid-speech and --valid-noise; one is missing")
        fabric = make_fabric(arguments)
    except ValueError as error:
        return fail("emulator.train", error)
    return run("emulator.train", lambda: train(arguments, fabric, configs), lambda: fabric.is_global_zero)


if __name__ == "__main__":
    sys.exit(main())
