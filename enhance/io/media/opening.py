"""Media files opened for reading and writing by FFmpeg's libraries, whatever they are called.

FFmpeg takes a name with a colon for an address: `2024-11-14T22:57:44.mp4` has no protocol that it knows, `data:y.m4a`
would be read as data. The protocol `file:` in front says that it is a name.

Some of FFmpeg's readers follow what a file says to other files, or into the network: playlists, lists of files to join,
descriptions of sessions. What a file is decides which reader takes it, so such a list may be called `talk.mp4`. Only
the readers of recordings are let in, and no protocol but that of the file itself.

Reference: FFmpeg Protocols Documentation, "file" and "subfile"; FFmpeg Formats Documentation, "format_whitelist".
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import av
import av.logging
from av.error import FFmpegError

from enhance.io.formats import MUXERS
from enhance.io.media.mp4_boxes import joined_behind, read_movie
from enhance.io.media.mp4_speakers import settle_layouts
from enhance.utils.errors import FileError

if TYPE_CHECKING:
    from av import Packet
    from av.container import InputContainer, OutputContainer
    from av.stream import Stream

# Names of FFmpeg's demuxers, those of what `enhance.io.formats` knows and of what browsers and recorders write.
# fmt: off
_READERS = (
    "mov", "matroska,webm", "avi", "mpegts", "mpegtsraw", "mpeg", "mpegvideo", "flv", "live_flv", "mxf", "asf", "rm",
    "ivr", "ogg", "nut", "wav", "w64", "aiff", "caf", "au", "iff", "voc", "flac", "mp3", "aac", "loas", "ac3", "eac3",
    "dts", "dtshd", "truehd", "mlp", "wv", "tta", "ape", "mpc", "mpc8", "dsf", "shn", "oma", "aea", "amr", "amrnb",
    "amrwb", "gsm", "g722", "g723_1", "g726", "g726le", "g729", "sln", "dss", "tak", "qcp", "ircam", "nistsphere",
    "xwma", "wtv", "dv", "gxf", "swf", "smjpeg", "paf", "pvf", "avr", "sds", "codec2", "sbc", "aptx", "aptx_hd",
)
# fmt: on
_AS_FFMPEG = {"scan_all_pmts": "1"}  # as its programs do: MP2 in some MPEG-TS is taken for MP3 without
_GUARD = {"protocol_whitelist": "file", "format_whitelist": ",".join(_READERS)}

av.logging.set_level(None)  # what FFmpeg mutters goes nowhere: errors are printed as one line


def open_media(path: Path, **options: str) -> "InputContainer":
    """Open a file of FFmpeg's libraries for reading, of several MP4 joined in one the first.

    Args:
        path: of the file.
        options: of the demuxer.

    Raises:
        FileError: when it is empty, or is no such file.
        OSError: when it cannot be opened.
    """
    with path.open("rb") as file:
        if not file.read(1):
            raise FileError("the file is empty (0 bytes)")
    behind, url, guard = joined_behind(path), _url(path), _GUARD
    if behind.count:  # FFmpeg stumbles over some of them
        url = f"subfile,,start,0,end,{behind.begin},,:{url}"
        guard = {**_GUARD, "protocol_whitelist": "subfile,file"}
    try:
        container = av.open(url, "r", metadata_errors="replace", container_options={**_AS_FFMPEG, **options, **guard})
    except FFmpegError as error:
        raise FileError(f"not a media file that can be read, or cut off ({reason(error)})") from None
    movie = read_movie(path) if is_mp4(container) else None
    if movie is not None:
        settle_layouts(container, movie)
    return container


def create_media(path: Path, muxer: str, **options: str) -> "OutputContainer":
    """Open a file of FFmpeg's libraries for writing; `options` are those of the muxer.

    Raises:
        OSError: when it cannot be written.
    """
    return av.open(_url(path), "w", format=muxer, container_options=options)


def packets_of(
    container: "InputContainer", *streams: "Stream", salvage: bool = False, notes: list[str] | None = None
) -> "Iterator[Packet]":
    """Yield the packets of these tracks, or of all; at the end comes an empty one for each track.

    Args:
        container: that is read.
        streams: some of its tracks.
        salvage: end where the container is damaged.
        notes: get a note then.

    Raises:
        FileError: when it is damaged.
        OSError: when the file system refuses.
    """
    seconds = 0.0
    try:
        for packet in container.demux(*streams):
            if packet.dts is not None and packet.time_base:
                seconds = max(seconds, float(packet.dts * packet.time_base))
            yield packet
    except FFmpegError as error:
        if isinstance(error, OSError):
            raise
        where = f"at {seconds:.2f} s ({reason(error)}"
        if not salvage:
            raise FileError(f"cut off or damaged {where}; --salvage denoises what is there)") from None
        if notes is not None:
            notes.append(f"salvaged: the file is damaged {where})")
        for stream in streams or container.streams:
            end = av.Packet()
            end.stream = stream
            yield end


def muxer_of(path: Path) -> str:
    """Return the muxer that writes files of this name; names of sound files stand for Ogg with FLAC in it."""
    return MUXERS.get(path.suffix.lower(), "ogg")


def notes_on_joined(path: Path) -> list[str]:
    """Return a note when recordings are joined behind the first one of an MP4, which FFmpeg does not read."""
    behind = joined_behind(path)
    if behind.count == 0:
        return []
    others = "a second recording" if behind.count == 1 else f"{behind.count} more recordings"
    return [f"{others} of {behind.size} bytes, joined behind it, left out; take the file apart to denoise all of it"]


def is_mp4(container: "InputContainer") -> bool:
    """Return whether a file is built of the boxes of ISO 14496-12: MP4, MOV, M4A, 3GP."""
    return "mp4" in container.format.name


def reason(error: FFmpegError) -> str:
    """Return what FFmpeg says of an error, to stand in a sentence."""
    text = error.strerror or type(error).__name__
    return text[:1].lower() + text[1:]


def _url(path: Path) -> str:
    return f"file:{path}"
