"""Sets of clean and noisy pairs: a folder with `clean/` and `noisy/` that hold mono files of the same names."""

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from enhance.utils.errors import DatasetError

Audio = NDArray[np.float32]


def find_pairs(folder: Path) -> list[tuple[Path, Path]]:
    """Return pairs (clean, noisy) of a set, sorted by name.

    Raises:
        DatasetError: if a folder is missing or empty, or a file has no partner.
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
    return [(folder / "clean" / name, folder / "noisy" / name) for name in sorted(names["clean"])]


def read_pair(clean: Path, noisy: Path) -> tuple[Audio, Audio, int]:
    """Return both recordings, float32 of shape [time], and their rate.

    Raises:
        DatasetError: if a file cannot be read, is not mono, or differs from its partner in rate or length.
    """
    signals: list[Audio] = []
    rates: list[int] = []
    for path in (clean, noisy):
        try:
            audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise DatasetError(f"{path}: cannot be read ({error.error_string})") from error
        if audio.shape[1] != 1:
            raise DatasetError(f"{path}: expected one channel, got {audio.shape[1]}")
        signals.append(audio[:, 0].astype(np.float32))
        rates.append(rate)
    if rates[0] != rates[1] or signals[0].size != signals[1].size:
        sizes = [f"{signal.size} samples at {rate} Hz" for signal, rate in zip(signals, rates, strict=True)]
        raise DatasetError(f"{noisy}: expected what its clean file has, {sizes[0]}, got {sizes[1]}")
    return signals[0], signals[1], rates[0]
