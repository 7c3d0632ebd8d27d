"""The input of a task opened by the library that reads it: what the file is decides, not what it is called."""

import sys
from pathlib import Path

from enhance.io.content import MP3, OPUS_WITHOUT_SPEAKERS, UNKNOWN, Content, content_of
from enhance.io.formats import (
    CONTAINERS,
    MUXERS,
    Container,
    Encoding,
    choose_encoding,
    container_of,
    has_floats,
    is_written,
)
from enhance.io.options import DenoiseOptions
from enhance.io.pipes.raw_pcm import RawReader
from enhance.io.pipes.wav_pipe import PipeReader
from enhance.io.sound.mp3_frames import is_mostly_mp3
from enhance.io.sound.sound_file import SoundReader, Source, UnreadableError
from enhance.io.task import PIPE, Task
from enhance.utils.errors import FileError, problem_on_oserror
from enhance.utils.interrupt import Stopper

_RAW = frozenset({".raw", ".pcm"})
_OGG_MEDIA = frozenset({"Ogg FLAC", "Ogg Theora", OPUS_WITHOUT_SPEAKERS.name})  # called .ogg, and not for libsndfile


def open_source(task: Task, settings: DenoiseOptions, stopper: Stopper) -> Source:
    """Open the input of a task: standard input, a sound file, or the first sound track of M4A and video.

    Raises:
        FileError: when it cannot be read.
    """
    if task.source == PIPE:
        _check_tracks(settings.tracks)
        if raw := settings.raw:
            return RawReader(sys.stdin.buffer, stopper, raw.subtype, raw.sample_rate, raw.channels)
        return PipeReader(sys.stdin.buffer, stopper)
    path = Path(task.source)
    with problem_on_oserror("cannot be read"):
        content = _known_content(path)
        if _by_ffmpeg(path, content):
            _need_pyav(content)
            return _track(path, settings)
        if content is UNKNOWN and path.suffix.lower() in _RAW:
            raise FileError("it holds samples without a header, whose rate nobody knows: make it a WAV first")
        if (
            content is UNKNOWN
            and path.suffix.lower() in MP3.suffixes
            and not settings.salvage
            and not is_mostly_mp3(path)
        ):
            raise FileError("not a sound file: most of it is no frames of MPEG audio; --salvage denoises what is")
        try:
            reader = SoundReader(path, settings.salvage)
        except UnreadableError as error:
            try:
                return _track(path, settings)
            except ImportError:
                raise FileError(f'{error}; PyAV may read it: pip install "mpeace[video]"') from None
            except FileError:
                raise error from None
        try:
            _check_tracks(settings.tracks)
        except FileError:
            reader.close()
            raise
        return reader


def _check_tracks(wanted: tuple[str, ...]) -> None:
    """Check that nobody asks for a track by another name than the number of the only one.

    Raises:
        FileError: somebody does.
    """
    if missing := [name for name in wanted if name.strip() != "1"]:
        raise FileError(f"it has no sound track {missing[0]!r}; it has 1")


def _known_content(path: Path) -> Content:
    """Return the kind of a file.

    Raises:
        FileError: when it has no bytes.
        OSError: when it cannot be read.
    """
    with path.open("rb") as file:
        if not file.read(1):
            raise FileError("the file is empty (0 bytes)")
    return content_of(path)


def _by_ffmpeg(path: Path, content: Content) -> bool:
    """Return whether FFmpeg's libraries read a file of this content; the name counts where the content is not known."""
    return content.ffmpeg or (content is UNKNOWN and path.suffix.lower() in MUXERS)


def keeps_media(task: Task) -> bool:
    """Return whether the output is a media file like the input, with its picture and all tracks.

    Raises:
        FileError: when the input cannot be read, or PyAV is not there.
    """
    if task.source == PIPE or task.container is not None:
        return False
    source, target = Path(task.source), Path(task.target)
    with problem_on_oserror("cannot be read"):
        content = _known_content(source)
    if not _by_ffmpeg(source, content) or (target.suffix.lower() not in MUXERS and content.name not in _OGG_MEDIA):
        return False
    _need_pyav(content)
    return True


def _need_pyav(content: Content) -> None:
    """Check that PyAV is there.

    Raises:
        FileError: when it is not.
    """
    try:
        import av  # noqa: F401
    except ImportError:
        what = f"it is {content.name}, which needs" if content.name else "M4A and video need"
        raise FileError(f'{what} PyAV: pip install "mpeace[video]"') from None


def encoding_for_file(task: Task, source: Source, settings: DenoiseOptions) -> Encoding:
    """Choose the encoding of an output file: as the person named it, else as the input, else as its name says.

    Raises:
        FileError: when none of them can be written.
    """
    container = CONTAINERS[task.container] if task.container else None
    if container is None and (source.encoding is None or source.encoding.major == "RAW"):  # GSM and VOX say nothing
        container = CONTAINERS["wav"] if task.source == PIPE else container_of(Path(task.target))
        if container is None:
            raise FileError(f"{Path(task.target).suffix or 'such a file'} is not written; name an output like out.wav")
    if container is not None and source.encoding is None and not container.coded:
        fine, floats = getattr(source, "is_fine", False), getattr(source, "is_float", False)
        usual = "FLOAT" if floats and has_floats(container) else "PCM_24" if fine else container.subtype
        container = Container(container.name, container.major, (), usual)
    return choose_encoding(source.encoding, container, settings.subtype)


def note_on_name(path: Path, output: str) -> list[str]:
    """Return notes on an input that is not what its name says; `output` is the container of the output."""
    content = content_of(path)
    return [] if content.fits(path) else [f"it is {content.name} in spite of its name; the output is {output}"]


def _may_be_called(major: str, suffix: str) -> bool:
    """Return whether a container may have this suffix; RF64 is WAV whose sizes have 64 bits."""
    kinds = (kind for kind in CONTAINERS.values() if kind.major == major or (major == "RF64" and kind.major == "WAV"))
    return any(suffix in kind.suffixes for kind in kinds)


def notes_on(task: Task, source: Source, encoding: Encoding, settings: DenoiseOptions) -> list[str]:
    """Return notes on a file that is not what its name says, and on an encoding that could not be kept."""
    if task.source == PIPE:
        return []
    notes, before = note_on_name(Path(task.source), encoding.major), source.encoding
    suffix = Path(task.target).suffix.lower()
    if task.container is not None and is_written(suffix) and not _may_be_called(encoding.major, suffix):
        notes.append(f"the output is {encoding.major}, as asked for, in spite of its name {suffix}")
    if settings.subtype is None and task.container is None:
        codec = getattr(source, "codec", "its codec")
        if before is None and codec.upper() != encoding.subtype:
            notes.append(f"{codec} became {encoding.subtype}")
        if before is not None and before.subtype != encoding.subtype:
            notes.append(f"{before.subtype} is read and not written: it became {encoding.subtype}")
    if getattr(source, "has_picture", False):
        notes.append("its picture is left out: only the sound is written")
    return notes


def _track(path: Path, settings: DenoiseOptions) -> Source:
    from enhance.io.media.decoder import TrackReader

    return TrackReader(path, settings.salvage, settings.tracks)
