"""`enhance.denoise_file`: all that the command `mpeace denoise` does for one file, as a call from Python."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from io import RawIOBase, TextIOBase
from os import PathLike, fspath
from pathlib import Path
from typing import BinaryIO, Literal, TypeGuard

from enhance.dsp.rate import check_sample_rate
from enhance.io.content import content_of, suffix_of
from enhance.io.denoise_file import perform
from enhance.io.formats import CONTAINERS, MUXERS, READ_ONLY, container_between, is_written
from enhance.io.options import Clip, DenoiseOptions, checked_channels, checked_tracks
from enhance.io.remote.address import is_url, is_web, shown, without_file_scheme
from enhance.io.remote.copies import download, local_name, upload
from enhance.io.task import OnProgress, Outcome, Task, check_name, check_target, file_path, partial_of
from enhance.runtime.denoiser import Denoiser
from enhance.runtime.link import Link
from enhance.runtime.registry import model_for_files
from enhance.runtime.strength import Strength
from enhance.utils.errors import FileError, MpeaceError, one_line
from enhance.utils.interrupt import HeldInterrupt, Stopper

_COPIED_AT_ONCE = 2**18  # bytes
_ITSELF = "it would be written over itself; name another target"


@dataclass(frozen=True)
class DenoisedFile:
    """Result of `denoise_file`.

    Attributes:
        seconds: length of the sound, of input and output alike.
        samples: of each channel of the output.
        sample_rate: of the output, Hz.
        channels: number of channels.
        format, subtype: container and sample encoding of the output, as libsndfile or FFmpeg names them.
        input_dbfs, output_dbfs: level (RMS over all channels) in dB relative to full scale; None for silence.
        clamped: samples over full scale that were clamped.
        gain: factor that made the peak fit, with `clip="rescale"`; else 1.
        notes: what a person should know, such as tags that the output cannot hold.
    """

    seconds: float
    samples: int
    sample_rate: int
    channels: int
    format: str
    subtype: str
    input_dbfs: float | None
    output_dbfs: float | None
    clamped: int
    gain: float
    notes: tuple[str, ...]


def denoise_file(
    source: str | PathLike[str] | BinaryIO,
    target: str | PathLike[str] | BinaryIO,
    *,
    model: str | PathLike[str] | Denoiser | None = None,
    attenuation_limit_db: float | None = None,
    mix: float = 1.0,
    format: str | None = None,
    subtype: str | None = None,
    sample_rate: int | None = None,
    clip: Literal["clamp", "rescale", "fail"] = "clamp",
    salvage: bool = False,
    channels: Sequence[int] = (),
    link: Literal["auto", "on", "off"] = "auto",
    tracks: Sequence[str] = (),
    on_progress: OnProgress | None = None,
) -> DenoisedFile:
    """Denoise a sound file, M4A or video of any length, in constant memory.

    Sample rate, number of channels, length, encoding and tags stay what they are unless asked otherwise. The target is
    written under a temporary name and takes its own in one step: a file of that name is replaced, and stays what it was
    when anything goes wrong. Ctrl-C ends the work (`KeyboardInterrupt`) behind the block of sound that is worked on.

    Args:
        source: path, URL (`s3://`, `gs://`, `az://`, `https://`; extra `cloud`), or binary file object, which
            is read from where it stands to its end (by way of a temporary file).
        target: path or URL (of a store, not of a web server), whose suffix chooses the format, or binary file object
            to write to; with an object, `format`, or what the source is.
        model: None for the default model of files, a registered name, the path of an .onnx file, or a `Denoiser`,
            which saves the time to load it when there are many files.
        attenuation_limit_db: the most that noise is lowered, dB >= 0; None for no limit.
        mix: share of the denoised signal from 0 (the input) to 1.
        format: container of the output, such as "wav", "flac" or "opus"; None goes by the suffix of the target, else
            keeps the input's.
        subtype: sample encoding of the output as libsndfile names it ("PCM_16", "FLOAT"); None keeps the input's.
        sample_rate: of the output, Hz; None keeps the input's.
        clip: what to do with samples over full scale where the output cannot hold them.
        salvage: denoise what is there of a sound file that was cut off, instead of refusing it.
        channels: numbers from 1 of the channels to denoise, the others stay as they are; empty for all.
        link: whether the channels share one estimate of the voice, so that it keeps its place between them: "auto" for
            two channels as far as they carry the same voice, "on" for all, "off" for none.
        tracks: sound tracks of M4A and video that are meant, by number from 1, language or title; empty for all.
        on_progress: called with the seconds that are done, and those of the whole if they are known; what it raises
            ends the work and comes out as it is.

    Returns:
        Lengths, levels and format of what was written.

    Raises:
        FileError: the file cannot be read, denoised or written; one line that begins with its name.
        ModelError: the model cannot be used.
        ValueError: an argument is out of range.

    Example:
        >>> import io, numpy as np, soundfile
        >>> noisy, clean = io.BytesIO(), io.BytesIO()
        >>> soundfile.write(noisy, np.random.default_rng(0).normal(0, 0.1, (8000, 2)), 16000, format="WAV")
        >>> _ = noisy.seek(0)
        >>> result = denoise_file(noisy, clean, format="flac")
        >>> result.seconds, result.samples, result.sample_rate, result.channels, result.format
        (0.5, 8000, 16000, 2, 'FLAC')
        >>> result.output_dbfs < result.input_dbfs - 6
        True
        >>> soundfile.info(io.BytesIO(clean.getvalue())).frames
        8000
    """
    Strength(attenuation_limit_db, mix)
    if format is not None and (not isinstance(format, str) or format not in CONTAINERS):
        raise ValueError(f"format {format!r}: expected one of {', '.join(CONTAINERS)}")
    if subtype is not None and not (isinstance(subtype, str) and subtype):
        raise ValueError(f"subtype {subtype!r}: expected a name of libsndfile, such as 'PCM_24' or 'FLOAT'")
    if not isinstance(salvage, bool):
        raise ValueError(f"salvage {salvage!r}: expected True or False")
    try:
        _check_file(source, "source", "read")
        _check_file(target, "target", "write")
        if source is target and not isinstance(source, str | PathLike):
            raise FileError(_ITSELF)
    except FileError as error:
        raise FileError(f"{_name_of(source)}: {error}") from None
    options = DenoiseOptions(
        attenuation_limit_db=attenuation_limit_db,
        mix=mix,
        container=format,
        subtype=subtype,
        sample_rate=None if sample_rate is None else check_sample_rate(sample_rate),
        clip=Clip(clip),
        salvage=salvage,
        channels=checked_channels(channels),
        link=Link(link),
        tracks=checked_tracks(tracks),
    )
    if isinstance(target, str) and is_web(target):
        reason = f"{shown(target)}: web servers are read and not written to; name another target"
        raise FileError(f"{_name_of(source)}: {reason}")
    if _is_local(source):
        check_name(fspath(source), "the source")
    if isinstance(target, str | PathLike):
        try:
            check_target(without_file_scheme(fspath(target)))
        except FileError as error:
            raise FileError(f"{_name_of(source)}: {error}") from None
    if not isinstance(model, Denoiser):
        model = Denoiser(model_for_files() if model is None else model)
    told = _Told(on_progress)
    try:
        if _is_local(source) and _is_local(target):
            outcome = _between(_path(source), _path(target), model, options, told)
        else:
            if _is_in_store(source) and _is_in_store(target) and _are_one(source, target):
                raise FileError(_ITSELF)
            with tempfile.TemporaryDirectory(prefix="mpeace-") as folder:
                path = _path(source) if _is_local(source) else _fetch(source, Path(folder), target)
                if format is None and not isinstance(target, str | PathLike):
                    _check_written(path)
                output = _path(target) if _is_local(target) else _place_for(target, Path(folder), path.suffix)
                outcome = _between(path, output, model, options, told)
                if _is_in_store(target):
                    upload(output, target, Stopper(), lambda: None)
                elif not isinstance(target, str | PathLike):
                    with output.open("rb") as file:
                        _copy(file, target)
    except Exception as error:
        if told.raised is not None:
            raise told.raised from None
        kind = type(error) if isinstance(error, MpeaceError) else FileError
        raise kind(f"{_name_of(source)}: {one_line(error)}") from error
    return DenoisedFile(
        outcome.seconds,
        outcome.samples,
        outcome.sample_rate or 0,
        outcome.channels or 0,
        outcome.format or "",
        outcome.subtype or "",
        outcome.input_dbfs,
        outcome.output_dbfs,
        outcome.clamped,
        outcome.gain,
        tuple(outcome.notes),
    )


class _Told:
    """Calls the caller's `on_progress`, if there is one, and keeps what it raises, which is no fault of the file."""

    def __init__(self, on_progress: OnProgress | None) -> None:
        self._on_progress = on_progress
        self.raised: Exception | None = None

    def __call__(self, seconds: float, total: float | None) -> None:
        try:
            if self._on_progress is not None:
                self._on_progress(seconds, total)
        except Exception as error:
            self.raised = error
            raise


