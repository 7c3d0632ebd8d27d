"""Bursts of sound, by which `mpeace live --measure` finds the delay."""

import numpy as np
import pytest

from apps.live.diagnostics.latency_measurement import bursts, find_bursts
from enhance.utils.errors import FileError


def test_bursts_are_found_in_noise_and_not_in_nothing() -> None:
    signal = bursts(44_100)
    noise = np.random.default_rng(0).normal(0, 0.02, len(signal)).astype(np.float32)
    found = find_bursts(0.1 * np.roll(signal, 2205) + noise * 0.1, signal, 44_100)
    assert found.median == pytest.approx(0.05, abs=1e-4)
    with pytest.raises(FileError, match="0 of 5 bursts came back"):
        find_bursts(noise, signal, 44_100)
