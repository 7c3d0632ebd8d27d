"""Who works with the demo at the moment: each person's sound in a folder of its own that nobody can guess.

A session ends when its page is closed, when it was idle for long, or when there are too many; its folder goes with it.
"""

import secrets
import shutil
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from apps.demo.limits import Limits
from apps.demo.pictures.plots import Drawing
from apps.demo.pictures.spectra import Analysis
from apps.demo.remix import CachedDenoiser
from enhance.io.task import Outcome
from enhance.runtime.strength import Strength
from enhance.utils.errors import FileError

_MANY = "many people came after you"
_REMEMBERED = 1000  # sessions whose files were removed


@dataclass
class DenoisedFile:
    """One denoised file of a session.

    Attributes:
        folder: holds everything of it.
        source: the input, under the name that the person gave it.
        cached: the network's output.
        outcome: of the first rendering, which ran the network.
        analysis: for the pictures.
        drawing: made of it last.
        gain: of the sound that the browser plays.
        delay_seconds: that live sound of this rate would have; None when the model is for files alone.
        strength: that the person wants now.
        version: counts the changes of the strength, so that the page can tell an older view from a newer one.
        written: the strength that the output on the disk has.
        busy: held while the output is written.
    """

    folder: Path
    source: Path
    cached: CachedDenoiser
    outcome: Outcome
    strength: Strength
    model: str
    analysis: Analysis | None = None
    drawing: Drawing | None = None
    gain: float = 1.0
    delay_seconds: float | None = None
    version: int = 0
    written: Strength | None = None
    busy: threading.Lock = field(default_factory=threading.Lock)

    @property
    def target(self) -> Path:
        """The output, named as `mpeace denoise` names it."""
        return self.folder / "out" / f"{self.source.stem}_denoised{self.source.suffix}"

    def again(self, folder: Path, strength: Strength) -> "DenoisedFile":
        """Return a copy in another folder, made by `new_folder`. Its output is not written yet."""
        for path in self.folder.iterdir():
            if path.is_file():
                shutil.copyfile(path, folder / path.name)
        source, cached = take(self.source, folder), self.cached.again(folder)
        return replace(
            self, folder=folder, source=source, cached=cached, strength=strength, written=None, busy=threading.Lock()
        )


@dataclass
class _Entry:
    work: DenoisedFile
    used: float


class Sessions:
    """The work of each session.

    Args:
        folder: for their folders.
        limits: how many, and for how long.
    """

    def __init__(self, folder: Path, limits: Limits) -> None:
        self._folder = folder
        self._limits = limits
        self._entries: dict[str, _Entry] = {}
        self._removed: dict[str, str] = {}  # session: why its file was removed, until another takes its place
        self._closed: dict[str, float] = {}  # session: when its page was closed, time.monotonic()
        self._lock = threading.Lock()

    def new_folder(self) -> Path:
        """Make a folder for one file of a session."""
        return new_folder(self._folder)

    def put(self, session: str, work: DenoisedFile, begun: float | None = None) -> None:
        """Let a session work with another file; what it had is removed.

        Args:
            session: its name.
            work: is removed at once if the page was closed while it was made.
            begun: when that was begun, time.monotonic(); now when None.
        """
        now = time.monotonic()
        with self._lock:
            gone = [self._entries.pop(session, None)]
            self._removed.pop(session, None)
            if self._closed.get(session, -float("inf")) < (now if begun is None else begun):
                self._entries[session] = _Entry(work, now)
            else:
                gone.append(_Entry(work, now))
            gone += self._outdated()
        self._remove(gone)

    def get(self, session: str) -> DenoisedFile | None:
        """Return the file that a session works with; None when it has none, or it was removed."""
        with self._lock:
            gone = self._outdated()
            entry = self._entries.get(session)
            if entry is not None:
                entry.used = time.monotonic()
        self._remove(gone)
        return None if entry is None else entry.work

    def why_removed(self, session: str) -> str:
        """Return why the file of a session is not there any more; empty when it is, or never was."""
        with self._lock:
            return self._removed.get(session, "")

    def drop(self, session: str) -> None:
        """Remove what belongs to a page that was closed."""
        now = time.monotonic()
        with self._lock:
            since = now - self._limits.idle_seconds
            self._closed = {name: closed for name, closed in self._closed.items() if closed > since} | {session: now}
            self._removed.pop(session, None)
            gone = [self._entries.pop(session, None), *self._outdated()]
        self._remove(gone)

    def sweep(self) -> None:
        """Remove what was idle for long."""
        with self._lock:
            gone = self._outdated()
        self._remove(gone)

    def _outdated(self) -> list[_Entry | None]:
        """Take out the sessions that are idle, and the longest idle ones of too many."""
        by_use = sorted(self._entries, key=lambda session: self._entries[session].used, reverse=True)
        oldest = time.monotonic() - self._limits.idle_seconds
        gone: list[_Entry | None] = []
        for place, session in enumerate(by_use):
            idle = self._entries[session].used < oldest
            if not idle and place < self._limits.sessions:
                continue
            reason = f"it was not used for {self._limits.idle_seconds / 60:.0f} minutes" if idle else _MANY
            gone.append(self._entries.pop(session))
            self._removed[session] = f"Your sound is not held any more, since {reason}: open it again."
        while len(self._removed) > _REMEMBERED:
            del self._removed[next(iter(self._removed))]
        return gone

    def _remove(self, entries: list[_Entry | None]) -> None:
        for entry in entries:
            if entry is not None:
                shutil.rmtree(entry.work.folder, ignore_errors=True)


def new_folder(parent: Path) -> Path:
    """Make a folder with a name of 128 random bits that only this program can read."""
    folder = parent / secrets.token_hex(16)
    folder.mkdir(parents=True, mode=0o700)
    (folder / "in").mkdir()
    (folder / "out").mkdir()
    return folder


def take(upload: Path, folder: Path) -> Path:
    """Copy an upload under its name: the upload may then be removed, or sent again by somebody else.

    Raises:
        FileError: when it is gone.
    """
    own = folder / "in" / upload.name
    try:
        shutil.copyfile(upload, own)
    except FileNotFoundError:
        raise FileError("the upload is not there any more: send it again") from None
    return own