def _check_file(file: object, name: str, method: str) -> None:
    """Check that a source or a target is one, before the work begins.

    Raises:
        ValueError: it is neither a path nor a file object, or an empty text.
        FileError: it is a file object that is closed, or neither gives nor takes bytes.
    """
    if isinstance(file, str | PathLike):
        if not fspath(file):
            raise ValueError(f"{name} {file!r}: expected a path or a URL")
        return
    if not hasattr(file, method):
        kind = type(file).__name__
        raise ValueError(f"{name} of type {kind}: expected a path, a URL, or a file object opened in binary mode")
    if getattr(file, "closed", False) is True:
        raise FileError(f"the {name} is a file object that is closed")
    able = getattr(file, "readable" if method == "read" else "writable", lambda: True)
    if isinstance(file, TextIOBase) or able() is False:
        raise FileError(f"the {name} must be a file object opened in binary mode to {method}")


def _between(
    source: Path, target: Path, denoiser: Denoiser, options: DenoiseOptions, on_progress: OnProgress
) -> Outcome:
    if target.exists() and source.exists() and target.samefile(source):
        raise FileError(_ITSELF)
    container = container_between(source, target, options.container)
    task = Task(file_path(str(source)), file_path(str(target)), partial_of(target), container)
    outcome = Outcome(task.source, task.target, "failed")
    with HeldInterrupt() as stopper:
        perform(denoiser, task, options, stopper, on_progress, outcome)
    return outcome


