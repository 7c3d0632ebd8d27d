"""The result of an analysis: tables as rows of named columns, and what belongs beside them."""

from dataclasses import dataclass
from typing import Any

from apps.listen.analysis.statistics import holm
from apps.listen.design.plan import Plan

Row = dict[str, Any]  # of a CSV file: column: value
Item = tuple[str, str]  # set and name
Marks = dict[str, dict[Item, dict[str, float]]]  # listener: item: stimulus: grade
ALL = "all"  # in place of an item, a set or a listener: all of them together


def row_name(name: str | None) -> str:
    """Return what a table calls an item, a set or a listener; all of them together for None.

    Example:
        >>> row_name("talk"), row_name(None), row_name("all")
        ('talk', 'all', 'all (a name)')
    """
    return ALL if name is None else f"{name} (a name)" if name == ALL else name


def with_holm(rows: list[Row], *by: str) -> list[Row]:
    """Put `p_holm` beside each `p`: corrected by Holm for the number of rows that are alike in the columns named."""
    for group in {tuple(row[name] for name in by) for row in rows}:
        alike = [row for row in rows if tuple(row[name] for name in by) == group]
        for row, corrected in zip(alike, holm([row["p"] for row in alike]), strict=True):
            row["p_holm"] = corrected
    return rows


@dataclass(frozen=True)
class Analysis:
    """Hold all that the answers to one test say.

    Attributes:
        plan: the test.
        results: the figures.
        answers: each answer.
        listeners: each listener.
        comparisons: system against system, where they are graded one by one; else [].
        marks: MUSHRA: grades of the listeners that were not excluded; else {}.
        notes: lines that belong beside the figures.
    """

    plan: Plan
    results: list[Row]
    answers: list[Row]
    listeners: list[Row]
    comparisons: list[Row]
    marks: Marks
    notes: list[str]
