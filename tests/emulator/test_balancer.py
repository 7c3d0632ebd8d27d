"""The balancer: shares of the gradient, calibration that ends, state, processes that agree, refusals."""

import math
import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from balanced import SHARES, batch, make_terms, rank
from safetensors.torch import load_model, save_model
from torch import Tensor, nn

from emulator.losses.balancer import Balancer


def gradients(count: Callable[[], None]) -> Any:
    """An identity that calls `count` whenever a gradient passes."""

    class Counting(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, *grads: Tensor) -> Tensor:
            count()
            return grads[0]

    return Counting.apply


def test_weights_are_shares_of_the_gradient_whatever_the_scale_of_the_terms() -> None:
    """The gradient of a mean over items: their own gradients have the norm `total_norm * w_i / sum w` on average."""
    balancer = Balancer(SHARES, warmup=2, total_norm=2.0)
    for _ in range(4):
        estimate = batch()
        loss = balancer(make_terms(estimate), estimate)
        factors = balancer.factors
        for name, share in (("loud", 0.75), ("soft", 0.25)):
            (gradient,) = torch.autograd.grad(getattr(make_terms(estimate), name), estimate)
            norm = factors[name] * gradient.flatten(1).norm(dim=1).sum()
            assert float(norm) == pytest.approx(2.0 * share, rel=1e-5)
        (gradient,) = torch.autograd.grad(loss, estimate)
        assert float(gradient.flatten(1).norm(dim=1).sum()) == pytest.approx(2.0, rel=1e-5)  # all are parallel


def test_factors_come_from_the_mean_over_the_warm_up_and_are_frozen_then() -> None:
    balancer = Balancer({"loud": 1.0}, warmup=3)
    for scale, mean in ((1.0, 1.0), (2.0, 1.5), (6.0, 3.0), (50.0, 3.0), (0.0, 3.0)):
        assert balancer.calibrated == (mean == 3.0 and scale != 6.0)
        estimate = batch()
        loss = balancer(make_terms(estimate, scale), estimate)
        assert balancer.factors["loud"] == pytest.approx(1 / 500 / mean, rel=1e-5)
        (gradient,) = torch.autograd.grad(loss, estimate)
        assert float(gradient.norm()) == pytest.approx(scale / mean / 2, rel=1e-5)  # four items of a quarter each


def test_after_the_warm_up_it_goes_backward_once() -> None:
    calls: list[int] = []
    balancer = Balancer(SHARES, warmup=2)
    through = gradients(lambda: calls.append(1))
    for expected in (3, 3, 1, 1):  # each of two terms, and their sum
        calls.clear()
        estimate = batch()
        balancer(make_terms(through(estimate)), estimate).backward()
        assert len(calls) == expected


def test_a_users_own_term_beside_those_of_a_loss_reaches_the_network() -> None:
    network = nn.Linear(50, 50)
    balancer = Balancer({**SHARES, "waveform": 2.0})
    estimate = network(batch())
    terms = make_terms(estimate)._asdict() | {"waveform": estimate.abs().mean()}
    loss = balancer(terms, estimate)
    expected = sum(balancer.factors[name] * float(terms[name].detach()) for name in balancer.shares)
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)
    loss.backward()
    assert network.weight.grad is not None
    assert network.weight.grad.norm() > 0


def test_validation_does_not_calibrate() -> None:
    balancer = Balancer(SHARES, warmup=1)
    estimate = batch()
    with torch.no_grad():
        loss = balancer(make_terms(estimate), estimate)
    terms = make_terms(estimate.detach())
    torch.testing.assert_close(loss, 0.75 * terms.loud + 0.25 * terms.soft)
    balancer.eval()(make_terms(estimate), estimate)
    assert not balancer.calibrated
    balancer.train()(make_terms(estimate), estimate)
    assert balancer.calibrated


