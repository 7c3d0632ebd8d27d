"""`python -m emulator.card NAME|FILE --fidelity FILE.csv --data FILE.md --out FILE.md`: write an emulator's card.

Everything in it is read: dimensions and training from the checkpoint's own metadata, the description from the registry
that `emulator.export` wrote beside it, figures from what `python -m emulator.evidence.fidelity` wrote,
sources with licences from the tables of `--data`. The form follows Mitchell et al., "Model Cards for Model Reporting"
(doi:10.1145/3287560.3287596).
"""

import argparse
import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emulator.evidence.fidelity import PAPER_BESIDE, table
from emulator.model.config import PRESETS
from emulator.model.presets import PAPER, collection_of, describe, name_of
from enhance.reporting.cards import flatten, licence_tables, two_columns
from enhance.reporting.documents import prepare
from enhance.runtime.registry import find_model, list_models
from enhance.utils.atomic import write_text
from enhance.utils.command import run
from enhance.utils.errors import ModelError, fail

LIMITS = (
    "It has learned mono sound from -40 to -14 dBFS (RMS). `CodecLoss` brings signals to -25 dBFS first.",
    "It does not know where the codec's grid of 576 samples lies, so it gives an expectation, not the coded sample.",
    "It is an encoder's model of hearing, made in the 1990s for listening at moderate levels, not a model of an ear.",
    "The training data hold nothing above 0.94 of half the sample rate; there it repeats what holds just below.",
    "The weights are given under the licence above. The recordings that they were trained on have the licences in the "
    "table, some of them copyleft; none is contained in the file.",
)


def card(name: str, description: str, about: Mapping[str, Any], fidelity: str, data: str) -> str:
    """Return the model card as Markdown.

    Args:
        name: of the preset, or of the file without its suffix.
        description: one line; empty where there is none.
        about: what `emulator.model.presets.describe` gives.
        fidelity: Markdown tables.
        data: Markdown tables of the sources with their licences.
    """
    network = {
        "architecture": about["architecture"],
        "parameters": f"{about['parameters']:,}",
        "licence": about.get("licence", "not stated"),
        **flatten(about["dimensions"]),
    }
    settings = flatten({key: about[key] for key in ("task", "config", "step", "torch") if key in about})
    opening = "An emulator of mpeace; how it works, and how it was measured: `emulator/README.md`."
    return "\n\n".join(
        [
            f"# {name}",
            f"{description}. {opening}" if description else opening,
            "## Network",
            two_columns(network),
            "## Training",
            "By `emulator.train`, exported by `emulator.export`; the commands are in `emulator/README.md`. Settings:",
            two_columns({key: value for key, value in settings.items() if not key.startswith("task.dimensions")}),
            "## Fidelity",
            fidelity or "Not measured.",
            "## Data",
            data,
            "## Limits",
            "\n".join(f"- {limit}" for limit in LIMITS),
        ]
    )


def fidelity_rows(path: Path, preset: str) -> list[dict[str, Any]]:
    """Return rows of a network from what `emulator.evidence.fidelity` wrote; for the paper's U-Net those it stands in.

    Raises:
        ValueError: if the file is no such CSV, or has no rows of this network.
    """
    measured, text = PAPER_BESIDE if preset == PAPER else preset, ("preset", "kind", "system")
    try:
        with path.open(newline="", encoding="utf-8") as file:
            every = list(csv.DictReader(file))
        rows = [row for row in every if row["preset"] == measured]
        found = [{key: value if key in text else float(value) for key, value in row.items()} for row in rows]
    except (csv.Error, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: expected the CSV of emulator.evidence.fidelity ({error})") from error
    if not found:
        there = ", ".join(dict.fromkeys(row["preset"] for row in every))
        raise ValueError(f"{path}: no rows of '{measured}', only of {there}")
    return found


def description_of(network: str) -> str:
    """Return what the registry beside a network's file says of it; nothing for a file that is not listed there.

    Raises:
        ModelError: there is no such network, or the registry is damaged.
    """
    path = find_model(network, collection=collection_of(network))
    collection = collection_of(path.stem)
    listed = list_models(path.parent, collection) if (path.parent / collection.registry).is_file() else []
    return next((entry.description for entry in listed if entry.file == path.name), "")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m emulator.card", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("network", help="a registered name, or a file by emulator.export", metavar="NAME|FILE")
    parser.add_argument("--fidelity", type=Path, metavar="FILE.csv", help="what emulator.evidence.fidelity wrote")
    parser.add_argument("--data", required=True, type=Path, metavar="FILE.md", help="tables of sources and licences")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE.md")
    arguments = parser.parse_args(argv)
    try:
        prepare(arguments.out)
        about = describe(arguments.network)
        name = name_of(arguments.network)
        if arguments.fidelity and name in PRESETS and name != arguments.network:
            raise ValueError(f"--fidelity has the figures of the preset '{name}' by that name; give the file another")
        rows = fidelity_rows(arguments.fidelity, name) if arguments.fidelity else []
        data = licence_tables(arguments.data.read_text(encoding="utf-8"))
        text = card(name, description_of(arguments.network), about, table(rows) if rows else "", data)
        write_text(arguments.out, text + "\n")
    except (ValueError, OSError, ModelError) as error:
        return fail("emulator.card", error)
    return 0


if __name__ == "__main__":
    run("emulator.card", main)
