"""Recorded noise in disguise: each change does what its name says, and none changes what it need not."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from recordings import PLAIN, SHORT, Caches, assert_same, mixer, peaks_hz, sine, white

from enhance.data.counter_random import CounterRandom
from enhance.data.mixing import Mixture
from enhance.data.noise_augmentation import SWING_KNOTS, Augmentation, NoiseAugmenter

SIZE = 48_000
NOTHING = Augmentation(
    np.array([SIZE]), np.array([False]), np.array([False]), np.array([0]), np.zeros((1, SWING_KNOTS))
)
UNCHANGED = replace(SHORT, noise_speeds=(1.0,), noise_backwards=0.0, noise_steady=0.0, noise_swing=0.0, noise_room=0.0)
EVERY_CHANGE = replace(
    SHORT, noise_speeds=(0.5, 1.0, 1.5), noise_backwards=0.5, noise_steady=0.3, noise_swing=0.5, noise_room=0.5,
)  # fmt: skip
QUIET = replace(  # one noise and nothing else
    PLAIN, noise_only=1.0, disguise=1.0, noise_speeds=(1.0,), noise_backwards=0.0, noise_steady=0.0, noise_swing=0.0,
    noise_room=0.0,
)  # fmt: skip


def disguise(**settings: float | tuple[float, ...]) -> NoiseAugmenter:
    config = replace(UNCHANGED, **settings)  # pyright: ignore[reportArgumentType]
    return NoiseAugmenter(config, SIZE, torch.Generator().manual_seed(0), torch.device("cpu"))


def crop(audio: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(audio[None].astype(np.float32))


def test_no_change_is_no_change() -> None:
    noise = crop(white(1.0))
    torch.testing.assert_close(disguise(noise_steady=1.0).apply(noise.clone(), NOTHING), noise, rtol=0, atol=0)


def test_backwards_is_the_recording_from_its_end() -> None:
    noise = crop(white(1.0))
    turned = disguise().apply(noise.clone(), NOTHING._replace(backwards=np.array([True])))
    torch.testing.assert_close(turned, noise.flip(1), rtol=0, atol=0)


@pytest.mark.parametrize("speed", [0.5, 0.7, 1.5])
def test_speed_moves_the_pitch(tones: Caches, speed: float) -> None:
    """Tones of 3 to 11 kHz; what would lie above 24 kHz is cut off."""
    config = replace(QUIET, noise_speeds=(speed,))
    heard = {hertz for row in mixer(tones, config).batch(0, 0, 8).noisy for hertz in peaks_hz(row)}
    expected = {1000 * kilohertz * speed for kilohertz in (3, 5, 7, 9, 11)}
    assert heard
    assert all(min(abs(hertz - e) for e in expected) <= 100 + 0.03 * hertz for hertz in heard), heard


def test_a_steady_noise_keeps_its_spectrum_and_loses_its_course() -> None:
    """Half a second of a tone and half a second of silence become a tone throughout."""
    burst = sine(1000, 1.0)
    burst[SIZE // 2 :] = 0
    before = crop(burst)
    after = disguise(noise_steady=1.0).apply(before.clone(), NOTHING._replace(steady=np.array([True])))
    torch.testing.assert_close(torch.fft.rfft(after).abs(), torch.fft.rfft(before).abs(), rtol=1e-3, atol=1e-2)
    halves = after.view(2, -1).square().mean(dim=1)
    assert 0.1 < float(halves[0] / halves[1]) < 10


def test_a_swing_lowers_the_level_as_its_knots_say() -> None:
    swing_db = np.linspace(0.0, -24.0, SWING_KNOTS)[None]
    after = disguise().apply(torch.ones(1, SIZE), NOTHING._replace(swing_db=swing_db))
    db = 20 * torch.log10(after[0])
    np.testing.assert_allclose(db[[0, SIZE // 2, -1]], [0.0, -12.0, -24.0], atol=0.01)


def test_a_room_of_a_direct_sound_only_changes_no_noise(tones: Caches) -> None:
    """But for its 1 ms, which turns the crop round at its ends."""
    dry, wet = mixer(tones, QUIET).batch(0, 0, 4), mixer(tones, replace(QUIET, noise_room=1.0)).batch(0, 0, 4)
    torch.testing.assert_close(wet.noisy[:, 960:-960], dry.noisy[:, 912:-1008], rtol=0, atol=2e-3)


def test_changes_leave_speech_and_the_kind_of_example_alone(caches: Caches) -> None:
    """Their numbers come from a stream of their own, so what changes noise changes nothing else."""
    plain, changed = mixer(caches, UNCHANGED).batch(0, 0, 16), mixer(caches, EVERY_CHANGE).batch(0, 0, 16)
    assert_same(mixer(caches, replace(EVERY_CHANGE, disguise=0.0)).batch(0, 0, 16), plain)
    assert torch.isfinite(changed.noisy).all()
    assert ((plain.target == 0).all(dim=1) == (changed.target == 0).all(dim=1)).all()
    torch.testing.assert_close(changed.source, plain.source, rtol=0, atol=0)
    assert not torch.allclose(plain.noisy, changed.noisy, atol=1e-3)


def test_a_batch_in_disguise_does_not_depend_on_how_it_is_shared(caches: Caches) -> None:
    whole = mixer(caches, EVERY_CHANGE).batch(2, 0, 8)
    parts = [mixer(caches, EVERY_CHANGE).batch(2, first, 4) for first in (0, 4)]
    assert_same(Mixture(*(torch.cat(rows) for rows in zip(*parts, strict=True))), whole, 1e-6)


def test_streams_of_draws_differ() -> None:
    taken = [CounterRandom(7, stream, 3, 0, 4).take() for stream in range(4)]
    assert len({tuple(numbers) for numbers in taken}) == 4


def test_draws_follow_the_probabilities() -> None:
    never, always = disguise(), disguise(noise_backwards=1.0, noise_steady=1.0, noise_swing=1.0)
    idle, busy = (d.draw(CounterRandom(0, 2, 0, 0, 64)) for d in (never, always))
    assert not idle.backwards.any()
    assert not idle.steady.any()
    assert not idle.swing_db.any()
    assert busy.backwards.all()
    assert busy.steady.all()
    assert busy.swing_db.min() < -3
    assert busy.swing_db.max() <= 0
