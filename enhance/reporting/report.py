"""What each command of the evidence leaves behind: raw rows, what they were made with, tables, and one figure.

A command measures, returns a :class:`Report`, and leaves the rest to :func:`run_report`:

    def main(argv: list[str] | None = None) -> int:
        parser = argparse.ArgumentParser(prog="python -m emulator.evidence.cost")
        add_report_arguments(parser)
        return run_report("emulator.evidence.cost", make, parser.parse_args(argv))
"""

import argparse
import csv
import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from enhance.utils.atomic import replacing, write_text
from enhance.utils.environment import machine, versions
from enhance.utils.errors import MpeaceError, fail

PACKAGES = ("mpeace", "torch", "torchaudio", "numpy", "scipy", "lameenc", "miniaudio", "soundfile", "auraloss")
FIGURE_DPI = 120


@dataclass(frozen=True)
class Report:
    """Measurements of a command, with what they were made with.

    Args:
        name: of the files that it writes.
        rows: the raw measurements, each with the same keys.
        table: one or more Markdown tables with the sentences that explain them.
        settings: what it was measured with, seeds included, as plain values.
        figure: the picture.
        packages: those whose versions are noted, beside :data:`PACKAGES`.
    """

    name: str
    rows: Sequence[Mapping[str, Any]]
    table: str
    settings: Mapping[str, Any]
    figure: Figure | None = None
    packages: tuple[str, ...] = ()


def add_report_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--quick` and `--out`, which every command of the evidence has."""
    parser.add_argument("--quick", action="store_true", help="the same tables from short runs, in a minute or two")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for CSV, JSON, Markdown and PNG")


def run_report(program: str, make: Callable[[argparse.Namespace], Report], arguments: argparse.Namespace) -> int:
    """Measure and write; what goes wrong becomes one line on standard error. Return the exit status.

    The settings that are written say whether it was a quick run.

    Args:
        program: what an error line begins with.
        make: measures; may raise ValueError, RuntimeError, OSError or ModelError.
        arguments: at least those of :func:`add_report_arguments`.
    """
    begin = time.monotonic()
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)  # before the work, not after it
        report = make(arguments)
        report = replace(report, settings={**report.settings, "quick": arguments.quick})
        save_report(report, arguments.out, time.monotonic() - begin)
    except (ValueError, RuntimeError, OSError, MpeaceError) as error:
        return fail(program, error)
    print(report.table)
    return 0


def save_report(report: Report, folder: Path, seconds: float) -> None:
    """Write `NAME.json`, `NAME.csv`, `NAME.md` and, if there is a figure, `NAME.png`.

    A new table takes the place of the former one when it is whole, so that rows of finished runs are never lost.

    Args:
        report: what was measured.
        folder: an existing folder.
        seconds: that it took.

    Raises:
        ValueError: there is no row, or the rows have different keys.
    """
    if not report.rows:
        raise ValueError(f"the report {report.name} has no row")
    columns = list(report.rows[0])
    for row in report.rows:
        if list(row) != columns:
            raise ValueError(f"expected rows of {', '.join(columns)}; got one of {', '.join(row)}")
    found = versions((*PACKAGES, *report.packages))
    content = {
        "name": report.name,
        "settings": dict(report.settings),
        "seconds": round(seconds, 1),
        "machine": machine(),
        "versions": found,
    }
    write_text(folder / f"{report.name}.json", json.dumps(content, indent=2) + "\n")
    with (
        replacing(folder / f"{report.name}.csv") as partial,
        partial.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_cell(value) for value in row.values()] for row in report.rows)
    write_text(folder / f"{report.name}.md", report.table.rstrip() + "\n")
    if report.figure is not None:
        report.figure.savefig(folder / f"{report.name}.png", dpi=FIGURE_DPI)


def check_settings(settings: Mapping[str, Any], folder: Path, name: str) -> None:
    """Check that the rows which are in a folder were made as those to come will be, as far as is noted there.

    Args:
        settings: of the rows to come, plain values.
        folder, name: of the former report.

    Raises:
        ValueError: they were made with others.
    """
    noted = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))["settings"]
    if differing := [f"{key} {json.dumps(value)}" for key, value in noted.items() if value != settings.get(key)]:
        raise ValueError(
            f"the runs in {folder} were made with {', '.join(differing)}; name the same, or another folder by --out"
        )


def load_rows(path: Path, texts: Collection[str]) -> list[dict[str, Any]]:
    """Read back the rows that :func:`save_report` wrote: numbers, but for the columns of texts.

    Returns:
        No rows where there is no file.

    Raises:
        ValueError: the file is another one.
    """
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            reader = csv.DictReader(file)
            if missing := set(texts) - set(reader.fieldnames or ()):
                raise ValueError(f"it has no column {', '.join(sorted(missing))}")
            return [{name: cell if name in texts else float(cell) for name, cell in row.items()} for row in reader]
    except (csv.Error, TypeError, ValueError) as error:
        raise ValueError(f"{path}: expected the rows of finished runs ({error}); name another --out") from error


def _cell(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value
