"""Names of files for libraries that are stricter than the system."""

import os
import sys
from pathlib import Path
from typing import Any


def printable(name: str) -> str:
    r"""Return a name for tables and terminals; what is not UTF-8 in it is written as its bytes.

    Example:
        >>> printable("caf\udce9")
        'caf\\xe9'
    """
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def native_name(path: Path) -> Any:
    """Return the name, text or bytes, by which soundfile opens any file: it refuses text that is not UTF-8."""
    return str(path) if sys.platform == "win32" else os.fsencode(path)
