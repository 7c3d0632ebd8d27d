"""Settings of the training commands: ``KEY=VALUE`` pairs for fields of frozen dataclasses, and their listing."""

import inspect
import json
import math
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, get_args, get_type_hints

from enhance.utils.errors import silence


def apply_settings(configs: Sequence[Any], pairs: Sequence[str]) -> list[Any]:
    """Return frozen dataclasses with each ``KEY=VALUE`` (a JSON value) applied to the first one that has the key.

    Raises:
        ValueError: a key is unknown or a value has the wrong type.

    Example:
        >>> from enhance.training.schedule import TrainConfig
        >>> apply_settings([TrainConfig()], ["steps=5"])[0].steps
        5
    """
    changes: list[dict[str, Any]] = [{} for _ in configs]
    for pair in pairs:
        key, _, text = pair.partition("=")
        owners = [i for i, config in enumerate(configs) if key in asdict(config)]
        if not owners:
            raise ValueError(f"unknown setting {key!r}; --list shows all")
        before = getattr(configs[owners[0]], key)
        try:
            value = json.loads(
                text, parse_float=finite, parse_constant=lambda name: None
            )  # NaN and Infinity are no JSON
        except ValueError:
            value = None
        if isinstance(before, float) and type(value) is int:
            value = float(value)
        if isinstance(before, tuple) and isinstance(value, list):
            value = elements(value, type(configs[owners[0]]), key)
        if type(value) is not type(before):
            raise ValueError(f"setting {key} needs a value like {json.dumps(before)}; got {text!r}")
        changes[owners[0]][key] = value
    return [replace(config, **change) for config, change in zip(configs, changes, strict=True)]


def finite(text: str) -> float | None:
    """Return a number; None where it is too large for one.

    Example:
        >>> finite("2.5"), finite("1e999")
        (2.5, None)
    """
    return value if math.isfinite(value := float(text)) else None


def elements(values: list[Any], config: type, key: str) -> tuple[Any, ...] | None:
    """Return a list as the tuple that a field of a dataclass wants; None where number or type of its elements differ.

    Example:
        >>> from enhance.training.loss import LossConfig
        >>> elements([512, 2048, 64], LossConfig, "more_windows"), elements([0.5], LossConfig, "more_windows")
        ((512, 2048, 64), None)
    """
    wanted = get_args(get_type_hints(config)[key])
    if wanted[1:] == (...,):
        wanted = (wanted[0],) * len(values)
    if len(values) != len(wanted):
        return None
    made = tuple(float(v) if kind is float and type(v) is int else v for v, kind in zip(values, wanted, strict=True))
    return made if all(type(v) is kind for v, kind in zip(made, wanted, strict=True)) else None


def print_settings(configs: Sequence[Any]) -> None:
    """Print every setting as ``KEY=VALUE``, with what it means; a line above says what each group sets."""
    groups = []
    for config in configs:
        meanings = comments(type(config))
        about = (type(config).__doc__ or "").partition("\n")[0]
        lines = ["# " + re.sub(r":\w+:`([^`]+)`", r"\1", about)]
        for key, value in asdict(config).items():
            setting = f"{key}={json.dumps(value)}"
            lines.append(f"{setting:<28} # {meanings[key]}" if meanings.get(key) else setting)
        groups.append("\n".join(lines))
    try:
        print("\n\n".join(groups), flush=True)
    except BrokenPipeError:  # by `| head`
        silence(sys.stdout)


def comments(config: type) -> dict[str, str]:
    """Return the comment beside or above each field of a dataclass, read from its source.

    Example:
        >>> from enhance.training.schedule import TrainConfig
        >>> comments(TrainConfig)["steps"]
        'updates of the weights'
    """
    source = inspect.getsource(config)
    above = re.findall(r"^    # (.+)\n    (\w+): ", source, flags=re.MULTILINE)
    return {key: text for text, key in above} | dict(
        re.findall(r"^    (\w+): .*?  # (.+)$", source, flags=re.MULTILINE)
    )


def plain(config: Any) -> dict[str, Any]:
    """Return a frozen dataclass as values that a checkpoint and JSON give back unchanged."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(config).items()}
