"""Sound tracks are named by number, language or title."""

from types import SimpleNamespace
from typing import Any

import pytest

from enhance.io.media.track_choice import choose_tracks, describe_tracks, title_of
from enhance.utils.errors import FileError


def track(language: str = "und", **tags: str) -> Any:
    return SimpleNamespace(metadata={"language": language, **tags})


TRACKS = [track(title="Mix"), track("ger", title="Mic"), track("eng"), track("deu", handler_name="SoundHandler")]


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [((), [1, 2, 3, 4]), (("2",), [2]), (("de",), [2, 4]), (("DEU", "mix"), [1, 2, 4]), (("en-US",), [3])],
)
def test_tracks_that_are_meant(wanted: tuple[str, ...], chosen: list[int]) -> None:
    assert [1 + TRACKS.index(found) for found in choose_tracks(TRACKS, wanted)] == chosen


def test_a_name_of_no_track_lists_those_that_are_there() -> None:
    with pytest.raises(FileError, match=r"^it has no sound track 'fr'; it has 1 Mix, 2 ger Mic, 3 eng, 4 deu$"):
        choose_tracks(TRACKS, ["fr"])
    with pytest.raises(FileError, match=r"^it has no sound track$"):
        choose_tracks([], [])


def test_the_name_of_a_handler_is_a_title_unless_a_program_gave_it() -> None:
    assert title_of(track(handler_name="Director")) == "Director"
    assert title_of(track(handler_name="Core Media Audio")) == ""
    assert describe_tracks([track()]) == "1"
