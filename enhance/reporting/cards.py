"""Parts of model cards: nested settings as names and values, and tables of licences."""

from collections.abc import Mapping
from typing import Any

from enhance.reporting.markdown import markdown_table


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return nested values under dotted names.

    Example:
        >>> flatten({"seed": 1, "network": {"window": 960, "kernels": [3, 3]}})
        {'seed': '1', 'network.window': '960', 'network.kernels': '3, 3'}
    """
    flat: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple):
            flat[prefix + key] = ", ".join(map(str, value))
        else:
            flat[prefix + key] = str(value)
    return flat


def licence_tables(document: str) -> str:
    """Return the Markdown tables of a document that have a column on licences.

    Example:
        >>> print(licence_tables("text\\n| files | licence |\\n| --- | --- |\\n| a | CC0 |\\n\\n| b |\\n| --- |\\n"))
        | files | licence |
        | --- | --- |
        | a | CC0 |

    Raises:
        ValueError: if there is none.
    """
    tables: list[list[str]] = [[]]
    for line in document.splitlines():
        if line.startswith("|"):
            tables[-1].append(line)
        elif tables[-1]:
            tables.append([])
    kept = ["\n".join(table) for table in tables if table and "licen" in table[0].lower()]
    if not kept:
        raise ValueError("expected a Markdown table with a column 'licence', found none")
    return "\n\n".join(kept)


def two_columns(values: Mapping[str, str]) -> str:
    """Return a Markdown table of names and values."""
    rows = ([key, value.replace("|", chr(92) + "|")] for key, value in values.items())
    return markdown_table(["", ""], rows, left=2)
