"""`python -m emulator.train`: train an emulator of LAME on folders of speech, noise and music."""

if __name__ == "__main__":
    from enhance.training.malloc import restart_with_kept_heap

    restart_with_kept_heap()

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from emulator.model.config import PRESETS
from emulator.model.network import Emulator
from emulator.model.paper_unet import PaperUNet
from emulator.model.presets import DEFAULT
from emulator.training.corpus import CorpusConfig
from emulator.training.sources import VALID_SHARE, add_source_arguments, open_corpus, open_sources
from emulator.training.task import CropConfig, EmulationTask
from enhance.training.launch import add_launch_arguments, in_bfloat16, run_command
from enhance.training.loop import fit
from enhance.training.schedule import TrainConfig
from enhance.training.settings import apply_settings
from enhance.utils.command import run

if TYPE_CHECKING:
    from lightning.fabric import Fabric


def get_parser(required: bool = True) -> argparse.ArgumentParser:
    """Return the command line; `required` is false where settings are only listed."""
    parser = argparse.ArgumentParser(prog="python -m emulator.train", description=__doc__)
    parser.add_argument("--preset", choices=PRESETS, default=DEFAULT, required=required, help="what to emulate")
    add_source_arguments(parser, required)
    parser.add_argument("--paper", action="store_true", help="train the paper's magnitude U-Net in place of ours")
    add_launch_arguments(parser, required)
    return parser


def settings(arguments: argparse.Namespace) -> list[Any]:
    """Return the four configurations, with ``--set`` applied to the one that has the key.

    Raises:
        ValueError: a key is unknown or a value has the wrong type.
    """
    return apply_settings(
        [PRESETS[arguments.preset], CorpusConfig(), CropConfig(), TrainConfig(batch=8)], arguments.set
    )


def train(arguments: argparse.Namespace, fabric: "Fabric", configs: Sequence[Any]) -> None:
    """Train with parsed arguments, or go on.

    Raises:
        ValueError, OSError, MpeaceError, FloatingPointError: with a message for the user.
        KeyboardInterrupt: stopped; the checkpoint is written.
    """
    dimensions, corpus, crop, config = configs
    fabric.launch()
    with fabric.rank_zero_first():
        sources, valid_sources = open_sources(arguments, config.seed)
        data = open_corpus(sources, dimensions, corpus, arguments.cache / "train")
        valid = None
        if valid_sources:
            held_out = replace(corpus.scaled(VALID_SHARE), corpus_seed=1)
            valid = open_corpus(valid_sources, dimensions, held_out, arguments.cache / "valid")
    torch.manual_seed(config.seed)
    network = PaperUNet(dimensions) if arguments.paper else Emulator(dimensions)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    task = EmulationTask(
        network, data, valid, corpus, crop, config.seed, in_bfloat16(arguments.precision, fabric.device)
    )
    fit(fabric, task, config, arguments.out)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_command("emulator.train", get_parser, settings, train, argv)


if __name__ == "__main__":
    run("emulator.train", main)
