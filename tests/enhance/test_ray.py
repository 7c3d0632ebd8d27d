"""`enhance.ray.Denoise`: rows of sound, alone and together, in any order, as Ray Data hands them over."""

from pathlib import Path

import numpy as np
import pytest
from helpers import speech_like
from tiny_model import tiny_result

from enhance import Denoiser, model_for_files
from enhance.ray import Denoise

SAME = 1e-6  # several channels in one call of the network round in another order


def rows(*lengths: int, rate: int = 16_000) -> np.ndarray:
    """Sounds of these lengths, as a column."""
    column = np.empty(len(lengths), object)
    for place, length in enumerate(lengths):
        column[place] = speech_like(2, rate, seed=place)[0, :length]
    return column


def test_each_row_is_what_it_would_be_alone() -> None:
    denoiser = Denoiser(model_for_files())
    column = rows(9_000, 4_000, 9_000, 0, 1, 9_000, 9_000)
    rates = np.array([16_000, 16_000, 16_000, 16_000, 16_000, 8_000, 48_000])
    calls: list[tuple[int, ...]] = []

    class Counted(Denoise):
        def _denoised(self, rows: list[np.ndarray], rate: int) -> list[np.ndarray]:
            calls.append(tuple(len(row) for row in rows))
            return super()._denoised(rows, rate)

    given = {"audio": column, "sample_rate": rates, "speaker": np.arange(7)}
    batch = Counted()(given)
    assert list(batch) == ["audio", "sample_rate", "speaker", "denoised"]
    assert "denoised" not in given
    assert batch["audio"] is column
    for sound, rate, clean in zip(column, rates, batch["denoised"], strict=True):
        alone = denoiser.denoise(sound, int(rate))
        assert clean.shape == sound.shape
        np.testing.assert_allclose(clean, alone, atol=SAME)
    assert (9_000, 9_000) in calls, "rows of one rate and length share a call"
    assert len(calls) == 6


def test_columns_strength_and_channels_are_what_one_names(tiny_model: Path) -> None:
    sound = speech_like(0.2, 48_000, 2)
    batch = {"pcm": np.stack([sound, -sound])}
    clean = Denoise("pcm", 48_000, "pcm", model=str(tiny_model), mix=0.5)(batch)
    assert list(clean) == ["pcm"]
    np.testing.assert_allclose(clean["pcm"][1], -(sound + tiny_result(sound)) / 2, atol=SAME)


def test_the_channels_of_a_row_are_linked_and_rows_are_not(tiny_model: Path) -> None:
    sound = speech_like(0.5, 48_000)
    stereo = np.concatenate([sound, sound + 0.1 * speech_like(0.5, 48_000, seed=1)])
    column = np.empty(3, object)
    column[0], column[1:] = stereo, list(stereo)
    clean = Denoise(sample_rate=48_000, model=str(tiny_model), link="auto")({"audio": column})["denoised"]
    linked = Denoiser(tiny_model).denoise(stereo, 48_000, link="auto")
    np.testing.assert_allclose(clean[0], linked, atol=SAME)
    np.testing.assert_allclose(np.stack([clean[1], clean[2]]), tiny_result(stereo), atol=SAME)
    assert np.abs(linked - tiny_result(stereo)).max() > 0.001
    with pytest.raises(ValueError, match="link 'both': expected auto, on, off"):
        Denoise(link="both")


def test_what_is_no_sound_is_refused(tiny_model: Path) -> None:
    with pytest.raises(KeyError, match="audio"):
        Denoise(model=str(tiny_model))({"sound": rows(10)})
    bad = rows(10, 10)
    bad[1] = np.array([0.0, np.nan] * 5)
    with pytest.raises(ValueError, match=r"^row 1: .*finite"):
        Denoise(sample_rate=16_000, model=str(tiny_model))({"audio": bad})
    with pytest.raises(ValueError, match=r"^row 1: sample rate 44100.7 Hz: expected a whole number"):
        Denoise(model=str(tiny_model))({"audio": rows(10, 10), "sample_rate": np.array([44_100.0, 44_100.7])})
    with pytest.raises(ValueError, match=r"^row 2: sample rate 0 Hz"):
        Denoise(model=str(tiny_model))({"audio": rows(10, 10, 10), "sample_rate": np.array([16_000, 16_000, 0])})
