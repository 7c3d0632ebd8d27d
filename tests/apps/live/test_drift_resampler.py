"""Clocks that differ: the law that holds the queue, and the resampler that applies it."""

import numpy as np
import pytest
from livepath import BLOCK, RATE

from apps.live.engine.drift_resampler import HELD_BACK, SETTLED, Control, DriftResampler, control


@pytest.mark.parametrize("difference", [-300e-6, -50e-6, 0.0, 100e-6, 300e-6])
def test_drift_control_holds_the_queue_for_clocks_that_differ(difference: float) -> None:
    """Simulated clocks: the queue stays within 2 ms, and the speed becomes the ratio of the clocks."""
    rng, state, queue, target, elapsed = np.random.default_rng(0), Control(), 0.035, 0.03, 0.01
    errors, speeds = [], []
    for _ in range(30_000):
        queue += elapsed * (1 + difference) / state.speed - elapsed
        state = control(state, queue - target + rng.normal(0, 0.002), elapsed)
        errors.append(queue - target)
        speeds.append(state.speed)
    settled = round(3 * SETTLED / elapsed)
    assert np.abs(errors[settled:]).max() < 0.002
    assert np.mean(speeds[settled:]) == pytest.approx(1 + difference, abs=10e-6)
    assert np.abs(np.array(speeds[settled:]) - 1 - difference).max() < 200e-6  # a third of a cent


def test_drift_resampler_is_transparent_at_equal_clocks() -> None:
    drift = DriftResampler(1)
    tone = np.sin(2 * np.pi * 1000 * np.arange(2 * RATE) / RATE).astype(np.float32)
    out = np.concatenate([drift.process(block.reshape(-1, 1)) for block in tone.reshape(-1, BLOCK)])[:, 0]
    middle = out[RATE // 2 : RATE]
    phase = 2 * np.pi * 1000 * np.arange(len(middle)) / RATE
    basis = np.stack([np.sin(phase), np.cos(phase)], axis=1)
    weights, *_ = np.linalg.lstsq(basis, middle, rcond=None)
    residual = middle - basis @ weights
    assert 10 * np.log10(np.sum(middle**2) / np.sum(residual**2)) > 90
    assert np.hypot(*weights) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("speed", [1.0005, 0.998])
@pytest.mark.parametrize("hertz", [1000, 20_000])
def test_drift_resampler_keeps_time_and_level_when_clocks_differ(speed: float, hertz: int) -> None:
    """Against the formula of the tone, within 2e-4: the table of the filter and its 81 dB."""
    drift = DriftResampler(2)
    drift.state = Control(speed=speed)
    tone = np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE).astype(np.float32)
    given = np.stack([tone, -tone], axis=1)
    out = np.concatenate([drift.process(block) for block in np.split(given, [1, 8, 500, 501, 30_000])])
    assert len(out) == int(np.ceil((RATE - HELD_BACK) / speed))
    inside = np.arange(100, len(out) - 100)
    np.testing.assert_allclose(out[inside, 0], np.sin(2 * np.pi * hertz * speed * inside / RATE), atol=2e-4)
    np.testing.assert_array_equal(out[:, 0], -out[:, 1])
