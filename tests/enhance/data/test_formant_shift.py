"""Formants are moved, and nothing else."""

import numpy as np
import pytest
import torch
from scipy import signal
from torch import Tensor

from enhance.data.formant_shift import move_formants

RATE = 48_000
PITCH = 125  # Hz


def vowel(formants: tuple[float, ...], seconds: float = 1.0) -> Tensor:
    """A pulse train through resonances, `[1, time]`."""
    audio = np.zeros(round(seconds * RATE))
    audio[:: RATE // PITCH] = 1.0
    for hertz in formants:
        radius = np.exp(-np.pi * 80 / RATE)
        audio = np.asarray(signal.lfilter([1], [1, -2 * radius * np.cos(2 * np.pi * hertz / RATE), radius**2], audio))
    return torch.from_numpy(0.1 * audio / audio.std()).float()[None]


def harmonics(audio: Tensor) -> np.ndarray:
    """Power of the harmonics of PITCH, and what lies between them last."""
    spectrum = np.abs(np.fft.rfft(audio[0].numpy() * np.hanning(audio.shape[1]))) ** 2
    bins = np.arange(1, 40) * PITCH * audio.shape[1] // RATE
    power = np.array([spectrum[place - 2 : place + 3].sum() for place in bins])
    return np.append(power, spectrum[: bins[-1]].sum() - power.sum())


def scaled(formants: tuple[float, ...], factor: float) -> tuple[float, ...]:
    return tuple(hertz * factor for hertz in formants)


def spread_db(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Standard deviation over harmonics of their ratio, dB."""
    return float(np.std(10 * np.log10(ours[:-1] / theirs[:-1])))


@pytest.mark.parametrize("factor", [0.85, 1.18])
def test_formants_move_while_the_pitch_stays(factor: float) -> None:
    formants = (600.0, 1700.0, 2900.0)
    before = vowel(formants)
    moved, wanted = harmonics(move_formants(before, torch.tensor([factor]))), harmonics(vowel(scaled(formants, factor)))
    assert moved[-1] < 0.02 * moved[:-1].sum()  # all of it still lies on the harmonics
    assert spread_db(moved, wanted) < 0.5 * spread_db(harmonics(before), wanted)


def test_a_factor_of_one_changes_nothing_and_rows_are_independent() -> None:
    rows = torch.cat([vowel((500.0, 1500.0)), vowel((700.0, 1100.0))])
    moved = move_formants(rows, torch.tensor([1.0, 1.1]))
    torch.testing.assert_close(moved[0], rows[0], rtol=0, atol=1e-5)
    torch.testing.assert_close(moved[1:], move_formants(rows[1:], torch.tensor([1.1])), rtol=0, atol=1e-6)
    assert not torch.allclose(moved[1], rows[1], atol=1e-2)


def test_onsets_stay_where_they_are() -> None:
    audio = vowel((500.0, 1500.0))
    audio[:, : RATE // 2] = 0
    moved = move_formants(audio, torch.tensor([1.15]))
    before = moved[:, : RATE // 2 - 1024]
    assert float(before.abs().max()) < 1e-3 * float(moved.abs().max())


def test_silence_stays_silent() -> None:
    assert float(move_formants(torch.zeros(1, 9600), torch.tensor([1.1])).abs().max()) == 0
