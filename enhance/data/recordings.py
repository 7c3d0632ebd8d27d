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


def require_recordings(*folders: Path) -> list[Path]:
    """Return what :func:`find_recordings` finds, folder by folder.

    Raises:
        FileNotFoundError: there is no such folder or file.
        ValueError: there are no recordings in any of them.
    """
    found = [path for folder in folders for path in find_recordings(folder)]
    if not found:
        where = ", ".join(f"'{folder}'" for folder in folders)
        raise ValueError(f"no recordings in {where}: no file has a suffix of sound, such as .wav, .flac or .opus")
    return found
