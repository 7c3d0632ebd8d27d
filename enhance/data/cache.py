"""Recordings decoded once into one memory-mapped file of 16-bit samples, from which training reads crops.

A cache is a folder with `audio.i16` (every recording after the other: mono, little-endian int16) and `index.json` (the
sample rate; name, start, length and bandwidth of each recording; and a fingerprint of what they were made from).
`build_cache` fills it with decoded files at 48 kHz; `write_cache` with anything else, such as what a codec leaves of
them. An unchanged set of files is reused, a changed one is decoded again. Building holds a lock on
`DIRECTORY.lock`, so any number of processes of one machine may call `build_cache` at once: one builds, the others wait
and then open what it built. The finished folder is put in place by a rename.
"""

import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from enhance.data.decoding import PIECE_SECONDS, Kind, decode_all
from enhance.data.recordings import find_recordings
from enhance.data.to_device import send
from enhance.dsp.int16 import FULL_SCALE
from enhance.dsp.rate import SAMPLE_RATE
from enhance.utils.atomic import replacing_folder

FORMAT_VERSION = 2


@dataclass(frozen=True)
class Recording:
    """Place of one recording in the cache."""

    name: str  # path of its file below the folder that was walked
    start: int  # first sample in `audio.i16`
    length: int  # samples
    bandwidth: float  # Hz; above this it has no content


class AudioCache:
    """Recordings in one memory-mapped file, read as float32 in [-1, 1].

    Args:
        directory: a folder that `build_cache` made.

    Raises:
        FileNotFoundError: the folder holds no cache.
        ValueError: the cache is of another version or damaged.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = Path(directory)
        index_file = self.directory / "index.json"
        if not index_file.is_file():
            raise FileNotFoundError(f"no audio cache in '{self.directory}'; make one with build_cache")
        index = json.loads(index_file.read_text())
        if index.get("version") != FORMAT_VERSION:
            raise ValueError(f"'{index_file}' has version {index.get('version')}, not {FORMAT_VERSION}; delete it")
        self.kind: str = index["kind"]
        self.sample_rate: int = index["sample_rate"]
        self.fingerprint: str = index["fingerprint"]
        self.recordings = [Recording(**entry) for entry in index["recordings"]]
        self.samples: np.ndarray = np.memmap(self.directory / "audio.i16", dtype="<i2", mode="r")
        self.starts = np.array([recording.start for recording in self.recordings], dtype=np.int64)
        self.lengths = np.array([recording.length for recording in self.recordings], dtype=np.int64)
        self.bandwidths = np.array([recording.bandwidth for recording in self.recordings])
        self.cumulative = np.cumsum(self.lengths)
        self.total = int(self.cumulative[-1])
        if self.samples.size != self.total:
            raise ValueError(f"'{self.directory}' holds {self.samples.size} samples, its index {self.total}; delete it")
        self._resident: Tensor | None = None

    def __len__(self) -> int:
        return len(self.recordings)

    def __reduce__(self) -> tuple[type["AudioCache"], tuple[Path]]:
        return AudioCache, (self.directory,)  # reopened, not copied, in another process

    @property
    def seconds(self) -> float:
        """Length of all recordings together."""
        return self.total / self.sample_rate

    @property
    def contents(self) -> str:
        """Number and length of the recordings, with a digest of their names and lengths, wherever their files lie."""
        listed = "\n".join(f"{recording.name}\t{recording.length}" for recording in self.recordings)
        digest = hashlib.sha256(listed.encode("utf-8", "surrogateescape")).hexdigest()
        return f"{len(self)} recordings of {self.seconds / 3600:.2f} h ({digest[:8]})"

    def to(self, device: torch.device | str) -> "AudioCache":
        """Hold every sample as one int16 tensor on `device`, where `gather` then works; return itself."""
        self._resident = torch.from_numpy(np.array(self.samples)).to(device)
        return self

    def warm(self) -> None:
        """Read the whole file once, so that random crops are served from memory."""
        for first in range(0, self.total, 1 << 24):
            int(self.samples[first : first + (1 << 24)].max())

    def crop(self, recording: int, start: int, length: int, *, wrap: bool = True) -> np.ndarray:
        """Return `length` samples of a recording from `start` on, as float32 `[length]`.

        Past the end it begins again (`wrap`), or zeros follow.
        """
        out = np.zeros(length, dtype=np.float32)
        self._read(out, recording, start, wrap)
        return out

    def _read(self, out: np.ndarray, recording: int, start: int, wrap: bool) -> None:
        base, size = int(self.starts[recording]), int(self.lengths[recording])
        filled, position = 0, start % size if wrap else start
        while filled < out.size and position < size:
            count = min(out.size - filled, size - position)
            source = self.samples[base + position : base + position + count]
            np.multiply(source, np.float32(1 / FULL_SCALE), out=out[filled : filled + count], dtype=np.float32)
            filled += count
            position = 0 if wrap else size

    def gather(self, recordings: np.ndarray, starts: np.ndarray, length: int, *, wrap: bool = True) -> Tensor:
        """Return crops of several recordings, `[len(recordings), length]` float32; past their ends as in `crop`.

        They come from the memory map on the CPU, or lie on the device that `to` was called with.
        """
        if self._resident is None:
            out = np.zeros((len(recordings), length), dtype=np.float32)
            for row, recording, start in zip(out, recordings.tolist(), starts.tolist(), strict=True):
                self._read(row, recording, start, wrap)
            return torch.from_numpy(out)
        device = self._resident.device
        base = send(self.starts[recordings], device)[:, None]
        size = send(self.lengths[recordings], device)[:, None]
        position = send(np.asarray(starts, dtype=np.int64), device)[:, None]
        position = position + torch.arange(length, device=device)
        audio = self._resident[base + position % size].float() / FULL_SCALE
        return audio if wrap else audio * (position < size)

    def choose(self, chance: np.ndarray) -> np.ndarray:
        """Return recordings in proportion to their lengths, for numbers in [0, 1)."""
        chosen = np.searchsorted(self.cumulative, (chance * self.total).astype(np.int64), side="right")
        return np.minimum(chosen, len(self) - 1)


def build_cache(folders: Sequence[Path], directory: Path, *, kind: Kind) -> AudioCache:
    """Decode every audio file below `folders` into a cache in `directory`, or open the one that is already there.

    Any format and rate that soundfile reads; channels are averaged. For `kind="speech"` silences are shortened to
    0.6 s, so that few crops hold no speech. For `kind="rooms"` the first channel is kept, the
    direct sound moved to the first 2 ms, and the response scaled so that its first 2 ms have a peak of 0.5.
    A file that cannot be read is named on standard error and skipped.

    Args:
        folders: folders (walked recursively) or single files.
        directory: the folder of the cache; made, or replaced when the files changed.
        kind: what the recordings are.

    Raises:
        FileNotFoundError: a folder does not exist.
        ValueError: no file could be read.
    """
    files = _audio_files([Path(folder) for folder in folders])
    where = ", ".join(str(folder) for folder in folders)
    return write_cache(
        Path(directory),
        lambda: _decoded(files, kind),
        kind=kind,
        sample_rate=SAMPLE_RATE,
        fingerprint=_fingerprint(files, kind),
        empty=f"none of the {len(files)} audio files in {where} could be read",
    )


Entry = tuple[str, np.ndarray, float]  # name, int16 samples and bandwidth (Hz) of a recording


def write_cache(
    directory: Path,
    entries: Callable[[], Iterator[Entry]],
    *,
    kind: str,
    sample_rate: int,
    fingerprint: str,
    empty: str = "there is nothing to store",
) -> AudioCache:
    """Store recordings as a cache in `directory`, or open the one that is already there with the same fingerprint.

    Args:
        directory: the folder of the cache; made, or replaced when the fingerprint differs.
        entries: called only when the cache has to be made; yields the recordings one by one.
        kind: what the recordings are.
        sample_rate: Hz.
        fingerprint: a digest of all that the recordings depend on.
        empty: the error's text when no recording comes.

    Raises:
        ValueError: no recording came.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(directory.with_name(directory.name + ".lock")):
        if not _is_current(directory, fingerprint):
            _write(directory, entries(), kind, sample_rate, fingerprint, empty)
    return AudioCache(directory)


