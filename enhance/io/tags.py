"""Tags, cover and chapters of an input, carried over to its output.

Three ways, by what the containers share. Within one family of chunk files (WAV, AIFF, CAF, Wave64) the chunks are
copied (`enhance.io.sound.chunk_copy`). FLAC, Vorbis and Opus share the Vorbis comment, which also holds chapters; MP3
keeps its ID3 tag, and M4A and MP4 their atoms. Between other containers go the cover and the fields that both have
names for (`enhance.io.tag_fields`), and a note says what stays behind. What describes the old stream and not the
recording (the delay of its encoder, gains for its level) is left out, and a note says so.

Reference: the Vorbis comment and METADATA_BLOCK_PICTURE of Xiph.Org, ID3v2.3 and 2.4 (id3.org), through mutagen.
"""

import base64
import errno
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mutagen import FileType, MutagenError
from mutagen.aiff import AIFF
from mutagen.apev2 import APEv2
from mutagen.flac import FLAC, Picture
from mutagen.id3 import APIC, ID3
from mutagen.mp3 import MP3
from mutagen.mp4 import MP4
from mutagen.oggflac import OggFLAC
from mutagen.oggopus import OggOpus
from mutagen.oggvorbis import OggVorbis
from mutagen.wave import WAVE

from enhance.io.bounded_tags import read_bounded
from enhance.io.foreign_tags import fields_of_ape, read_ape_of_mp3, read_id3_of_flac
from enhance.io.formats import Encoding
from enhance.io.sound.chunk_copy import gather, names_beside
from enhance.io.sound.chunk_values import Change
from enhance.io.sound.sound_file import SoundReader
from enhance.io.tag_fields import Fields, by_usual_names, from_id3, from_strings, is_name, to_id3, to_strings
from enhance.io.untrue_tags import drop_untrue
from enhance.utils.errors import FileError

_FAMILIES = {"WAV": "wave", "WAVEX": "wave", "RF64": "wave", "AIFF": "aiff", "CAF": "caf", "W64": "wave64"}
_CLASSES: dict[str, type[FileType]] = {"FLAC": FLAC, "MP3": MP3, "WAV": WAVE, "WAVEX": WAVE, "AIFF": AIFF}
_OGG: dict[str, type[FileType]] = {"VORBIS": OggVorbis, "OPUS": OggOpus}
_VORBIS = (FLAC, OggFLAC, OggOpus, OggVorbis)  # whose tags are Vorbis comments
_CHAPTER = re.compile(r"chapter\d+(name|url)?$")  # a field of Vorbis comments
_PICTURE = "metadata_block_picture"
_CUESHEET = 5  # code of the metadata block in FLAC; it counts samples
_APPLICATION = 2  # code of a block of FLAC that some program wrote
_FOREIGN = (b"riff", b"aiff", b"w64 ")  # applications whose blocks hold the header of the file that FLAC was made from


def shares_tags(before: Encoding | None, after: Encoding) -> bool:
    """Return whether `carry_tags` carries the text fields too, so that libsndfile must not write them a second time."""
    if before is None:
        return False
    if before.major in _FAMILIES or after.major in _FAMILIES:
        return _FAMILIES.get(before.major) == _FAMILIES.get(after.major)
    both_known = _class_of(before) is not None and _class_of(after) is not None
    return both_known and (before.major == "MP3") == (after.major == "MP3")


def chunk_family(encoding: Encoding) -> str:
    """Return the family of a container of chunks, within which they are copied; empty for other containers."""
    return _FAMILIES.get(encoding.major, "")


def carry_tags(source: Path, target: Path, before: Encoding, after: Encoding, change: Change) -> list[str]:
    """Give the finished sound file `target` what `source` has beside its sound, where they are no containers of chunks.

    Args:
        source, target: of the sound.
        before, after: how they are written.
        change: of the sound.

    Returns:
        The names of the tags that are left out since they are not true of the new sound.

    Raises:
        FileError: when the tags of `source` cannot be read; `target` is then as it was.
        OSError: when they cannot be written.
    """
    old_class, new_class = _class_of(before), _class_of(after)
    if old_class is None or new_class is None:
        return []
    old, pictures = _read(old_class, source)
    ape = read_ape_of_mp3(source) if before.major == "MP3" else None
    id3 = read_id3_of_flac(source) if before.major == "FLAC" else None
    blocks, dropped = _blocks(old, change, before == after) if before.major == after.major == "FLAC" else ([], [])
    if not old.tags and not pictures and ape is None and id3 is None and not blocks:
        return dropped
    dropped += drop_untrue(old.tags, change.level) + drop_untrue(ape, change.level)
    fields = from_id3(id3)[0] if id3 is not None else {}
    if id3 is not None and not pictures:
        pictures = [_from_frame(frame) for frame in id3.getall("APIC")]
    with _writing():
        new = _opened(new_class, target)
        if before.major == after.major == "MP3" and ape is not None:
            ape.save(target)
        if before.major == after.major == "MP3" and not old.tags:
            return dropped
        if before.major == after.major == "MP3":
            for comment in old.tags.getall("COMM:ID3v1 Comment"):
                comment.desc = ""  # as players show it; mutagen gives it a name
            early = old.tags.version < (2, 4, 0)
            if early:
                old.tags.update_to_v23()
            old.tags.save(target, v2_version=3 if early else 4)
            with target.open("ab") as file:
                file.write(_id3v1(source))
            return dropped
        if _has_comments(old) and _has_comments(new):
            new.tags[:] = [(key, text) for key, text in old.tags if key.lower() != _PICTURE]
        if _has_comments(new):
            new.tags.update({key: text for key, text in fields.items() if key not in new.tags and is_name(key)})
        _add_pictures(new, pictures)
        if blocks:
            new.metadata_blocks.extend(blocks)
        new.save()
    return dropped


