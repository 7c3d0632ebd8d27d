"""What is copied of the description of a track, and what told of its old sound."""

from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("av")

from enhance.io.media.writer import copy_description


@pytest.mark.parametrize("new_sound", [False, True])
def test_statistics_and_gains_go_with_the_old_sound(new_sound: bool) -> None:
    told = {"language": "deu", "title": "Mic", "BPS": "1000", "REPLAYGAIN_TRACK_GAIN": "-3 dB", "ENCODER": "x"}
    source: Any = SimpleNamespace(metadata=told | {"DURATION": "0:01"}, disposition=5)
    target: Any = SimpleNamespace(metadata={}, disposition=0)
    dropped = copy_description(source, target, new_sound)
    assert target.disposition == 5
    assert target.metadata == ({"language": "deu", "title": "Mic"} if new_sound else told)
    assert dropped == (["BPS", "REPLAYGAIN_TRACK_GAIN"] if new_sound else [])
