"""The objective: shares of the gradient, silence, level, what is kept while material is reused, every further loss."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from recordings import SHORT, build
from torch import Tensor

import emulator.losses.distances
from emulator.losses.plugins import EXTRAS, Extra, find_extras
from enhance.data.mixing import Mixer, Mixture
from enhance.training import objective as rule
from enhance.training.loss import LossConfig, PlainLoss
from enhance.training.objective import Objective, ObjectiveConfig, gradient_norm

LOSS = LossConfig()
SHARE = 0.5  # of the gradient, that a further loss gets
distance = cache(Extra.make)  # an emulator is loaded once, and each distance keeps nothing
OWN = [name for name in EXTRAS if name != "pesq"]  # that one needs a package which nothing here depends on


@pytest.fixture(scope="module")
def mixer(tmp_path_factory: pytest.TempPathFactory) -> Mixer:
    """Mixtures of a quarter of a second, each material used twice, one in five without speech."""
    config = replace(SHORT, segment_seconds=0.25, reuse=2, noise_only=0.2, clip=0.0)
    return Mixer(*build(tmp_path_factory.mktemp("caches")), config, seed=0)


@pytest.fixture(scope="module", autouse=True)
def few_examples() -> Iterator[None]:
    """Weights follow from two batches, not four: by the same rule, in half of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rule, "BATCHES", 2)
        yield


@pytest.fixture(scope="module")
def alone(mixer: Mixer) -> Callable[[str], Objective]:
    """The objective with one further loss, by its name, made once: its weight takes most of a test's time."""
    return cache(lambda name: make(ObjectiveConfig(extra=(name,), extra_share=SHARE), mixer))


def make(config: ObjectiveConfig, mixer: Mixer) -> Objective:
    """The objective with its further losses, as `enhance.train` puts it together."""
    return Objective(config, LOSS, mixer, [distance(extra, mixer.device) for extra in find_extras(config.extra)])


def quieter(mixture: Mixture, left: float = 0.3) -> Tensor:
    """An estimate with less noise, `[batch, time]`."""
    return torch.lerp(mixture.target, mixture.noisy, left)


def test_without_further_losses_it_is_the_plain_loss(mixer: Mixer) -> None:
    mixture = mixer.batch(0, 0, 8)
    ours = make(ObjectiveConfig(), mixer)(quieter(mixture), mixture, 0.5, 1)
    noisy, target, limit, _ = mixture
    theirs = PlainLoss(LOSS)(quieter(mixture), target, noisy, limit, 0.5, 1)
    assert ours[:6] == theirs
    assert float(ours.extra) == 0


@pytest.mark.parametrize("name", OWN)
def test_every_further_loss_gets_its_share_of_the_gradient(
    mixer: Mixer, alone: Callable[[str], Objective], name: str
) -> None:
    """By the stated rule: equal norms, in the mean, on the first mixtures with their noise lowered by 10 dB."""
    objective = alone(name)
    plain, further = [], []
    for batch in range(rule.BATCHES):
        mixture = mixer.batch(0, rule.EXAMPLES * batch, rule.EXAMPLES)
        noisy, target, limit, _ = mixture
        estimate = quieter(mixture, 10**-0.5).requires_grad_()
        plain.append(gradient_norm(objective.plain(estimate, target, noisy, limit, 1.0).total, estimate))
        (value,) = objective.distances(estimate, mixture)
        further.append(gradient_norm(objective.weights[0] * value, estimate))
    assert float(sum(further) / sum(plain)) == pytest.approx(SHARE, rel=1e-3)


