"""`python -m enhance.widen SMALL.safetensors WIDE.safetensors --size NAME`: widen a network; it computes the same.

After Chen, Goodfellow, Shlens, "Net2Net: accelerating learning via knowledge transfer" (ICLR 2016, arXiv:1511.05641):
each channel becomes several equal ones, and what they feed divides its weights among them at random, so that they can
part ways in training. A long training of a small network then counts for a wider one (`enhance.train --start`).
Normalisations see every channel the same number of times, so widths grow by one whole factor.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from enhance.model.config import SIZES, NetworkConfig
from enhance.model.network import Enhancer
from enhance.utils.atomic import write_bytes
from enhance.utils.command import run
from enhance.utils.errors import fail

SHARES = (0.25, 0.75)  # of a weight that one of two equal channels gets
# Parts that a matrix's rows and columns fall into; within each, channels lie one after the other.
GROUPS = {
    "encode.mix": (1, 3), "decode.mix": (1, 3), "down": (1, 2), "up": (2, 1), "expand": (4, 1), "head": (1, 3),
    "frequency_out": (1, 2),
}  # fmt: skip
GATES = 3  # of a GRU
FIXED_INPUTS = ("stem.weight", "features_skip.weight")  # features, which stay what they are
FIXED_OUTPUTS = ("head.weight", "head.bias")  # gains and filters


def repeated(x: Tensor, dim: int, groups: int, factor: int) -> Tensor:
    """Return each entry of a dimension that consists of groups, `factor` times in a row."""
    return x.unflatten(dim, (groups, -1)).repeat_interleave(factor, dim=dim + 1).flatten(dim, dim + 1)


def shares(shape: tuple[int, int], factor: int, generator: torch.Generator) -> Tensor:
    """Return positive numbers ``[rows, columns * factor]`` that add up to 1 over each column's copies."""
    low, high = SHARES
    parts = low + (high - low) * torch.rand(*shape, factor, generator=generator)
    return (parts / parts.sum(dim=-1, keepdim=True)).flatten(1)


def widened(name: str, x: Tensor, factor: int, generator: torch.Generator) -> Tensor:
    """Return a parameter of the network with `factor` times as many channels."""
    layer = name.rpartition(".")[0]
    rows, columns = next((groups for end, groups in GROUPS.items() if layer.endswith(end)), (1, 1))
    if "weight_ih" in name or "weight_hh" in name or "bias_ih" in name or "bias_hh" in name:
        rows = GATES
    if "position" in name:
        return repeated(x, 1, 1, factor)
    if x.dim() == 2 and name not in FIXED_INPUTS:
        x = repeated(x, 1, columns, factor) * shares((x.shape[0], x.shape[1]), factor, generator)
    return x if name in FIXED_OUTPUTS else repeated(x, 0, rows, factor)


def widen(weights: dict[str, Tensor], narrow: NetworkConfig, wide: NetworkConfig, seed: int = 0) -> dict[str, Tensor]:
    """Return weights of a wider network that computes what the narrow one does; further blocks begin as identities.

    Raises:
        ValueError: the widths are not one whole multiple, or something else differs.
    """
    factor = wide.channels // narrow.channels
    same = replace(
        narrow,
        stem_channels=factor * narrow.stem_channels,
        channels=factor * narrow.channels,
        head_channels=factor * narrow.head_channels,
        blocks=wide.blocks,
    )
    if factor < 1 or wide != same or wide.blocks < narrow.blocks:
        raise ValueError(f"expected all widths to grow by one whole factor and nothing else; got {narrow} and {wide}")
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Enhancer(wide)
    result = network.state_dict()
    for name, x in weights.items():
        result[name] = widened(name, x, factor, generator)
    for block in range(narrow.blocks, wide.blocks):
        for part in ("frequency_out", "time_out"):
            for kind in ("weight", "bias"):
                result[f"paths.{block}.{part}.{kind}"].zero_()
    network.load_state_dict(result)
    return result


def read_network(path: Path) -> tuple[dict[str, Tensor], NetworkConfig]:
    """Return the weights and the dimensions of a network that `enhance.export` wrote.

    Raises:
        ValueError: it is another file.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dictionary)
        return weights, NetworkConfig.from_dict(json.loads(metadata["dimensions"]))
    except KeyError:
        raise ValueError(f"expected weights by enhance.export; '{path}' does not say its dimensions") from None
    except (SafetensorError, ValueError, TypeError) as error:
        raise ValueError(f"expected weights by enhance.export; '{path}' holds none ({error})") from error


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m enhance.widen", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("narrow", type=Path, help="weights by enhance.export", metavar="SMALL.safetensors")
    parser.add_argument("wide", type=Path, help="file to write", metavar="WIDE.safetensors")
    parser.add_argument("--size", choices=SIZES, default="base", help="size of the wide network (default base)")
    parser.add_argument("--seed", type=int, default=0, help="random seed of the shares (default 0)")
    arguments = parser.parse_args(argv)
    try:
        weights, narrow = read_network(arguments.narrow)
        result = widen(weights, narrow, SIZES[arguments.size], arguments.seed)
        dimensions = {"dimensions": json.dumps(SIZES[arguments.size].to_dict())}
        arguments.wide.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(arguments.wide, save({name: x.contiguous() for name, x in result.items()}, dimensions))
    except (ValueError, OSError) as error:
        return fail("enhance.widen", error)
    return 0


if __name__ == "__main__":
    run("enhance.widen", main)
