"""Metadata of an ONNX file: what a model says about itself, parsed and checked."""

from __future__ import annotations

import json
from dataclasses import MISSING, dataclass, fields
from typing import Any

from enhance.utils.errors import ModelError, one_line

FORMAT_VERSION = "1"

_DIGITS = 18  # of a number in the metadata
_RANGES = {
    "sample_rate": (1000, 768_000),
    "window": (1, 1 << 17),
    "hop": (1, 1 << 16),
    "lookahead": (0, 1000),
    "ahead": (0, 1000),
    "block": (0, 10_000),
    "latency": (0, 1 << 20),
    "state_size": (1, 1 << 24),
    "parameters": (0, 10**_DIGITS),
    "macs_per_second": (0, 10**_DIGITS),
}
"""Least and most of each number in the metadata; memory is taken by them before the file has run."""


@dataclass(frozen=True)
class ModelInfo:
    """Metadata of an ONNX file; every key without a default is required."""

    mpeace_version: str  # that wrote the file
    format_version: str  # of inputs, outputs and metadata
    name: str
    sample_rate: int  # Hz
    window: int  # samples of the analysis window: the algorithmic latency, as a block has to be filled first
    hop: int  # samples; blocks are whole hops
    lookahead: int  # hops that the network looks ahead
    latency: int  # samples by which the file delays: output n belongs to input n - latency
    state_size: int  # float32 values per channel
    parameters: int
    macs_per_second: int  # multiply-accumulates per second of one channel
    training: dict[str, Any]  # dimensions, steps, seed, ...
    licence: str
    ahead: int = 0  # hops behind a block that a call is given to look at, and that come again in the next call
    block: int = 0  # hops that are denoised in a call; 0: any number, as the result does not depend on it

    @property
    def algorithmic_latency(self) -> int:
        """Samples from an input to its output when computing takes no time: `latency`, and what has to be filled."""
        return self.latency + (max(self.block, 1) + self.ahead) * self.hop

    @classmethod
    def from_metadata(cls, metadata: dict[str, str], source: str) -> ModelInfo:
        """Parse the metadata of an ONNX file; keys of others (exporters add some) are ignored.

        Raises:
            ModelError: naming `source` and the key that is missing or wrong.
        """
        values: dict[str, Any] = {}
        for field in fields(cls):
            if field.name not in metadata and field.default is not MISSING:
                values[field.name] = str(field.default)
                continue
            if field.name not in metadata:
                raise ModelError(f"{source} is not a model of mpeace: its metadata lack {field.name!r}")
            values[field.name] = metadata[field.name]
        if values["format_version"] != FORMAT_VERSION:
            raise ModelError(
                f"{source} has format version {values['format_version']!r}, this program reads {FORMAT_VERSION!r}: "
                "update mpeace or export the model again"
            )
        for key, (least, most) in _RANGES.items():
            text = values[key]
            if not text.isdecimal() or len(text) > _DIGITS or not least <= int(text) <= most:
                shown = text if len(text) <= 2 * _DIGITS else f"{text[:_DIGITS]}..."
                raise ModelError(f"{source}: metadata {key!r} is {shown!r}, expected a whole number, {least} to {most}")
            values[key] = int(text)
        if values["ahead"] and not values["block"]:
            raise ModelError(f"{source}: metadata 'ahead' is {values['ahead']}, but 'block' is 0")
        try:
            values["training"] = json.loads(values["training"])
        except (ValueError, RecursionError) as error:
            raise ModelError(f"{source}: metadata 'training' is not JSON: {one_line(error)}") from error
        if not isinstance(values["training"], dict):
            raise ModelError(f"{source}: metadata 'training' is not a JSON object")
        return cls(**values)
