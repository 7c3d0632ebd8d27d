"""What the training commands share: arguments, processes, the way from the command line to an exit status."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from enhance.training.settings import print_settings
from enhance.utils.errors import MpeaceError, fail
from enhance.utils.interrupt import Stopped

if TYPE_CHECKING:
    from lightning.fabric import Fabric


def add_folder_arguments(parser: argparse.ArgumentParser, simulated_rooms: int, required: bool = True) -> None:
    """Add the folders of recordings; `required` is false where settings are only listed."""
    folders = {"nargs": "+", "type": Path, "metavar": "DIR"}
    parser.add_argument("--speech", required=required, help="folders of clean speech", **folders)
    parser.add_argument("--noise", required=required, help="folders of noise", **folders)
    parser.add_argument("--rooms", default=[], help="folders of room impulse responses", **folders)
    parser.add_argument("--valid-speech", default=[], help="held-out speech", **folders)
    parser.add_argument("--valid-noise", default=[], help="held-out noise", **folders)
    simulated = f"rooms to simulate in addition (default {simulated_rooms})"
    parser.add_argument("--simulated-rooms", type=int, default=simulated_rooms, help=simulated)


def add_launch_arguments(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Add where to store, what to set, and what to run on; `required` is false where settings are only listed."""
    parser.add_argument("--cache", type=Path, required=required, help="folder for decoded audio", metavar="DIR")
    parser.add_argument("--out", type=Path, required=required, help="folder of checkpoint and logs", metavar="DIR")
    others = {"nargs": "*", "action": "extend", "default": [], "metavar": "KEY=VALUE"}
    parser.add_argument("--set", help="other settings, see --list", **others)
    parser.add_argument(
        "--list", action="store_true", help="list the settings, with values and what they mean, and stop"
    )
    parser.add_argument("--accelerator", default="auto", help="auto, cpu, gpu (default auto)")
    parser.add_argument("--devices", default="1", help="processes or GPUs per machine (default 1)")
    parser.add_argument("--nodes", type=int, default=1, help="machines (default 1); torchrun sets both")
    precision = "of the network (default auto: bf16 where the hardware multiplies it, else 32)"
    parser.add_argument("--precision", choices=("auto", "bf16", "32"), default="auto", help=precision)


def make_fabric(arguments: argparse.Namespace) -> "Fabric":
    """Make Fabric with the processes that the arguments ask for, or those that torchrun has started.

    Raises:
        ValueError: `--devices` or `--nodes` is no number of them, or this machine lacks what was asked for.
    """
    from lightning.fabric import Fabric  # here: it takes seconds that --help does without
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    if torch.cuda.is_available():
        torch.set_float32_matmul_precision("high")  # TF32, as cuDNN does by default
    if arguments.devices != "auto" and not (arguments.devices.isdecimal() and int(arguments.devices)):
        raise ValueError(f"--devices: expected a number from 1, or auto; got {arguments.devices}")
    if arguments.nodes < 1:
        raise ValueError(f"--nodes: expected 1 or more; got {arguments.nodes}")
    per_machine = int(os.environ.get("LOCAL_WORLD_SIZE", "0"))
    devices: int | str = arguments.devices if arguments.devices == "auto" else int(arguments.devices)
    nodes: int = arguments.nodes
    if per_machine:
        devices, nodes = per_machine, int(os.environ["WORLD_SIZE"]) // per_machine
    alone = devices == 1 and nodes == 1
    strategy = "auto" if alone else "ddp"
    try:
        return Fabric(accelerator=arguments.accelerator, devices=devices, num_nodes=nodes, strategy=strategy)
    except (RuntimeError, ImportError, MisconfigurationException) as error:
        asked = f"--accelerator {arguments.accelerator} --devices {arguments.devices}"
        raise ValueError(f"{asked} cannot be had on this machine: {error}") from error


def in_bfloat16(precision: str, device: torch.device) -> bool:
    """Return whether to compute in bfloat16 for a ``--precision``: without hardware for it, it takes twice the time."""
    if precision != "auto":
        return precision == "bf16"
    known = torch.cpu.get_capabilities()
    return device.type == "cuda" or bool(known.get("avx512_bf16") or known.get("amx_bf16"))


def run_command(
    program: str,
    make_parser: Callable[[bool], argparse.ArgumentParser],
    make_settings: Callable[[argparse.Namespace], Sequence[Any]],
    train: Callable[[argparse.Namespace, "Fabric", Sequence[Any]], None],
    argv: Sequence[str] | None = None,
) -> int:
    """Run a training command, or list its settings; return the exit status, with errors as one line.

    Args:
        program: what that line begins with.
        make_parser: makes the command line from whether its folders are required: for ``--list`` they are not.
        make_settings: makes the configurations from the arguments; may raise ValueError with a message for the user.
        train: trains with arguments, processes and configurations; may raise ValueError, OSError, MpeaceError or
            FloatingPointError with a message for the user, and KeyboardInterrupt when it was stopped with its
            checkpoint written.
        argv: arguments without the program's name; those of the process when None.
    """
    listing = "--list" in (sys.argv if argv is None else argv)
    arguments = make_parser(not listing).parse_args(argv)
    try:
        configs = make_settings(arguments)
        if arguments.list:
            print_settings(configs)
            return 0
        if bool(arguments.valid_speech) != bool(arguments.valid_noise):
            raise ValueError("validation needs both --valid-speech and --valid-noise; one is missing")
        if arguments.simulated_rooms < 0:
            raise ValueError(f"--simulated-rooms: expected 0 or more; got {arguments.simulated_rooms}")
        fabric = make_fabric(arguments)
    except ValueError as error:
        return fail(program, error)
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)  # before recordings are decoded, not after it
        train(arguments, fabric, configs)
    except (KeyboardInterrupt, Stopped):
        if not fabric.is_global_zero:
            return 0  # a failing helper process would make Lightning kill the first
        print(f"{program}: stopped; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    except (ValueError, OSError, MpeaceError, FloatingPointError) as error:
        return fail(program, error)
    return 0