@dataclass
class Beside:
    """What lies beside the sound of an input, on its way to tags of another kind.

    Attributes:
        fields: by the names of Vorbis comments.
        pictures: cover and others.
        lost: names of what has no place among the fields.
        notes: on what is left out for other reasons.
    """

    fields: Fields
    lost: list[str] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def strings(self, after: Encoding) -> dict[str, str]:
        """Return what libsndfile writes of the fields; nothing where mutagen writes them all."""
        return {} if _writes_fields(after) else to_strings(self.fields)


def gather_fields(source: Path, before: Encoding, strings: Mapping[str, str], change: Change) -> Beside:
    """Return what a sound file has beside its sound, for a container with tags of another kind.

    Args:
        source: the file.
        before: its encoding.
        strings: that libsndfile reads from it.
        change: of the sound.
    """
    found = Beside({} if before.major == "MP3" else from_strings(strings))  # whose ID3 libsndfile reads in part
    kind = _class_of(before)
    if chunk_family(before):
        chunks = gather(source, change)
        found.lost += names_beside(chunks)
        found.notes += note_of(chunks.dropped) + chunks.notes
    if kind is None:
        return found
    try:
        old, found.pictures = _read(kind, source)
        ape = read_ape_of_mp3(source) if before.major == "MP3" else None
        id3 = read_id3_of_flac(source) if before.major == "FLAC" else None
    except FileError as problem:
        found.notes.append(str(problem))
        found.fields = from_strings(strings)
        return found
    for tags in (ape, id3, old.tags):
        found.notes += note_of(drop_untrue(tags, change.level))
        if isinstance(tags, ID3):
            own, lost = from_id3(tags)
            found.lost += lost
        elif isinstance(tags, APEv2):
            own = fields_of_ape(tags)
        else:
            own = _comments(tags) if tags and _has_comments(old) else {}
        found.fields.update({key: texts for key, texts in own.items() if any(texts)})
    found.fields.pop("encoder", None)  # of the old file
    if id3 is not None and not found.pictures:
        found.pictures = [_from_frame(frame) for frame in id3.getall("APIC")]
    if getattr(old, "cuesheet", None) is not None:
        found.lost.append("cue sheet")
    return found


def write_fields(target: Path, after: Encoding, beside: Beside) -> list[str]:
    """Give the finished sound file `target`, which has the strings of libsndfile, what else was beside the old sound.

    Returns:
        Notes on what is left out.

    Raises:
        OSError: when it cannot be written.
    """
    lost, kind = list(beside.lost), _class_of(after)
    held = {} if _writes_fields(after) or not beside.fields else _strings_of(target)
    absent = [] if _writes_fields(after) else [name for name in beside.fields if name not in held]
    if kind is None:
        lost += absent + ["cover"] * bool(beside.pictures)
    elif _writes_fields(after) or absent or beside.pictures:
        with _writing():
            new = _opened(kind, target)
            if _has_comments(new):
                new.tags.update({key: texts for key, texts in beside.fields.items() if is_name(key)})
            else:
                for frame in to_id3(beside.fields, new.info.length).values():
                    new.tags.add(frame)
            _add_pictures(new, beside.pictures)
            if new.tags or beside.pictures:
                new.save()
    names = ", ".join(dict.fromkeys("chapters" if _CHAPTER.match(name) else name for name in lost))
    return beside.notes + ([f"left out, since {after.major} has no place for them: {names}"] if names else [])


def _strings_of(path: Path) -> dict[str, str]:
    """Return what libsndfile reads of the tags of a file; nothing of one that it cannot read."""
    try:
        reader = SoundReader(path)
    except FileError:
        return {}
    try:
        return reader.strings()
    finally:
        reader.close()


def _comments(tags: Any) -> Fields:
    """Return Vorbis comments as fields."""
    return by_usual_names((key, list(tags[key])) for key in tags.keys() if key.lower() != _PICTURE)  # noqa: SIM118