def _is_local(file: str | PathLike[str] | BinaryIO) -> TypeGuard[str | PathLike[str]]:
    """Return whether it is a path on this machine: no URL of a store, and no file object."""
    return isinstance(file, PathLike) or (isinstance(file, str) and not is_url(without_file_scheme(file)))


def _is_in_store(file: str | PathLike[str] | BinaryIO) -> TypeGuard[str]:
    return isinstance(file, str) and not _is_local(file)


def _are_one(url: str, other: str) -> bool:
    """Return whether two URLs mean one file, however they are written."""
    from enhance.io.remote.store import Stores

    stores = Stores()
    return stores.normal(url) == stores.normal(other)


def _path(file: str | PathLike[str]) -> Path:
    return Path(without_file_scheme(file)) if isinstance(file, str) else Path(file)


def _place_for(target: str | PathLike[str] | BinaryIO, folder: Path, suffix: str) -> Path:
    """Return where an output is written before it is sent; a folder of its own keeps it from being the input."""
    (folder / "out").mkdir()
    return folder / "out" / (local_name(target) if isinstance(target, str) else f"output{suffix}")


def _check_written(path: Path) -> None:
    """Check that a file like this one is written, where no name and no format say what is.

    Raises:
        FileError: it is not.
    """
    content = content_of(path)
    unwritten = path.suffix.lower() in READ_ONLY
    if unwritten or (content.ffmpeg and not is_written(path.suffix)):
        what = content.name if content.ffmpeg else f"a {path.suffix}"
        raise FileError(f"it is {what}, and cannot be written as it is: pass format, such as format='wav'")


def _fetch(source: str | PathLike[str] | BinaryIO, folder: Path, target: str | PathLike[str] | BinaryIO) -> Path:
    """Copy what is no file of this machine into one."""
    if isinstance(source, PathLike):
        return Path(source)
    if not isinstance(source, str):
        return _spool(source, folder, Path(_name_of(target)).suffix)
    path = folder / local_name(source)
    download(source, path, Stopper(), lambda: None)
    return path


def _name_of(source: str | PathLike[str] | BinaryIO) -> str:
    if isinstance(source, str | PathLike):
        return shown(fspath(source))
    name = getattr(source, "name", None)
    return name if isinstance(name, str) else "the file object"


def _copy(source: BinaryIO, target: BinaryIO) -> None:
    """Copy to the end. Raw files and pipes may give and take less than they are asked for.

    Raises:
        FileError: one of them does not wait, and would have to.
    """
    while (block := source.read(_COPIED_AT_ONCE)) != b"":
        if block is None:
            raise FileError("the source has no bytes for now: open it so that a read waits for them")
        while block:
            taken = target.write(block)
            if taken == 0 or (taken is None and isinstance(target, RawIOBase)):
                raise FileError("the target takes no more bytes for now: open it so that a write waits")
            block = b"" if taken is None else block[taken:]


def _spool(source: BinaryIO, folder: Path, suffix: str) -> Path:
    """Copy a file object into a file, whose name fits what it is: media keep the container that their name stands for.

    Args:
        source: where it stands.
        folder: for the file.
        suffix: of the target, which counts as that of the source where both are one container: .m4b, and .m4a.
    """
    head = source.read(16)
    if not isinstance(head, bytes):
        raise FileError("expected a file object opened in binary mode")
    path = folder / "input"
    with path.open("wb") as file:
        file.write(head)
        _copy(source, file)
    content, usual, named = content_of(path), suffix_of(path), Path(_name_of(source)).suffix
    if content.ffmpeg and not (named and content.fits(Path(_name_of(source)))):
        same = MUXERS.get(usual) in (None, MUXERS.get(suffix.lower()))
        named = suffix if same and suffix and content.fits(Path(f"a{suffix}")) else usual
    return path.rename(path.with_suffix(named))
