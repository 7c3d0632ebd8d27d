"""Which files below a folder are recordings."""

from pathlib import Path

from enhance.data.decoding import SUFFIXES


def find_recordings(folder: Path) -> list[Path]:
    """Return the recordings below a folder, sorted by path; a file stands for itself.

    Hidden files and folders are left out: macOS puts a `._name.wav` that is no sound beside each file that it copies
    to another system's disk.

    Raises:
        FileNotFoundError: there is no such folder or file.
    """
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        raise FileNotFoundError(f"no such folder of recordings: '{folder}'")
    paths = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    return sorted(path for path in paths if not any(part[0] == "." for part in path.relative_to(folder).parts))


def require_recordings(folder: Path) -> list[Path]:
    """Return what :func:`find_recordings` finds.

    Raises:
        FileNotFoundError: there is no such folder or file.
        ValueError: there are none in it.
    """
    found = find_recordings(folder)
    if not found:
        raise ValueError(f"no recordings in '{folder}'")
    return found
