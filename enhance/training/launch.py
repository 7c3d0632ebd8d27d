"""Launching of the training commands: their common arguments, their processes, and how errors end."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from enhance.utils.errors import fail
from enhance.utils.interrupt import Stopped

if TYPE_CHECKING:
    from lightning.fabric import Fabric


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
    """Make Fabric with the processes that the arguments ask for, or those that torchrun has started."""
    from lightning.fabric import Fabric  # here: it takes seconds that --help does without

    if torch.cuda.is_available():
        torch.set_float32_matmul_precision("high")  # TF32, as cuDNN does by default
    per_machine = int(os.environ.get("LOCAL_WORLD_SIZE", "0"))
    devices: int | str = arguments.devices if arguments.devices == "auto" else int(arguments.devices)
    nodes: int = arguments.nodes
    if per_machine:
        devices, nodes = per_machine, int(os.environ["WORLD_SIZE"]) // per_machine
    alone = devices == 1 and nodes == 1
    return Fabric(
        accelerator=arguments.accelerator, devices=devices, num_nodes=nodes, strategy="auto" if alone else "ddp"
    )


def in_bfloat16(precision: str, device: torch.device) -> bool:
    """Return whether to compute in bfloat16 for a ``--precision``: without hardware for it, it takes twice the time."""
    if precision != "auto":
        return precision == "bf16"
    known = torch.cpu.get_capabilities()
    return device.type == "cuda" or bool(known.get("avx512_bf16") or known.get("amx_bf16"))


def run(program: str, work: Callable[[], None], is_first: Callable[[], bool]) -> int:
    """Do the work; return the exit status, with errors as one line.

    Args:
        program: what the line begins with.
        work: may raise ValueError, FileNotFoundError or FloatingPointError with a message for the user, and
            KeyboardInterrupt when it was stopped with its checkpoint written.
        is_first: whether this process is the one that speaks.
    """
    try:
        work()
    except (KeyboardInterrupt, Stopped):
        if not is_first():
            return 0  # a failing helper process would make Lightning kill the first
        print(f"{program}: stopped; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    except (ValueError, FileNotFoundError, FloatingPointError) as error:
        return fail(program, error)
    return 0
