"""`python -m enhance.average RUN/last.pt OTHER... --shares A B ... --out FILE.pt`: average the weights of networks.

After Wortsman et al., "Model soups: averaging weights of multiple fine-tuned models improves accuracy without
increasing inference time" (ICML 2022): networks that were trained on from common weights often lie in one basin, and
the middle of it does better than each. Choose shares on held-out mixtures, never on the set that is reported.

The first file is a checkpoint of `enhance.train`; what it says of its training stays, and what it was averaged with is
added. The result can be exported (`enhance.export`), not trained on: for that, export it and use `--start`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from enhance.model.checkpoint import load_checkpoint, save_atomically
from enhance.utils.command import run
from enhance.utils.errors import fail

TOLERANCE = 1e-6  # by which shares may fail to add up to 1


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return weights that `enhance.export` wrote, or the averaged ones of a checkpoint.

    Raises:
        ValueError: the file is neither.
    """
    if path.suffix != ".safetensors":
        return load_checkpoint(path)["average"]
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"'{path}' holds no weights ({error})") from None


def average(networks: Sequence[dict[str, Tensor]], shares: Sequence[float]) -> dict[str, Tensor]:
    """Return the weighted mean of weights, entry by entry.

    Args:
        networks: weights of networks of one shape, by name.
        shares: one for each, of sum 1.

    Raises:
        ValueError: the networks differ in shape, or the shares do not fit.

    Example:
        >>> average([{"x": Tensor([1.0])}, {"x": Tensor([3.0])}], [0.25, 0.75])
        {'x': tensor([2.5000])}
    """
    if len(shares) != len(networks) or not abs(sum(shares) - 1) <= TOLERANCE:  # NaN is not
        raise ValueError(f"expected {len(networks)} shares that add up to 1, got {', '.join(f'{s:g}' for s in shares)}")
    shapes = [{name: tuple(x.shape) for name, x in weights.items()} for weights in networks]
    if any(shape != shapes[0] for shape in shapes):
        raise ValueError("the networks differ in their dimensions; only equal ones can be averaged")
    columns = {name: [weights[name] for weights in networks] for name in networks[0]}
    return {name: sum_of(column, shares) for name, column in columns.items()}


def sum_of(tensors: Sequence[Tensor], shares: Sequence[float]) -> Tensor:
    """Return the weighted sum, in double precision until the end."""
    stacked = torch.stack([x.double() for x in tensors])
    return torch.tensordot(torch.tensor(shares, dtype=torch.float64), stacked, dims=1).to(tensors[0].dtype)


def named(path: Path) -> str:
    """Return the name of a file; of one that is an average itself, also of what.

    Raises:
        ValueError, OSError: the file is a checkpoint and cannot be read.
    """
    of = [] if path.suffix == ".safetensors" else load_checkpoint(path).get("averaged", [])
    return f"{path.name} ({', '.join(of)})" if of else path.name


def averaged(files: Sequence[Path], shares: Sequence[float]) -> dict[str, Any]:
    """Return the first checkpoint with the mean of all as its averaged weights, and without what only training needs.

    Raises:
        ValueError, OSError: a file cannot be used.
    """
    checkpoint = load_checkpoint(files[0])
    weights = average([read_weights(path) for path in files], shares)
    kept = {key: checkpoint[key] for key in ("format", "task", "config", "step", "torch")}
    note = [f"{share:g} of {named(path)}" for path, share in zip(files, shares, strict=True)]
    return kept | {"average": weights, "averaged": note}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m enhance.average", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("first", type=Path, help="checkpoint of enhance.train", metavar="RUN/last.pt")
    parser.add_argument(
        "others", type=Path, nargs="+", help="checkpoints, or weights by enhance.export", metavar="OTHER"
    )
    parser.add_argument("--shares", type=float, nargs="+", metavar="SHARE", help="weight of each file (default: equal)")
    parser.add_argument("--out", type=Path, required=True, help="checkpoint to write", metavar="FILE.pt")
    arguments = parser.parse_args(argv)
    files = [arguments.first, *arguments.others]
    try:
        checkpoint = averaged(files, arguments.shares or [1 / len(files)] * len(files))
        save_atomically(checkpoint, arguments.out)
    except (ValueError, OSError) as error:
        return fail("enhance.average", error)
    return 0


if __name__ == "__main__":
    run("enhance.average", main)
