"""`python -m emulator.card PRESET --fidelity FILE.csv --data FILE.md --out FILE.md`: write an emulator's card.

Everything in it is read: dimensions and training from the checkpoint's own metadata, figures from what
`python -m emulator.evidence.fidelity` wrote, sources with licences from the tables of `--data`. The form follows
Mitchell et al., "Model Cards for Model Reporting" (doi:10.1145/3287560.3287596).
"""

import argparse
import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emulator.evidence.fidelity import PAPER_BESIDE, table
from emulator.model.presets import PAPER, collection_of, describe
from enhance.reporting.cards import flatten, licence_tables, two_columns
from enhance.reporting.documents import prepare
from enhance.runtime.registry import list_models
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
        name: of the preset.
        description: one line.
        about: what `emulator.model.presets.describe` gives.
        fidelity: Markdown tables.
        data: Markdown tables of the sources with their licences.
    """
    network = {
        "architecture": about["architecture"],
        "parameters": f"{about['parameters']:,}",
        "licence": about["licence"],
        **flatten(about["dimensions"]),
    }
    settings = flatten({key: about[key] for key in ("task", "config", "step", "torch")})
    return "\n\n".join(
        [
            f"# {name}",
            f"{description}. An emulator of mpeace; how it works, and how it was measured: `emulator/README.md`.",
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
    """Return rows of a preset from what `emulator.evidence.fidelity` wrote; for the paper's U-Net those it stands in.

    Raises:
        ValueError: if the file is no such CSV.
    """
    measured, text = PAPER_BESIDE if preset == PAPER else preset, ("preset", "kind", "system")
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["preset"] == measured]
        return [{key: value if key in text else float(value) for key, value in row.items()} for row in rows]
    except (csv.Error, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: expected the CSV of emulator.evidence.fidelity ({error})") from error


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m emulator.card", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("preset", help="a registered name")
    parser.add_argument("--fidelity", required=True, type=Path, metavar="FILE.csv")
    parser.add_argument("--data", required=True, type=Path, metavar="FILE.md", help="tables of sources and licences")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE.md")
    arguments = parser.parse_args(argv)
    try:
        prepare(arguments.out)
        about = describe(arguments.preset)
        listed = list_models(collection=collection_of(arguments.preset))
        entry = next((entry for entry in listed if entry.name == arguments.preset), None)
        if entry is None:
            raise ValueError(f"{arguments.preset} is no registered name; there are {', '.join(e.name for e in listed)}")
        rows = fidelity_rows(arguments.fidelity, arguments.preset)
        data = licence_tables(arguments.data.read_text(encoding="utf-8"))
        text = card(arguments.preset, entry.description, about, table(rows) if rows else "", data)
        arguments.out.write_text(text + "\n", encoding="utf-8")
    except (ValueError, OSError, ModelError) as error:
        return fail("emulator.card", error)
    return 0


if __name__ == "__main__":
    run("emulator.card", main)
