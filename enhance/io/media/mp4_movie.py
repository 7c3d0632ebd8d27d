"""The movie header of a new MP4 or MOV, put right after FFmpeg wrote it.

FFmpeg's muxer writes an edit list and user data of its own. Here copied tracks get back the edit list that they had, so
that what was cut away stays away; tracks of new sound get the exact length of their sound, without the padding of the
codec; and place, date, make and model of a camera (`udta`, `meta`), language tags (`elng`), colours, size and turn of
the picture are taken over byte by byte. A header that lay before the data, so that the file plays while it loads, lies
there again.

Reference: ISO/IEC 14496-12; QuickTime File Format Specification, "Metadata" and "User Data Atoms".
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from enhance.io.media.edit_list import Edit, read_edits, write_edits
from enhance.io.media.mp4_boxes import Box, clock, extents, parse, read_movie, track_id
from enhance.io.media.mp4_speakers import carry_speakers
from enhance.utils.insertion import insert

_COPIED_BOXES = (b"udta", b"meta", b"tapt")  # of a track: user data, metadata, clean aperture
_ONE = b"\0\0\0\1"  # description of samples: with several, the muxer does not say which belongs to which
_WRITTEN = b"chpl"  # chapters, which the muxer writes anew
_LOOKS = 52  # bytes at the end of a track header: layer, group, volume, turn and size of the picture


@dataclass(frozen=True)
class NewSound:
    """Facts of a track of new sound.

    Attributes:
        samples: per channel, without delay and padding.
        sample_rate: in Hz, which is also the clock of its media.
        begin: time of the first sample, in samples.
        delay: samples that the encoder put in front.
        same_order: whether its channels are in the order in which the source has them.
    """

    samples: int
    sample_rate: int
    begin: int
    delay: int
    same_order: bool = False


def finish_movie(source: Path, target: Path, origins: Mapping[int, int], sounds: Mapping[int, NewSound]) -> None:
    """Put the movie header of `target` right, by that of `source`.

    Args:
        source: the input.
        target: the output, complete as FFmpeg wrote it, with its movie header at the end.
        origins: number of the track in the source, by the place of a track in the target.
        sounds: what is known of tracks of new sound, by the place of a track in the target.

    Raises:
        OSError: when the target cannot be written.
    """
    old, new = read_movie(source), read_movie(target)
    if old is None or new is None:
        return
    ticks, _ = clock(new.find(b"mvhd"))
    old_ticks, _ = clock(old.find(b"mvhd"))
    old_tracks = {track_id(track): track for track in old.all(b"trak")}
    longest, added = 0, []
    for place, track in enumerate(new.all(b"trak")):
        origin = old_tracks.get(origins.get(place, 0))
        edits = read_edits(track) or []
        if place in sounds:
            edits = _exact(sounds[place], ticks)
            track.put(b"edts", write_edits(edits), before=b"mdia")
            if origin is not None and sounds[place].same_order:
                carry_speakers(origin, track)
        elif origin is not None and ticks and old_ticks:
            kept = [
                Edit(round(edit.duration * ticks / old_ticks), edit.media_time, edit.rate)
                for edit in read_edits(origin) or []
            ]
            if all(edit.duration for edit in kept):  # fragments do not know how long they last
                edits = kept
                track.put(b"edts", write_edits(kept) if kept else None, before=b"mdia")
        length = sum(edit.duration for edit in edits) or _media_length(track, ticks)
        if place in origins:
            longest = max(longest, length)
        else:
            added.append((track, length))
        _set_length(track.find(b"tkhd"), length, (20, 28))
        if origin is not None:
            _copy_track(origin, track, place not in sounds)
    for track, length in added:  # the time code and chapters, which FFmpeg may give more than there is to see and hear
        if (edits := read_edits(track)) and len(edits) == 1 and length > longest:
            track.put(b"edts", write_edits([replace(edits[0], duration=longest)]), before=b"mdia")
        _set_length(track.find(b"tkhd"), min(length, longest), (20, 28))
    _set_length(new.find(b"mvhd"), longest, (16, 24))
    _copy_movie(old, new)
    _write(target, new, _is_in_front(source))


def _exact(sound: NewSound, ticks: int) -> list[Edit]:
    """Return edits that show exactly the sound: without the delay of the encoder in front and the padding behind."""
    pause = [Edit(round(sound.begin * ticks / sound.sample_rate), -1)] if sound.begin > 0 else []
    return [*pause, Edit(round(sound.samples * ticks / sound.sample_rate), sound.delay)]


def _media_length(track: Box, ticks: int) -> int:
    scale, length = clock(track.find(b"mdia", b"mdhd"))
    return round((length or 0) * ticks / scale) if scale else 0


def _set_length(header: Box | None, length: int, places: tuple[int, int]) -> None:
    """Write a length into a track or movie header, whose versions 0 and 1 have it at these places."""
    if header is None or len(header.data) < places[1] + 8:
        return
    data = bytearray(header.data)
    if data[0] == 1:
        struct.pack_into(">Q", data, places[1], length)
    elif length < 2**32:
        struct.pack_into(">I", data, places[0], length)
    header.data = bytes(data)


def _copy_track(old: Box, new: Box, copied: bool) -> None:
    """Take over what describes a track; of one that was copied also how its samples are to be read and shown."""
    for kind in _COPIED_BOXES:
        if (box := old.find(kind)) is not None:
            new.put(kind, box)
    language, media = old.find(b"mdia", b"elng"), new.find(b"mdia")
    if language is not None and media is not None:
        media.put(b"elng", language, before=b"hdlr")
    before, after = old.find(b"tkhd"), new.find(b"tkhd")
    if copied and before is not None and after is not None:
        after.data = after.data[:-_LOOKS] + before.data[-_LOOKS:]
    samples, described = new.find(b"mdia", b"minf", b"stbl"), old.find(b"mdia", b"minf", b"stbl", b"stsd")
    if copied and samples is not None and described is not None and described.data[4:8] == _ONE:
        samples.put(b"stsd", described)


def _copy_movie(old: Box, new: Box) -> None:
    if (keys := old.find(b"meta")) is not None:
        new.put(b"meta", keys)
    user = old.find(b"udta")
    if user is None:
        return
    theirs = parse(user.data)
    ours = parse(box.data) if (box := new.find(b"udta")) is not None else []
    kinds = {box.kind for box in theirs}
    kept = theirs + [box for box in ours if box.kind == _WRITTEN and box.kind not in kinds]
    new.put(b"udta", Box(b"udta", b"".join(box.pack() for box in kept)))


def _is_in_front(path: Path) -> bool:
    """Return whether the movie header lies before the data."""
    with path.open("rb") as file:
        kinds = [extent.kind for extent in extents(file)]
    return b"mdat" in kinds and b"moov" in kinds[: kinds.index(b"mdat")]


def _write(path: Path, movie: Box, in_front: bool) -> None:
    """Write the movie header, which lies at the end of the file, anew; there or before the data."""
    with path.open("r+b") as file:
        places = {extent.kind: extent for extent in extents(file)}
        end, data = places[b"moov"].begin, places.get(b"mdat")
        if data is None or places[b"moov"].begin < data.begin:
            return
        file.truncate(end)
        begin = next(extent.begin for extent in extents(file) if extent.kind in (b"mdat", b"free", b"wide"))
        if in_front and _shift_chunks(movie, len(movie.pack())):
            insert(file, begin, movie.pack())
        else:
            file.seek(end)
            file.write(movie.pack())


def _shift_chunks(movie: Box, by: int) -> bool:
    """Move all chunks of data by so many bytes. Returns False, with nothing done, where 32 bits do not hold that."""
    tables: list[tuple[Box, str]] = []
    for track in movie.all(b"trak"):
        samples = track.find(b"mdia", b"minf", b"stbl")
        for kind, form in ((b"stco", "I"), (b"co64", "Q")):
            if samples is not None and (box := samples.find(kind)) is not None:
                tables.append((box, form))
    moved: list[bytes] = []
    for box, form in tables:
        (count,) = struct.unpack_from(">I", box.data, 4)
        offsets = [offset + by for offset in struct.unpack_from(f">{count}{form}", box.data, 8)]
        if form == "I" and offsets and max(offsets) >= 2**32:
            return False
        moved.append(box.data[:8] + struct.pack(f">{count}{form}", *offsets))
    for (box, _), content in zip(tables, moved, strict=True):
        box.data = content
    return True
