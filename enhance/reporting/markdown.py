"""Markdown tables."""

import math
from collections.abc import Iterable, Sequence


def markdown_table(
    header: Sequence[str], rows: Iterable[Sequence[str | float]], digits: int = 1, left: int = 1, notes: int = 0
) -> str:
    """Return rows as a Markdown table.

    Args:
        header: of the columns.
        rows: texts as they are; numbers are rounded, nan becomes a dash.
        digits: of fractions.
        left: columns at the beginning that are aligned to the left; the others are aligned to the right.
        notes: columns at the end that are aligned to the left as well.

    Example:
        >>> print(markdown_table(["loss", "dB"], [["l1", 0.04], ["l2", float("nan")]]))
        | loss | dB |
        | --- | ---: |
        | l1 | 0.0 |
        | l2 | - |
    """
    numbers = len(header) - left - notes
    lines = [_line(header), _line(["---"] * left + ["---:"] * numbers + ["---"] * notes)]
    return "\n".join(lines + [_line([_text(value, digits) for value in row]) for row in rows])


def _line(cells: Sequence[str]) -> str:
    return "|" + "".join(f" {cell} |" if cell else " |" for cell in cells)


def _text(value: str | float, digits: int) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return str(value)
    if math.isnan(value):
        return "-"
    return f"{value:z.{digits}f}"
