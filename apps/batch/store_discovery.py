"""The input files that URLs name: single ones, folders and patterns in object stores.

One listing says all that is needed; nothing is read. So a file in a folder counts as a recording by its name alone.
"""

import glob
import os
from pathlib import PurePosixPath
from types import ModuleType

from apps.batch.discovery import Found
from enhance.io.content import names_recording
from enhance.io.remote.address import is_url, is_web, shown
from enhance.io.remote.store import Entry, Store
from enhance.io.task import Outcome
from enhance.utils.errors import FileError, UsageError


def find_in_store(url: str, leave_out: str | None, settled: list[Outcome], passed_over: list[str]) -> list[Found]:
    """Return the files that a URL stands for.

    Args:
        url: of a file or a folder, or a pattern.
        leave_out: the folder of the outputs: what is below it is no input.
        settled: outcomes of what is not there or cannot be listed are added here.
        passed_over: files in folders that are no sound and no video are added here.

    Raises:
        UsageError: what speaks to such a store is not installed.
    """
    store = Store(url)
    reason, items = "", []
    try:
        kind = store.kind(url)
        if kind == "file":
            items = [_named(store, url)]
        elif kind == "nothing" and glob.has_magic(url):
            reason = "no file matches this pattern"
            base = _fixed(store.path(url))
            items = _searched(store, store.matching(url), base, leave_out, settled, None)
        else:
            reason = "no sound files in this folder" if kind == "folder" else "there is no such bucket or file"
            entries = store.below(url)  # a folder without a file of its own may have some below it
            items = _searched(store, entries, store.path(url), leave_out, settled, passed_over)
    except UsageError:
        raise
    except FileError as error:
        reason = str(error)
    if not items:
        settled.append(Outcome(url, None, "failed", reason.removeprefix(f"{shown(url)} ")))
    return items


def _named(store: Store, url: str) -> Found:
    entry = store.entry(url)
    return _found(entry, "", searched=False, source=url if is_web(url) else entry.url)


def _found(entry: Entry, below: str, searched: bool, source: str = "") -> Found:
    return Found(source or entry.url, below, searched, entry.url, entry.modified, entry.size)


def _searched(
    store: Store,
    entries: list[Entry],
    base: str,
    leave_out: str | None,
    settled: list[Outcome],
    passed_over: list[str] | None,
) -> list[Found]:
    items, start = [], store.url(base)
    start = start if start.endswith("://") else start.rstrip("/") + "/"
    outputs = None if leave_out is None or passed_over is None else leave_out.rstrip("/") + "/"
    paths = None if leave_out is None or is_url(leave_out) else os.path
    for entry in entries:
        below = entry.url.removeprefix(start)
        folder, _, name = below.rpartition("/")
        parts = below.split("/")
        if (outputs and entry.url.startswith(outputs)) or any(part[:1] == "." and part.strip(".") for part in parts):
            continue
        if leads_elsewhere(parts, paths):
            reason = "its name would lead out of the folder of the outputs: name it by itself"
            settled.append(Outcome(entry.url, None, "failed", reason))
        elif passed_over is None or names_recording(PurePosixPath(name).suffix):
            items.append(_found(entry, folder, searched=True))
        else:
            passed_over.append(entry.url)
    return items


def leads_elsewhere(parts: list[str], paths: ModuleType | None) -> bool:
    """Return whether the parts of a key, joined to a folder, would be a name outside it or another one in it.

    Args:
        parts: folders and name.
        paths: `os.path` of the system that gets the outputs; None for a store.

    Example:
        >>> import ntpath
        >>> [leads_elsewhere(parts, None) for parts in (["a", "b.wav"], ["", "etc", "b.wav"], ["..", "b.wav"])]
        [False, True, True]
        >>> [leads_elsewhere([name], ntpath) for name in ("b.wav", "C:b.wav", "..\\\\b.wav")]
        [False, True, True]
    """
    if "" in parts[:-1] or ".." in parts or "." in parts:
        return True
    own = "" if paths is None else paths.sep + (paths.altsep or "")
    return paths is not None and any(paths.splitdrive(part)[0] or set(own) & set(part) for part in parts)


def _fixed(pattern: str) -> str:
    """Return what stands before the first part with a wildcard."""
    parts = pattern.split("/")
    magic = next(index for index, part in enumerate(parts) if glob.has_magic(part))
    return "/".join(parts[:magic])
