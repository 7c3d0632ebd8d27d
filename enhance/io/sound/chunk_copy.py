"""The chunks beside the sound carried from one file to another of the same family, at the side where they were.

libsndfile drops the chunks that it does not know: broadcast data (`bext`, `iXML`), cue points and their labels,
embedded ID3 with cover and chapters. `gather` reads those of the input and keeps them true
(`enhance.io.sound.chunk_values`); `SoundWriter` puts the ones that stood before the sound there again, and `append` the
others behind it.
"""

import os
import struct
from dataclasses import dataclass, field, replace
from pathlib import Path

from enhance.io.sound.chunk_values import Change, converted, tells_loudness
from enhance.io.sound.riff_chunks import layout_of, remainder, walk
from enhance.io.untrue_tags import true_id3

_LARGEST_COPY = 2**28  # bytes; what is larger is no description of the sound
_TAGS = frozenset({b"ID3 ", b"id3 ", b"NAME", b"AUTH", b"ANNO", b"(c) ", b"APPL", b"info", b"strg"})
_FILLING = {b"bext": b"\0", b"iXML": b" "}  # what may stand at their ends and says nothing
_BEFORE_AIFF_SOUND = 8  # bytes in its chunk


@dataclass
class Chunks:
    """Chunks of an input, with their headers, padded.

    Attributes:
        family: of the container; empty when it has no chunks.
        before, behind: those before and behind the sound, by their names.
        dropped: names of those, and of tags in them, that are not true any more.
        notes: on what else is left out.
    """

    family: str = ""
    before: list[tuple[bytes, bytes]] = field(default_factory=list)
    behind: list[tuple[bytes, bytes]] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def gather(source: Path, change: Change) -> Chunks:
    """Return the chunks of a file that are neither sound nor format."""
    with source.open("rb") as file:
        layout = layout_of(file)
        if layout is None:
            return Chunks()
        found = Chunks(layout.family)
        where = found.before
        end = file.seek(0, os.SEEK_END)
        chunks = list(walk(file, layout, end))
        for chunk in chunks:
            plain = chunk.name[:4]
            if plain == layout.sound:
                where = found.behind
            if plain in layout.essential:
                continue
            if chunk.size > _LARGEST_COPY:
                found.notes.append(f"its chunk {_text(plain)} of {chunk.size} bytes is left out")
                continue
            file.seek(chunk.start + layout.header)
            old = file.read(chunk.size)
            if plain == b"bext" and change.level and tells_loudness(old):
                found.dropped.append("loudness (bext)")
            content = converted(layout.family, plain, old, change)
            if content is None:
                found.dropped.append(_text(plain))
                continue
            if plain.upper() == b"ID3 ":
                content, names = true_id3(content, change.level)
                found.dropped += names
            size = struct.pack(layout.size, len(content) + (layout.header if layout.counts_header else 0))
            whole = chunk.name + size + content
            where.append((chunk.name, whole + bytes(-len(whole) % layout.alignment)))
        if chunks and (rest := remainder(file, layout, chunks[-1], end)):
            found.notes.append(f"{rest} bytes behind its last chunk are none, and are left out")
    return found


def names_beside(chunks: Chunks) -> list[str]:
    """Return the names of chunks that only containers of their family take: all but those of texts that are tags."""
    found = (*chunks.before, *chunks.behind)
    return [_text(name[:4]) for name, whole in found if name[:4] not in _TAGS and not _is_info(whole, len(name))]


def _is_info(chunk: bytes, name_bytes: int) -> bool:
    """Return whether a chunk is a list of title, artist and the like, by its kind behind the name and the size."""
    return chunk[name_bytes + (4 if name_bytes == 4 else 8) :].startswith(b"INFO")


def for_rf64(chunks: Chunks) -> Chunks:
    """Return chunks of WAV as an RF64 may hold them: libsndfile finds no sound there behind a chunk of odd size.

    Broadcast data and iXML get one byte more, which says nothing; others go behind the sound.
    """
    before, behind = [], []
    for name, whole in chunks.before:
        (size,) = struct.unpack("<I", whole[4:8])
        if size % 2 and name not in _FILLING:
            behind.append((name, whole))
            continue
        if size % 2:
            whole = name + struct.pack("<I", size + 1) + whole[8:-1] + _FILLING[name]
        before.append((name, whole))
    return replace(chunks, before=before, behind=behind + chunks.behind)


def _text(name: bytes) -> str:
    return name.decode("ascii", "replace").strip()


def append(chunks: Chunks, target: Path, front_is_written: bool) -> None:
    """Put chunks behind the sound of a finished file, if it is of their family.

    Args:
        chunks: of the input.
        target: its chunks of the same names are kept, as the encoder wrote them.
        front_is_written: the chunks that belong before the sound are there already.
    """
    with target.open("r+b") as file:
        layout = layout_of(file)
        if layout is None or layout.family != chunks.family:
            return
        there = list(walk(file, layout, file.seek(0, os.SEEK_END)))
        if layout.alignment == 1 and there and there[-1].size >= 0:
            file.truncate(there[-1].start + layout.header + there[-1].size)  # CAF has no padding: libsndfile writes it
        present = {chunk.name for chunk in there}
        present -= {b"LIST", *(name for name, _ in chunks.before if front_is_written)}
        wanted = chunks.behind if front_is_written else [*chunks.before, *chunks.behind]
        for name, content in wanted:
            if name in present:
                continue
            file.seek(0, os.SEEK_END)
            file.write(bytes(-file.tell() % layout.alignment) + content)
        end = file.seek(0, os.SEEK_END)
        if layout.family != "wave64":  # where libsndfile reads padding as sound; chunks bring their own
            end += file.write(bytes(-end % layout.alignment))
        if layout.total is not None:
            place, number = layout.total
            file.seek(place)
            file.write(struct.pack(number, end - (0 if layout.counts_header else 8)))


def note_length(target: Path, samples: int) -> None:
    """Write the samples per channel into the `fact` chunk, which tells sound in blocks from the padding of the last.

    libsndfile counts whole blocks of IMA ADPCM there.
    """
    with target.open("r+b") as file:
        layout = layout_of(file)
        if layout is None:
            return
        for chunk in walk(file, layout, file.seek(0, os.SEEK_END)):
            if chunk.name[:4] == b"fact" and chunk.size >= 4:
                file.seek(chunk.start + layout.header)
                file.write(struct.pack(layout.size[0] + ("Q" if chunk.size >= 8 else "I"), samples))
                return


def note_odd_length(target: Path, samples: int) -> None:
    """Write the odd number of bytes of mono sound into AIFF, where libsndfile counts the one that pads it as well."""
    with target.open("r+b") as file:
        layout = layout_of(file)
        if layout is None or layout.family != "aiff":
            return
        for chunk in list(walk(file, layout, file.seek(0, os.SEEK_END))):
            if chunk.name == b"COMM":
                file.seek(chunk.start + layout.header + 2)
                file.write(struct.pack(">I", samples))
            elif chunk.name == layout.sound:
                file.seek(chunk.start + 4)
                file.write(struct.pack(">I", _BEFORE_AIFF_SOUND + samples))


def place_of_sound(content: bytes) -> int:
    """Return the place of the header of the sound chunk in the first bytes of a file; -1 when it has none."""
    from io import BytesIO

    file = BytesIO(content)
    layout = layout_of(file)
    if layout is None:
        return -1
    return next((chunk.start for chunk in walk(file, layout, len(content)) if chunk.name[:4] == layout.sound), -1)
