"""Tables of opinion scores: MOS (ACR), DMOS (DCR), CMOS (CCR), SIG, BAK and OVRL (P.835).

Each mean has two intervals of 95 %. `mean_low` to `mean_high` is by resampling of listeners, whose grades are not
independent of each other. `ci95` is half the usual interval, by Student's t over all grades, for a comparison with what
others publish. Systems are compared within each listener, over the items that he or she graded for both.

References: ITU-T P.800, P.808 and P.835; ITU-T P.1401 (2020), section 7 (intervals).
"""

from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np

from apps.listen.analysis.results import Row, row_name, with_holm
from apps.listen.analysis.statistics import bootstrap_mean, sign_flip_p, student_half_width
from apps.listen.design.plan import Plan
from apps.listen.design.scales import SCALES, Scale
from apps.listen.design.settings import Method
from apps.listen.serving.answer_store import Answer

Votes = dict[str, dict[tuple[str, str], list[float]]]  # listener: set and item: grades


def opinions(plan: Plan, answers: Sequence[Answer]) -> list[Row]:
    """Return the mean of each set, system and scale over all items, then one for each item.

    For CCR a row is a pair: how much better `b` was than `a`, in whichever order they came, the p of that mean by
    turning the signs of all grades of a listener together, and the p after Holm over the pairs.
    """
    rng = np.random.default_rng(plan.settings.seed)
    rows = []
    for name in plan.sets:
        for stimuli in plan.on_a_page:
            for scale in SCALES[plan.method]:
                votes = _votes(answers, name, stimuli, scale)
                for item in (None, *sorted({place[1] for given in votes.values() for place in given})):
                    table = _table(votes, item)
                    if table.size:
                        where = {"set": name, "item": row_name(item), **_named(plan, stimuli), "measure": scale.measure}
                        p = {"p": sign_flip_p(np.nansum(table, axis=1), rng)} if plan.method is Method.CCR else {}
                        rows.append({**where, **_described(table, rng), **p})
    return with_holm(rows, "set", "item") if plan.method is Method.CCR else rows


def opinion_comparisons(plan: Plan, answers: Sequence[Answer]) -> list[Row]:
    """Compare each two systems of a set on each scale: the mean difference within a listener, its p, and p after Holm.

    The p is of all listeners' differences by turning signs; Holm's correction is over the systems of a set and scale.
    CCR, which compares by itself, has none.
    """
    if plan.method is Method.CCR:
        return []
    rng = np.random.default_rng(plan.settings.seed)
    rows = []
    for name in plan.sets:
        for scale in SCALES[plan.method]:
            votes = {stimuli: _votes(answers, name, stimuli, scale) for stimuli in plan.on_a_page}
            for first, second in combinations(plan.on_a_page, 2):
                differences = _differences(votes[first], votes[second])
                if len(differences):
                    rows.append(
                        {
                            "set": name,
                            "measure": scale.measure,
                            "a": first[0],
                            "b": second[0],
                            "listeners": len(differences),
                            "mean_difference": float(np.mean(differences)),
                            "p": sign_flip_p(differences, rng),
                        }
                    )
    return with_holm(rows, "set", "measure")


def _named(plan: Plan, stimuli: tuple[str, ...]) -> Row:
    return {"a": stimuli[0], "b": stimuli[1]} if plan.method is Method.CCR else {"system": stimuli[0]}


def _votes(answers: Iterable[Answer], name: str, stimuli: tuple[str, ...], scale: Scale) -> Votes:
    """Return the grades on a scale; those of a pair as if its second stimulus had come second."""
    found: Votes = {}
    for answer in answers:
        content = answer.content
        shown = (content["system"],) if "system" in content else (content["first"], content["second"])
        if answer.set_name == name and set(shown) == set(stimuli):
            grade = content["scores"][scale.name]
            place = (answer.set_name, answer.item)
            found.setdefault(answer.listener, {}).setdefault(place, []).append(grade if shown == stimuli else -grade)
    return found


def _table(votes: Votes, item: str | None) -> np.ndarray:
    """Return grades, [listeners, most grades of one]; NaN where a listener gave fewer, who gave none is left out."""
    given = [
        [grade for place, grades in own.items() if item in (None, place[1]) for grade in grades]
        for own in votes.values()
    ]
    given = [grades for grades in given if grades]
    table = np.full((len(given), max(map(len, given), default=0)), np.nan)
    for row, grades in zip(table, given, strict=True):
        row[: len(grades)] = grades
    return table


def _described(table: np.ndarray, rng: np.random.Generator) -> Row:
    grades = table[~np.isnan(table)]
    mean = bootstrap_mean(table, rng)
    return {
        "listeners": len(table),
        "grades": len(grades),
        "mean": mean.value,
        "mean_low": mean.low,
        "mean_high": mean.high,
        "ci95": student_half_width(grades),
        "sd": float(np.std(grades, ddof=1)) if len(grades) > 1 else float("nan"),
    }


def _differences(first: Votes, second: Votes) -> np.ndarray:
    """Return the mean difference of each listener who graded an item for both."""
    found = []
    for listener, own in first.items():
        other = second.get(listener, {})
        differences = [np.mean(grades) - np.mean(other[place]) for place, grades in own.items() if place in other]
        if differences:
            found.append(np.mean(differences))
    return np.array(found, np.float64)
