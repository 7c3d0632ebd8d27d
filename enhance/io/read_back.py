"""A finished file is opened once before it takes its name: what cannot be read again is no output.

Some pairs of container and codec are written without an error and cannot be read afterwards, for example ALAC of nine
channels in CAF by libsndfile 1.2.2.
"""

from pathlib import Path

from enhance.io.formats import BYTES, CONTAINERS, FLOATING, PCM_BITS
from enhance.io.sound.sound_file import SoundReader
from enhance.utils.errors import FileError

_PADDING = 8192  # samples by which a codec in blocks may be longer than its sound
_EXACT = frozenset(container.major for container in CONTAINERS.values() if not container.coded)


def check_sound(path: Path, sample_rate: int, channels: int, samples: int) -> None:
    """Open a sound file and read its first block.

    Args:
        path: of the finished file.
        sample_rate, channels, samples: that were written.

    Raises:
        FileError: when it cannot be read, or is not what was written.
    """
    try:
        reader = SoundReader(path)
        try:
            there = (reader.sample_rate, reader.channels)
            frames = samples if reader.frames is None else reader.frames
            plain = reader.encoding.subtype in {*PCM_BITS, *FLOATING, *BYTES} and reader.encoding.major in _EXACT
            next(reader.blocks(), None)
        finally:
            reader.close()
    except FileError as problem:
        raise FileError(
            f"what was written cannot be read again ({problem}); name another --format or --subtype"
        ) from None
    if there != (sample_rate, channels) or not samples <= frames <= samples + (0 if plain else _PADDING):
        raise FileError(
            f"{samples} samples of {channels} channels at {sample_rate} Hz were written, and {frames} of {there[1]} at "
            f"{there[0]} Hz can be read again; name another --format or --subtype"
        )


def check_tracks(path: Path, tracks: int) -> None:
    """Open a media file and decode the beginning of each sound track.

    Args:
        path: of the finished file.
        tracks: number of its sound tracks.

    Raises:
        FileError: when it cannot be read, or a track is missing.
    """
    from av.error import FFmpegError

    from enhance.io.media.opening import open_media, reason

    try:
        with open_media(path) as container:
            waiting = {stream.index for stream in container.streams.audio}
            missing = tracks - len(waiting)
            for packet in container.demux(list(container.streams.audio)) if waiting else ():
                if packet.stream.index in waiting and packet.decode():
                    waiting.discard(packet.stream.index)
                if not waiting:
                    break
    except (FFmpegError, FileError) as error:
        what = reason(error) if isinstance(error, FFmpegError) else str(error)
        raise FileError(f"what was written cannot be read again ({what})") from None
    if missing > 0 or waiting:
        raise FileError(
            f"what was written cannot be read again ({max(missing, len(waiting))} sound tracks are missing)"
        )
