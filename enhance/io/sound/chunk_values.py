"""What the chunks beside the sound say of it, kept true when the sound changes.

A chunk may count samples (cue points, loops, the time reference of a broadcast file) or describe the level of the sound
(loudness, peaks) or its bytes (a checksum). `converted` moves the counts to the new sample rate, takes the levels out,
and gives up what it cannot keep true.

References: Microsoft, "Multimedia Programming Interface and Data Specifications" (cue, plst, adtl, smpl); EBU Tech 3285
(bext, levl); AES46 (cart); iXML 3.01 (Gallery); BWF MetaEdit (`MD5 `); Apple, AIFF-C (MARK) and CAF (mark, regn, ovvw).
"""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

_OF_THE_OLD_SOUND = frozenset({b"MD5 ", b"levl", b"ovvw"})  # checksum and overviews of the samples as they were
_COUNT_SAMPLES = frozenset({b"r64m", b"strc", b"basc", b"trns"})  # in ways that are not converted here
_LOUDNESS = slice(412, 422)  # five numbers of a bext of version 2
_NOT_MEASURED = struct.pack("<h", 0x7FFF)
_POST_TIMERS = 684  # bytes before the timers of a cart chunk: a name of four letters and a sample each


@dataclass(frozen=True)
class Change:
    """Changes of the sound.

    Attributes:
        before, after: sample rates in Hz.
        level: whether the level is another one.
        bits: of a sample after it; None where samples are encoded as they were.
    """

    before: int
    after: int
    level: bool = True
    bits: int | None = None

    @property
    def rate(self) -> bool:
        """Return whether the sample rate is another one."""
        return self.before != self.after

    def moved(self, samples: int) -> int:
        """Return the number of a sample at the new rate."""
        return (2 * samples * self.after + self.before) // (2 * self.before)


def converted(family: str, name: bytes, content: bytes, change: Change) -> bytes | None:
    """Return the content of a chunk for the new sound; None when it cannot be kept true.

    Args:
        family: of the container: wave, wave64, aiff, caf.
        name: of the chunk, 4 bytes.
        content: of the chunk, without its header.
        change: of the sound.
    """
    if name in _OF_THE_OLD_SOUND or (change.rate and (name in _COUNT_SAMPLES or (family, name) == ("wave64", b"mark"))):
        return None
    if name == b"bext" and change.level:
        content = without_loudness(content)
    if name == b"iXML" and change.bits is not None:
        content = re.sub(rb"(<AUDIO_BIT_DEPTH>\s*)\d+", rb"\g<1>%d" % change.bits, content)
    if not change.rate:
        return content
    if family == "wave, big-endian" and name in _LITTLE and name != b"iXML":
        return None
    convert = (_BIG if family in ("aiff", "caf") else _LITTLE).get(name)
    try:
        return content if convert is None else convert(content, change)
    except struct.error:  # shorter than it says, or it counts in ways that nobody knows
        return None


def without_loudness(bext: bytes) -> bytes:
    """Return a broadcast chunk in which no loudness is given, as EBU Tech 3285 has it for "not measured".

    Example:
        >>> old = bytes(346) + b"\\x02\\x00" + bytes(300)
        >>> without_loudness(old)[410:424].hex()
        '0000ff7fff7fff7fff7fff7f0000'
    """
    if len(bext) < _LOUDNESS.stop or bext[346] < 2:
        return bext
    return bext[: _LOUDNESS.start] + 5 * _NOT_MEASURED + bext[_LOUDNESS.stop :]


def tells_loudness(bext: bytes) -> bool:
    """Return whether a broadcast chunk gives a loudness that `without_loudness` takes away; zeros give none."""
    return without_loudness(bext) != bext and any(bext[_LOUDNESS])


def _numbers(content: bytes, change: Change, form: str, places: list[int]) -> bytes:
    """Return the content with the counts at some places moved to the new rate."""
    new = bytearray(content)
    for place in places:
        (samples,) = struct.unpack_from(form, new, place)
        struct.pack_into(form, new, place, change.moved(samples))
    return bytes(new)


def _cue(content: bytes, change: Change) -> bytes:
    (count,) = struct.unpack_from("<I", content)
    points = range(4, min(4 + 24 * count, len(content) - 23), 24)
    return _numbers(content, change, "<I", [point + offset for point in points for offset in (4, 20)])


def _plst(content: bytes, change: Change) -> bytes:
    (count,) = struct.unpack_from("<I", content)
    return _numbers(content, change, "<I", [8 + 12 * part for part in range(count)])


