"""Fields of tags under the names that Vorbis comments have for them, and what other containers call them.

Between containers whose tags are of different kinds go the fields that both have a name for: ID3 by the names of
mutagen's `EasyID3`, comments, lyrics and fields of a person's own; FFmpeg by its general names; libsndfile by the few
that it has. What has no name on the other side is told by its own.

Reference: ID3v2.4 (id3.org), Ogg Vorbis I comment field recommendations (Xiph.Org), VorbisComment (wiki.xiph.org).
"""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from io import BytesIO
from typing import Any

from mutagen import MutagenError
from mutagen.easyid3 import EasyID3
from mutagen.id3 import CHAP, COMM, CTOC, ID3, TIT2, TSSE, TXXX, USLT, WXXX, CTOCFlags

from enhance.io.bounded_tags import read_bounded
from enhance.io.untrue_tags import is_untrue
from enhance.utils.errors import FileError

Fields = dict[str, list[str]]

_STRINGS = ("title", "copyright", "artist", "comment", "date", "album", "license", "tracknumber", "genre", "software")
_OTHER_NAMES = {
    "track": "tracknumber",
    "disc": "discnumber",
    "album_artist": "albumartist",
    "album artist": "albumartist",
    "publisher": "organization",
    "encoded_by": "encodedby",
    "tbpm": "bpm",
    "tsrc": "isrc",
    "sort_name": "titlesort",
    "sort_artist": "artistsort",
    "sort_album": "albumsort",
    "sort_album_artist": "albumartistsort",
    "sort_composer": "composersort",
    "lyrics-eng": "lyrics",
    "lyrics-xxx": "lyrics",
    "unsyncedlyrics": "lyrics",
    "year": "date",
}
_OF_CHAPTERS = frozenset({"TIT2", "WXXX"})  # frames inside a chapter: its title, and where it leads
_CHAPTER, _CLOCK = re.compile(r"chapter\d+"), re.compile(r"(\d+):(\d+):(\d+(?:\.\d+)?)")
_COUNTS = {"tracknumber": ("tracktotal", "totaltracks"), "discnumber": ("disctotal", "totaldiscs")}
_USUAL = frozenset({*EasyID3.valid_keys, *_STRINGS, "lyrics", "description", "synopsis"}) - {"software", "length"}
# Beginnings of names under which FFmpeg tells of the file, and not of the recording.
_OF_THE_FILE = (
    *("major_brand", "minor_version", "compatible_brands", "creation_time", "encoder", "encoding_tool", "duration"),
    *("language", "software", "modification_date", "operational_pattern", "uid", "generation_uid", "company_name"),
    *("product_", "application_platform", "toolkit_", "material_package", "wmfsdk", "isvbr", "deviceconformance"),
    *("gapless_playback", "media_type"),
)
_BESIDE = frozenset({"COMM", "USLT", "TXXX", "APIC", "CHAP", "CTOC", "TSSE", "TLEN", "TFLT"})  # not asked of EasyID3


def is_name(key: str) -> bool:
    """Return whether Vorbis comments can hold a field of this name, and it describes nothing of the old stream."""
    return (
        not is_untrue(key, level=True) and key != "" and all(" " <= letter <= "}" and letter != "=" for letter in key)
    )


def from_id3(tag: ID3) -> tuple[Fields, list[str]]:
    """Return the fields of an ID3 tag, with its chapters, and the names of the frames that have no place among them."""
    fields = _easy_fields(tag)
    for frame in tag.getall("COMM"):
        _add(fields, "comment", frame.text)
    for frame in tag.getall("USLT"):
        _add(fields, "lyrics", [frame.text])
    lost = []
    for frame in tag.getall("TXXX"):
        if not is_name(frame.desc):
            lost.append(f"TXXX:{frame.desc}")
        elif frame.desc.lower() not in fields:
            fields[frame.desc.lower()] = list(frame.text)
    for number, chapter in enumerate(sorted(tag.getall("CHAP"), key=lambda chapter: chapter.start_time), 1):
        minutes, milliseconds = divmod(chapter.start_time, 60_000)
        clock = f"{minutes // 60:02}:{minutes % 60:02}:{milliseconds // 1000:02}.{milliseconds % 1000:03}"
        fields[f"chapter{number:03}"] = [clock]
        fields[f"chapter{number:03}name"] = [str(text) for text in chapter.sub_frames.getall("TIT2")[:1]]
        if links := chapter.sub_frames.getall("WXXX"):
            fields[f"chapter{number:03}url"] = [links[0].url]
        inside = {frame.FrameID for frame in chapter.sub_frames.values()}
        lost += [f"{name} of chapters" for name in sorted(inside - _OF_CHAPTERS)]
    known = {frame.FrameID for frame in to_id3(fields).values()} | _BESIDE
    return fields, list(dict.fromkeys(lost)) + sorted({frame.FrameID for frame in tag.values()} - known)


