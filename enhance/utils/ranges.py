"""Ranges of settings: one line that names the setting, what it may be, and what it was."""

import math
from collections.abc import Iterable


def check_ranges(config: object, names: Iterable[str], low: float, high: float = math.inf) -> None:
    """Check that settings, or all numbers of those that are lists, are from ``low`` to ``high``.

    Args:
        config: has the settings as attributes, numbers or tuples of them.
        names: of the settings.
        low, high: what they may be, both included.

    Raises:
        ValueError: one is not.

    Example:
        >>> from types import SimpleNamespace
        >>> check_ranges(SimpleNamespace(room=1.5), ["room"], 0, 1)
        Traceback (most recent call last):
        ValueError: room must be 0 to 1; got 1.5
    """
    allowed = f"{low} or more" if high == math.inf else f"{low} to {high}"
    for name in names:
        value = getattr(config, name)
        if not all(low <= number <= high for number in (value if isinstance(value, tuple) else (value,))):
            raise ValueError(f"{name} must be {allowed}; got {list(value) if isinstance(value, tuple) else value}")


def check_ordered(config: object, names: Iterable[str]) -> None:
    """Check that settings of two numbers, which say from where to where, have the lower one first.

    Raises:
        ValueError: one has not.
    """
    for name in names:
        low, high = getattr(config, name)
        if not low <= high:
            raise ValueError(f"{name} must be two numbers, the lower one first; got {[low, high]}")