def test_gradients_of_zero_or_that_overflow_do_not_count() -> None:
    balancer = Balancer(SHARES, warmup=2)
    for scale in (0.0, math.nan, math.inf, 1.0, 0.0):
        estimate = batch()
        balancer(make_terms(estimate, scale), estimate)
        assert all(math.isfinite(factor) for factor in balancer.factors.values())
    assert not balancer.calibrated
    estimate = batch()
    balancer(make_terms(estimate), estimate)
    assert balancer.calibrated
    assert balancer.factors == pytest.approx({"loud": 0.75 / 500, "soft": 0.25 / 0.02}, rel=1e-5)


@pytest.mark.parametrize("calls", [0, 1, 2])
def test_a_saved_calibration_goes_on_where_it_was(calls: int, tmp_path: Path) -> None:
    balancer, restored = Balancer(SHARES, warmup=2), Balancer(dict(reversed(SHARES.items())), warmup=2)
    for _ in range(calls):
        estimate = batch()
        balancer(make_terms(estimate), estimate)
    torch.save(nn.ModuleDict({"loss": balancer}).state_dict(), tmp_path / "state.pt")
    nn.ModuleDict({"loss": restored}).load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert restored.factors == balancer.factors
    assert restored.calibrated == balancer.calibrated == (calls == 2)
    for _ in range(2):
        estimate = batch()
        ours, theirs = (each(make_terms(estimate, 3.0), estimate) for each in (restored, balancer))
        torch.testing.assert_close(ours, theirs)


def test_the_calibration_of_other_terms_is_refused() -> None:
    state = Balancer({"waveform": 1.0}).state_dict()
    with pytest.raises(ValueError, match="the saved calibration is of waveform; this balancer has loud, soft"):
        Balancer(SHARES).load_state_dict(state)


def test_it_works_where_torch_has_no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed, "is_available", lambda: False)
    monkeypatch.delattr(torch.distributed, "is_initialized")
    estimate = batch()
    assert torch.isfinite(Balancer(SHARES)(make_terms(estimate), estimate))


def test_processes_agree_on_the_mean_of_their_gradients(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    other = context.Process(target=rank, args=(1, str(tmp_path / "store"), results))
    other.start()
    rank(0, str(tmp_path / "store"), results)
    found = [results.get(timeout=240) for _ in range(2)]
    other.join()
    assert found[0] == found[1]
    assert found[0][0]
    assert found[0][1] == pytest.approx({"loud": 0.75 / 750, "soft": 0.25 / 0.03}, rel=1e-5)


@pytest.mark.parametrize(
    ("weights", "options", "message"),
    [
        ({}, {}, "weights must name one term or more, each finite and above 0; got {}"),
        ({"loud": 0.0}, {}, "each finite and above 0; got {'loud': 0.0}"),
        ({"loud": math.nan}, {}, "each finite and above 0"),
        (SHARES, {"warmup": 0}, r"warmup must be 1 or more and total_norm above 0; got 0 and 1\.0"),
        (SHARES, {"total_norm": -1.0}, r"warmup must be 1 or more and total_norm above 0; got 50 and -1\.0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(weights: Any, options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Balancer(weights, **options)


def test_terms_that_make_no_sense_are_refused() -> None:
    balancer, estimate = Balancer(SHARES), batch()
    terms = make_terms(estimate)._asdict()
    with pytest.raises(ValueError, match="no term 'soft' to balance; got loud"):
        balancer({"loud": terms["loud"]}, estimate)
    with pytest.raises(ValueError, match=r"the term 'soft' must be a single number; got \(4, 2, 50\)"):
        balancer({**terms, "soft": estimate}, estimate)
    for other in (torch.zeros(()), batch().sum()):
        with pytest.raises(ValueError, match="the term 'soft' does not depend on the estimate"):
            balancer({**terms, "soft": other}, estimate)


def test_its_state_is_kept_by_safetensors(tmp_path: Path) -> None:
    """Which keeps tensors alone, as do tools that save by it."""
    balancer, restored = Balancer(SHARES, warmup=1), Balancer(SHARES, warmup=1)
    estimate = batch()
    balancer(make_terms(estimate), estimate)
    save_model(balancer, str(tmp_path / "model.safetensors"))
    load_model(restored, tmp_path / "model.safetensors")
    assert restored.factors == balancer.factors
