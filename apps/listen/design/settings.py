"""The TOML file of a listening test: its keys, their types, their defaults.

    title = "Speech through small autoencoders"
    method = "pairwise"            # or "abx" or "mushra"
    seed = 1
    folder = "audio"               # beside this file
    systems = ["l1", "paper"]

Every key but `method` may be left out. An unknown key is refused, and the message names the known ones.
"""

import tomllib
from dataclasses import dataclass, field, fields
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Any

from enhance.utils.errors import UsageError, problem_on_oserror

FILE = "listen.toml"  # looked for in a folder


class Method(StrEnum):
    """Name the way in which sounds are compared."""

    PAIRWISE = "pairwise"  # A, B, or no preference
    ABX = "abx"  # which of A and B is X?
    MUSHRA = "mushra"  # all systems, the hidden reference and anchors on one page, graded from 0 to 100


class Loudness(StrEnum):
    """Name the way in which sounds are matched in loudness (integrated loudness of ITU-R BS.1770-4)."""

    EACH = "bs1770"  # each sound is brought to `target_lufs`
    REFERENCE = "bs1770-reference"  # the gain that brings the reference to `target_lufs` is used for all of the page
    NONE = "none"  # sounds are played as they are


@dataclass(frozen=True)
class TestSettings:
    """Hold the values of the TOML file; None and () stand for a missing key whose default depends on the folder.

    Attributes:
        path: the TOML file.
        folder: of the sounds; relative to the TOML file.
        sets: sets of the manifest; all when left out.
        systems: folders that are compared; those that all sets have when left out.
        pairs: pairs of systems for pairwise and ABX. When left out: every two systems (pairwise), each system with the
            reference (ABX).
        reference: folder of the reference; when left out that of the manifest, or `reference`.
        items: how many items of each set (the first ones in an order drawn from the seed), or their names; all when 0.
        repeats: how often each page comes.
        training: pages of practice before the test, whose answers are not kept.
        open_reference: whether a pairwise page has the reference to listen to.
        target_lufs: loudness in LUFS.
        anchors_hz: cut-off frequencies of the MUSHRA anchors, the lowest first.
        question: asked on each page.
        instructions: on the first page, paragraphs separated by empty lines.
    """

    path: Path
    method: Method
    title: str = "Listening test"
    seed: int = 1
    folder: Path = field(default_factory=Path)
    sets: tuple[str, ...] = ()
    systems: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    reference: str | None = None
    items: int | tuple[str, ...] = 0
    repeats: int = 1
    training: int = 1
    open_reference: bool = True
    loudness: Loudness = Loudness.EACH
    target_lufs: float = -23.0
    anchors_hz: tuple[int, ...] = (3500, 7000)
    question: str = ""
    instructions: str = ""

    @property
    def answers(self) -> Path:
        """The SQLite file beside the TOML file."""
        return self.path.with_suffix(".sqlite")


KEYS = tuple(entry.name for entry in fields(TestSettings) if entry.name != "path")


def find_settings(path: Path) -> Path:
    """Return the TOML file itself, or `listen.toml` in a folder.

    Raises:
        UsageError: when there is none.
    """
    if path.is_dir():
        found = path / FILE
        if not found.is_file():
            raise UsageError(f"no {FILE} in {path}: write one with mpeace listen --new {path}")
        return found
    if not path.is_file():
        raise UsageError(f"no file {path}: expected the TOML file of a listening test, or the folder that holds it")
    return path


def read_settings(path: Path) -> TestSettings:
    """Read the TOML file of a test.

    Args:
        path: the file, or a folder with a `listen.toml`.

    Raises:
        UsageError: when it is missing, not TOML, or a key is unknown or has a value that it cannot have.
    """
    path = find_settings(path)
    with problem_on_oserror(f"{path} cannot be read", UsageError):
        text = path.read_bytes()
    try:
        content = tomllib.loads(text.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}") from None
    unknown = sorted(set(content) - set(KEYS))
    if unknown:
        raise UsageError(f"{path} has an unknown key {unknown[0]!r}; known are {', '.join(KEYS)}")
    if "method" not in content:
        raise UsageError(f'{path} lacks method: one of {_all(Method)}, for example method = "pairwise"')
    values: dict[str, Any] = {key: _value(path, key, value) for key, value in content.items()}
    values["folder"] = path.parent / values.get("folder", ".")
    return TestSettings(path=path, **values)


def _all(kind: type[StrEnum]) -> str:
    return ", ".join(f'"{member}"' for member in kind)


def _value(path: Path, key: str, value: object) -> object:
    """Convert the value to its type; lists become tuples."""
    result, expected = _READERS[key](value)
    if result is None:
        raise UsageError(f"{path}: {key} is {value!r}, expected {expected}")
    return result


_Read = tuple[object, str]  # the value, None when it is wrong; what is expected


def _text(value: object) -> _Read:
    return (value if isinstance(value, str) else None), "text in quotes"


def _name(value: object) -> _Read:
    return (value if isinstance(value, str) and value else None), "the name of a folder"


def _path(value: object) -> _Read:
    return (Path(value).expanduser() if isinstance(value, str) and value else None), "the name of a folder"


def _whole(least: int, most: int) -> Any:
    def read(value: object) -> _Read:
        good = type(value) is int and least <= value <= most
        return (value if good else None), f"a whole number from {least} to {most}"

    return read


def _names(value: object) -> _Read:
    good = isinstance(value, list) and value and all(isinstance(name, str) and name for name in value)
    unique = good and len(set(value)) == len(value)  # type: ignore[arg-type]
    return (tuple(value) if unique else None), 'different names, such as ["l1", "paper"]'  # type: ignore[arg-type]


def _items(value: object) -> _Read:
    if isinstance(value, list):
        return _names(value)
    return _whole(0, 10_000)(value)[0], "a whole number (0 for all) or a list of names"


def _pairs(value: object) -> _Read:
    expected = 'pairs of different names, such as [["l1", "paper"]]'
    if not isinstance(value, list) or not value:
        return None, expected
    pairs = [_names(pair)[0] for pair in value]
    good = all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs)
    once = good and len({frozenset(pair) for pair in value}) == len(value)
    return (tuple(pairs) if once else None), expected


def _flag(value: object) -> _Read:
    return (value if isinstance(value, bool) else None), "true or false"


def _level(value: object) -> _Read:
    good = isinstance(value, int | float) and not isinstance(value, bool) and -60 <= value <= -5
    return (float(value) if good else None), "a loudness from -60 to -5 LUFS"  # type: ignore[arg-type]


def _frequencies(value: object) -> _Read:
    good = (
        isinstance(value, list)
        and bool(value)
        and all(type(hertz) is int and 500 <= hertz <= 20_000 for hertz in value)
        and all(low < high for low, high in pairwise(value))
    )
    return (tuple(value) if good else None), "rising frequencies in Hz, such as [3500, 7000]"  # type: ignore[arg-type]


def _choice(kind: type[StrEnum]) -> Any:
    def read(value: object) -> _Read:
        return (kind(value) if value in list(kind) else None), f"one of {_all(kind)}"

    return read


_READERS = {
    "title": _text,
    "method": _choice(Method),
    "seed": _whole(0, 2**31),
    "folder": _path,
    "sets": _names,
    "systems": _names,
    "pairs": _pairs,
    "reference": _name,
    "items": _items,
    "repeats": _whole(1, 100),
    "training": _whole(0, 100),
    "open_reference": _flag,
    "loudness": _choice(Loudness),
    "target_lufs": _level,
    "anchors_hz": _frequencies,
    "question": _text,
    "instructions": _text,
}
