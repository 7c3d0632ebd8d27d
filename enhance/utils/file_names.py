"""Names of files for libraries that are stricter than the system."""

import os
import sys
from pathlib import Path
from typing import Any


def native_name(path: Path) -> Any:
    """Return the name, text or bytes, by which soundfile opens any file: it refuses text that is not UTF-8."""
    return str(path) if sys.platform == "win32" else os.fsencode(path)
