"""`python -m emulator.evidence.document emulator/README.md --results DIR`: puts the tables of evidence in their place.

The table of a command goes between the markers of its name, `<!-- masking:begin -->` and `<!-- masking:end -->`,
followed by what it was made with.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from enhance.comparison import insert

COMMANDS = ("fidelity", "masking", "descent", "autoencoder", "cost")


def entry(folder: Path, name: str) -> str:
    """The table of a command and one line on how it was made.

    Raises:
        OSError, ValueError, KeyError: the command has not been run into this folder, or its files are damaged.
    """
    made = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    packages = ", ".join(f"{package} {version}" for package, version in made["versions"].items())
    quick = " A quick run, to show the shape only." if made["settings"].get("quick") else ""
    line = f"{made['seconds'] / 60:.1f} minutes on {made['machine']}; {packages}.{quick}"
    return f"{(folder / f'{name}.md').read_text(encoding='utf-8').strip()}\n\n{line}"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    description = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m emulator.evidence.document", description=description)
    parser.add_argument("document", type=Path, help="the Markdown file to change")
    parser.add_argument("--results", type=Path, required=True, metavar="DIR", help="what the commands wrote")
    arguments = parser.parse_args(argv)
    try:
        text = arguments.document.read_text(encoding="utf-8")
        for name in COMMANDS:
            if (arguments.results / f"{name}.md").exists():
                text = insert(text, name, entry(arguments.results, name))
        arguments.document.write_text(text, encoding="utf-8")
    except (OSError, ValueError, KeyError) as error:
        print(f"emulator.evidence.document: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
