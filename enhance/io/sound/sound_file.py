"""Sound files by block, through libsndfile: any length in constant memory, any channel count, errors in one line.

`SoundReader` yields blocks of float32 [channels, samples] and refuses a file that was cut off; `SoundWriter` writes
them and does not lose an error of the file system (a full disk), which libsndfile only reports as a short count.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import soundfile

from enhance.dsp.resampling import Resampler
from enhance.io.bitrate import Compression
from enhance.io.codec_limits import check_codec, check_input
from enhance.io.formats import LIMITED, PCM_BITS, SIZE_LIMIT, Encoding
from enhance.io.pcm import block_length, silence, to_integers
from enhance.io.sound.byte_view import ByteView
from enhance.io.sound.checked_file import CheckedFile
from enhance.io.sound.chunk_copy import place_of_sound
from enhance.io.sound.integrity import what_is_missing
from enhance.io.sound.pieces import Piece, pieces_of
from enhance.io.sound.speakers import VORBIS_ORDER, Speakers, read_speakers
from enhance.io.sound.text_chunks import read_texts
from enhance.utils.errors import FileError, one_line
from enhance.utils.file_names import native_name
from enhance.utils.native_output import stderr_closed

_NO_LENGTH = 2**62  # libsndfile gives a FLAC without a length nearly 2**63 samples
_NO_LETTER = "\N{REPLACEMENT CHARACTER}"
_READ_AT_ONCE = 4096  # samples per channel
_WRITE_AT_ONCE = 2**14  # samples; libsndfile takes the stack for what an Ogg encoder gets in one call


class UnreadableError(FileError):
    """libsndfile does not know the kind of file, or its codec; another library may."""


class Source(Protocol):
    """Source of the sound of one file."""

    sample_rate: int
    channels: int
    frames: int | None

    @property
    def encoding(self) -> Encoding | None: ...

    @property
    def speakers(self) -> Speakers: ...

    def blocks(self) -> Iterator[np.ndarray]: ...

    def close(self) -> None: ...


class Sink(Protocol):
    """Sink for the sound of one file."""

    def write(self, block: np.ndarray) -> None: ...

    def close(self) -> None: ...

    def abort(self) -> None: ...


class _Stream(soundfile.SoundFile):
    """Read and write straight on.

    soundfile would stop at the length in the header, which is an estimate for some MP3 files and may be too short, and
    it would seek after each block.
    """

    def seekable(self) -> bool:
        return False


class SoundReader:
    """Reads one sound file.

    Args:
        path: of the file; never written to.
        salvage: take what is there of a file that was cut off, instead of refusing it.

    Attributes:
        sample_rate, channels: of the sound.
        frames: samples per channel; None when the file does not say.
        encoding: container and subtype.
        speakers: of the channels, which come in the order of the speakers' bits.
        notes: what was salvaged, in a few words each.

    Raises:
        FileError: when the file is empty, is no sound file, or is cut off.
        OSError: when it cannot be opened.
    """

    def __init__(self, path: Path, salvage: bool = False) -> None:
        self.notes: list[str] = []
        self._salvage = salvage
        with path.open("rb") as file:  # the error of the operating system says more than libsndfile's
            if not file.read(1):
                raise FileError("the file is empty (0 bytes)")
        self._path = path
        self._pieces = pieces_of(path, salvage)
        lacks = self._pieces.lacks or what_is_missing(path)
        if not self._pieces.recordings:
            raise UnreadableError("not a sound file that can be read (no frames of MPEG audio)")
        try:
            self._open(self._pieces.recordings[0])
        except soundfile.LibsndfileError as error:
            if lacks:
                raise FileError(f"cut off or damaged: {lacks}") from None
            raise UnreadableError(f"not a sound file that can be read ({_reason(error)})") from None
        try:
            self._check(lacks)
        except BaseException:
            self.close()
            raise

    def _check(self, lacks: str | None) -> None:
        pieces = self._pieces.recordings
        self.sample_rate: int = max(piece.sample_rate or self._file.samplerate for piece in pieces)
        counts = {piece.channels or self._file.channels for piece in pieces}
        self.channels: int = max(counts)
        if counts - {1, self.channels}:
            listed = " and ".join(map(str, sorted(counts)))
            raise FileError(f"its recordings have {listed} channels; take the file apart")
        check_input(self.sample_rate, self.channels)
        self.encoding = Encoding(self._file.format, self._file.subtype, self._file.endian)
        self.speakers = read_speakers(self._path, self.encoding, self.channels)
        guessed = self._file.frames >= _NO_LENGTH or self.encoding.subtype.startswith("MPEG")
        self.frames: int | None = self._pieces.length(self.sample_rate)
        if self.frames is None and not guessed:
            self.frames = self._file.frames
        if lacks:
            self._cut_off(lacks)
        self.notes += self._pieces.notes

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the sound in blocks, float32 [channels, samples].

        Raises:
            FileError: when the file turns out to be damaged or cut off on the way.
        """
        done = 0
        for piece in self._pieces.recordings:
            if piece is not self._pieces.recordings[0]:
                self.close()
                self._open(piece)
            for block in silence(self.channels, max(0, (piece.start or 0) - done), self.sample_rate):
                done += block.shape[1]
                yield block
            for block in self._alike(self._read(piece.samples)):
                done += block.shape[1]
                yield block[list(self.speakers.order)] if self.speakers.order else block
        missing = 0 if self.frames is None else self.frames - done
        if missing > self._pieces.tolerance * len(self._pieces.recordings):
            self._cut_off(f"{self.frames} samples are promised, there are {done}")

    def _read(self, most: int | None) -> Iterator[np.ndarray]:
        """Yield the sound of the file that is open, up to `most` samples, float32 [channels, samples]."""
        length = block_length(self._file.samplerate, self._file.channels)
        buffer = np.empty((length, self._file.channels), np.float32)
        done = 0
        while most is None or done < most:
            filled, problem = self._fill(buffer if most is None else buffer[: most - done])
            done += filled
            if filled:
                yield buffer[:filled].T
            if problem:
                self._cut_off(f"damaged at {done / self._file.samplerate:.2f} s, {problem}")
            if problem or not filled:
                return

    def _fill(self, buffer: np.ndarray) -> tuple[int, str]:
        """Fill the buffer in small parts, so that little is lost before damage; return how far, and what is wrong."""
        filled = 0
        with stderr_closed(self._file.format == "MP3"):
            while filled < len(buffer):
                part = buffer[filled : filled + _READ_AT_ONCE]
                try:
                    frames = self._file.read(out=part, dtype="float32", always_2d=True)
                except soundfile.LibsndfileError as error:
                    return filled, _reason(error)
                if len(frames) == 0:
                    break
                filled += len(frames)
        return filled, ""

    def _alike(self, blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield the blocks of one recording with the sample rate and the number of channels of the whole file."""
        rate, channels = self._file.samplerate, self._file.channels
        resampler = Resampler(rate, self.sample_rate, channels) if rate != self.sample_rate else None
        for block in blocks:
            block = block if resampler is None else resampler.process(block)
            yield block if channels == self.channels else np.repeat(block, self.channels, axis=0)
        if resampler is not None:
            block = resampler.flush()
            yield block if channels == self.channels else np.repeat(block, self.channels, axis=0)

    def _open(self, piece: Piece) -> None:
        shown = piece.open()
        if isinstance(shown, Path) and shown.suffix.lower() == ".raw":  # soundfile would go by the name
            shown = ByteView(shown, [(0, shown.stat().st_size)])
        name: Any = native_name(shown) if isinstance(shown, Path) else shown
        try:
            with stderr_closed():
                self._file = _Stream(name)
        except BaseException:
            if isinstance(shown, ByteView):
                shown.close()
            raise
        self._shown = shown

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        if isinstance(self._shown, ByteView):
            self._shown.close()

    def strings(self) -> dict[str, str]:
        """Return title, artist and the like, as far as libsndfile knows them."""
        strings = self._file.copy_metadata()
        if any(_NO_LETTER in text for text in strings.values()):
            strings |= {name: text for name, text in read_texts(self._path).items() if name in strings}
        return strings

    def _cut_off(self, lacks: str) -> None:
        if not self._salvage:
            raise FileError(f"cut off or damaged: {lacks} (--salvage denoises what is there)")
        self.notes.append(f"salvaged: {lacks}")


class SoundWriter:
    """Writes one sound file.

    Args:
        path: of the file; what is there is replaced.
        encoding: container and subtype.
        sample_rate: Hz.
        channels: number of channels.
        compression: of a lossy encoder.
        strings: title, artist and the like, for libsndfile.
        front: chunks to stand before the sound, in the container's own form.

    Raises:
        FileError: when the container cannot hold such sound.
        OSError: when the file cannot be made.
    """

    def __init__(
        self,
        path: Path,
        encoding: Encoding,
        sample_rate: int,
        channels: int,
        compression: Compression,
        strings: dict[str, str],
        front: bytes = b"",
    ) -> None:
        check_codec(encoding.major, encoding.subtype, sample_rate, channels)
        self._front = front
        order = VORBIS_ORDER.get(channels) if encoding.major == "OGG" else None
        self._order = None if order is None else list(order)
        self._bits = PCM_BITS.get(encoding.subtype)
        self._limited = encoding.major if encoding.major in LIMITED else None
        self._checked = CheckedFile(path.open("w+b", buffering=2**18))
        try:
            self._file = _Stream(
                self._checked,  # type: ignore[arg-type]
                "w",
                sample_rate,
                channels,
                encoding.subtype,
                encoding.endian,
                encoding.major,
                compression_level=compression.level,
                bitrate_mode=compression.mode,
            )
        except soundfile.LibsndfileError as error:
            self._checked.file.close()
            raise FileError(
                f"{encoding.major} {encoding.subtype} does not take {channels} channels at {sample_rate} Hz "
                f"({_reason(error)}); name another --format or --sample-rate"
            ) from None
        for name, text in strings.items():
            with suppress(soundfile.LibsndfileError):  # a container without such a field
                setattr(self._file, name, text)

    def write(self, block: np.ndarray) -> None:
        """Write float32 [channels, samples]. Integer subtypes are rounded and clamped; the others get floats.

        Raises:
            FileError: when the file becomes larger than its container can say.
            OSError: when the file system refuses, for example because the disk is full.
        """
        frames = (block if self._order is None else block[self._order]).T
        for start in range(0, len(frames), _WRITE_AT_ONCE):
            part = frames[start : start + _WRITE_AT_ONCE]
            part = part if self._bits is None else to_integers(part, self._bits)
            try:
                self._file.write(np.ascontiguousarray(part))
            except (soundfile.LibsndfileError, AssertionError) as error:  # a short count fails an assertion
                raise self._checked.error or FileError(f"the encoder gave up ({one_line(error)})") from None
            if self._front:  # only now the header has its final length
                self._checked.insert(place_of_sound(self._checked.head()), self._front)
                self._front = b""
            if self._checked.error is not None:
                raise self._checked.error
            if self._limited is not None and self._checked.tell() > SIZE_LIMIT:
                raise FileError(
                    f"{self._limited} cannot hold more than 4 GB, which the input did not say beforehand; "
                    "name --format rf64 or w64"
                )

    def flush(self) -> None:
        """Hand what is encoded to the system, so that it outlives this process; an `OSError` when that refuses."""
        self._checked.file.flush()

    def close(self) -> None:
        """Finish the file.

        Raises:
            OSError: when not everything was written.
        """
        try:
            self._file.close()
        except soundfile.LibsndfileError as error:
            raise self._checked.error or FileError(f"the encoder gave up ({_reason(error)})") from None
        finally:
            self._end()
        if self._checked.error is not None:
            raise self._checked.error

    def abort(self) -> None:
        """Close a file that will not be kept."""
        with suppress(soundfile.LibsndfileError):
            self._file.close()
        self._end()

    def _end(self) -> None:
        try:
            self._checked.file.close()
        except OSError as error:
            self._checked.error = self._checked.error or error


def _reason(error: soundfile.LibsndfileError) -> str:
    """Return libsndfile's words, without its "Error :" and its full stop."""
    text = str(error.error_string).removeprefix("Error : ").strip().rstrip(".").lower()
    return text or "no reason given"
