"""The figures of an analysis on the terminal."""

import sys

from rich.console import Console
from rich.table import Table

from apps.listen.analysis.results import ALL, Analysis, Row
from apps.listen.design.scales import SCALES
from apps.listen.design.settings import Method

WIDTH = 160  # of a table that goes into a file


def print_results(analysis: Analysis) -> None:
    """Print what the CSV of results says over all items and listeners, and the notes."""
    rows, columns = _wanted(analysis)
    table = Table(box=None, pad_edge=False)
    for name in columns:
        table.add_column(name)
    for row in rows:
        table.add_row(*(_shown(analysis, row, name) for name in columns.values()))
    width = None if sys.stdout.isatty() else WIDTH
    Console(markup=False, emoji=False, highlight=False, width=width).print(table)  # names may have [v2] or :x: in them
    for note in analysis.notes:
        print(note)


def _wanted(analysis: Analysis) -> tuple[list[Row], dict[str, str]]:
    """Return the rows to print, and for each heading its column of the CSV."""
    pair = {"set": "set", "A": "a", "B": "b"}
    tested = {"p": "p", "after Holm": "p_holm"}
    if analysis.plan.method is Method.PAIRWISE:
        counts = {"A better": "prefer_a", "no preference": "no_preference", "B better": "prefer_b"}
        return analysis.results, {
            **pair,
            **counts,
            "prefer A": "rate",
            "p": "p",
            "after Holm": "p_holm",
            "ties as half": "half_rate",
        }
    if analysis.plan.method is Method.ABX:
        rows = [row for row in analysis.results if row["listener"] == ALL]
        return rows, {
            **pair,
            "answers": "answers",
            "right": "correct",
            "share": "rate",
            "p": "p",
            "after Holm": "p_holm",
        }
    rows = [row for row in analysis.results if row["item"] == ALL]
    if analysis.plan.method is Method.CCR:
        counts = {"listeners": "listeners", "grades": "grades"}
        return rows, {**pair, **counts, "CMOS of B": "mean", **tested}
    if analysis.plan.method in SCALES:
        columns = ("set", "system", "measure", "listeners", "grades", "mean")
        return rows, {name: name for name in columns}
    return rows, {
        "set": "set",
        "system": "system",
        "grades": "grades",
        "median": "median",
        "IQR": "iqr",
        "mean": "mean",
    }


def _shown(analysis: Analysis, row: Row, column: str) -> str:
    value = row[column]
    if column in ("a", "b", "system"):
        return str(analysis.plan.labels.get(value, value))
    if not isinstance(value, float):
        return str(value)
    if value != value:
        return "-"
    digits = ".1f" if analysis.plan.method is Method.MUSHRA else ".2f" if analysis.plan.method in SCALES else ".3f"
    if f"{column}_low" in row:
        return f"{value:{digits}} ({row[f'{column}_low']:{digits}} to {row[f'{column}_high']:{digits}})"
    return f"{value:.3g}"