@pytest.mark.parametrize("name", OWN)
def test_further_losses_do_not_hear_above_the_band_of_a_recording(
    mixer: Mixer, alone: Callable[[str], Objective], name: str
) -> None:
    objective = alone(name)
    mixture = mixer.batch(0, 0, 8)
    mixture = mixture._replace(band_limit=torch.full((8,), 4000.0))
    length = mixture.target.shape[1]
    tone = 0.01 * torch.hann_window(length) * torch.sin(2 * torch.pi * torch.arange(length) / 48)
    below, above = mixture.target + tone, mixture.target + 2 * tone * torch.cos(2 * torch.pi * torch.arange(length) / 8)
    equal, heard, unheard = (float(objective.distances(x, mixture)[0]) for x in (mixture.target, below, above))
    assert heard - equal > 100 * abs(unheard - equal)


def test_a_further_loss_of_ones_own_can_be_handed_in(mixer: Mixer) -> None:
    """Anything that hears a target and then compares estimates with it; it needs no emulator."""

    class Squares:
        def to(self, target: Tensor) -> Callable[[Tensor], Tensor]:
            return lambda estimate: (estimate - target).square().mean()

    mixture = mixer.batch(0, 0, 8)
    ours = Objective(ObjectiveConfig(extra=("squares",)), LOSS, mixer, [Squares()])
    theirs = make(ObjectiveConfig(extra=("l2",)), mixer)
    assert float(ours(quieter(mixture), mixture, 0.0).extra) == pytest.approx(
        float(theirs(quieter(mixture), mixture, 0.0).extra), rel=1e-5
    )
    with pytest.raises(ValueError, match="expected a distance for each of"):
        Objective(ObjectiveConfig(extra=("squares",)), LOSS, mixer)


def test_two_further_losses_may_have_different_shares(mixer: Mixer) -> None:
    names = ("noise-to-mask", "loudness-added")
    equal = make(ObjectiveConfig(extra=names), mixer).weights
    ours = make(ObjectiveConfig(extra=names, extra_shares=(0.3, 2.0)), mixer).weights
    assert ours == pytest.approx([0.3 * equal[0], 2 * equal[1]])
    with pytest.raises(ValueError, match="extra_shares needs one share for each of extra"):
        ObjectiveConfig(extra=names, extra_shares=(1.0,))
    with pytest.raises(ValueError, match="shares must be positive"):
        ObjectiveConfig(extra=names, extra_shares=(1.0, 0.0))


@pytest.mark.parametrize("name", ["loudness", "plain-loudness"])
def test_loudness_may_count_what_is_added_more(mixer: Mixer, alone: Callable[[str], Objective], name: str) -> None:
    """Speech at half its amplitude costs less, and at twice its amplitude as much as in the loss it is made from."""
    mixture = mixer.batch(0, 0, 8)
    ours, theirs = alone(f"{name}-added"), alone(name)
    for factor, ratio in ((0.5, 0.25), (2.0, 1.0)):
        values = [float(x.distances(factor * mixture.target, mixture)[0]) for x in (ours, theirs)]
        assert values[0] == pytest.approx(ratio * values[1], rel=1e-3)


