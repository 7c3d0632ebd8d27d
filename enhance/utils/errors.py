"""Errors with a message for a person: one clear line that says what came, what was expected and what to do.

All of them are a `MpeaceError`. `one_line` turns any exception, also those of the operating system, into such a line. A
`UsageError` stops the command before any file is touched, a `ModelError` before any is denoised (exit status 2); every
other `FileError` belongs to one file, and the rest of the batch goes on (exit status 1).
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import TextIO


class MpeaceError(Exception):
    """Base class of the errors that mpeace raises for what a person can mend. The message is one line."""


class ModelError(MpeaceError):
    """A model that is missing, damaged, or not what its registry or its metadata say."""


class DatasetError(MpeaceError):
    """A set of clean and noisy pairs that cannot be evaluated."""


class FileError(MpeaceError):
    """One file cannot be denoised. The message is one line, without the file's name in front."""


class UsageError(FileError):
    """The command cannot be started as it was asked for: nothing has been read or written."""


def one_line(error: BaseException) -> str:
    """Return the error as one line, as a person would say it.

    Example:
        >>> one_line(FileNotFoundError(2, "No such file or directory", "a.wav"))
        'no such file or directory'
        >>> one_line(ValueError("first\\nsecond"))
        'unexpected ValueError: first'
    """
    if isinstance(error, MpeaceError):
        return str(error)
    if isinstance(error, MemoryError):
        return "not enough memory"
    if isinstance(error, BrokenPipeError):
        return "the program that reads the output has closed it"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[:1].lower() + error.strerror[1:]
    first = next(iter(str(error).splitlines()), "")
    return f"unexpected {type(error).__name__}: {first}" if first else f"unexpected {type(error).__name__}"


def fail(program: str, error: BaseException | str) -> int:
    """Print an error as one line on standard error, begun with the program's name; return the exit status 1."""
    say(f"{program}: {' '.join(str(error).split())}")
    return 1


def say(text: str) -> None:
    """Print a line on standard error, as long as anything can be printed there: no file is lost for a full disk."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        silence(sys.stderr)


def silence(stream: TextIO) -> None:
    """Let a stream that nobody reads lead nowhere, so that what its buffer holds does not fail at the program's end."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def prepare_streams() -> None:
    """Let a program print whatever comes: names of files in other scripts, and with streams that are closed.

    Letters that the encoding of standard output lacks, as where Windows writes into a file, or that are none, as in
    names of files, are escaped there as on standard error.
    """
    _hold_closed_streams()
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def _hold_closed_streams() -> None:
    """Let standard streams that are closed, as by `2>&-`, lead nowhere; `sys.stdin` and `sys.stdout` stay None.

    Else words for standard error would go to standard output, and the next file would get the number 2, and with it
    what libraries write there.
    """
    if None not in (sys.stdin, sys.stdout, sys.stderr):
        return
    while (nowhere := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(nowhere, True)
    if sys.stderr is None:
        sys.stderr = os.fdopen(nowhere, "w", encoding="utf-8")
    else:
        os.close(nowhere)


@contextmanager
def problem_on_oserror(what: str, kind: type[FileError] = FileError) -> Iterator[None]:
    """Raise errors of the operating system as a `FileError` that begins with `what`, such as "cannot be read"."""
    try:
        yield
    except OSError as error:
        raise kind(f"{what}: {one_line(error)}") from error
