"""How the commands of `python -m` run and end: with a status, and with one line for what a person did or can mend."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from enhance.utils.errors import fail, one_line, prepare_streams, say, silence


def run(program: str, main: Callable[[], int]) -> NoReturn:
    """Run a command and end the process with its status: 130 after Ctrl-C, 1 where its words could not be written.

    Args:
        program: what the line of an error begins with.
        main: the command; it returns its exit status.
    """
    prepare_streams()
    try:
        status = _status_of(main)
        _flush()  # what fails at the end of Python is no one line
    except KeyboardInterrupt:
        say(f"{program}: stopped")
        status = 130
    except OSError as error:
        status = fail(program, error if error.filename else one_line(error))
        try:
            _flush()
        except OSError:
            silence(sys.stdout)
    sys.exit(status)


def _status_of(main: Callable[[], int]) -> int:
    try:
        return main()
    except SystemExit as end:  # by argparse, or by rich where nobody reads on
        return int(end.code or 0)


def _flush() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


def wait_out(command: Sequence[str]) -> int:
    """Run another command, without its standard output; return its exit status.

    Raises:
        KeyboardInterrupt: after Ctrl-C, which a terminal sends to that command as well, when it has ended.
    """
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.wait()
            raise
