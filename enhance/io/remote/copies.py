"""Files of stores as files of this machine, for as long as the work takes.

A decoder, a tag reader and an encoder each want a real file. So an input is copied into a folder of its own under the
system's folder for temporary files (`TMPDIR`), one input for each process that works, and is removed when it is done.
An output is written there too and sent when it is whole: what is there under its name changes in one step, at the end.
"""

import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath

from enhance.io.remote.address import file_name, is_url, is_web, shown
from enhance.io.remote.store import Store
from enhance.io.remote.store_errors import store_errors
from enhance.io.task import PARTIAL, Task
from enhance.utils.errors import FileError, problem_on_oserror
from enhance.utils.interrupt import Stopper

_BLOCK = 8 * 2**20  # bytes of one request; S3 takes parts from 5 MiB on
_LONGEST_SUFFIX = 20
_FRESH = 60.0  # seconds between two signs of life in a folder of copies
_UNWRITTEN = "its copy on this machine cannot be written"
_MOST_PARTS = 9000  # S3 takes 10,000


def new_spool() -> str:
    """Return the path of a folder for local copies, which is made when it is needed."""
    return str(Path(tempfile.gettempdir(), f".{secrets.token_hex(6)}{PARTIAL}"))


def local_name(url: str) -> str:
    """Return the name of a local copy: by its suffix formats are known, and the rest may be too long for a disk.

    Example:
        >>> local_name("s3://bucket/a/talk.wav"), local_name("https://host/talk.mp4?x=1"), local_name("s3://b/a")
        ('copy.wav', 'copy.mp4', 'copy')
    """
    suffix = PurePosixPath(file_name(url)).suffix
    return f"copy{suffix}" if len(suffix) < _LONGEST_SUFFIX else "copy"


@contextmanager
def local_copies(task: Task, stopper: Stopper, on_bytes: Callable[[], object]) -> Iterator[Task]:
    """Give the same task between files of this machine, and send the output when the block ends well.

    Args:
        task: with a `spool`.
        stopper: looked at between two blocks.
        on_bytes: called after each block that came or went.

    Raises:
        FileError: a store cannot be read or written; nothing is left in it.
    """
    spool = Path(task.spool)
    source, target, partial = task.source, task.target, task.partial
    try:
        spool.mkdir(mode=0o700)
        (spool / "in").mkdir()
        if is_url(source):
            source = str(spool / "in" / local_name(source))
            download(task.source, Path(source), stopper, on_bytes)
        if is_url(target):
            target = str(spool / local_name(target))
            partial = str(spool / PARTIAL)
        yield replace(task, source=source, target=target, partial=partial, spool="")
        if is_url(task.target):
            upload(Path(target), task.target, stopper, on_bytes)
    finally:
        shutil.rmtree(spool, ignore_errors=True)


def with_signs_of_life(spool: str, call: Callable[..., object]) -> Callable[..., object]:
    """Return a function that does the same, and touches a folder of copies once a minute.

    Else a run beside this one would take it for left behind, and remove it, while a long input is only read.
    """
    last = time.monotonic()

    def calls(*values: object) -> object:
        nonlocal last
        if time.monotonic() - last >= _FRESH:
            last = time.monotonic()
            with suppress(OSError):
                os.utime(spool)
        return call(*values)

    return calls


def download(url: str, target: Path, stopper: Stopper, on_bytes: Callable[[], object]) -> None:
    """Copy a file of a store into a new file of this machine.

    Raises:
        FileError: it cannot be read, does not fit onto the disk, or is replaced meanwhile; the message has no URL.
    """
    try:
        _download(url, target, stopper, on_bytes)
    except FileError as error:
        name = shown(url)
        raise FileError(str(error).removeprefix(f"{name}: ").removeprefix(f"{name} ")) from None


def _download(url: str, target: Path, stopper: Stopper, on_bytes: Callable[[], object]) -> None:
    store = Store(url)
    before = store.entry(url)
    if before.size > shutil.disk_usage(target.parent).free:
        raise FileError(
            f"{before.size / 1e9:.1f} GB do not fit into {tempfile.gettempdir()}; TMPDIR names another folder"
        )
    part = 0 if is_web(url) else _BLOCK  # not every web server answers with parts: one request, read as it comes
    with problem_on_oserror(_UNWRITTEN), target.open("wb") as copy:
        with (
            store_errors("cannot be read", url),
            store.files.open(store.path(url), "rb", block_size=part, cache_type="none") as file,
        ):
            while block := file.read(_BLOCK):
                stopper.check()
                with problem_on_oserror(_UNWRITTEN):
                    copy.write(block)
                on_bytes()
        came = copy.tell()
    after = store.entry(url)
    if after.version != before.version or after.size != before.size:
        raise FileError(f"{shown(url)} was replaced while it was read; the same command reads the new one")
    if before.size and came != before.size:
        raise FileError(f"{shown(url)} cannot be read: {came} of {before.size} bytes came")


def upload(source: Path, url: str, stopper: Stopper, on_bytes: Callable[[], object]) -> None:
    """Send a file: it appears under its URL when all of it has arrived, or not at all.

    Raises:
        FileError: it cannot be written; the parts that were sent are taken back.
    """
    store, size = Store(url), source.stat().st_size
    if size <= _BLOCK:  # one request, which is done or not
        stopper.check()
        with store_errors("cannot be written", url):
            store.files.pipe_file(store.path(url), source.read_bytes())
        on_bytes()
        return
    with store_errors("cannot be written", url), source.open("rb") as file, store.files.transaction:
        part = max(_BLOCK, size // _MOST_PARTS)
        sent = store.files.open(store.path(url), "wb", block_size=part)
        try:
            while block := file.read(_BLOCK):
                stopper.check()
                sent.write(block)
                on_bytes()
            stopper.check()
            sent.close()
        except BaseException:
            with suppress(AttributeError):  # what needs no such care does not let itself be closed so
                sent.closed = True  # or it would send the rest when it is collected
            raise


def discard(task: Task) -> None:
    """Remove what a process that died has left of a task."""
    with suppress(OSError):
        if task.partial:
            Path(task.partial).unlink()
    if task.spool:
        shutil.rmtree(task.spool, ignore_errors=True)
