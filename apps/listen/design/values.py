"""Readers of values in the TOML file of a test: each returns the value, None when it is wrong, and what is expected."""

import re
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Any

ALL_PAIRS = "all"  # every two systems, as when nothing is said

Read = tuple[object, str]  # the value, None when it is wrong; what is expected


def all_of(kind: type[StrEnum]) -> str:
    """Return the members of an enumeration as they stand in TOML."""
    return ", ".join(f'"{member}"' for member in kind)


def read_text(value: object) -> Read:
    """Read any text."""
    return (value if isinstance(value, str) else None), "text in quotes"


def read_name(value: object) -> Read:
    """Read a name that is not empty."""
    return (value if isinstance(value, str) and value else None), "the name of a folder"


def read_path(value: object) -> Read:
    """Read a path; ~ is the home folder."""
    return (Path(value).expanduser() if isinstance(value, str) and value else None), "the name of a folder"


def read_file(value: object) -> Read:
    """Read the path of a file; ~ is the home folder."""
    return read_path(value)[0], "the name of a file"


def read_whole(least: int, most: int) -> Any:
    """Return a reader of whole numbers from one to another."""

    def read(value: object) -> Read:
        good = type(value) is int and least <= value <= most
        return (value if good else None), f"a whole number from {least} to {most}"

    return read


def read_names(value: object) -> Read:
    """Read a list of different names."""
    good = isinstance(value, list) and value and all(isinstance(name, str) and name for name in value)
    unique = good and len(set(value)) == len(value)  # type: ignore[arg-type]
    return (tuple(value) if unique else None), 'different names, such as ["l1", "paper"]'  # type: ignore[arg-type]


def read_items(value: object) -> Read:
    """Read a number of items, or their names."""
    if isinstance(value, list):
        return read_names(value)
    return read_whole(0, 10_000)(value)[0], "a whole number (0 for all) or a list of names"


def read_pairs(value: object) -> Read:
    """Read pairs of names, each pair once; () for all."""
    expected = 'pairs of different names, such as [["l1", "paper"]], or "all"'
    if value == ALL_PAIRS:
        return (), expected
    if not isinstance(value, list) or not value:
        return None, expected
    pairs = [read_names(pair)[0] for pair in value]
    good = all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs)
    once = good and len({frozenset(pair) for pair in value}) == len(value)
    return (tuple(pairs) if once else None), expected


def read_flag(value: object) -> Read:
    """Read true or false."""
    return (value if isinstance(value, bool) else None), "true or false"


def read_level(value: object) -> Read:
    """Read a loudness."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and -60 <= value <= -5
    return (float(value) if good else None), "a loudness from -60 to -5 LUFS"  # type: ignore[arg-type]


def read_frequencies(value: object) -> Read:
    """Read rising frequencies."""
    good = (
        isinstance(value, list)
        and all(type(hertz) is int and 500 <= hertz <= 20_000 for hertz in value)
        and all(low < high for low, high in pairwise(value))
    )
    return (tuple(value) if good else None), "rising frequencies in Hz, such as [3500, 7000], or []"  # type: ignore[arg-type]


def read_traps(value: object) -> Read:
    """Read trap questions; whether their answers fit the method is another question."""
    good = isinstance(value, list) and all(
        isinstance(trap, dict)
        and "answer" in trap
        and set(trap) <= {"answer", "sound"}
        and type(trap["answer"]) in (int, str)
        and isinstance(trap.get("sound", ""), str)
        for trap in value
    )
    return (value if good else None), 'tables [[traps]] with answer = 2, and sound = "FILE.wav" perhaps'


def read_parameter(value: object) -> Read:
    """Read the name of a parameter in an address."""
    good = isinstance(value, str) and re.fullmatch(r"[\w.-]+", value)
    return (value if good else None), 'letters, digits, _ . and -, such as "PROLIFIC_PID"'


def read_link(value: object) -> Read:
    """Read the address of a page."""
    good = isinstance(value, str) and re.fullmatch(r"https?://[^\s\"<>]+", value)
    return (value if good else None), 'an address, such as "https://example.org/done?code={code}"'


def read_choice(kind: type[StrEnum]) -> Any:
    """Return a reader of the members of an enumeration."""

    def read(value: object) -> Read:
        return (kind(value) if value in list(kind) else None), f"one of {all_of(kind)}"

    return read