def _writes_fields(encoding: Encoding) -> bool:
    """Return whether mutagen writes all fields of a container: Vorbis comments, and the ID3 of MP3."""
    return encoding.major in ("FLAC", "OGG", "MP3")


def carry_atoms(source: Path, target: Path) -> list[str]:
    """Give the finished M4A or MP4 file `target` the tags and the cover of `source`.

    Returns:
        The names of the tags that are left out since they are not true of the new sound.

    Raises:
        FileError: when those of `source` cannot be read; `target` is then as it was.
        OSError: when they cannot be written.
    """
    old, _ = _read(MP4, source)
    if not old.tags:
        return []
    dropped = drop_untrue(old.tags, level=True)
    with _writing():
        new = _opened(MP4, target)
        new.tags.clear()
        new.tags.update(old.tags)
        new.save()
    return dropped


def note_of(dropped: list[str]) -> list[str]:
    """Return a note on names that were left out: one line, or nothing."""
    names = ", ".join(dict.fromkeys(dropped))
    return [f"left out, since they describe the old sound: {names}"] if names else []


def _id3v1(path: Path) -> bytes:
    """Return the tag of 128 bytes at the end of an MP3; nothing when it has none."""
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, 2) - 128))
        tag = file.read()
    return tag if tag.startswith(b"TAG") else b""


def _blocks(file: Any, change: Change, same: bool) -> tuple[list[Any], list[str]]:
    """Return the cue sheet and the blocks of other programs in a FLAC, and the names of those that are not true now."""
    kept, dropped = [], []
    for block in file.metadata_blocks:
        if block.code == _CUESHEET:
            kept.append(_moved(block, change))
        elif block.code == _APPLICATION and block.data[:4] in _FOREIGN and (change.rate or not same):
            dropped.append(block.data[:4].decode().strip())
        elif block.code == _APPLICATION:
            kept.append(block)
    return kept, dropped


def _moved(sheet: Any, change: Change) -> Any:
    """Return a cue sheet of FLAC at the new sample rate."""
    sheet.lead_in_samples = change.moved(sheet.lead_in_samples)
    for track in sheet.tracks:
        track.start_offset = change.moved(track.start_offset)
        for number, index in enumerate(track.indexes):
            track.indexes[number] = index._replace(index_offset=change.moved(index.index_offset))
    return sheet


@contextmanager
def _writing() -> Iterator[None]:
    """Raise errors of mutagen inside as the error of the file system that they hide."""
    try:
        yield
    except MutagenError as error:
        hidden = next((item for item in error.args if isinstance(item, OSError)), None)
        raise hidden or OSError(errno.EIO, f"tags: {error}") from error


def _class_of(encoding: Encoding) -> type[FileType] | None:
    if encoding.major == "OGG":
        return _OGG.get(encoding.subtype, OggFLAC)
    return _CLASSES.get(encoding.major)


def _read(kind: type[FileType], path: Path) -> tuple[Any, list[Picture]]:
    try:
        file = read_bounded(kind, path)
        return file, _pictures(file)
    except (MutagenError, ValueError) as error:  # a picture may hold anything
        raise FileError(f"its tags cannot be read, and are not kept ({error})") from None


def _opened(kind: type[FileType], path: Path) -> Any:
    """Return a file of mutagen that has tags, if only empty ones."""
    file = kind(path)
    if file.tags is None:
        file.add_tags()
    return file


def _has_comments(file: Any) -> bool:
    """Return whether the tags of a file of mutagen are Vorbis comments."""
    return isinstance(file, _VORBIS)


def _pictures(file: Any) -> list[Picture]:
    """Return the pictures of a file of mutagen, whatever its tags are."""
    if isinstance(file, FLAC):
        return list(file.pictures)
    if _has_comments(file):
        return [Picture(base64.b64decode(value)) for value in file.tags.get(_PICTURE) or []]
    if isinstance(file.tags, ID3):
        return [_from_frame(frame) for frame in file.tags.getall("APIC")]
    return []


def _add_pictures(file: Any, pictures: list[Picture]) -> None:
    if isinstance(file, FLAC):
        file.clear_pictures()
        for picture in pictures:
            file.add_picture(picture)
    elif isinstance(file.tags, ID3):
        for number, picture in enumerate(pictures):
            frame: Any = APIC(3, picture.mime, picture.type, picture.desc, picture.data)
            frame.salt = f" {number}"  # or one would take the place of another that is described alike
            file.tags.add(frame)
    elif pictures:
        file.tags[_PICTURE] = [base64.b64encode(picture.write()).decode("ascii") for picture in pictures]


def _from_frame(frame: Any) -> Picture:
    picture = Picture()
    picture.mime, picture.type, picture.desc, picture.data = frame.mime, int(frame.type), frame.desc, frame.data
    return picture
