"""Statistics of listening tests against published values, other implementations, and the text of the standard."""

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from apps.listen.analysis.screening import screen
from apps.listen.analysis.statistics import binomial_p, bootstrap, permutation_p, quartiles, wilson


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_intervals_as_published(successes: int, trials: int, low: float, high: float) -> None:
    """R. G. Newcombe, "Two-sided confidence intervals for the single proportion" (1998), table I, method 3."""
    found = wilson(successes, trials)
    assert found.value == successes / trials
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)
    other = stats.binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    assert (found.low, found.high) == pytest.approx((other.low, other.high), abs=1e-12)


def test_shares_of_nothing_are_not_numbers() -> None:
    assert all(np.isnan(part) for part in wilson(0, 0))
    assert np.isnan(binomial_p(0, 0))


def test_exact_binomial_p_by_hand() -> None:
    assert binomial_p(8, 8, "greater") == pytest.approx(2**-8)
    assert binomial_p(0, 8) == pytest.approx(2**-7)
    assert binomial_p(12, 16, "greater") == pytest.approx(0.0384, abs=5e-5), "the known bar of ABX: 12 of 16"


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 9])
def test_quartiles_follow_the_formulas_of_the_standard(count: int) -> None:
    """BS.1534-3, section 4.1.2, with its indices from 1."""
    x = np.random.default_rng(count).permutation(np.arange(count) * 10.0)
    ordered = [np.nan, *sorted(x)]
    lower = ordered[1 : (count + 1) // 2 + 1] if count % 2 else ordered[1 : count // 2 + 1]
    upper = ordered[(count + 1) // 2 : count + 1] if count % 2 else ordered[count // 2 + 1 : count + 1]
    assert quartiles(x) == (np.median(lower), np.median(x), np.median(upper))


def test_bootstrap_agrees_with_scipy_and_repeats() -> None:
    grades = np.random.default_rng(1).normal(60, 15, (25, 1))
    median, mean = bootstrap(grades, np.random.default_rng(2))
    assert (median, mean) == bootstrap(grades, np.random.default_rng(2))
    for found, statistic in ((median, np.median), (mean, np.mean)):
        other = stats.bootstrap(
            (grades[:, 0],), statistic, n_resamples=10_000, method="percentile", rng=np.random.default_rng(3)
        ).confidence_interval
        assert found.value == pytest.approx(float(statistic(grades)))
        assert (found.low, found.high) == pytest.approx((other.low, other.high), abs=1.0), "resampling noise"


def test_bootstrap_draws_listeners_and_not_grades() -> None:
    """Listeners who differ and items that do not: the interval is as wide as that of one grade a listener."""
    listeners = np.random.default_rng(4).normal(60, 15, (12, 1))
    _, one = bootstrap(listeners, np.random.default_rng(5))
    _, many = bootstrap(listeners.repeat(30, axis=1), np.random.default_rng(5))
    assert many == pytest.approx(one)
    holes = listeners.repeat(2, axis=1)
    holes[0, 0] = np.nan
    assert np.isfinite(bootstrap(holes, np.random.default_rng(6))).all()


def test_permutation_p_agrees_with_scipy() -> None:
    rng = np.random.default_rng(7)
    first, second = rng.normal(60, 10, 20), rng.normal(66, 10, 22)

    def difference(a: np.ndarray, b: np.ndarray, axis: int) -> np.ndarray:
        return np.abs(np.median(a, axis=axis) - np.median(b, axis=axis))

    other = stats.permutation_test(
        (first, second), difference, vectorized=True, n_resamples=10_000, alternative="greater", rng=rng
    )
    assert permutation_p(first, second, rng) == pytest.approx(other.pvalue, abs=0.02), "resampling noise"
    assert permutation_p(first, first, rng) == 1.0
    assert permutation_p(first, first + 100, rng) < 0.001


def grades(reference: Sequence[float], mid: Sequence[float]) -> dict[tuple[str, str], dict[str, float]]:
    return {
        ("set", str(item)): {"reference": one, "anchor-3500": 10.0, "anchor-7000": other}
        for item, (one, other) in enumerate(zip(reference, mid, strict=True))
    }


def test_screening_by_the_rule_of_the_standard() -> None:
    """Over 15 % of the items, not at 15 %; below 90, not at 90; above 90, not at 90 (BS.1534-3, section 4.1.2)."""
    listeners = {
        "good": grades([100] * 20, [50] * 20),
        "limit": grades([90] * 17 + [89] * 3, [90] * 17 + [91] * 3),
        "deaf": grades([100] * 16 + [89] * 4, [50] * 20),
        "generous": grades([100] * 20, [50] * 16 + [91] * 4),
        "third": grades([100] * 20, [50] * 20),
        "fourth": grades([100] * 20, [50] * 20),
        "fifth": grades([100] * 20, [50] * 20),
        "sixth": grades([100] * 20, [50] * 20),
    }
    found, exempt = screen(listeners, "reference", ("anchor-3500", "anchor-7000"))
    assert not exempt, "2 of 8 listeners are 25 %, not more"
    assert [name for name, screened in found.items() if screened.excluded] == ["deaf", "generous"]
    assert found["limit"].reference_below == pytest.approx(0.15)
    assert "hidden reference" in found["deaf"].reason
    assert "mid-range anchor" in found["generous"].reason


def test_items_whose_anchor_many_find_good_do_not_count() -> None:
    """Over 25 % of the listeners grade the mid-range anchor above 90: no one is excluded by that item."""
    listeners = {name: grades([100] * 4, [95, 50, 50, 50]) for name in "ab"}
    listeners |= {name: grades([100] * 4, [50, 50, 50, 50]) for name in "cde"}
    found, exempt = screen(listeners, "reference", ("anchor-3500", "anchor-7000"))
    assert exempt == {("set", "0")}
    assert not any(screened.excluded for screened in found.values())
    listeners["b"] = listeners["c"]
    found, exempt = screen(listeners, "reference", ("anchor-3500", "anchor-7000"))
    assert not exempt
    assert [name for name, screened in found.items() if screened.excluded] == ["a"]
    found, _ = screen(listeners, "reference", ("anchor-3500",))
    assert not found["a"].excluded
    assert found["a"].anchor_above is None
