"""Sources of the emulator's training: folders of recordings, decoded, mixed and sent through the codec."""

import argparse
from pathlib import Path

from emulator.lame import Setting
from emulator.model.config import EmulatorConfig
from emulator.training.corpus import (
    CorpusConfig,
    Sources,
    allowed_noise,
    build_changed,
    build_originals,
    coded,
    split_music,
)
from emulator.training.task import Corpus
from enhance.data.cache import build_cache
from enhance.data.recordings import require_recordings
from enhance.data.room_responses import write_rooms
from enhance.training.launch import add_folder_arguments

SIMULATED_ROOMS = 60  # beside those of --rooms
VALID_SHARE = 0.05  # of the minutes of a corpus that its held-out counterpart has


def add_source_arguments(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Add the folders of recordings that :func:`open_sources` reads."""
    add_folder_arguments(parser, SIMULATED_ROOMS, required)
    music = "folders of music; every fifth file is held out"
    parser.add_argument("--music", nargs="+", type=Path, required=required, help=music, metavar="DIR")


def open_sources(arguments: argparse.Namespace, seed: int) -> tuple[Sources, Sources | None]:
    """Decode the folders into ``--cache`` for training and for validation, or open what is there.

    Raises:
        FileNotFoundError: a folder does not exist.
        ValueError: a folder holds no recordings, or that of music only one.
    """
    cache = arguments.cache
    for name in ("speech", "noise", "music", "rooms", "valid_speech", "valid_noise"):
        if paths := getattr(arguments, name):
            require_recordings(*paths)
    music, held_out = split_music(require_recordings(*arguments.music))
    if not music:
        raise ValueError("--music: expected two recordings or more, as every fifth from the first on is held out")
    rooms = list(arguments.rooms)
    if arguments.simulated_rooms:
        rooms += write_rooms(cache / "simulated", arguments.simulated_rooms, seed)
    responses = build_cache(rooms, cache / "rooms", kind="rooms") if rooms else None
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


def open_corpus(sources: Sources, emulator: EmulatorConfig, config: CorpusConfig, folder: Path) -> Corpus:
    """Return the corpus for an emulator's codec setting and sample rate, made or opened."""
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
