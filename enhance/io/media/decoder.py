"""Sound tracks of M4A, MP4, MOV, Matroska and WebM, decoded by FFmpeg's libraries through PyAV.

A track is a line of samples on the clock of its file. `TrackDecoder` turns decoded frames into that line: holes are
filled and a drifting clock is followed (`sound_clock`), and of MP4 only what its edit list shows is heard
(`edit_list`), so that sound and picture stay together from the first frame to the last.
"""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, cast

import av
import numpy as np
from av.error import FFmpegError
from av.stream import Disposition

from enhance.io.codec_limits import check_input
from enhance.io.media.container_damage import bytes_cut_off, is_damaged
from enhance.io.media.edit_list import EditedLine, Piece, pieces_of
from enhance.io.media.mp4_boxes import Box, read_movie
from enhance.io.media.mp4_speakers import named_speakers
from enhance.io.media.opening import is_mp4, notes_on_joined, open_media, packets_of, reason
from enhance.io.media.sound_clock import SoundClock
from enhance.io.media.track_choice import choose_tracks, describe_tracks
from enhance.io.pcm import block_length
from enhance.io.sound.speakers import from_names
from enhance.utils.errors import FileError

if TYPE_CHECKING:
    from av import AudioFrame, Packet
    from av.audio.stream import AudioStream
    from av.container import InputContainer

_LOSSLESS = frozenset({"flac", "alac", "wavpack", "tta", "truehd", "mlp", "ape"})
_UNTIMED = frozenset({"caf"})  # has no time stamps: FFmpeg makes them of a length in the header, which may be wrong
_CUT_OFF = 0.5  # seconds by which a track may be shorter than its file says


