"""What the training commands share: their common arguments, `KEY=VALUE` settings, processes, and how errors end."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from enhance.utils.interrupt import Stopped

if TYPE_CHECKING:
    from lightning.fabric import Fabric


def add_launch_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds where to store, what to set, and what to run on."""
    parser.add_argument("--cache", type=Path, required=True, help="folder for decoded audio", metavar="DIR")
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoint and logs", metavar="DIR")
    others = {"nargs": "*", "action": "extend", "default": [], "metavar": "KEY=VALUE"}
    parser.add_argument("--set", help="other settings, see --list", **others)
    parser.add_argument("--list", action="store_true", help="list the settings with their values and stop")
    parser.add_argument("--accelerator", default="auto", help="auto, cpu, gpu (default auto)")
    parser.add_argument("--devices", default="1", help="processes or GPUs per machine (default 1)")
    parser.add_argument("--nodes", type=int, default=1, help="machines (default 1); torchrun sets both")
    precision = "of the network (default auto: bf16 where the hardware multiplies it, else 32)"
    parser.add_argument("--precision", choices=("auto", "bf16", "32"), default="auto", help=precision)


def apply_settings(configs: Sequence[Any], pairs: Sequence[str]) -> list[Any]:
    """Frozen dataclasses with each ``KEY=VALUE`` (a JSON value) applied to the first one that has the key.

    Raises:
        ValueError: a key is unknown or a value has the wrong type.

    Example:
        >>> from enhance.training.schedule import TrainConfig
        >>> apply_settings([TrainConfig()], ["steps=5"])[0].steps
        5
    """
    changes: list[dict[str, Any]] = [{} for _ in configs]
    for pair in pairs:
        key, _, text = pair.partition("=")
        owners = [i for i, config in enumerate(configs) if key in asdict(config)]
        if not owners:
            raise ValueError(f"unknown setting {key!r}; --list shows all")
        before = getattr(configs[owners[0]], key)
        try:
            value = json.loads(text)
        except ValueError:
            value = None
        if isinstance(before, float) and type(value) is int:
            value = float(value)
        if isinstance(before, tuple) and isinstance(value, list):
            value = tuple(value)
        if type(value) is not type(before):
            raise ValueError(f"setting {key} needs a value like {json.dumps(before)}; got {text!r}")
        changes[owners[0]][key] = value
    return [replace(config, **change) for config, change in zip(configs, changes, strict=True)]


def print_settings(configs: Sequence[Any]) -> None:
    """Prints every setting as ``KEY=VALUE``."""
    for config in configs:
        print(*(f"{key}={json.dumps(value)}" for key, value in asdict(config).items()), sep="\n")


def plain(config: Any) -> dict[str, Any]:
    """A frozen dataclass as values that a checkpoint and JSON give back unchanged."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(config).items()}


def make_fabric(arguments: argparse.Namespace) -> "Fabric":
    """Fabric with the processes that the arguments ask for, or those that torchrun has started."""
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
    """Whether to compute in bfloat16 for a ``--precision``: without hardware for it, it takes twice the time."""
    if precision != "auto":
        return precision == "bf16"
    known = torch.cpu.get_capabilities()
    return device.type == "cuda" or bool(known.get("avx512_bf16") or known.get("amx_bf16"))


def run(program: str, work: Callable[[], None], is_first: Callable[[], bool]) -> int:
    """Does the work; returns the exit status, with errors as one line.

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
        print(f"{program}: {error}", file=sys.stderr)
        return 1
    return 0