def test_pesq_says_what_it_needs(mixer: Mixer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_pesq", None)
    with pytest.raises(ValueError, match="the further loss 'pesq' needs a package: pip install torch-pesq"):
        make(ObjectiveConfig(extra=("pesq",)), mixer)


def test_pesq_as_a_loss_is_least_for_the_target(mixer: Mixer) -> None:
    pytest.importorskip("torch_pesq")
    mixture = mixer.batch(0, 0, 8)
    objective = make(ObjectiveConfig(extra=("pesq",)), mixer)
    values = [float(objective.distances(quieter(mixture, left), mixture)[0]) for left in (0.0, 0.1, 0.5)]
    assert values[0] == pytest.approx(0, abs=1e-6)
    assert values[0] < values[1] < values[2]


def test_further_losses_may_fade_as_training_ends(mixer: Mixer) -> None:
    objective = make(ObjectiveConfig(extra=("mel",), extra_last=0.25), mixer)
    mixture = mixer.batch(0, 0, 8)
    first, middle, last = (float(objective(quieter(mixture), mixture, progress).extra) for progress in (0.0, 0.5, 1.0))
    assert [middle, last] == pytest.approx([0.625 * first, 0.25 * first])


def test_weights_do_not_depend_on_who_computes_them(mixer: Mixer) -> None:
    config = ObjectiveConfig(extra=("bark", "mel"))
    first = make(config, mixer).weights
    mixer.batch(7, 8, 8)  # another process, elsewhere in the training
    assert make(config, mixer).weights == first


def test_the_plain_loss_can_be_left_out(mixer: Mixer) -> None:
    mixture = mixer.batch(0, 0, 8)
    terms = make(ObjectiveConfig(extra=("l1",), plain=0.0), mixer)(quieter(mixture), mixture, 0.0)
    assert float(terms.total) == float(terms.extra) > 0
    with pytest.raises(ValueError, match="some loss be left"):
        ObjectiveConfig(plain=0.0)


def test_examples_without_speech_give_no_gradient_of_their_own(mixer: Mixer, alone: Callable[[str], Objective]) -> None:
    mixture = mixer.batch(0, 0, 16)
    silent = mixture.target.abs().amax(dim=1) == 0
    assert 0 < int(silent.sum()) < 16
    objective = alone("noise-to-mask")
    estimate = quieter(mixture).requires_grad_()
    (value,) = objective.distances(estimate, mixture)
    (gradient,) = torch.autograd.grad(value, estimate)
    assert torch.equal(gradient.abs().amax(dim=1) == 0, silent)


@pytest.mark.parametrize("name", ["noise-to-mask", "bark", "mel"])
def test_further_losses_do_not_depend_on_level(mixer: Mixer, alone: Callable[[str], Objective], name: str) -> None:
    mixture = mixer.batch(0, 0, 8)
    objective = alone(name)
    louder = mixture._replace(noisy=2 * mixture.noisy, target=2 * mixture.target)
    ours, theirs = objective.distances(quieter(mixture), mixture), objective.distances(quieter(louder), louder)
    assert float(ours[0]) == pytest.approx(float(theirs[0]), rel=1e-4)


def test_the_target_side_is_computed_once_while_material_is_reused(
    mixer: Mixer, monkeypatch: pytest.MonkeyPatch
) -> None:
    objective = make(ObjectiveConfig(extra=("noise-to-mask",)), mixer)
    fresh = make(ObjectiveConfig(extra=("noise-to-mask",)), mixer)
    made = []
    original = emulator.losses.distances.CodecLoss.reference
    monkeypatch.setattr(
        emulator.losses.distances.CodecLoss, "reference", lambda self, x: made.append(1) or original(self, x)
    )
    first, second, third = (mixer.batch(step, 0, 8) for step in (2, 3, 4))
    assert first.source is second.source is not third.source
    objective.distances(quieter(first), first)
    reused = objective.distances(quieter(second), second)
    assert len(made) == 1
    assert float(reused[0]) == pytest.approx(float(fresh.distances(quieter(second), second)[0]), rel=1e-5)
    objective.distances(quieter(third), third)
    assert len(made) == 3


def test_the_best_estimate_has_the_least_loss(mixer: Mixer, alone: Callable[[str], Objective]) -> None:
    mixture = mixer.batch(0, 0, 8)
    for name in OWN:
        values = [float(alone(name).distances(quieter(mixture, left), mixture)[0]) for left in (0.0, 0.1, 0.5)]
        assert values[0] < values[1] < values[2], name


def test_no_path_of_a_preset_is_in_a_checkpoint(mixer: Mixer) -> None:
    """The loss adds no parameters and no state to what is trained and saved."""
    objective = make(ObjectiveConfig(extra=("noise-to-mask", "layers")), mixer)
    assert not list(objective.parameters())
    assert not objective.state_dict()
    assert not any(isinstance(value, Path) for value in vars(objective.config).values())
