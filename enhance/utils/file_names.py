"""Names of files for libraries that are stricter than the system."""

import os
import sys
from pathlib import Path


def native_name(path: Path) -> str | bytes:
    """Return the name by which soundfile opens any file: it refuses text with bytes that are not UTF-8."""
    return str(path) if sys.platform == "win32" else os.fsencode(path)
