"""`python -m emulator.export`: export a checkpoint to a safetensors file that describes itself."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from emulator.model.config import EmulatorConfig
from emulator.model.network import Emulator
from emulator.model.paper_unet import PaperUNet
from emulator.model.presets import ARCHITECTURES, DEFAULT, EMULATORS, collection_of, save_emulator
from enhance.model.checkpoint import load_checkpoint
from enhance.runtime.registry import register_model
from enhance.utils.command import run
from enhance.utils.errors import ModelError, fail


def export(checkpoint_file: Path, target: Path, licence: str) -> Emulator | PaperUNet:
    """Write the averaged weights of a training checkpoint; return the network.

    Raises:
        ValueError: the checkpoint is damaged or of another kind of network.
    """
    checkpoint = load_checkpoint(checkpoint_file)
    task = checkpoint["task"]
    if task.get("architecture") not in ARCHITECTURES:
        raise ValueError(f"expected a checkpoint of emulator.train; '{checkpoint_file}' holds {', '.join(task)}")
    network = ARCHITECTURES[task["architecture"]](EmulatorConfig.from_dict(task["dimensions"]))
    network.load_state_dict(checkpoint["average"])
    about = {"licence": licence, **{key: checkpoint[key] for key in ("task", "config", "step", "torch")}}
    target.parent.mkdir(parents=True, exist_ok=True)
    save_emulator(network.eval(), target, about)
    return network


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m emulator.export", description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="last.pt of a training run")
    parser.add_argument("target", type=Path, help="file to write, NAME.safetensors; it is listed beside it as NAME")
    parser.add_argument("--licence", default="not stated", help="licence of the weights (default: not stated)")
    parser.add_argument("--describe", metavar="TEXT", required=True, help="one line that describes it")
    arguments = parser.parse_args(argv)
    try:
        if arguments.target.suffix != EMULATORS.suffix:
            raise ValueError(f"the file to write must end in {EMULATORS.suffix}; got {arguments.target}")
        network = export(arguments.checkpoint, arguments.target, arguments.licence)
        name = arguments.target.stem
        default, collection = name == DEFAULT, collection_of(name)
        register_model(arguments.target, name, arguments.describe, default=default, collection=collection)
    except (ValueError, OSError, ModelError) as error:
        return fail("emulator.export", error)
    print(f"{arguments.target}: {sum(p.numel() for p in network.parameters()):,} parameters")
    return 0


if __name__ == "__main__":
    run("emulator.export", main)
