"""The TOML file of a listening test: its keys, their types, their defaults.

    title = "Speech through small autoencoders"
    method = "pairwise"            # "abx", "mushra", "acr", "dcr", "ccr" or "p835"
    seed = 1
    folder = "audio"               # beside this file
    systems = ["l1", "paper"]

Every key but `method` may be left out. An unknown key is refused, and the message names the known ones.
"""

import tomllib
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from apps.listen.design import values
from apps.listen.design.forms import Form, read_form
from apps.listen.design.values import all_of
from enhance.utils.errors import UsageError, problem_on_oserror

FILE = "listen.toml"  # looked for in a folder


class Method(StrEnum):
    """Name the way in which sounds are compared."""

    PAIRWISE = "pairwise"  # A, B, or no preference
    ABX = "abx"  # which of A and B is X?
    MUSHRA = "mushra"  # all systems, the hidden reference and anchors on one page, graded from 0 to 100
    ACR = "acr"  # the quality of one sound, in five grades (ITU-T P.800 Annex B, P.808)
    DCR = "dcr"  # how far a sound is degraded from the reference before it, in five grades (P.800 Annex D, P.808)
    CCR = "ccr"  # the second sound compared with the first, in seven grades (P.800 Annex E, P.808)
    P835 = "p835"  # speech, background and overall quality of one sound, in five grades each (P.835)


class Loudness(StrEnum):
    """Name the way in which sounds are matched in loudness (integrated loudness of ITU-R BS.1770-4)."""

    EACH = "bs1770"  # each sound is brought to `target_lufs`
    REFERENCE = "bs1770-reference"  # the gain that brings the reference to `target_lufs` is used for all of the page
    NONE = "none"  # sounds are played as they are


@dataclass(frozen=True)
class Trap:
    """Hold a question with a known answer (`apps.listen.design.traps`)."""

    answer: int | str
    sound: Path | None = None


@dataclass(frozen=True)
class TestSettings:
    """Hold the values of the TOML file; None and () stand for a missing key whose default depends on the folder.

    Attributes:
        path: the TOML file.
        folder: of the sounds; relative to the TOML file.
        sets: sets of the manifest; all when left out.
        systems: folders that are compared; those that all sets have when left out.
        pairs: pairs of systems for pairwise, ABX and CCR. When left out or "all": every two systems (pairwise), each
            system with the reference (ABX, CCR).
        reference: folder of the reference; when left out that of the manifest, or `reference`.
        items: how many items of each set (the first ones in an order drawn from the seed), or their names; all when 0.
        items_each: how many items of each set a listener gets, shared out evenly as listeners come; all when 0.
        repeats: how often each page comes.
        training: pages of practice before the test, whose answers are not kept.
        open_reference: whether a pairwise page has the reference to listen to.
        hidden_reference: ACR, DCR and P.835: whether the reference, where there is one, is graded as one more system.
        target_lufs: loudness in LUFS.
        anchors_hz: cut-off frequencies of the MUSHRA anchors, the lowest first.
        traps: questions with a known answer, each of them once for each listener.
        drop_failed: whether the analysis leaves out who failed a trap.
        id_from: name of the parameter in the page's address that has the listener's id, such as PROLIFIC_PID.
        completion_code: shown at the end; "auto" is another one for each listener.
        completion_link: where the last page leads, such as a crowd platform; {code} is filled in.
        question: asked on each page.
        texts: TOML file with what listeners read, where that is not English (`apps.listen.design.texts`).
        before: page of consent and questions before the test; None for none.
        after: page of questions after it.
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
    items_each: int = 0
    repeats: int = 1
    training: int = 1
    open_reference: bool = True
    hidden_reference: bool = True
    loudness: Loudness = Loudness.EACH
    target_lufs: float = -23.0
    anchors_hz: tuple[int, ...] = (3500, 7000)
    traps: tuple[Trap, ...] = ()
    drop_failed: bool = False
    id_from: str = "listener"
    completion_code: str = ""
    completion_link: str = ""
    question: str = ""
    instructions: str = ""
    texts: Path | None = None
    before: Form | None = None
    after: Form | None = None

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
        raise UsageError(f'{path} lacks method: one of {all_of(Method)}, for example method = "pairwise"')
    given: dict[str, Any] = {key: _value(path, key, value) for key, value in content.items()}
    given["folder"] = path.parent / given.get("folder", ".")
    given["traps"] = tuple(
        Trap(trap["answer"], path.parent / trap["sound"] if "sound" in trap else None)
        for trap in given.get("traps", ())
    )
    if "texts" in given:
        given["texts"] = path.parent / given["texts"]
    return TestSettings(path=path, **given)


def _value(path: Path, key: str, value: object) -> object:
    """Convert the value to its type; lists become tuples."""
    if key in ("before", "after"):
        try:
            return read_form(value)
        except ValueError as problem:
            raise UsageError(f"{path}: {key}: {problem}") from None
    result, expected = _READERS[key](value)
    if result is None:
        raise UsageError(f"{path}: {key} is {value!r}, expected {expected}")
    return result


_READERS = {
    "title": values.read_text,
    "method": values.read_choice(Method),
    "seed": values.read_whole(0, 2**31),
    "folder": values.read_path,
    "sets": values.read_names,
    "systems": values.read_names,
    "pairs": values.read_pairs,
    "reference": values.read_name,
    "items": values.read_items,
    "items_each": values.read_whole(0, 10_000),
    "repeats": values.read_whole(1, 100),
    "training": values.read_whole(0, 100),
    "open_reference": values.read_flag,
    "hidden_reference": values.read_flag,
    "loudness": values.read_choice(Loudness),
    "target_lufs": values.read_level,
    "anchors_hz": values.read_frequencies,
    "traps": values.read_traps,
    "drop_failed": values.read_flag,
    "id_from": values.read_parameter,
    "completion_code": values.read_text,
    "completion_link": values.read_link,
    "question": values.read_text,
    "instructions": values.read_text,
    "texts": values.read_file,
}
