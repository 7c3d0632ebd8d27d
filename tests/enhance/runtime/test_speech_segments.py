"""Segments of speech from probabilities: threshold, hangover, shortest speech, padding."""

import pytest

from enhance.runtime.speech_segments import SegmentFinder


def found(*parts: tuple[float, float], threshold: float = 0.5, begins: float = 0.0) -> list[tuple[float, float]]:
    """Segments of probabilities that stay for so many seconds each."""
    finder = SegmentFinder(0.01, begins, threshold)
    seconds = 0.0
    for probability, length in parts:
        for _ in range(round(100 * length)):  # one at a time: what is pushed together makes no difference
            finder.push([probability])
        seconds += length
    return [(start, end) for start, end in finder.finish(round(seconds, 6))]


def test_a_short_burst_is_no_speech_and_a_short_pause_does_not_end_it() -> None:
    assert found((0, 1), (0.9, 0.24), (0, 1)) == []
    assert found((0, 1), (0.9, 0.25), (0, 1)) == [(0.97, 1.28)]
    assert found((0, 1), (0.9, 0.3), (0, 0.09), (0.9, 0.3), (0, 1)) == [(0.97, 1.72)]
    assert found((0, 1), (0.9, 0.3), (0, 0.2), (0.9, 0.3), (0, 1)) == [(0.97, 1.33), (1.47, 1.83)]


def test_speech_goes_on_between_the_two_thresholds_but_does_not_begin_there() -> None:
    assert found((0, 1), (0.9, 0.1), (0.4, 1), (0.3, 1)) == [(0.97, 2.13)]
    assert found((0.4, 2)) == []
    assert found((0.4, 2), threshold=0.4) == [(0, 2)]
    assert found((0.05, 2), threshold=0) == [(0, 2)]


def test_segments_stay_within_the_sound_and_do_not_overlap() -> None:
    assert found((0.9, 1)) == [(0, 1)]
    assert found((0.9, 1), begins=-0.01) == [(0, 1)], "what is sure to the end lasts to the end, with its padding"
    assert found((0, 0.5), (0.9, 1), (0, 0.5), begins=-0.01) == [(0.46, 1.52)]
    close = found((0.9, 1), (0, 0.1), (0.9, 1))
    assert close == [(0, 1.03), (1.07, 2.1)]
    assert found() == []


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_that_is_no_probability_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="expected a probability from 0 to 1"):
        SegmentFinder(0.01, threshold=threshold)