def _audio_files(folders: Sequence[Path]) -> list[tuple[str, Path]]:
    """Return name and path of each audio file."""
    files: list[tuple[str, Path]] = []
    for folder in folders:
        root = folder.parent if folder.is_file() else folder
        files.extend((str(path.relative_to(root)), path) for path in find_recordings(folder))
    return files


def _fingerprint(files: Sequence[tuple[str, Path]], kind: Kind) -> str:
    digest = hashlib.sha256(f"{FORMAT_VERSION} {kind} {SAMPLE_RATE}".encode())
    for name, path in files:
        status = path.stat()
        about = f"\n{name}\t{path}\t{status.st_size}\t{status.st_mtime_ns}"
        digest.update(about.encode("utf-8", "surrogateescape"))  # a name may be in another code
    return digest.hexdigest()


def _is_current(directory: Path, fingerprint: str) -> bool:
    try:
        return AudioCache(directory).fingerprint == fingerprint
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _decoded(files: Sequence[tuple[str, Path]], kind: Kind) -> Iterator[Entry]:
    """Yield the recordings of all readable files, with a progress bar; the others are named on standard error."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        for name, decoded in progress.track(decode_all(files, kind), len(files), description=f"decoding {kind}"):
            if isinstance(decoded, Exception):
                print(f"skipped '{name}': {decoded}", file=sys.stderr)
                continue
            for number, (samples, bandwidth) in enumerate(decoded):
                yield name if len(decoded) == 1 else f"{name}@{number * PIECE_SECONDS}s", samples, bandwidth


def _write(
    directory: Path, entries: Iterator[Entry], kind: str, sample_rate: int, fingerprint: str, empty: str
) -> None:
    recordings: list[Recording] = []
    position = 0
    with replacing_folder(directory) as partial:
        with (partial / "audio.i16").open("wb") as out:
            for name, samples, bandwidth in entries:
                recordings.append(Recording(name, position, samples.size, bandwidth))
                samples.astype("<i2", copy=False).tofile(out)
                position += samples.size
        if not recordings:
            raise ValueError(empty)
        index = {
            "version": FORMAT_VERSION,
            "kind": kind,
            "sample_rate": sample_rate,
            "fingerprint": fingerprint,
            "recordings": [asdict(recording) for recording in recordings],
        }
        (partial / "index.json").write_text(json.dumps(index, indent=0))
