"""Answers on the disk: SQLite, written through before a call returns.

One file holds one test; it is bound to the test by a fingerprint of its design and its sounds, so that answers to two
versions of a test are never mixed. Pages are named by their keys (`apps.listen.design.page_order`), systems by their
own names.

Tables: `test` (one row), `listeners`, `answers` (one row a page; `content` is JSON, which SQLite can query), `drafts`
(what a listener has begun on a page), `forms` (answers to the pages before and after the test), and `keys` (digests of
what lets a listener go on).
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any

from enhance.utils.errors import UsageError

VERSION = 1  # of the tables
_KEYS = "CREATE TABLE IF NOT EXISTS keys (listener TEXT PRIMARY KEY, digest BLOB NOT NULL)"  # later than the others
_FORMS = """
CREATE TABLE IF NOT EXISTS forms (
    listener TEXT NOT NULL REFERENCES listeners, place TEXT NOT NULL, content TEXT NOT NULL, stored TEXT NOT NULL,
    PRIMARY KEY (listener, place)
)
"""  # later than the others

_TABLES = f"""
CREATE TABLE test (fingerprint TEXT NOT NULL, design TEXT NOT NULL, created TEXT NOT NULL);
CREATE TABLE listeners (
    listener TEXT PRIMARY KEY, playback TEXT, trained INTEGER NOT NULL DEFAULT 0, created TEXT NOT NULL
);
CREATE TABLE answers (
    listener TEXT NOT NULL REFERENCES listeners, page TEXT NOT NULL, set_name TEXT NOT NULL, item TEXT NOT NULL,
    repeat INTEGER NOT NULL, position INTEGER NOT NULL, content TEXT NOT NULL, seconds REAL, stored TEXT NOT NULL,
    PRIMARY KEY (listener, page)
);
CREATE TABLE drafts (
    listener TEXT NOT NULL REFERENCES listeners, page TEXT NOT NULL, content TEXT NOT NULL,
    PRIMARY KEY (listener, page)
);
PRAGMA user_version = {VERSION};
"""


@dataclass(frozen=True)
class Answer:
    """A page as it was answered.

    Attributes:
        content: pairwise: first, second, preferred (None for no preference); ABX: a, b, x, answered; MUSHRA: order,
            ratings; ACR, DCR and P.835: system, scores; CCR: first, second, scores. All by the names of systems. A trap
            of any: trap (its number), expected, given, passed.
        position: of the page in the order of the listener, from 1.
        seconds: that the listener took.
    """

    listener: str
    page: str
    set_name: str
    item: str
    repeat: int
    position: int
    content: dict[str, Any]
    seconds: float | None


@dataclass(frozen=True)
class Listener:
    """A listener: what the sound comes from, as he or she said, and pages of practice that are done."""

    playback: str | None
    trained: int


class Store:
    """The answers of a test. Safe to use from several threads, and to read while a test runs.

    Args:
        path: the SQLite file; made when missing.
        fingerprint: of the test.
        design: of the test, as it is stored in the file.

    Raises:
        UsageError: when the file is damaged, not ours, or holds answers to another test.
    """

    def __init__(self, path: Path, fingerprint: str, design: dict[str, Any]) -> None:
        self.path = path
        self._lock = Lock()
        try:
            self._base = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
            known = self._recognise()
            self._base.execute("PRAGMA journal_mode = WAL")
            self._base.execute("PRAGMA synchronous = FULL")  # an answer outlives a power cut, too
            self._base.execute("PRAGMA foreign_keys = ON")
            if not known:
                self._base.executescript(f"BEGIN; {_TABLES} COMMIT;")
            self._base.execute(_KEYS)
            self._base.execute(_FORMS)
            self._bind(fingerprint, design)
        except sqlite3.Error as error:
            raise UsageError(f"{path} cannot be used for answers: {error}") from None

    def _recognise(self) -> bool:
        """Return whether the file holds our tables; False when it is new."""
        (version,) = self._base.execute("PRAGMA user_version").fetchone()
        if version == VERSION:
            return True
        if version:
            raise UsageError(f"{self.path} was written by another version of mpeace (tables {version}): move it away")
        if self._base.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise UsageError(f"{self.path} is a database of something else: move it away")
        return False

    def _bind(self, fingerprint: str, design: dict[str, Any]) -> None:
        """Hold the file against the test; one without answers is taken for this test."""
        known = self._base.execute("SELECT fingerprint FROM test").fetchone()
        if known and known[0] != fingerprint and self._base.execute("SELECT count(*) FROM answers").fetchone()[0]:
            raise UsageError(
                f"{self.path} has answers to another version of this test (its TOML file or sounds have changed): "
                "undo the change, or move the file away to begin anew"
            )
        if not known or known[0] != fingerprint:
            with self._lock, self._base:
                self._base.execute("BEGIN")
                for table in ("test", "drafts", "keys", "forms", "listeners"):
                    self._base.execute(f"DELETE FROM {table}")
                self._base.execute("INSERT INTO test VALUES (?, ?, ?)", (fingerprint, json.dumps(design), _now()))

    def listener(self, listener: str) -> Listener:
        """Return a listener, who is entered if new."""
        self._write("INSERT OR IGNORE INTO listeners (listener, created) VALUES (?, ?)", listener, _now())
        playback, trained = self._rows("SELECT playback, trained FROM listeners WHERE listener = ?", listener)[0]
        return Listener(playback, trained)

    def number(self, listener: str) -> int:
        """Return how many listeners came before this one."""
        query = "SELECT count(*) FROM listeners WHERE rowid < (SELECT rowid FROM listeners WHERE listener = ?)"
        return self._rows(query, listener)[0][0]

    def key(self, listener: str, digest: bytes) -> bytes:
        """Return the digest of a listener's resume key; the one that is given becomes it if there was none."""
        self._write("INSERT OR IGNORE INTO keys VALUES (?, ?)", listener, digest)
        return self._rows("SELECT digest FROM keys WHERE listener = ?", listener)[0][0]

    def set_playback(self, listener: str, playback: str) -> None:
        """Store the playback device of a listener."""
        self._write("UPDATE listeners SET playback = ? WHERE listener = ?", playback, listener)

    def set_trained(self, listener: str, pages: int) -> None:
        """Store how many pages of practice are done."""
        self._write("UPDATE listeners SET trained = ? WHERE listener = ?", pages, listener)

    def answered(self, listener: str) -> set[str]:
        """Return the pages that the listener has answered."""
        return {page for (page,) in self._rows("SELECT page FROM answers WHERE listener = ?", listener)}

    def forms(self, listener: str) -> set[str]:
        """Return which pages of questions the listener has answered: "before", "after"."""
        return {place for (place,) in self._rows("SELECT place FROM forms WHERE listener = ?", listener)}

    def add_form(self, listener: str, place: str, content: dict[str, Any]) -> None:
        """Keep the answers to a page of questions."""
        kept = json.dumps(content, ensure_ascii=False)
        self._write("INSERT OR IGNORE INTO forms VALUES (?, ?, ?, ?)", listener, place, kept, _now())

    def draft(self, listener: str, page: str) -> dict[str, Any]:
        """Return what the listener has begun on a page; {} for nothing."""
        rows = self._rows("SELECT content FROM drafts WHERE listener = ? AND page = ?", listener, page)
        return json.loads(rows[0][0]) if rows else {}

    def set_draft(self, listener: str, page: str, content: dict[str, Any]) -> None:
        """Keep what the listener has begun."""
        self._write("INSERT OR REPLACE INTO drafts VALUES (?, ?, ?)", listener, page, json.dumps(content))

    def add(self, answer: Answer) -> None:
        """Keep an answer; when it returns, the answer is on the disk. The first answer to a page stands."""
        row = (answer.listener, answer.page, answer.set_name, answer.item, answer.repeat, answer.position)
        rest = (json.dumps(answer.content, ensure_ascii=False), answer.seconds, _now())
        with self._lock:
            self._base.execute("BEGIN IMMEDIATE")
            try:
                self._base.execute("INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row + rest)
                self._base.execute("DELETE FROM drafts WHERE listener = ? AND page = ?", row[:2])
                self._base.execute("COMMIT")
            except BaseException:
                self._base.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def _write(self, command: str, *values: object) -> None:
        with self._lock:
            self._base.execute(command, values)

    def _rows(self, query: str, *values: object) -> list[tuple]:
        with self._lock:
            return self._base.execute(query, values).fetchall()


def read_answers(path: Path) -> tuple[list[Answer], dict[str, str]]:
    """Read all answers in the order in which they came, and each listener's playback device. The file stays as it is.

    Raises:
        UsageError: when there is no such file, or it is not ours.
    """
    with _opened(path) as base:
        rows = base.execute(
            "SELECT listener, page, set_name, item, repeat, position, content, seconds FROM answers ORDER BY rowid"
        ).fetchall()
        playback = dict(base.execute("SELECT listener, coalesce(playback, '') FROM listeners").fetchall())
    answers = [
        Answer(listener, page, set_name, item, repeat, position, json.loads(content), seconds)
        for listener, page, set_name, item, repeat, position, content, seconds in rows
    ]
    return answers, playback


def read_forms(path: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """Read the answers to the pages of questions: listener and place, then the name of a question.

    Raises:
        UsageError: when there is no such file, or it is not ours.
    """
    with _opened(path) as base:
        if not base.execute("SELECT count(*) FROM sqlite_master WHERE name = 'forms'").fetchone()[0]:
            return {}
        rows = base.execute("SELECT listener, place, content FROM forms").fetchall()
    return {(listener, place): json.loads(content) for listener, place, content in rows}


def read_design(path: Path) -> dict[str, Any]:
    """Read the design of the test that the answers belong to.

    Raises:
        UsageError: when there is no such file, or it is not ours.
    """
    with _opened(path) as base:
        (design,) = base.execute("SELECT design FROM test").fetchone()
    return json.loads(design)


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a file of answers, to read only."""
    if not path.is_file():
        raise UsageError(f"no answers yet: {path} is written when the first listener comes")
    try:
        with closing(_reader(path)) as base:
            yield base
    except sqlite3.Error as error:
        raise UsageError(f"{path} holds no answers of a listening test: {error}") from None


def _reader(path: Path) -> sqlite3.Connection:
    """Connect to a file that is only read.

    SQLite wants to make two files beside it. Where it may not, the answers are read as they are: all of them are in the
    file itself if no server that runs, or was killed, has left a log beside it.
    """
    address = f"{path.absolute().as_uri()}?mode=ro"
    base = sqlite3.connect(address, uri=True, timeout=10)
    try:
        base.execute("PRAGMA schema_version")
    except sqlite3.OperationalError:
        base.close()
        if Path(f"{path}-wal").exists():
            raise
        base = sqlite3.connect(f"{address}&immutable=1", uri=True)
    return base


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
