"""Files and folders that are whole or not there: written beside their place under another name, then renamed.

A rename within a folder is one step on every system, so a reader meets the old file or the new one, and processes that
write the same file at once do not meet at all: each has a name of its own, which begins with a dot.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Give a path to write to, which takes the place of `path` when the block ends, and is removed if it raises.

    Args:
        path: the file to make or to replace, in a folder that exists.
        durable: whether its bytes are on the disk before it takes the name, for what must outlive a power cut.

    Raises:
        OSError: the file system refuses.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "answer.txt"
        >>> with replacing(path) as partial:
        ...     _ = partial.write_text("42")
        >>> path.read_text(), partial.exists()
        ('42', False)
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield partial
        finish(partial, path, durable=durable)
    finally:
        with suppress(OSError):  # where nothing could be written, nothing can be removed
            partial.unlink()


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder to fill, which takes the place of `path` when the block ends, and is removed if it raises.

    Its name is always the same, so that what a process left that was killed is removed by the next one. So only one
    process at a time may do this: the caller holds a lock.

    Args:
        path: the folder to make or to replace, in a folder that exists.

    Raises:
        OSError: the file system refuses.
    """
    partial = path.with_name(f"{path.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        yield partial
        if path.exists():
            shutil.rmtree(path)
        partial.replace(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def finish(partial: Path, path: Path, *, durable: bool = False) -> None:
    """Let a file that is written take the name of `path`; `durable` as above."""
    if durable:
        with partial.open("r+b") as file:  # Windows flushes only what is open for writing
            os.fsync(file.fileno())
    partial.replace(path)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text in one step.

    Raises:
        OSError: the file system refuses.
    """
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes in one step.

    Raises:
        OSError: the file system refuses.
    """
    with replacing(path) as partial:
        partial.write_bytes(content)
