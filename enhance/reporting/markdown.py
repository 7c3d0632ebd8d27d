"""Markdown tables."""

import math
from collections.abc import Iterable, Sequence


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str | float]], digits: int = 1) -> str:
    """Return rows as a Markdown table: the first column on the left, the others on the right; nan becomes a dash.

    Example:
        >>> print(markdown_table(["loss", "dB"], [["l1", 0.04], ["l2", float("nan")]]))
        | loss | dB |
        | --- | ---: |
        | l1 | 0.0 |
        | l2 | - |
    """
    lines = [f"| {' | '.join(header)} |", f"| --- |{' ---: |' * (len(header) - 1)}"]
    return "\n".join(lines + [f"| {' | '.join(_text(value, digits) for value in row)} |" for row in rows])


def _text(value: str | float, digits: int) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return str(value)
    if math.isnan(value):
        return "-"
    return f"{value + 0.0:.{digits}f}".replace("-0.0", "0.0") if round(value, digits) == 0 else f"{value:.{digits}f}"
