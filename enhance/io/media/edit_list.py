"""Edit lists of MP4 and MOV: which stretches of a track are shown and heard, and when.

A telephone that trims a video leaves the pictures and the sound where they are and writes down what is shown; encoders
write down in the same place the delay that they put in front. Here the list is read as pieces of sound, and a line of
decoded samples is cut to them, to the sample. Pieces must follow each other in the media, as in all files but those of
film editors.

Reference: ISO/IEC 14496-12, 8.6.6; the tag iTunSMPB, which is what iTunes writes instead.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from enhance.io.media.mp4_boxes import Box, clock, track_id
from enhance.io.pcm import silence
from enhance.utils.errors import FileError

_EMPTY = -1  # media time of an edit that shows nothing
_GAPLESS = re.compile(rb"iTunSMPB.{16,32}?\s([0-9A-F]{8})\s([0-9A-F]{8})\s([0-9A-F]{8})\s([0-9A-F]{16})", re.DOTALL)
_LONGEST_DELAY = 16_384  # samples that an encoder can put in front; more is a broken tag


@dataclass(frozen=True)
class Edit:
    """One entry of an edit list: ticks of the movie, ticks of the media (-1 shows nothing), speed (65536 is normal)."""

    duration: int
    media_time: int
    rate: int = 0x10000


@dataclass(frozen=True)
class Piece:
    """A stretch of a track, in seconds: from `begin` to `end` of the media (None for its end), heard from `at`.

    Where nothing is cut away behind it, `to_the_end` is true; then `end` is the length in the header, which is a little
    wrong where the track was copied from a container with a coarser clock, such as Matroska.
    """

    begin: Fraction
    end: Fraction | None
    at: Fraction
    to_the_end: bool = False


def read_edits(track: Box) -> list[Edit] | None:
    """Return the edit list of a track (`trak`), None when it has none."""
    box = track.find(b"edts", b"elst")
    if box is None or len(box.data) < 8:
        return None
    (count,) = struct.unpack_from(">I", box.data, 4)
    form = ">QqI" if box.data[0] == 1 else ">IiI"
    count = min(count, (len(box.data) - 8) // struct.calcsize(form))
    return [Edit(*struct.unpack_from(form, box.data, 8 + index * struct.calcsize(form))) for index in range(count)]


def write_edits(edits: list[Edit]) -> Box:
    """Return an edit list as a box (`edts`)."""
    entries = b"".join(struct.pack(">QqI", edit.duration, edit.media_time, edit.rate) for edit in edits)
    return Box(b"edts", children=[Box(b"elst", struct.pack(">II", 0x01000000, len(edits)) + entries)])


def pieces_of(movie: Box, number: int) -> list[Piece] | None:
    """Return what is heard of the track with this number; None when the movie header has no such track.

    Raises:
        FileError: when its edit list plays sound at another speed, or in another order than it was recorded.
    """
    track = next((track for track in movie.all(b"trak") if track_id(track) == number), None)
    ticks, _ = clock(movie.find(b"mvhd"))
    scale, length = clock(track.find(b"mdia", b"mdhd") if track is not None else None)
    if track is None or scale == 0 or ticks == 0:
        return None
    end = None if length is None else Fraction(length, scale)
    in_fragments = movie.find(b"mvex") is not None  # then the header knows the length of the first of them at most
    edits = read_edits(track)
    if not edits:
        return [_gapless(movie, scale, end) or Piece(Fraction(0), None if in_fragments else end, Fraction(0), True)]
    pieces: list[Piece] = []
    at = Fraction(0)
    for edit in edits:
        duration = Fraction(edit.duration, ticks)
        if edit.media_time != _EMPTY:
            if edit.rate != 0x10000:
                raise FileError("its edit list plays sound at another speed; save it anew in a video editor first")
            begin = Fraction(edit.media_time, scale)
            stop = begin + duration if edit.duration else end
            whole = stop is None or (end is not None and stop > end - Fraction(1, ticks))
            if whole and stop is not None:
                stop = None if in_fragments else end  # the movie's clock is coarser than that of the sound
            if pieces and (pieces[-1].end is None or begin < (pieces[-1].end or 0)):
                raise FileError("its edit list plays sound out of order; save it anew in a video editor first")
            pieces.append(Piece(begin, stop, at, whole))
        at += duration
    return pieces


def _gapless(movie: Box, scale: int, end: Fraction | None) -> Piece | None:
    """Return the piece that iTunes names in a tag: delay of the encoder, padding, and true length in samples."""
    user = movie.find(b"udta")
    found = _GAPLESS.search(user.data) if user is not None else None
    if found is None:
        return None
    delay, length = int(found[2], 16), int(found[4], 16)
    if not 0 < delay < _LONGEST_DELAY or length == 0:
        return None
    begin, stop = Fraction(delay, scale), Fraction(delay + length, scale)
    return Piece(begin, stop if end is None else min(stop, end), Fraction(0))


class EditedLine:
    """Cuts a line of samples to pieces; what lies between two pieces on the clock of the movie becomes silence.

    Args:
        pieces: in the order of the media.
        sample_rate: in Hz.
        has_padding: whether the codec fills its last frame up, which is cut off then; else a piece that goes to the
            end of the media ends with the last sample, whatever the header says of the length.

    Attributes:
        length: samples that all pieces last by the header; None when the last one goes on to the end of the media.
        start: time of the first sample that came out, in seconds on the clock of the movie; None before there is one.
    """

    def __init__(self, pieces: list[Piece], sample_rate: int, has_padding: bool = True) -> None:
        places = [
            (
                round(piece.begin * sample_rate),
                None if piece.end is None else round(piece.end * sample_rate),
                round(piece.at * sample_rate),
            )
            for piece in pieces
        ]
        self.length: int | None = 0
        for begin, end, _ in places:
            self.length = None if end is None or self.length is None else self.length + end - begin
        if places and pieces[-1].to_the_end and not has_padding:
            places[-1] = (places[-1][0], None, places[-1][2])
        self._pieces = places
        self._rate = sample_rate
        self._next = 0  # place in the movie that is written next, in samples; meaningful from the first sample on
        self.start: Fraction | None = None

    @property
    def done(self) -> bool:
        """Nothing more is heard, whatever follows."""
        return not self._pieces

    def cut(self, samples: np.ndarray, place: int) -> Iterator[np.ndarray]:
        """Cut samples, float32 [channels, samples], the first of which has this place in the media."""
        while self._pieces:
            begin, end, at = self._pieces[0]
            first = max(begin, place)
            last = place + samples.shape[1] if end is None else min(end, place + samples.shape[1])
            if last > first:
                where = at + first - begin
                if self.start is None:
                    self.start, self._next = Fraction(where, self._rate), where
                if where > self._next:
                    yield from silence(samples.shape[0], where - self._next, self._rate)
                yield samples[:, first - place : last - place]
                self._next = max(where, self._next) + last - first
            if end is None or end > place + samples.shape[1]:
                return
            self._pieces.pop(0)
