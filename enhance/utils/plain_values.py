"""Configurations from plain values, as JSON and checkpoints hold them."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

Configuration = TypeVar("Configuration")


def from_plain(kind: type[Configuration], values: Mapping[str, Any], called: str) -> Configuration:
    """Return a configuration with these values; lists become tuples.

    Args:
        kind: the dataclass.
        values: of its fields, by their names.
        called: what a field is called in messages.

    Raises:
        ValueError: a key is no field; or what the dataclass itself refuses.
    """
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            raise ValueError(f"unknown {called} {key!r}; known are: {', '.join(known)}")
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})
