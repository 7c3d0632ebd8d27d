"""Sound tracks of M4A, MP4, MOV, Matroska and WebM, decoded by FFmpeg's libraries through PyAV.

A track is a line of samples on the clock of its file. `TrackDecoder` turns decoded frames into that line: where the
time stamps leave a hole, silence is put in, and where they run back, samples are dropped, so that sound and picture
stay together from the first frame to the last.
"""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import av.logging
import numpy as np
from av.error import FFmpegError

from enhance.io.formats import MUXERS
from enhance.io.pcm import block_length
from enhance.utils.errors import FileError

if TYPE_CHECKING:
    from av import AudioFrame, Packet
    from av.audio.stream import AudioStream
    from av.container import InputContainer

OUT_OF_STEP = 0.04  # seconds; time stamps of Matroska jitter by 1 ms, the eye forgives about 45 ms
_CUT_OFF = 0.5  # seconds by which a track may be shorter than its file says

av.logging.set_level(None)  # what FFmpeg mutters goes nowhere: errors are told in one line


def open_media(path: Path) -> "InputContainer":
    """Open a file of FFmpeg's libraries for reading.

    Raises:
        FileError: when it is empty, or is no such file.
        OSError: when it cannot be opened.
    """
    with path.open("rb") as file:
        if not file.read(1):
            raise FileError("the file is empty (0 bytes)")
    try:
        return av.open(str(path), "r", metadata_errors="replace")
    except FFmpegError as error:
        raise FileError(f"not a media file that can be read, or cut off ({_reason(error)})") from None


class TrackDecoder:
    """Decodes one sound track into blocks.

    Args:
        stream: of the opened file.
        salvage: leave out packets that cannot be decoded, instead of refusing the file.

    Attributes:
        sample_rate, channels: of the track.
        start: time of the first sample in seconds on the clock of the file; None before it is known.
        samples: per channel, given out so far.
        notes: what was mended, in a few words each.

    Raises:
        FileError: when there is no decoder for it.
    """

    def __init__(self, stream: "AudioStream", salvage: bool = False) -> None:
        self._stream = stream
        self._salvage = salvage
        try:
            self._context = stream.codec_context
            self.sample_rate = self._context.sample_rate
            self.layout = self._context.layout.name
        except (AttributeError, ValueError):
            raise FileError(f"its sound track {stream.index} is in a codec that cannot be decoded") from None
        self.channels = self._context.channels
        if self.sample_rate <= 0 or self.channels <= 0:
            raise FileError(f"its sound track has {self.sample_rate} Hz and {self.channels} channels")
        self._resampler = av.AudioResampler(format="flt", layout=self.layout, rate=self.sample_rate)
        self._waiting: list[np.ndarray] = []
        self._held = 0
        self._most = block_length(self.sample_rate, self.channels) // 4
        self.start: Fraction | None = None
        self.samples = 0
        self.notes: list[str] = []

    def push(self, packet: "Packet") -> Iterator[np.ndarray]:
        """Decode a packet (an empty one ends the track). Yields float32 [channels, samples], about a second at a time.

        Raises:
            FileError: when the packet is damaged.
        """
        try:
            frames = self._stream.decode(packet)
        except FFmpegError as error:
            if not self._salvage:
                where = self.samples / self.sample_rate
                raise FileError(
                    f"cut off or damaged at {where:.2f} s ({_reason(error)}; --salvage denoises the rest)"
                ) from None
            if not self.notes:
                self.notes.append(f"salvaged: a packet at {self.samples / self.sample_rate:.2f} s is damaged")
            frames = []
        for frame in frames:
            for plain in self._resampler.resample(frame):
                self._place(plain)
        if packet.size == 0:
            for plain in self._resampler.resample(None):
                self._place(plain)
        if self._waiting and (self._held >= self._most or packet.size == 0):
            block = np.concatenate(self._waiting, axis=1)
            self._waiting, self._held = [], 0
            yield block

    def check_length(self) -> None:
        """Compare with the length that the file gives the track.

        Raises:
            FileError: when the track ended early.
        """
        declared = self._declared_seconds()
        seconds = self.samples / self.sample_rate
        if declared is None or seconds >= declared - _CUT_OFF:
            return
        lacks = f"its sound lasts {seconds:.2f} s, its header promises {declared:.2f} s"
        if not self._salvage:
            raise FileError(f"cut off or damaged: {lacks} (--salvage denoises what is there)")
        self.notes.append(f"salvaged: {lacks}")

    def _place(self, frame: "AudioFrame") -> None:
        samples = frame.to_ndarray().reshape(-1, self.channels).T  # packed: PyAV fails on eight planes
        if frame.pts is not None and frame.time_base is not None:
            time = frame.pts * Fraction(frame.time_base)
            if self.start is None:
                self.start = time
            behind = round((time - self.start) * self.sample_rate) - self.samples
            if behind > OUT_OF_STEP * self.sample_rate:
                self._take(np.zeros((self.channels, behind), np.float32))
            elif -behind > OUT_OF_STEP * self.sample_rate:
                samples = samples[:, min(-behind, samples.shape[1]) :]
        self._take(samples)

    def _take(self, samples: np.ndarray) -> None:
        self.samples += samples.shape[1]
        self._held += samples.shape[1]
        self._waiting.append(samples)

    def _declared_seconds(self) -> float | None:
        """Length of the track by its header. Only MP4 and MOV, and the tags of Matroska, tell it exactly."""
        name = self._stream.container.format.name
        if "mp4" in name and self._stream.duration and self._stream.time_base:
            return float(self._stream.duration * self._stream.time_base)
        tag = self._stream.metadata.get("DURATION", "") if "matroska" in name else ""
        try:
            hours, minutes, seconds = tag.split(":")
            end = 3600 * int(hours) + 60 * int(minutes) + float(seconds)
        except ValueError:
            return None
        return end - float(self.start or 0)


class TrackReader:
    """The first sound track of a media file, as a `Source`: for writing it to a sound file of its own.

    Raises:
        FileError: when it has none.
        OSError: when it cannot be opened.
    """

    encoding = None

    def __init__(self, path: Path, salvage: bool = False) -> None:
        self._container = open_media(path)
        if not self._container.streams.audio:
            self._container.close()
            raise FileError("it has no sound track")
        self._stream = self._container.streams.audio[0]
        self._decoder = TrackDecoder(self._stream, salvage)
        self.sample_rate, self.channels = self._decoder.sample_rate, self._decoder.channels
        self.frames: int | None = None
        self.notes = self._decoder.notes

    def blocks(self) -> Iterator[np.ndarray]:
        """The track in blocks, float32 [channels, samples]."""
        for packet in self._container.demux(self._stream):
            yield from self._decoder.push(packet)
        self._decoder.check_length()

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def strings(self) -> dict[str, str]:
        """Title, artist and the like, under the names of libsndfile."""
        names = {"track": "tracknumber"}
        kept = ("title", "copyright", "artist", "comment", "date", "album", "tracknumber", "genre")
        found = {names.get(key.lower(), key.lower()): text for key, text in self._container.metadata.items()}
        return {key: found[key] for key in kept if key in found}


def muxer_of(path: Path) -> str:
    """The muxer that writes files of this name."""
    return MUXERS[path.suffix.lower()]


def _reason(error: FFmpegError) -> str:
    text = error.strerror or type(error).__name__
    return text[:1].lower() + text[1:]
