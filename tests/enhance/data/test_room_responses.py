"""Simulated rooms: the same for everybody, and such that speech in them is not late."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from enhance.data import room_responses
from enhance.data.room_responses import simulate_room, write_rooms


@pytest.fixture(autouse=True)
def few_rays(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tail is rougher so, and made sooner."""
    monkeypatch.setattr(room_responses, "RAYS", 100)


def test_a_room_is_the_same_whoever_asks_and_leaves_the_global_generator_alone() -> None:
    np.random.seed(3)  # noqa: NPY002 (the generator that must be left alone)
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    first, again, other = simulate_room(1, 0), simulate_room(1, 0), simulate_room(1, 1)
    assert np.random.random() == expected  # noqa: NPY002
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape or np.abs(first - other).max() > 0.01


def test_the_direct_sound_comes_first_and_the_tail_decays() -> None:
    response = simulate_room(0, 0)
    assert response.dtype == np.float32
    assert len(response) <= 48_000
    assert np.abs(response).max() == 0.5
    assert np.abs(response[:96]).max() > 0.2, "the direct sound lies within 2 ms"
    energy = np.add.reduceat(response.astype(float) ** 2, np.arange(0, len(response) - 2399, 2400))
    assert energy[0] > 10 * energy[-1]
    assert abs(response.sum()) < 0.2 * np.abs(response).sum(), "next to nothing at 0 Hz"


def test_rooms_that_are_there_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def room(seed: int, index: int) -> np.ndarray:
        made.append(index)
        return np.full(10, 0.1 * (index + 1), np.float32)

    monkeypatch.setattr(room_responses, "simulate_room", room)
    told: list[tuple[int, int]] = []
    assert len(write_rooms(tmp_path / "rooms", 2, 7)) == 2
    write_rooms(tmp_path / "rooms", 3, 7, lambda done, count: told.append((done, count)))
    assert made == [0, 1, 2]
    assert told == [(2, 3)]
    names = sorted(path.name for path in (tmp_path / "rooms").iterdir())
    assert names == ["room-7-00000.wav", "room-7-00001.wav", "room-7-00002.wav"]
    np.testing.assert_allclose(soundfile.read(tmp_path / "rooms" / names[2])[0], 0.3, atol=1e-7)
    assert [path.name for path in write_rooms(tmp_path / "rooms", 2, 7)] == names[:2]
    assert [path.name for path in write_rooms(tmp_path / "rooms", 1, 8)] == ["room-8-00000.wav"]
