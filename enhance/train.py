"""`python -m enhance.train`: train an enhancement network on folders of speech, noise and impulse responses."""

if __name__ == "__main__":
    from enhance.training.malloc import restart_with_kept_heap

    restart_with_kept_heap()

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from emulator.losses.plugins import find_extras
from enhance.data.cache import AudioCache, Kind, build_cache
from enhance.data.mix_config import SUBGROUP
from enhance.data.mixing import MixConfig, Mixer
from enhance.data.recordings import require_recordings
from enhance.data.room_responses import write_rooms
from enhance.model.config import SIZES, NetworkConfig
from enhance.model.network import Enhancer
from enhance.training.launch import add_folder_arguments, add_launch_arguments, in_bfloat16, run_command
from enhance.training.loop import fit
from enhance.training.loss import LossConfig
from enhance.training.objective import Objective, ObjectiveConfig
from enhance.training.run_log import nothing_left
from enhance.training.run_state import LAST, finished
from enhance.training.schedule import TrainConfig
from enhance.training.settings import apply_settings
from enhance.training.task import EnhancementTask, describe, find_weights, load_weights
from enhance.utils.command import run

if TYPE_CHECKING:
    from lightning.fabric import Fabric

SIMULATED_ROOMS = 240  # beside those of --rooms
ROOMS_SEED = 0  # simulated rooms are data, the same whatever the seed of a training
GPU_SHARE = 0.6  # of a GPU's free memory that decoded audio may take


def get_parser(required: bool = True) -> argparse.ArgumentParser:
    """Return the command line; `required` is false where settings are only listed."""
    parser = argparse.ArgumentParser(prog="python -m enhance.train", description=__doc__)
    add_folder_arguments(parser, SIMULATED_ROOMS, required)
    sizes = "dimensions of the network (default: those of the model that --start names, else small)"
    parser.add_argument("--size", choices=SIZES, help=sizes)
    start = "weights to begin with: the name of a model, or a .safetensors file by enhance.export"
    parser.add_argument("--start", help=start, metavar="MODEL")
    parser.add_argument("--eager", action="store_true", help="do not capture steps as CUDA graphs on a GPU")
    add_launch_arguments(parser, required)
    return parser


def options_of(arguments: Sequence[str]) -> list[str]:
    """Return arguments of this command without folders and devices, which may differ from machine to machine."""
    parsed = get_parser().parse_args(["--out", "", *arguments])
    return [f"--precision {parsed.precision}", f"--simulated-rooms {parsed.simulated_rooms}", *parsed.set]


def size_of(arguments: argparse.Namespace) -> str:
    """Return the name of the dimensions: --size, or the model that --start names."""
    return arguments.size or (arguments.start if arguments.start in SIZES else "small")


def settings(
    size: str, pairs: Sequence[str]
) -> tuple[NetworkConfig, LossConfig, ObjectiveConfig, MixConfig, TrainConfig]:
    """Return the five configurations, with ``KEY=VALUE`` applied to the one that has the key.

    Raises:
        ValueError: a key is unknown, a value has the wrong type, or there is no such further loss.
    """
    configs = [SIZES[size], LossConfig(), ObjectiveConfig(), MixConfig(), TrainConfig()]
    dimensions, loss, objective, mix, config = apply_settings(configs, pairs)
    find_extras(objective.extra)  # an unknown name is refused before recordings are decoded
    return dimensions, loss, objective, mix, config


def report_rooms(done: int, count: int) -> None:
    """Print how far the simulation of rooms is; it takes minutes, once for a cache."""
    print(f"simulating rooms, once for this cache: {done} of {count}", flush=True)


