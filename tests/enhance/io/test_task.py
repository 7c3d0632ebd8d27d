"""One file to denoise, and what became of it."""

from pathlib import Path

from enhance.io.task import PARTIAL, Outcome, decibels, partial_of


def test_a_partial_file_lies_beside_its_output_under_a_name_of_its_own(tmp_path: Path) -> None:
    target = tmp_path / "out" / "talk.wav"
    names = {Path(partial_of(target)) for _ in range(10)}
    assert len(names) == 10
    assert {name.parent for name in names} == {target.parent}
    assert all(name.name.startswith(".") and name.name.endswith(PARTIAL) for name in names)


def test_levels_are_those_of_a_full_scale_of_1() -> None:
    assert decibels(480.0, 480) == 0.0
    assert decibels(240.0, 480) == -3.01
    assert decibels(0.0, 480) is None


def test_speed_is_sound_by_work() -> None:
    assert Outcome("a", "b", "done", seconds=60.0, elapsed=1.5).speed == 40.0
    assert Outcome("a", "b", "skipped").speed == 0.0
