"""`python -m emulator.evidence.document DIR`: write the contents page of a folder of evidence, DIR/README.md.

For each command that was run into the folder it links the table, the picture, the raw rows and the settings, and says
how long the command took, on which machine and with which packages.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from enhance.utils.atomic import write_text
from enhance.utils.command import run
from enhance.utils.errors import fail

TITLES = {
    "fidelity": "How close each emulator comes to LAME",
    "masking": "How much less a masked sound counts than an audible one",
    "descent": "Where the gradient of each loss leads a noisy recording",
    "autoencoder": "The paper's experiment: autoencoders trained with one loss after another",
    "cost": "Time and memory of a step with each loss",
    "codec_itself": "A differentiable encoder, torch-aac, beside the network that stands for one",
}
_PARTS = {"md": "table", "png": "picture", "csv": "rows", "json": "settings"}


def entry(folder: Path, name: str) -> str:
    """Return the links to the files of a command and one line on how they were made.

    Raises:
        OSError, ValueError, KeyError: the command has not been run into this folder, or its files are damaged.
    """
    made = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    packages = ", ".join(f"{package} {version}" for package, version in made["versions"].items())
    quick = " A quick run, to show the shape only." if made["settings"].get("quick") else ""
    files = [(part, f"{name}.{suffix}") for suffix, part in _PARTS.items() if (folder / f"{name}.{suffix}").exists()]
    links = ", ".join(f"[{part}]({file})" for part, file in files)
    line = f"{made['seconds'] / 60:.1f} minutes on {made['machine']}; {packages}.{quick}"
    return f"## {TITLES[name]}\n\n`python -m emulator.evidence.{name}`: {links}.\n\n{line}\n"


def contents(folder: Path) -> str:
    """Return the contents page of a folder, in Markdown.

    Raises:
        OSError, ValueError, KeyError: no command has been run into this folder, or the files of one are damaged.
    """
    found = [name for name in TITLES if (folder / f"{name}.md").exists()]
    if not found:
        raise ValueError(f"{folder} has no table; the commands of emulator.evidence write them (--out {folder})")
    head = "# Evidence for the emulators and the codec loss\n\nWritten by `python -m emulator.evidence.document`. "
    head += "What the tables mean: `emulator/README.md`.\n"
    return "\n".join([head, *(entry(folder, name) for name in found)])


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    description = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m emulator.evidence.document", description=description)
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder that the other commands wrote into")
    folder: Path = parser.parse_args(argv).folder
    try:
        write_text(folder / "README.md", contents(folder))
    except (OSError, ValueError, KeyError) as error:
        return fail("emulator.evidence.document", error)
    return 0


if __name__ == "__main__":
    run("emulator.evidence.document", main)
