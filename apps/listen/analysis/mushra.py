"""Tables of MUSHRA grades (BS.1534-3, sections 9.1 and 10.3): medians, quartiles, means, comparisons of systems."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from apps.listen.analysis.results import Item, Marks, Row, row_name, with_holm
from apps.listen.analysis.statistics import bootstrap, permutation_p, quartiles
from apps.listen.design.plan import Plan
from apps.listen.serving.answer_store import Answer


def marks_of(answers: Sequence[Answer]) -> Marks:
    """Return the grade of each listener for each stimulus of an item: the median over repeats (section 9.1)."""
    given: dict[str, dict[Item, dict[str, list[float]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for answer in answers:
        for stimulus, grade in answer.content["ratings"].items():
            given[answer.listener][answer.set_name, answer.item][stimulus].append(grade)
    return {
        listener: {
            item: {stimulus: float(np.median(grades)) for stimulus, grades in stimuli.items()}
            for item, stimuli in items.items()
        }
        for listener, items in given.items()
    }


def grades_of(marks: Marks, set_name: str, stimulus: str, item: str | None = None) -> np.ndarray:
    """Return the grades of a stimulus, [listeners, items], NaN where a listener gave none; of all items for None.

    Listeners without any are left out.
    """
    places = sorted({place for items in marks.values() for place in items if place[0] == set_name})
    places = [place for place in places if item in (None, place[1])]
    rows = [[items.get(place, {}).get(stimulus, np.nan) for place in places] for items in marks.values()]
    table = np.array(rows, np.float64).reshape(len(rows), len(places))
    return table[~np.isnan(table).all(axis=1)] if places else table


def summary(plan: Plan, marks: Marks) -> list[Row]:
    """Return one row for each set and stimulus over all items, then one for each item."""
    rng = np.random.default_rng(plan.settings.seed)
    rows = []
    for name in plan.sets:
        items = sorted({place[1] for given in marks.values() for place in given if place[0] == name})
        for item in (None, *items):
            for stimulus in plan.on_a_page[0]:
                grades = grades_of(marks, name, stimulus, item)
                if grades.size:
                    rows.append({"set": name, "item": row_name(item), "system": stimulus, **_described(grades, rng)})
    return rows


def comparisons(plan: Plan, marks: Marks) -> list[Row]:
    """Compare each two systems of a set: difference of medians over all items, and its p by permutation (attachment 3).

    `p_holm` is corrected for the number of comparisons in a set.
    """
    rng = np.random.default_rng(plan.settings.seed)
    rows = []
    for name in plan.sets:
        for a, b in combinations(plan.on_a_page[0], 2):
            first, second = (grades_of(marks, name, stimulus) for stimulus in (a, b))
            first, second = first[~np.isnan(first)], second[~np.isnan(second)]
            if len(first) and len(second):
                difference = float(np.median(first) - np.median(second))
                p = permutation_p(first, second, rng)
                rows.append({"set": name, "a": a, "b": b, "median_difference": difference, "p": p})
    return with_holm(rows, "set")


def _described(grades: np.ndarray, rng: np.random.Generator) -> Row:
    lower, _, upper = quartiles(grades[~np.isnan(grades)])
    median, mean = bootstrap(grades, rng)
    return {
        "listeners": len(grades),
        "grades": int(np.count_nonzero(~np.isnan(grades))),
        "median": median.value,
        "median_low": median.low,
        "median_high": median.high,
        "q1": lower,
        "q3": upper,
        "iqr": upper - lower,
        "mean": mean.value,
        "mean_low": mean.low,
        "mean_high": mean.high,
    }
