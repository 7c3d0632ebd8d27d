"""The folder of sounds: sets of systems that made something of the same items.

Two layouts are read. With a `manifest.json`, as the experiments of this project write it
(`emulator.evidence.listening_files`):

    {"layout": "SET/SYSTEM/ITEM.flac",
     "sets": {"speech-16": {"reference": "reference", "systems": {"l1": "plain l1"}, "items": ["talk"]}}}

and without one: `FOLDER/SYSTEM/ITEM.wav`, where each folder of sounds is a system; they make one set.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from enhance.utils.errors import UsageError, problem_on_oserror

MANIFEST, REFERENCE = "manifest.json", "reference"
USUAL_REFERENCES = (REFERENCE, "ref", "clean", "target", "original")  # folders, in any case, in the order of preference
PLAIN_SET = "all"  # the set of a folder without manifest
SUFFIXES = (".flac", ".wav", ".ogg", ".aiff", ".aif", ".mp3", ".opus")


@dataclass(frozen=True)
class SoundSet:
    """Systems and the items that each of them has.

    Attributes:
        name: of the set.
        reference: name of the folder that holds the reference; it may be missing in a folder without manifest.
        labels: name of each system: how people call it. The reference is none of them.
        items: names of the items, sorted.
        files: (system or reference, item): the sound.
        left_out: items of a folder without manifest that not every system has, sorted.
    """

    name: str
    reference: str
    labels: dict[str, str]
    items: tuple[str, ...]
    files: dict[tuple[str, str], Path]
    left_out: tuple[str, ...] = ()


def read_corpus(folder: Path, reference: str | None = None, traps: Collection[Path] = ()) -> dict[str, SoundSet]:
    """Return the sets of a folder by name, in the order of the manifest.

    Args:
        folder: of the sounds.
        reference: folder of the reference, if it is not the one that the manifest names or one of USUAL_REFERENCES.
        traps: sounds of traps. Without manifest, a folder that has one of them and no item of another is no system.

    Raises:
        UsageError: when the folder or what the manifest names is missing.
    """
    if not folder.is_dir():
        raise UsageError(f"no folder {folder}: folder names where the sounds are, relative to the TOML file")
    path = folder / MANIFEST
    if not path.is_file():
        return {PLAIN_SET: _plain(folder, reference, {sound.resolve().parent for sound in traps})}
    with problem_on_oserror(f"{path} cannot be read", UsageError):
        text = path.read_bytes()
    try:
        content = json.loads(text)
        layout = str(content.get("layout", "SET/SYSTEM/ITEM.flac"))
        sets = {str(name): _described(folder, layout, str(name), entry, reference) for name, entry in _sets(content)}
    except (ValueError, KeyError, TypeError, AttributeError):
        example = '{"sets": {NAME: {"systems": {NAME: LABEL}, "items": [NAME]}}}'
        raise UsageError(f"{path} is not a manifest of a listening test; expected {example}") from None
    if not sets:
        raise UsageError(f"{path} names no set")
    return sets


def _sets(content: dict) -> list[tuple[str, dict]]:
    return list(content["sets"].items())


def _described(folder: Path, layout: str, name: str, entry: dict, reference: str | None) -> SoundSet:
    """Return a set as its entry in the manifest describes it."""
    original = reference or str(entry.get("reference", REFERENCE))
    labels = {str(system): str(label) for system, label in entry["systems"].items() if system != original}
    items = tuple(sorted(map(str, entry["items"])))
    files = {}
    for system in (original, *labels):
        for item in items:
            file = folder / _place(layout, name, system, item)
            if not file.is_file():
                raise UsageError(f"{folder / MANIFEST} names {file}, which is not there")
            files[system, item] = file
    return SoundSet(name, original, labels, items, files)


def _place(layout: str, name: str, system: str, item: str) -> str:
    """Fill in a path of the layout, part by part, since a name may hold the word ITEM itself."""
    stem, dot, suffix = layout.rpartition(".")
    words = {"SET": name, "SYSTEM": system, "ITEM": item}
    return "/".join(words.get(part, part) for part in stem.split("/")) + dot + suffix


def _plain(folder: Path, wanted: str | None, trapped: set[Path]) -> SoundSet:
    """Take each subfolder with sounds as a system, and as items those that all of them have."""
    found: dict[str, dict[str, Path]] = {}
    for subfolder in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        sounds: dict[str, Path] = {}
        for path in sorted(subfolder.iterdir()):
            if path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
                if path.stem in sounds:
                    raise UsageError(f"{sounds[path.stem]} and {path} are both the item {path.stem!r}: move one away")
                sounds[path.stem] = path
        if sounds:
            found[subfolder.name] = sounds
    for name in [name for name in found if (folder / name).resolve() in trapped]:
        if all(found[name].keys().isdisjoint(sounds) for other, sounds in found.items() if other != name):
            del found[name]
    if not found:
        raise UsageError(f"{folder} has neither a {MANIFEST} nor folders of sounds; expected FOLDER/SYSTEM/ITEM.wav")
    items = sorted(set.intersection(*(set(sounds) for sounds in found.values())))
    if not items:
        raise UsageError(f"the folders in {folder} share no item: a sound needs the same name in each of them")
    known = {name.lower(): name for name in found}
    reference = wanted or next((known[name] for name in USUAL_REFERENCES if name in known), REFERENCE)
    files = {(system, item): sounds[item] for system, sounds in found.items() for item in items}
    labels = {system: system for system in found if system != reference}
    left_out = sorted(set.union(*(set(sounds) for sounds in found.values())) - set(items))
    return SoundSet(PLAIN_SET, reference, labels, tuple(items), files, tuple(left_out))
