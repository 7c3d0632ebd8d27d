"""Tags of another kind than their container has: ID3 in front of a FLAC, APEv2 at the end of an MP3.

Podcast tools write the first, ripping and gain tools the second, and players show both. The fields of an ID3 tag become
comments of the FLAC where it has none of that name; an APEv2 tag stays one in MP3.

Reference: ID3v2.4 (id3.org), APEv2 (Hydrogenaudio wiki), through mutagen.
"""

from pathlib import Path

from mutagen import MutagenError
from mutagen.apev2 import APENoHeaderError, APETextValue, APEv2
from mutagen.id3 import ID3, ID3NoHeaderError

from enhance.io.bounded_tags import read_bounded
from enhance.io.tag_fields import by_usual_names
from enhance.utils.errors import FileError


def read_id3_of_flac(path: Path) -> ID3 | None:
    """Return the ID3 tag that lies in front of a FLAC or behind it, None when there is none.

    Raises:
        FileError: when it cannot be read.
    """
    try:
        return read_bounded(ID3, path)
    except ID3NoHeaderError:
        return None
    except MutagenError as error:
        raise FileError(f"its ID3 tag cannot be read, and is not kept ({error})") from None


def read_ape_of_mp3(path: Path) -> APEv2 | None:
    """Return the APEv2 tag of an MP3, None when there is none.

    Raises:
        FileError: when it cannot be read.
    """
    try:
        return APEv2(path)
    except APENoHeaderError:
        return None
    except MutagenError as error:
        raise FileError(f"its APEv2 tag cannot be read, and is not kept ({error})") from None


def fields_of_ape(tags: APEv2) -> dict[str, list[str]]:
    """Return the texts of an APEv2 tag under the names of Vorbis comments."""
    return by_usual_names((str(key), list(value)) for key, value in tags.items() if isinstance(value, APETextValue))
