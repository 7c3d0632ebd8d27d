"""JSON files for programs, such as `--report`: their place is looked at first, and they are written in one step."""

import json
import re
import stat
from pathlib import Path
from typing import Any

from apps.batch.identity import mode_of
from enhance.utils.atomic import write_text
from enhance.utils.errors import UsageError, one_line, problem_on_oserror

_UNDECODABLE = re.compile("[\ud800-\udfff]")  # bytes of a name that is not UTF-8, as Python holds them (PEP 383)


def check_place(path: Path, option: str) -> None:
    """Refuse a path that cannot be written to, before the work begins.

    Raises:
        UsageError: its folder is not there.
    """
    with problem_on_oserror(f"{option} {path} cannot be written", UsageError):
        if not stat.S_ISDIR(mode_of(path.absolute().parent)):
            raise UsageError(f"{option} {path} cannot be written: there is no such folder")


def escaped(text: str) -> str:
    """Return JSON with escapes for the bytes of names that are not UTF-8."""
    return _UNDECODABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def write_json(path: Path, content: Any, option: str) -> None:
    """Write values as JSON.

    Bytes of a name that is not UTF-8 are written as the escapes \\udc80 to \\udcff; `os.fsencode` of what a JSON
    reader makes of them is the name.

    Raises:
        UsageError: when it cannot be written.
    """
    text = escaped(json.dumps(content, indent=2, ensure_ascii=False)) + "\n"
    try:
        write_text(path, text)
    except OSError as error:
        raise UsageError(f"{option} {path} cannot be written: {one_line(error)}") from error