class TrackDecoder:
    """Decodes one sound track into blocks.

    Args:
        stream: of the opened file.
        path: of that file.
        salvage: leave out packets that cannot be decoded, instead of refusing the file.
        movie: movie header of an MP4 file that was opened with `open_untrimmed`, None for other files.

    Attributes:
        stream, sample_rate, channels, layout: of the track.
        speakers: of its channels.
        samples: per channel, given out so far.
        notes: what was mended, in a few words each.

    Raises:
        FileError: when there is no decoder for it.
    """

    def __init__(self, stream: "AudioStream", path: Path, salvage: bool = False, movie: Box | None = None) -> None:
        self.stream = stream
        self._path, self._salvage = path, salvage
        try:
            self._context = stream.codec_context
            self.sample_rate = self._context.sample_rate
            speakers = named_speakers(stream, movie) if movie is not None else None
            self.speakers = speakers or from_names(channel.name for channel in self._context.layout.channels)
            self.layout = self._context.layout.name
        except (AttributeError, ValueError):
            raise FileError(f"its sound track {stream.index} is in a codec that cannot be decoded") from None
        self.channels = self._context.channels
        check_input(self.sample_rate, self.channels)
        pieces = pieces_of(movie, stream.id) if movie is not None else None
        everything = [Piece(Fraction(0), None, Fraction(0))]
        padded = not is_lossless(self._context.name)
        self._line = EditedLine(everything if pieces is None else pieces, self.sample_rate, padded)
        self._expected = self._line.length
        self._edited = pieces is not None
        opened = cast("InputContainer", stream.container)
        earliest = 0 if self._edited else opened.start_time or 0  # of all tracks
        self._earliest = max(0, earliest) / av.time_base  # seconds; below 0 lies the delay of a codec
        self._clock = SoundClock(self.sample_rate, self.channels)
        self._place = 0  # samples that left the clock
        self._resampler = av.AudioResampler(format="flt", layout=self.layout, rate=self.sample_rate)
        self._waiting: list[np.ndarray] = []
        self._held = 0
        self._most = block_length(self.sample_rate, self.channels) // 4
        self.samples = 0
        self.notes: list[str] = []

    @property
    def start(self) -> Fraction | None:
        """Time of the first sample in seconds on the clock of the file; None before it is known."""
        return self._line.start if self._edited else self._clock.start

    @property
    def seconds_late(self) -> float:
        """Seconds from the beginning of the file, as players show it, to the first sample."""
        return max(0.0, float(self.start or 0) - self._earliest)

    def push(self, packet: "Packet") -> Iterator[np.ndarray]:
        """Decode a packet (an empty one ends the track). Yields float32 [channels, samples], about a second at a time.

        Raises:
            FileError: when the packet is damaged.
        """
        for frame in self._decode(packet):
            time = frame.pts * Fraction(frame.time_base) if frame.pts is not None and frame.time_base else None
            if self.stream.container.format.name in _UNTIMED:
                time = None
            for samples in self._plain(frame):
                yield from self._take(self._clock.push(samples, time))
                time = None
        if packet.size == 0:
            for samples in self._plain(None):
                yield from self._take(self._clock.push(samples, None))
            yield from self._take(self._clock.flush())
            if self._clock.drifts:
                self.notes.append(
                    f"the clock of its sound track {self.stream.index} drifts; it was resampled to stay in step"
                )
            if self._clock.restarts:
                self.notes.append(f"{self._clock.restarts + 1} recordings, joined in one file: all are read")
            if self._waiting:
                yield self._gathered()

    def check_whole(self) -> None:
        """Compare with the length that the file gives the track, and look why sound is missing in it.

        Raises:
            FileError: when the track ended early, or the file is damaged where sound is missing.
            OSError: when the file cannot be read again.
        """
        lacks = [each for each in (self._missing_within(), self._missing_at_the_end()) if each]
        if lacks and not self._salvage:
            raise FileError(f"cut off or damaged: {' and '.join(lacks)} (--salvage denoises what is there)")
        self.notes += [f"salvaged: {each}" for each in lacks]

    def _missing_at_the_end(self) -> str:
        if count := bytes_cut_off(self._path, self.stream.container.format.name):
            return f"{count} bytes that its header promises are not there"
        declared = self._declared_seconds()
        seconds = self.samples / self.sample_rate
        if declared is None or seconds >= declared - _CUT_OFF:
            return ""
        return f"its sound lasts {seconds:.2f} s, its header promises {declared:.2f} s"

    def _missing_within(self) -> str:
        """Return what is missing where FFmpeg stepped over damage; holes that a recorder left are none."""
        holes = self._clock.holes
        if not holes or not is_damaged(self._path, self.stream.container.format.name, self.stream.id):
            return ""
        first, seconds = max(0.0, holes[0][0] - self._earliest), sum(length for _, length in holes)
        where = f"at {first:.2f} s" if len(holes) == 1 else f"in {len(holes)} places, the first at {first:.2f} s"
        return f"{seconds:.2f} s of sound are missing {where}"

    def _decode(self, packet: "Packet") -> "list[AudioFrame]":
        try:
            return self.stream.decode(_to_be_heard(packet) if packet.is_discard else packet)
        except FFmpegError as error:
            if not self._salvage:
                where = self._clock.seconds
                raise FileError(
                    f"cut off or damaged at {where:.2f} s ({reason(error)}; --salvage denoises the rest)"
                ) from None
            if not self.notes:
                self.notes.append(f"salvaged: a packet at {self._clock.seconds:.2f} s is damaged")
            return []

    def _plain(self, frame: "AudioFrame | None") -> Iterator[np.ndarray]:
        """Return a frame's samples, float32 [channels, samples]; packed on the way, as planes end at eight channels."""
        try:
            for plain in self._resampler.resample(frame):
                yield plain.to_ndarray().reshape(-1, self.channels).T.astype(np.float32, copy=False)
        except ValueError:
            where = self.samples / self.sample_rate
            raise FileError(
                f"its sound track {self.stream.index} changes rate or channels at {where:.2f} s; save it anew first"
            ) from None

    def _take(self, blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        """Gather what is heard of blocks from the clock; what is long, such as a hole of hours, comes out in parts."""
        begin = round((self._clock.start or 0) * self.sample_rate)
        for block in blocks:
            heard = self._line.cut(block, begin + self._place) if self._edited else iter([block])
            self._place += block.shape[1]
            for samples in heard:
                self.samples += samples.shape[1]
                self._held += samples.shape[1]
                self._waiting.append(samples)
                if self._held >= self._most:
                    yield self._gathered()

    def _gathered(self) -> np.ndarray:
        block = np.concatenate(self._waiting, axis=1)
        self._waiting, self._held = [], 0
        return block

    def _declared_seconds(self) -> float | None:
        """Return the length of the track by its header. Only MP4 and MOV, and the tags of Matroska, have it exactly."""
        if self._edited:
            return None if self._expected is None else self._expected / self.sample_rate
        name = self.stream.container.format.name
        tag = self.stream.metadata.get("DURATION", "") if "matroska" in name else ""
        try:
            hours, minutes, seconds = tag.split(":")
            end = 3600 * int(hours) + 60 * int(minutes) + float(seconds)
        except ValueError:
            return None
        return end - float(self.start or 0)


def is_lossless(codec: str) -> bool:
    """Return whether a codec gives the samples back that it got, as many as there were."""
    return codec.startswith("pcm") or codec in _LOSSLESS


def _to_be_heard(packet: "Packet") -> "Packet":
    """Return a copy without the mark by which FFmpeg leaves a packet out, as where the clock of fragments goes back.

    What came twice the clock here leaves out, and what an edit list hides is cut; a joined recording is neither.
    """
    copy = av.Packet(bytes(packet))
    copy.stream, copy.time_base = packet.stream, packet.time_base
    copy.pts, copy.dts, copy.duration = packet.pts, packet.dts, packet.duration
    return copy


def open_untrimmed(path: Path) -> "tuple[InputContainer, Box | None]":
    """Open a media file with all that is in it, also what an edit list hides, and read the movie header of an MP4.

    Raises:
        FileError: when it is empty, or is no such file.
        OSError: when it cannot be opened.
    """
    container = open_media(path, ignore_editlist="1")
    return container, read_movie(path) if is_mp4(container) else None


class TrackReader:
    """One sound track of a media file, as a `Source`: for writing it to a sound file of its own.

    Args:
        path: of the file.
        salvage: leave out packets that cannot be decoded.
        tracks: what the person chose (`--track`); the first track when empty.

    Attributes:
        codec: its name.
        is_flac: whether it is a FLAC, whose tags are those of a sound file.
        is_fine: whether its samples have more than 16 bits.
        is_float: whether they are floats, which may be over full scale.
        has_picture: whether there is a moving picture beside it.
        number: of the track, from 1.

    Raises:
        FileError: when it has none, or not that one.
        OSError: when it cannot be opened.
    """

    encoding = None

    def __init__(self, path: Path, salvage: bool = False, tracks: tuple[str, ...] = ()) -> None:
        self._container, movie = open_untrimmed(path)
        try:
            audio = list(self._container.streams.audio)
            self._stream = choose_tracks(audio, tracks)[0]
            self.number = audio.index(self._stream) + 1
            self._decoder, self._salvage = TrackDecoder(self._stream, path, salvage, movie), salvage
        except FileError:
            self._container.close()
            raise
        self.sample_rate, self.channels = self._decoder.sample_rate, self._decoder.channels
        self.speakers = self._decoder.speakers
        self.frames: int | None = None
        self.notes = self._decoder.notes
        if is_mp4(self._container):
            self.notes += notes_on_joined(path)
        covers = any(stream.disposition & Disposition.attached_pic for stream in self._container.streams.video)
        lost = [name for name, there in (("chapters", self._container.chapters()), ("cover", covers)) if there]
        self.is_flac = self._container.format.name == "flac"
        if lost and not self.is_flac:
            are = "is" if lost == ["cover"] else "are"
            self.notes.append(f"its {' and '.join(lost)} cannot be carried to a sound file, and {are} left out")
        context = self._stream.codec_context
        lossless = is_lossless(context.name)
        self.codec = context.name
        self.is_fine = lossless and context.format.name.rstrip("p") in ("s32", "flt", "dbl")
        self.is_float = lossless and context.format.name.rstrip("p") in ("flt", "dbl")
        pictures = self._container.streams.video
        self.has_picture = any(not stream.disposition & Disposition.attached_pic for stream in pictures)
        if len(audio) > 1:
            others = describe_tracks(audio)
            self.notes.append(f"track {self.number} of {len(audio)} was taken (--track: {others})")

    @property
    def seconds_late(self) -> float:
        """Seconds from the beginning of the file, as players show it, to the first sample."""
        return self._decoder.seconds_late

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the track in blocks, float32 [channels, samples]."""
        for packet in packets_of(self._container, self._stream, salvage=self._salvage, notes=self.notes):
            for block in self._decoder.push(packet):
                yield block[list(self.speakers.order)] if self.speakers.order else block
        self._decoder.check_whole()

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def metadata(self) -> dict[str, str]:
        """Return title, artist and the like, under the names of FFmpeg."""
        of_track = self._stream.metadata if self._container.format.name == "ogg" else {}
        return {**of_track, **self._container.metadata}
