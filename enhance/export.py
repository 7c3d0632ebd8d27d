"""`python -m enhance.export`: export a checkpoint to one ONNX file, verified against PyTorch, and to safetensors.

The file takes a block of waveform and the state, and gives the estimate and the next state; batch and number of hops
are free. All that a program must know is in its metadata. A file is written only if the runtime agrees with PyTorch.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from enhance.model.onnx_export import PARITY_SECONDS, UNSTATED, export
from enhance.runtime.denoiser import Denoiser
from enhance.runtime.registry import DENOISERS, register_model
from enhance.utils.command import run
from enhance.utils.errors import ModelError, fail


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m enhance.export", description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="last.pt of a training run, or what enhance.average wrote")
    parser.add_argument("onnx", type=Path, help="file to write; a .safetensors is written beside it")
    parser.add_argument("--name", help="name of the model (default: the file's)")
    parser.add_argument("--licence", default=UNSTATED, help=f"of the weights (default: {UNSTATED})")
    parser.add_argument("--describe", metavar="TEXT", help="list it in registry.json beside it, with this description")
    parser.add_argument(
        "--default",
        action="store_true",
        help="with --describe, make it the default there: of streams, or of files if it works in blocks",
    )
    for word in ("block", "ahead"):
        text = f"another `{word}` of a network that hears ahead, in hops (default: as it was trained)"
        parser.add_argument(f"--{word}", type=int, metavar="HOPS", help=text)
    text = "the mean with frames halfway between the others, of such a network (default: as it was trained)"
    parser.add_argument("--between", action=argparse.BooleanOptionalAction, help=text)
    arguments = parser.parse_args(argv)
    name = arguments.name or arguments.onnx.stem
    if arguments.onnx.suffix != DENOISERS.suffix:
        return fail("enhance.export", f"'{arguments.onnx}' must end in {DENOISERS.suffix}, by which a network is known")
    if arguments.default and not arguments.describe:
        return fail("enhance.export", "--default needs --describe TEXT, which lists the network")
    try:
        grid = {
            word: value for word in ("block", "ahead", "between") if (value := getattr(arguments, word)) is not None
        }
        difference = export(arguments.checkpoint, arguments.onnx, name, arguments.licence, grid)
        if arguments.describe:
            for_files = Denoiser(arguments.onnx).info.block > 0  # a stream refuses blocks
            register_model(arguments.onnx, name, arguments.describe, default=arguments.default, for_files=for_files)
    except (ValueError, OSError, ModelError) as error:
        return fail("enhance.export", error)
    print(f"{arguments.onnx}: differs from PyTorch by at most {difference:.1e} over {PARITY_SECONDS:.0f} s")
    return 0


if __name__ == "__main__":
    run("enhance.export", main)
