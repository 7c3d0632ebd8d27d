"""Mixtures: repeatable from seed and step, however a batch is split; levels, SNR, alignment, kinds of example."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import lag, level_db
from recordings import (
    PLAIN,
    RATE,
    SHORT,
    Caches,
    assert_same,
    mixer,
    peaks_hz,
    white,
    write,
)  # fmt: skip
from torch import Tensor

from enhance.data.cache import AudioCache, build_cache
from enhance.data.mixing import MixConfig, Mixer, Mixture
from enhance.data.synthetic_noise import GENERATORS

ROUNDING_DB = 0.02  # float32 sums over a segment, and the 5 ms fades at the ends of a crop
FFT_TOLERANCE = 1e-6  # float32 FFTs of other batch sizes may round differently
GPU_TOLERANCE = 1e-4  # of a peak of 1: cuFFT and sums in another order, after three long products in float32
FAST_LENGTH = 0.025  # crops of half a second are up to this much longer, for lengths that transform fast
EVERYTHING = replace(
    SHORT, join=0.5, late_onset=0.3, room=0.6, synthetic=0.4, babble=0.3, noise_only=0.15, clean_only=0.15,
    clip=0.3, band_limit=0.4, telephone=0.5, noises=(0.4, 0.3, 0.3),
)  # fmt: skip


def active_power(audio: np.ndarray) -> float:
    """Mean power of the 20 ms frames of `[time]` that are within 40 dB of the loudest."""
    frames = [float(np.mean(frame**2)) for frame in np.split(audio, audio.size // 960)]
    return float(np.mean([power for power in frames if power > 1e-4 * max(frames)]))


def test_an_example_depends_on_seed_and_step_alone(caches: Caches) -> None:
    first = mixer(caches, EVERYTHING)
    expected = first.batch(5, 0, 8)
    second = mixer(caches, EVERYTHING)
    second.batch(0, 0, 8)
    assert_same(second.batch(5, 0, 8), expected)
    for other in (first.batch(6, 0, 8), mixer(caches, EVERYTHING, seed=1).batch(5, 0, 8), first.batch(5, 8, 8)):
        assert not (other.noisy == expected.noisy).all(dim=1).any()


@pytest.mark.parametrize(("reuse", "parts"), [(1, (4, 4, 4, 4)), (1, (1, 6, 9)), (3, (8, 8))])
def test_a_batch_does_not_depend_on_how_processes_share_it(caches: Caches, reuse: int, parts: tuple[int, ...]) -> None:
    """Each process has a mixer of its own and makes its rows only; steps 3 and 4 reuse material at `reuse=3`."""
    config = replace(EVERYTHING, reuse=reuse)
    one = mixer(caches, config)
    processes = [mixer(caches, config) for _ in parts]
    for step in (3, 4):
        firsts = [sum(parts[:number]) for number in range(len(parts))]
        made = [p.batch(step, first, count) for p, first, count in zip(processes, firsts, parts, strict=True)]
        together = Mixture(*(torch.cat(rows) for rows in zip(*made, strict=True)))
        assert_same(together, one.batch(step, 0, sum(parts)), FFT_TOLERANCE)


@pytest.mark.parametrize("snr", [-5.0, 7.5, 25.0])
def test_the_snr_that_was_asked_for_is_met(caches: Caches, snr: float) -> None:
    noisy, target, _, _ = mixer(caches, replace(PLAIN, snr_db=(snr, snr))).batch(0, 0, 8)
    for x, s in zip(noisy.double().numpy(), target.double().numpy(), strict=True):
        assert 10 * np.log10(active_power(s) / np.mean((x - s) ** 2)) == pytest.approx(snr, abs=ROUNDING_DB)


@pytest.mark.parametrize("level", [-45.0, -25.0])
def test_the_level_that_was_asked_for_is_met(caches: Caches, level: float) -> None:
    noisy, _, _, _ = mixer(caches, replace(EVERYTHING, level_db=(level, level), clip=0.0)).batch(0, 0, 16)
    for row in noisy.numpy():
        assert level_db(row) == pytest.approx(level, abs=ROUNDING_DB)


def test_no_sample_exceeds_full_scale_and_all_are_finite(caches: Caches) -> None:
    """Asked for an RMS of 0 dBFS, which noisy speech cannot have: the peak then is just below full scale."""
    noisy, target, limit, _ = mixer(caches, replace(EVERYTHING, level_db=(0.0, 0.0))).batch(0, 0, 32)
    assert all(torch.isfinite(values).all() for values in (noisy, target, limit))
    assert max(noisy.abs().max(), target.abs().max()) <= 1.0
    assert (torch.maximum(noisy.abs().amax(dim=1), target.abs().amax(dim=1)) > 0.2).all()


def test_noise_only_examples_have_a_silent_target(caches: Caches) -> None:
    noisy, target, limit, _ = mixer(caches, replace(EVERYTHING, noise_only=1.0)).batch(0, 0, 8)
    assert (target == 0).all()
    assert (noisy.abs().amax(dim=1) > 1e-3).all()
    assert (limit == RATE / 2).all()


def test_clean_only_examples_are_their_target(caches: Caches) -> None:
    noisy, target, _, _ = mixer(caches, replace(EVERYTHING, noise_only=0.0, clean_only=1.0, clip=0.0)).batch(0, 0, 8)
    torch.testing.assert_close(noisy, target, rtol=0, atol=0)
    assert (noisy.abs().amax(dim=1) > 1e-3).all()


def test_silent_speech_counts_as_noise_only(tmp_path: Path, caches: Caches) -> None:
    """A recording far below -80 dBFS is not blown up to the level of speech."""
    write(tmp_path / "audio" / "a.wav", 1e-4 * white(1.0))
    silent = build_cache([tmp_path / "audio"], tmp_path / "cache", kind="speech")
    noisy, target, _, _ = Mixer(silent, caches[1], None, PLAIN, 0).batch(0, 0, 8)
    assert (target == 0).all()
    assert (noisy.abs().amax(dim=1) > 1e-3).all()


def test_noisy_and_target_are_aligned_to_the_sample(caches: Caches) -> None:
    config = replace(EVERYTHING, noise_only=0.0, clean_only=0.0, snr_db=(15.0, 15.0), room=0.5)
    noisy, target, _, _ = mixer(caches, config).batch(0, 0, 16)
    assert [lag(x, s) for x, s in zip(noisy.numpy(), target.numpy(), strict=True)] == [0] * 16


def test_a_room_adds_its_tail_to_the_input_and_keeps_the_level_of_the_target(caches: Caches) -> None:
    """At an SNR of 80 dB the input differs from the target by the late reverberation only."""
    config = replace(PLAIN, snr_db=(80.0, 80.0), tail_db=(0.0, 0.0))
    dry, wet = mixer(caches, config).batch(0, 0, 8), mixer(caches, replace(config, room=1.0)).batch(0, 0, 8)
    assert level_db((dry.noisy - dry.target).numpy()) < -100
    assert -45 < level_db((wet.noisy - wet.target).numpy()) < -36
    assert level_db(wet.target.numpy()) == pytest.approx(level_db(dry.target.numpy()), abs=1.5)
    assert not torch.allclose(wet.target, dry.target, atol=1e-3)  # it has early reflections


def test_a_room_of_a_direct_sound_only_changes_nothing(tones: Caches) -> None:
    """But for its 1 ms: convolution, split into early and late part, and scaling together are exact."""
    config = replace(PLAIN, snr_db=(10.0, 10.0))
    dry, wet = mixer(tones, config).batch(0, 0, 4), mixer(tones, replace(config, room=1.0)).batch(0, 0, 4)
    torch.testing.assert_close(wet.target[:, 48:], dry.target[:, :-48], rtol=0, atol=2e-4)


def test_clipping_lowers_the_peak_of_the_input_and_leaves_the_target(caches: Caches) -> None:
    config = replace(PLAIN, clip_db=(6.0, 6.0))
    whole, clipped = mixer(caches, config).batch(0, 0, 8), mixer(caches, replace(config, clip=1.0)).batch(0, 0, 8)
    torch.testing.assert_close(clipped.target, whole.target, rtol=0, atol=0)
    ceiling = whole.noisy.abs().amax(dim=1, keepdim=True) * 10 ** (-6 / 20)
    torch.testing.assert_close(clipped.noisy, whole.noisy.clamp(-ceiling, ceiling), rtol=1e-5, atol=0)


@pytest.mark.parametrize(("telephone", "low", "high"), [(1.0, 200.0, 3400.0), (0.0, 0.0, 4000.0)])
def test_band_limits_hold_for_input_and_target(caches: Caches, telephone: float, low: float, high: float) -> None:
    config = replace(PLAIN, band_limit=1.0, telephone=telephone, low_pass_hz=(4000.0,))
    noisy, target, limit, _ = mixer(caches, config).batch(0, 0, 4)
    assert (limit == high).all()
    hertz = np.fft.rfftfreq(noisy.shape[1], 1 / RATE)
    outside = (hertz > high + 100) | (hertz < low - 50)
    for audio in (noisy, target):
        power = np.abs(np.fft.rfft(audio.numpy() * np.hanning(audio.shape[1]))) ** 2
        assert power[:, outside].sum() < 1e-5 * power[:, ~outside].sum()


def test_the_band_of_a_recording_and_its_speed_limit_the_loss(tmp_path: Path, caches: Caches) -> None:
    write(tmp_path / "audio" / "a.wav", white(2.0, 16_000), 16_000)
    narrow = build_cache([tmp_path / "audio"], tmp_path / "cache", kind="speech")
    for speed in (0.85, 1.0, 1.18):
        _, _, limit, _ = Mixer(narrow, caches[1], None, replace(PLAIN, speeds=(speed,)), 0).batch(0, 0, 4)
        np.testing.assert_allclose(limit, 8000 * speed, rtol=FAST_LENGTH)
    assert (Mixer(caches[0], caches[1], None, PLAIN, 0).batch(0, 0, 4).band_limit > 23_000).all()


@pytest.mark.parametrize("speed", [0.85, 1.0, 1.18])
def test_a_change_of_speed_changes_the_pitch(tones: Caches, speed: float) -> None:
    _, target, _, _ = mixer(tones, replace(PLAIN, speeds=(speed,))).batch(0, 0, 2)
    for row in target:
        spectrum = np.abs(np.fft.rfft(row.numpy() * np.hanning(len(row))))
        assert np.argmax(spectrum) * RATE / len(row) == pytest.approx(1000 * speed, rel=FAST_LENGTH)


def test_as_many_noises_as_asked_for_are_heard(tones: Caches) -> None:
    """Noises are tones, so they can be counted; of three, two may be the same one."""
    for count, noises in enumerate([(1.0,), (0.0, 1.0), (0.0, 0.0, 1.0)], start=1):
        config = replace(PLAIN, noises=noises, noise_only=1.0)
        heard = [peaks_hz(row) for row in mixer(tones, config).batch(0, 0, 16).noisy]
        counts = {len([hertz for hertz in row if hertz % 2000 == 1000]) for row in heard}
        assert max(counts) == count
        assert counts <= set(range(1, count + 1))


def test_babble_is_made_of_other_speech(tones: Caches) -> None:
    for row in mixer(tones, replace(PLAIN, babble=1.0, noise_only=1.0)).batch(0, 0, 4).noisy:
        assert 1000 in peaks_hz(row)
        assert not {3000, 5000, 7000, 9000, 11_000} & set(peaks_hz(row))


def test_late_speech_begins_in_silence(caches: Caches) -> None:
    config = replace(EVERYTHING, late_onset=1.0, onset=(0.5, 0.5), noise_only=0.0, clean_only=0.0, room=0.5)
    noisy, target, _, _ = mixer(caches, config).batch(0, 0, 8)
    half = target.shape[1] // 2
    assert (target[:, : half - 1] == 0).all()
    assert (target[:, half:].abs().amax(dim=1) > 1e-4).all()
    assert (noisy[:, : half - 1].abs().amax(dim=1) > 1e-4).all()


def test_reused_material_is_combined_anew(caches: Caches) -> None:
    """Steps 0 to 2 share their speech, each under another noise of the batch and at another SNR; step 3 does not."""
    shared = mixer(caches, replace(PLAIN, reuse=3, snr_db=(-5.0, 25.0)))
    steps = [shared.batch(step, 0, 8) for step in range(4)]
    speech = torch.stack([nn_unit(step.target) for step in steps])
    noise = torch.stack([nn_unit(step.noisy - step.target) for step in steps])
    for turn in (1, 2):
        torch.testing.assert_close(speech[turn], speech[0], rtol=0, atol=1e-4)
        likeness = noise[turn] @ noise[0].T  # each noise comes back, never beside the speech that it was with before
        torch.testing.assert_close(likeness.amax(dim=1), torch.ones(8), rtol=0, atol=1e-3)
        assert sorted(likeness.argmax(dim=1).tolist()) == list(range(8))
        assert (likeness.argmax(dim=1) != torch.arange(8)).all()
    assert not torch.equal((noise[1] @ noise[0].T).argmax(dim=1), (noise[2] @ noise[0].T).argmax(dim=1))
    assert ((speech[3] * speech[0]).sum(dim=1).abs() < 0.9).all()
    fresh = mixer(caches, shared.config).batch(2, 0, 8)  # a run that resumes in the middle of a group
    assert_same(fresh, steps[2])


def nn_unit(audio: Tensor) -> Tensor:
    """Rows of `[batch, time]` at unit norm."""
    return audio / audio.norm(dim=1, keepdim=True)


@pytest.mark.parametrize(("first", "count"), [(4, 8), (0, 12)])
def test_reuse_refuses_batches_that_split_its_groups(caches: Caches, first: int, count: int) -> None:
    with pytest.raises(ValueError, match=f"must be multiples of 8; got {first} and {count}"):
        mixer(caches, replace(SHORT, reuse=2)).batch(0, first, count)


def test_caches_held_in_memory_give_the_same_examples_as_mapped_ones(caches: Caches) -> None:
    speech, noise, rooms = (AudioCache(cache.directory).to("cpu") for cache in caches)
    assert_same(Mixer(speech, noise, rooms, EVERYTHING, 0).batch(1, 0, 16), mixer(caches, EVERYTHING).batch(1, 0, 16))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_mixtures_made_on_a_gpu_are_those_of_the_cpu(caches: Caches) -> None:
    """Whether the recordings lie there too or are copied; clipping and silence are decided alike."""
    expected = mixer(caches, EVERYTHING).batch(1, 0, 16)
    for held in (caches, tuple(AudioCache(cache.directory).to("cuda") for cache in caches)):
        speech, noise, rooms = held
        made = Mixer(speech, noise, rooms, EVERYTHING, 0, "cuda").batch(1, 0, 16)
        assert {value.device.type for value in made} == {"cuda"}
        assert_same(Mixture(*(value.cpu() for value in made)), expected, GPU_TOLERANCE)


@pytest.mark.parametrize("generate", dict.fromkeys(GENERATORS), ids=lambda generate: generate.__name__)
def test_synthetic_noise_is_finite_and_repeatable(generate) -> None:
    audio = generate(4, 24_000, torch.Generator().manual_seed(3))
    assert torch.isfinite(audio).all()
    assert audio.abs().max() <= 1
    assert (audio.square().mean(dim=1).sqrt() < 0.101).all()
    assert (audio.square().mean(dim=1).sqrt() > 0.03).all()  # an RMS of 0.1, less what sparse clicks lose at full scale
    torch.testing.assert_close(generate(4, 24_000, torch.Generator().manual_seed(3)), audio, rtol=0, atol=0)
    assert not torch.equal(audio[0], audio[1])


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"segment_seconds": 0.05}, "0.1 s or more; got 0.05 s"),
        ({"reuse": 9}, "reuse must be 1 to 8; got 9"),
        ({"noises": (0.5, 0.2)}, "probabilities with sum 1"),
        ({"noises": (0.25, 0.25, 0.25, 0.25)}, "one to 3 probabilities"),
        ({"onset": (0.2, 1.0)}, "after the end of the segment"),
        ({"speeds": ()}, r"speeds must be one number or more, each above 0; got \[\]"),
        ({"noise_speeds": (1.0, 0.0)}, "noise_speeds must be one number or more, each above 0"),
        ({"room": 1.5}, "room must be 0 to 1; got 1.5"),
        ({"clean_only": -0.1}, "clean_only must be 0 to 1; got -0.1"),
        ({"noises": (1.5, -0.5)}, r"noises must be 0 to 1; got \[1.5, -0.5\]"),
        ({"early_seconds": (-0.1, 0.05)}, r"early_seconds must be 0 or more; got \[-0.1, 0.05\]"),
        ({"noise_level_db": -3.0}, "noise_level_db must be 0 or more; got -3.0"),
        ({"snr_db": (5.0, -5.0)}, r"snr_db must be two numbers, the lower one first; got \[5.0, -5.0\]"),
    ],
)
def test_absurd_settings_are_refused(setting: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MixConfig(**setting)
