"""Tables of pairwise and ABX answers.

Answers of one listener are not independent of each other, which no interval here accounts for: many answers of few
listeners look surer than they are. So the number of listeners stands beside each figure.
"""

from collections.abc import Iterable, Sequence

from apps.listen.analysis.results import Row, row_name, with_holm
from apps.listen.analysis.statistics import Interval, binomial_p, wilson
from apps.listen.design.plan import Plan
from apps.listen.serving.answer_store import Answer


def preferences(plan: Plan, answers: Sequence[Answer]) -> list[Row]:
    """Return the preference rates: a row for each set and pair, and one for each pair over all sets.

    "No preference" is counted by two rules: `rate` leaves such answers out (with the sign test as `p`), `half_rate`
    counts each as half a preference for either side. `none_rate` is their own share. `p_holm` is corrected for the
    number of pairs in a set.
    """
    rows = []
    for name, pair, chosen in _groups(plan, answers, ("first", "second")):
        a, b = pair
        wins = [sum(answer.content["preferred"] == system for answer in chosen) for system in pair]
        ties = len(chosen) - sum(wins)
        rows.append(
            {
                "set": name,
                "a": a,
                "b": b,
                "listeners": len({answer.listener for answer in chosen}),
                "answers": len(chosen),
                "prefer_a": wins[0],
                "no_preference": ties,
                "prefer_b": wins[1],
                **_columns("rate", wilson(wins[0], sum(wins))),
                "p": binomial_p(wins[0], sum(wins)),
                **_columns("half_rate", wilson(wins[0] + ties / 2, len(chosen))),
                **_columns("none_rate", wilson(ties, len(chosen))),
            }
        )
    return with_holm(rows, "set")


def discriminations(plan: Plan, answers: Sequence[Answer]) -> list[Row]:
    """Return how often X was found, for each set and pair, for all listeners and for each one.

    `p` is that of so many or more by guessing (exact binomial test, one-sided), `p_holm` corrected for the number of
    pairs in a set.
    """
    rows = []
    for name, pair, chosen in _groups(plan, answers, ("a", "b")):
        for listener in (None, *sorted({answer.listener for answer in chosen})):
            own = [answer for answer in chosen if listener in (None, answer.listener)]
            correct = sum(answer.content["answered"] == answer.content["x"] for answer in own)
            rows.append(
                {
                    "set": name,
                    "a": pair[0],
                    "b": pair[1],
                    "listener": row_name(listener),
                    "answers": len(own),
                    "correct": correct,
                    **_columns("rate", wilson(correct, len(own))),
                    "p": binomial_p(correct, len(own), "greater"),
                }
            )
    return with_holm(rows, "set", "listener")


def _groups(
    plan: Plan, answers: Sequence[Answer], sides: tuple[str, str]
) -> Iterable[tuple[str, tuple[str, str], list[Answer]]]:
    """Return the answers by set and pair, in the order of the plan; those without answers are left out."""
    only = len(plan.sets) == 1
    names = {name: name for name in plan.sets} if only else {row_name(name): name for name in (*plan.sets, None)}
    for shown, name in names.items():
        for pair in plan.pairs:
            chosen = [
                answer
                for answer in answers
                if name in (None, answer.set_name) and {answer.content[side] for side in sides} == set(pair)
            ]
            if chosen:
                yield shown, pair, chosen


def _columns(name: str, interval: Interval) -> Row:
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
