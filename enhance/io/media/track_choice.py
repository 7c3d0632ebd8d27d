"""Which of several sound tracks is meant: by number, language or title, as a person names it with `--track`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from enhance.utils.errors import FileError

if TYPE_CHECKING:
    from av.audio.stream import AudioStream

# Codes of one language in ISO 639-1, 639-2/T and 639-2/B: people type one, files hold another.
_CODES = (
    "ar ara", "cs ces cze", "da dan", "de deu ger", "el ell gre", "en eng", "es spa", "fa fas per", "fi fin",
    "fr fra fre", "he heb", "hi hin", "hu hun", "id ind", "it ita", "ja jpn", "ko kor", "nl nld dut", "no nor",
    "pl pol", "pt por", "ro ron rum", "ru rus", "sk slk slo", "sv swe", "th tha", "tr tur", "uk ukr", "vi vie",
    "zh zho chi",
)  # fmt: skip
_LANGUAGES = {code: codes.split()[0] for codes in _CODES for code in codes.split()}


def choose_tracks(audio: "Sequence[AudioStream]", wanted: Sequence[str]) -> "list[AudioStream]":
    """Return the tracks that are meant, in the order of the file; all when nothing is named.

    Args:
        audio: all sound tracks of a file.
        wanted: for each a number from 1, a language (deu, en-US) or a title.

    Raises:
        FileError: when there is no sound track, or none of a name.
    """
    if not audio:
        raise FileError("it has no sound track")
    if not wanted:
        return list(audio)
    chosen: set[int] = set()
    for name in wanted:
        found = [index for index, stream in enumerate(audio) if _is_meant(name, index, stream)]
        if not found:
            raise FileError(f"it has no sound track {name!r}; it has {describe_tracks(audio)}")
        chosen.update(found)
    return [stream for index, stream in enumerate(audio) if index in chosen]


def describe_tracks(audio: "Sequence[AudioStream]") -> str:
    """Return all sound tracks in words: number, language and title, such as "1 Mix, 2 deu Mic"."""
    return ", ".join(
        " ".join(word for word in (str(index + 1), _language(stream), title_of(stream)) if word)
        for index, stream in enumerate(audio)
    )


def title_of(stream: "AudioStream") -> str:
    """Return the title of a track; MP4 calls it the name of the handler, which is often no title."""
    title = stream.metadata.get("title", "")
    handler = stream.metadata.get("handler_name", "")
    return title or ("" if "handler" in handler.lower() or "core media" in handler.lower() else handler)


def _language(stream: "AudioStream") -> str:
    language = stream.metadata.get("language", "")
    return "" if language == "und" else language


def _is_meant(name: str, index: int, stream: "AudioStream") -> bool:
    name = name.strip().casefold()
    language = _language(stream).casefold()
    if name and language and _LANGUAGES.get(name.split("-")[0], name) == _LANGUAGES.get(language, language):
        return True
    return name in (str(index + 1), title_of(stream).casefold()) and name != ""