def _smpl(content: bytes, change: Change) -> bytes:
    (count,) = struct.unpack_from("<I", content, 28)
    loops = [36 + 24 * loop + offset for loop in range(count) for offset in (8, 12)]
    new = bytearray(_numbers(content, change, "<I", loops))
    struct.pack_into("<I", new, 8, round(1e9 / change.after))  # nanoseconds from one sample to the next
    return bytes(new)


def _list(content: bytes, change: Change) -> bytes:
    """Return the lengths of labelled regions (`ltxt`) in a list of type `adtl`; other lists hold no counts."""
    places, place = [], 4
    while content.startswith(b"adtl") and place + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, place)
        if name == b"ltxt":
            places.append(place + 12)
        place += 8 + size + size % 2
    return _numbers(content, change, "<I", places)


def _bext(content: bytes, change: Change) -> bytes:
    return _numbers(content, change, "<Q", [338])


def _cart(content: bytes, change: Change) -> bytes:
    return _numbers(content, change, "<I", [_POST_TIMERS + 8 * timer + 4 for timer in range(8)])


def _ixml(content: bytes, change: Change) -> bytes:
    new = re.sub(rb"(<FILE_SAMPLE_RATE>\s*)\d+", rb"\g<1>%d" % change.after, content)
    stamp = re.search(rb"<TIMESTAMP_SAMPLE_RATE>\s*(\d+)", new)
    if stamp is None or int(stamp[1]) == change.before:
        new = re.sub(rb"(<TIMESTAMP_SAMPLE_RATE>\s*)\d+", rb"\g<1>%d" % change.after, new)
        new = _halves(new, change, b"TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI", b"TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO")
    new = _halves(new, change, b"BWF_TIME_REFERENCE_HIGH", b"BWF_TIME_REFERENCE_LOW")
    return _halves(new, change, b"SYNC_POINT_HIGH", b"SYNC_POINT_LOW")


def _halves(text: bytes, change: Change, high: bytes, low: bytes) -> bytes:
    """Move the counts that stand in two elements of 32 bits each, as often as there are any.

    Some recorders leave the high ones out, as they are 0; they are put in where they no longer are.

    Raises:
        struct.error: only some counts have a high element: nobody knows which.
    """
    form = rb"(<%s>\s*)(\d+)"
    highs, lows = re.findall(form % high, text), re.findall(form % low, text)
    if highs and len(highs) != len(lows):
        raise struct.error(f"{len(highs)} high halves of {len(lows)} counts")
    tops = [int(top) for _, top in highs] or [0] * len(lows)
    moved = [change.moved(top << 32 | int(rest)) for top, (_, rest) in zip(tops, lows, strict=True)]

    def new_low(found: re.Match[bytes]) -> bytes:
        count = moved.pop(0)
        missing = b"" if highs or not count >> 32 else b"<%s>%d</%s>" % (high, count >> 32, high)
        return missing + found[1] + b"%d" % (count & 0xFFFFFFFF)

    new_tops = iter(moved.copy())
    text = re.sub(form % high, lambda found: found[1] + b"%d" % (next(new_tops) >> 32), text)
    return re.sub(form % low, new_low, text)


def _aiff_marks(content: bytes, change: Change) -> bytes:
    (count,) = struct.unpack_from(">H", content)
    places, place = [], 2
    for _ in range(count):
        places.append(place + 2)
        (length,) = struct.unpack_from(">B", content, place + 6)
        place += 7 + length + (length + 1) % 2
    return _numbers(content, change, ">I", places)


def _caf_marks(content: bytes, change: Change, start: int = 8, count: int | None = None) -> bytes:
    if count is None:
        (count,) = struct.unpack_from(">I", content, 4)
    new = bytearray(content)
    for place in range(start + 4, start + 4 + 28 * count, 28):
        (frame,) = struct.unpack_from(">d", new, place)
        struct.pack_into(">d", new, place, frame * change.after / change.before)
    return bytes(new)


def _caf_regions(content: bytes, change: Change) -> bytes:
    (count,) = struct.unpack_from(">I", content, 4)
    place = 8
    for _ in range(count):
        (marks,) = struct.unpack_from(">I", content, place + 8)
        content = _caf_marks(content, change, place + 12, marks)
        place += 12 + 28 * marks
    return content


_Convert = Callable[[bytes, Change], bytes]
_LITTLE: dict[bytes, _Convert] = {
    b"cue ": _cue,
    b"plst": _plst,
    b"smpl": _smpl,
    b"LIST": _list,
    b"bext": _bext,
    b"iXML": _ixml,
    b"cart": _cart,
}
_BIG: dict[bytes, _Convert] = {b"MARK": _aiff_marks, b"mark": _caf_marks, b"regn": _caf_regions}
