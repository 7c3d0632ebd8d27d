"""Outputs kept as files in the layout that a blind listening test loads.

`OUT/audio/SET/SYSTEM/ITEM.flac` beside `OUT/audio/SET/reference/ITEM.flac`: the systems of a set are compared with
each other, item by item. `OUT/audio/manifest.json` says what the sets, systems and items are.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from enhance.utils.atomic import replacing, write_text
from enhance.utils.file_names import native_name

AUDIO, MANIFEST, REFERENCE = "audio", "manifest.json", "reference"


@dataclass(frozen=True)
class ListeningEntry:
    """A system in a set."""

    set_name: str
    about: dict[str, str | int]  # of the set
    system: str
    label: str


def write_outputs(
    set_name: str,
    system: str,
    references: Mapping[str, np.ndarray],
    outputs: Mapping[str, np.ndarray],
    sample_rate: int,
    out: Path,
) -> None:
    """Keep the output ``[time]`` of a system for each item, and the items themselves as the reference.

    FLAC of 24 bits; samples beyond full scale are clipped.
    """
    folder = out / AUDIO / set_name
    for name, output in outputs.items():
        _write(folder / system / f"{name}.flac", output, sample_rate)
        reference = folder / REFERENCE / f"{name}.flac"
        if not reference.exists():
            _write(reference, references[name], sample_rate)


def write_manifest(heard: Iterable[ListeningEntry], sample_rate: int, out: Path) -> Path:
    """Describe `OUT/audio`: for each set its reference, its systems with their labels, and its items."""
    sets: dict[str, dict[str, object]] = {}
    systems: dict[str, dict[str, str]] = {}
    for entry in heard:
        if not (out / AUDIO / entry.set_name / entry.system).is_dir():
            continue
        systems.setdefault(entry.set_name, {})[entry.system] = entry.label
        items = sorted(path.stem for path in (out / AUDIO / entry.set_name / REFERENCE).glob("*.flac"))
        sets[entry.set_name] = {
            **entry.about,
            "reference": REFERENCE,
            "systems": systems[entry.set_name],
            "items": items,
        }
    content = {"layout": "SET/SYSTEM/ITEM.flac", "sample_rate": sample_rate, "sets": sets}
    path = out / AUDIO / MANIFEST
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(content, indent=1) + "\n")
    return path


def _write(path: Path, audio: np.ndarray, sample_rate: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:  # several processes may write a reference at once
        soundfile.write(native_name(partial), np.clip(audio, -1.0, 1.0), sample_rate, subtype="PCM_24", format="FLAC")
