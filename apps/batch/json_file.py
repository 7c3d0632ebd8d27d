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


def check_place(path: Path, option: str, suffixes: tuple[str, ...]) -> None:
    """Refuse a path that cannot be written to, before the work begins.

    Args:
        path: what was named.
        option: that names it.
        suffixes: of the files that the option writes.

    Raises:
        UsageError: it has another suffix, its folder is not there, or it is there and is no file.
    """
    if path.suffix.lower() not in suffixes:
        raise UsageError(f"{option} {path}: expected a file whose name ends in {' or '.join(suffixes)}")
    with problem_on_oserror(f"{option} {path} cannot be written", UsageError):
        if not stat.S_ISDIR(mode_of(path.absolute().parent)):
            raise UsageError(f"{option} {path} cannot be written: there is no such folder")
        if stat.S_IFMT(mode_of(path)) not in (0, stat.S_IFREG):
            raise UsageError(f"{option} {path} cannot be written: it is there and is no file")


def read_former(path: Path, option: str, *keys: str) -> dict[str, Any]:
    """Return what the option wrote into this file before; nothing when there is no file, or an empty one.

    Args:
        path: of the file.
        option: that names it.
        keys: by which its own files are known.

    Raises:
        UsageError: there is a file, and it is none that this option wrote.
    """
    try:
        if not path.exists() or not path.stat().st_size:
            return {}
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.keys() >= set(keys):
            return content
    except OSError as error:
        raise UsageError(f"{option} {path}: {one_line(error)}") from None
    except (ValueError, AttributeError, RecursionError):  # no text, no JSON, no object
        pass
    raise UsageError(f"{option} {path}: this file was not written by this option; name another")


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