def open_caches(arguments: argparse.Namespace) -> dict[str, AudioCache]:
    """Decode all folders into ``--cache``, or open what is there.

    Raises:
        FileNotFoundError, ValueError: a folder is missing or holds no recordings.
    """
    for name in ("speech", "noise", "rooms", "valid_speech", "valid_noise"):
        if paths := getattr(arguments, name):
            require_recordings(*paths)
    rooms = list(arguments.rooms)
    if arguments.simulated_rooms:
        folder = arguments.cache / "simulated"
        rooms += write_rooms(folder, arguments.simulated_rooms, ROOMS_SEED, report_rooms)
    folders: dict[str, tuple[list[Path], Kind]] = {
        "speech": (arguments.speech, "speech"),
        "noise": (arguments.noise, "noise"),
        "rooms": (rooms, "rooms"),
        "valid_speech": (arguments.valid_speech, "speech"),
        "valid_noise": (arguments.valid_noise, "noise"),
    }
    caches = {
        name: build_cache(paths, arguments.cache / name, kind=kind) for name, (paths, kind) in folders.items() if paths
    }
    for cache in caches.values():
        cache.warm()
    return caches


def train(arguments: argparse.Namespace, fabric: "Fabric", configs: Sequence[Any]) -> None:
    """Train with parsed arguments, or go on.

    Raises:
        ValueError, OSError, MpeaceError, FloatingPointError: with a message for the user.
        KeyboardInterrupt: stopped; the checkpoint is written.
    """
    dimensions, loss, objective, mix, config = configs
    last = arguments.out / LAST
    weights = find_weights(arguments.start) if arguments.start else None
    start = weights.name if weights else ""
    if over := finished(last, describe(dimensions, loss, objective, mix, start), config):
        go_on = "to go on from its weights, export them and name them by --start with another --out"
        print(f"{nothing_left(last, *over)}; {go_on}")
        return
    if weights:
        load_weights(Enhancer(dimensions), weights)  # a wrong file is refused before recordings are decoded
    fabric.launch()
    if mix.reuse > 1 and config.batch % (SUBGROUP * fabric.world_size):
        each = f" in each of {fabric.world_size} processes" if fabric.world_size > 1 else ""
        raise ValueError(f"with reuse={mix.reuse} batch must be a multiple of {SUBGROUP}{each}; got {config.batch}")
    with fabric.rank_zero_first():
        caches = open_caches(arguments)
    if fabric.device.type == "cuda":
        size, free = sum(2 * cache.total for cache in caches.values()), torch.cuda.mem_get_info(fabric.device)[0]
        if size < GPU_SHARE * free:
            caches = {name: cache.to(fabric.device) for name, cache in caches.items()}
        else:
            print(f"the audio ({size >> 20} MiB) stays in main memory: the GPU has {free >> 20} MiB free")
    rooms = caches.get("rooms")
    mixer = Mixer(caches["speech"], caches["noise"], rooms, mix, config.seed, fabric.device)
    valid = None
    if "valid_speech" in caches and "valid_noise" in caches:
        held_out = replace(mix, reuse=1, room=0.0)
        valid = Mixer(caches["valid_speech"], caches["valid_noise"], rooms, held_out, 1, fabric.device)
    torch.manual_seed(config.seed)
    network = Enhancer(dimensions)
    if weights:
        load_weights(network, weights)
    fast = in_bfloat16(arguments.precision, fabric.device)
    capture = fabric.device.type == "cuda" and fabric.world_size == 1 and not arguments.eager
    distances = [extra.make(mixer.device) for extra in find_extras(objective.extra)]
    whole_loss = Objective(objective, loss, mixer, distances)
    task = EnhancementTask(network, whole_loss, mixer, valid, fast, start, capture)
    fit(fabric, task, config, arguments.out)
    if fabric.is_global_zero:
        print(f"next: python -m enhance.export {last} MODEL.onnx, then mpeace denoise FILE --model MODEL.onnx")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_command(
        "enhance.train", get_parser, lambda arguments: settings(size_of(arguments), arguments.set), train, argv
    )


if __name__ == "__main__":
    run("enhance.train", main)