def to_id3(fields: Mapping[str, list[str]], seconds: float = 0.0) -> ID3:
    """Return an ID3 tag with these fields: those that it has no frame for under the names that they have.

    Args:
        fields: by the names of Vorbis comments, in small letters.
        seconds: length of the sound, where its last chapter ends.
    """
    fields = dict(fields)
    chapters = _take_chapters(fields)
    for name, counts in _COUNTS.items():
        total = next((fields.pop(count) for count in counts if count in fields), None)
        if total and name in fields and "/" not in fields[name][0]:
            fields[name] = [f"{fields[name][0]}/{total[0]}"]
    easy, others = EasyID3(), {}
    for name, texts in fields.items():
        try:
            easy[name] = texts
            if list(map(str, easy[name])) == texts:
                continue
        except (KeyError, ValueError, MutagenError):  # no such frame, or not for such text
            pass
        with suppress(KeyError):
            del easy[name]
        others[name] = texts
    written = BytesIO()
    easy.save(written, v1=0)
    tag = ID3(BytesIO(written.getvalue())) if len(easy.keys()) else ID3()
    for name, texts in others.items():
        if name == "comment":
            tag.add(COMM(3, "eng", "", texts))
        elif name == "lyrics":
            tag.add(USLT(3, "eng", "", "\n".join(texts)))
        elif name == "software":
            tag.add(TSSE(3, texts))
        else:
            tag.add(TXXX(3, name, texts))
    starts = [start for start, _, _ in chapters]
    ends = [*starts[1:], max([round(1000 * seconds), *starts])]
    for number, ((start, title, links), end) in enumerate(zip(chapters, ends, strict=False), 1):
        inside = [TIT2(3, title), *(WXXX(3, "", link) for link in links[:1])]
        tag.add(CHAP(f"chp{number}", start, end, sub_frames=inside))
    if chapters:
        names = [f"chp{number}" for number in range(1, len(chapters) + 1)]
        tag.add(CTOC("toc", CTOCFlags.TOP_LEVEL | CTOCFlags.ORDERED, names))
    return tag


def from_strings(strings: Mapping[str, str]) -> Fields:
    """Return the fields that libsndfile gives."""
    return {name: [text] for name, text in strings.items() if text}


def to_strings(fields: Mapping[str, list[str]]) -> dict[str, str]:
    """Return the fields that libsndfile has a name for, with one text each."""
    return {name: "; ".join(fields[name]) for name in _STRINGS if fields.get(name)}


def from_general(metadata: Mapping[str, str]) -> tuple[Fields, list[str], list[str]]:
    """Return the fields of what FFmpeg says of a file, and the names of those that have no usual name elsewhere.

    Third come the names of those that describe the old stream.

    Example:
        >>> from_general({"album_artist": "Anna", "major_brand": "M4A ", "location": "+48-123/"})
        ({'albumartist': ['Anna']}, ['location'], [])
    """
    fields: Fields = {}
    lost, untrue = [], []
    for key, text in sorted(metadata.items(), key=lambda item: item[0].lower() in _OTHER_NAMES):
        name = _renamed(key)
        if is_untrue(name, level=True):
            untrue.append(key)
        elif name in _USUAL and fields.setdefault(name, [text]) == [text]:
            continue
        elif not name.startswith(_OF_THE_FILE):
            lost.append(key)
    return fields, lost, untrue


def by_usual_names(found: Iterable[tuple[str, list[str]]]) -> Fields:
    """Return fields under the names that Vorbis comments have for them, in small letters.

    Where one has such a name already, another with a text of its own keeps the name that it had.

    Example:
        >>> by_usual_names([("YEAR", ["2024"]), ("DATE", ["2024-05-03"]), ("Track", ["3"])])
        {'date': ['2024-05-03'], 'year': ['2024'], 'tracknumber': ['3']}
    """
    named = [(key.lower(), _renamed(key), texts) for key, texts in found]
    fields = {usual: texts for name, usual, texts in named if name == usual}
    for name, usual, texts in named:
        if fields.setdefault(usual, texts) != texts:
            fields[name] = texts
    return fields


def _renamed(key: str) -> str:
    """Return the name that Vorbis comments have for a field, in small letters."""
    return _OTHER_NAMES.get(key.lower(), key.lower())


def _take_chapters(fields: Fields) -> list[tuple[int, list[str], list[str]]]:
    """Take the chapters out of fields: the milliseconds at which each begins, its title, and where it leads."""
    chapters = []
    for name in list(fields):
        clock = _CLOCK.fullmatch(fields[name][0]) if _CHAPTER.fullmatch(name) and fields[name] else None
        if clock is not None:
            hours, minutes, rest = int(clock[1]), int(clock[2]), float(clock[3])
            del fields[name]
            title, links = fields.pop(f"{name}name", [""]), fields.pop(f"{name}url", [])
            chapters.append((round(1000 * (3600 * hours + 60 * minutes + rest)), title, links))
    return sorted(chapters)


def _easy_fields(tag: ID3) -> Fields:
    written, plain = BytesIO(), ID3()
    for frame in tag.values():  # that of WAV and AIFF saves itself into such files only
        plain.add(frame)
    plain.save(written, v1=0)
    if not written.getvalue():
        return {}
    try:
        easy: Any = read_bounded(EasyID3, written.getvalue())
    except (MutagenError, FileError):  # all its frames have no place then
        return {}
    fields: Fields = {}
    for key in sorted(set(easy) - {"length"}):
        with suppress(KeyError, ValueError, MutagenError):
            fields[key] = [str(value) for value in easy[key]]
    return fields


def _add(fields: Fields, name: str, texts: Iterable[str]) -> None:
    """Add texts to a field that are not in it."""
    there = fields.setdefault(name, [])
    there += [text for text in map(str, texts) if text and text not in there]
