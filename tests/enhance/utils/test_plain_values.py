"""Configurations from plain values: what JSON and checkpoints hold comes back, and a key that is none is named."""

import json
from dataclasses import asdict, dataclass

import pytest

from emulator.model.config import EmulatorConfig
from enhance.model.config import NetworkConfig
from enhance.utils.plain_values import from_plain


@dataclass(frozen=True)
class Sound:
    rate: int = 48_000
    channels: tuple[int, ...] = (1, 2)


def test_what_json_holds_comes_back() -> None:
    sound = Sound(8000, (3,))
    assert from_plain(Sound, json.loads(json.dumps(asdict(sound))), "setting") == sound
    assert from_plain(Sound, {}, "setting") == Sound()


def test_a_key_that_is_no_field_is_named_with_those_that_are() -> None:
    with pytest.raises(ValueError, match=r"^unknown setting 'rates'; known are: rate, channels$"):
        from_plain(Sound, {"rates": 1}, "setting")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (NetworkConfig, "unknown network dimension 'chanels'; known are: window, hop"),
        (EmulatorConfig, "unknown emulator dimension 'chanels'; known are: setting, sample_rate"),
    ],
)
def test_both_networks_name_a_dimension_that_is_none(kind: type[NetworkConfig | EmulatorConfig], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        kind.from_dict({"chanels": 8})
