"""Sets of clean and noisy pairs: a folder with `clean/` and `noisy/` that hold mono files of the same names."""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from enhance.utils.errors import DatasetError
from enhance.utils.file_names import native_name

Audio = NDArray[np.float32]


def find_pairs(folder: Path) -> list[tuple[Path, Path]]:
    """Return pairs (clean, noisy) of a set, sorted by name.

    Raises:
        DatasetError: if a folder is missing or empty, a file has no partner, or :func:`check_headers` raises it.
    """
    names: dict[str, set[str]] = {}
    for part in ("clean", "noisy"):
        if not (folder / part).is_dir():
            raise DatasetError(f"{folder}: expected the folders clean/ and noisy/ in it, found no {part}/")
        names[part] = {path.name for path in (folder / part).iterdir() if path.is_file() and path.name[0] != "."}
    for part, other in (("clean", "noisy"), ("noisy", "clean")):
        if alone := sorted(names[part] - names[other]):
            more = f" and {len(alone) - 1} more" if len(alone) > 1 else ""
            raise DatasetError(f"{folder / part / alone[0]}{more}: no file of the same name in {other}/")
    if not names["clean"]:
        raise DatasetError(f"{folder}: expected pairs of files in clean/ and noisy/, found none")
    pairs = [(folder / "clean" / name, folder / "noisy" / name) for name in sorted(names["clean"])]
    for pair in pairs:  # before hours of work, not in the middle of them
        check_headers(*pair)
    return pairs


def names_of(pairs: Sequence[tuple[Path, Path]]) -> list[str]:
    """Return the names of pairs in rows: without suffixes, unless two would have the same, as `a.wav` and `a.flac`.

    Example:
        >>> names_of([(Path("clean/a.wav"), Path("noisy/a.wav")), (Path("clean/b.wav"), Path("noisy/b.wav"))])
        ['a', 'b']
        >>> names_of([(Path("clean/a.wav"), Path("noisy/a.wav")), (Path("clean/a.flac"), Path("noisy/a.flac"))])
        ['a.wav', 'a.flac']
    """
    stems = [clean.stem for clean, _ in pairs]
    return stems if len(set(stems)) == len(stems) else [clean.name for clean, _ in pairs]


def check_same_files(finished: Collection[str], pairs: Sequence[tuple[Path, Path]], where: Path) -> None:
    """Check that a set still has the files that finished rows are of: rows of others cannot be compared with them.

    Args:
        finished: names of files in the rows, as `names_of` gives them; none where nothing is finished.
        pairs: of the set.
        where: the folder of the rows.

    Raises:
        ValueError: there are others.
    """
    if finished and (others := {*finished} ^ {*names_of(pairs)}):
        raise ValueError(
            f"the runs in {where} were scored on other files than the set has now ('{min(others)}' is in one of them "
            "alone); name another folder by --out"
        )


def check_estimates(folder: Path, pairs: list[tuple[Path, Path]]) -> None:
    """Check that a folder has an estimate for each pair, a file of the same name, rate and length.

    Raises:
        DatasetError: if the folder or a file is missing, or :func:`check_headers` raises it.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder}: expected a folder of estimates, found none")
    if missing := [clean.name for clean, _ in pairs if not (folder / clean.name).is_file()]:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise DatasetError(f"{folder / missing[0]}{more}: no estimate of this file of the set")
    for clean, _ in pairs:
        check_headers(clean, folder / clean.name)


def check_headers(clean: Path, other: Path) -> None:
    """Check what two files say of themselves.

    Raises:
        DatasetError: if a file cannot be read, is empty, is not mono, or differs from its partner in rate or length.
    """
    found: list[tuple[int, int]] = []
    for path in (clean, other):
        try:
            info = soundfile.info(native_name(path))
        except soundfile.LibsndfileError as error:
            raise DatasetError(f"{path}: cannot be read ({error.error_string})") from error
        if info.channels != 1:
            raise DatasetError(f"{path}: expected one channel, got {info.channels}")
        if not info.frames:
            raise DatasetError(f"{path}: expected a recording, got an empty one")
        found.append((info.frames, info.samplerate))
    if found[0] != found[1]:
        sizes = [f"{frames} samples at {rate} Hz" for frames, rate in found]
        raise DatasetError(f"{other}: expected what its clean file has, {sizes[0]}, got {sizes[1]}")


def read_pair(clean: Path, other: Path) -> tuple[Audio, Audio, int]:
    """Return both recordings, float32 of shape [time], and their rate.

    Raises:
        DatasetError: if :func:`check_headers` raises it, or a sample is not finite.
    """
    check_headers(clean, other)
    signals: list[Audio] = []
    for path in (clean, other):
        try:
            audio, rate = soundfile.read(native_name(path), dtype="float32")
        except soundfile.LibsndfileError as error:
            raise DatasetError(f"{path}: cannot be read ({error.error_string})") from error
        if not np.isfinite(audio).all():
            raise DatasetError(f"{path}: {np.sum(~np.isfinite(audio))} samples are NaN or infinite")
        signals.append(audio.astype(np.float32))
    return signals[0], signals[1], rate
