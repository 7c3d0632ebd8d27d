"""What an answer to a page has to hold, and what is kept of it: by the names of systems, not by letters and tokens."""

from typing import Any

from apps.listen.design.page_order import Slot, scales
from apps.listen.design.plan import Plan
from apps.listen.design.scales import SCALES, Scale
from apps.listen.design.settings import Method
from enhance.utils.errors import FileError

BEST = 100  # one sound of a MUSHRA page must get it: the reference is among them (BS.1534-3, attachment 1)
NO_PREFERENCE = "none"


def kept_of(plan: Plan, listener: str, shown: list[Slot], content: dict[str, Any]) -> dict[str, Any]:
    """Return what is kept of an answer.

    Args:
        plan: the test.
        listener: who answers.
        shown: the places of the page.
        content: of the call.

    Raises:
        FileError: when the answer is not complete, with what is missing.
    """
    played = content.get("played")
    missing = [slot.label for slot in shown if not isinstance(played, list) or slot.token not in played]
    if missing:
        raise FileError(f"Listen to every sound first; you have not heard {', '.join(missing)}.")
    choices = [slot for slot in shown if slot.role == "choice"]
    if plan.method is Method.MUSHRA:
        return _rated(choices, content.get("ratings"))
    if plan.method in SCALES:
        scores = _scored(scales(plan, listener), content.get("scores"))
        if plan.method is Method.CCR:
            return {"first": choices[0].stimulus, "second": choices[1].stimulus, "scores": scores}
        return {"system": choices[0].stimulus, "scores": scores}
    return _chosen(plan.method, choices, shown[-1], content.get("choice"))


def begun(plan: Plan, names: set[str], content: dict[str, Any]) -> dict[str, Any]:
    """Keep of a draft what it may hold: sounds of the page that were heard, a choice, and grades.

    Args:
        plan: the test.
        names: tokens of the page.
        content: of the call.
    """
    kept: dict[str, Any] = {}
    played, choice, ratings, scores = (content.get(key) for key in ("played", "choice", "ratings", "scores"))
    if isinstance(played, list):
        kept["played"] = [name for name in played if isinstance(name, str) and name in names]
    if isinstance(choice, str) and choice in (*names, NO_PREFERENCE):
        kept["choice"] = choice
    if isinstance(ratings, dict):
        kept["ratings"] = {name: grade for name, grade in ratings.items() if name in names and _is_grade(grade)}
    if isinstance(scores, dict):
        known = {scale.name: scale for scale in SCALES.get(plan.method, ())}
        kept["scores"] = {name: grade for name, grade in scores.items() if name in known and _is_on(known[name], grade)}
    return kept


def _is_grade(value: object) -> bool:
    return type(value) is int and 0 <= value <= BEST


def _is_on(scale: Scale, value: object) -> bool:
    return type(value) is int and value in scale.grades


def _scored(wanted: list[Scale], scores: object) -> dict[str, int]:
    """Return the grade on each scale, in the order in which they were asked."""
    given = scores if isinstance(scores, dict) else {}
    missing = [scale.name for scale in wanted if not _is_on(scale, given.get(scale.name))]
    if missing:
        raise FileError(f"Answer every question; still missing: {', '.join(missing)}.")
    return {scale.name: given[scale.name] for scale in wanted}


def _chosen(method: Method, choices: list[Slot], last: Slot, choice: object) -> dict[str, Any]:
    """Return the answer to a pair."""
    first, second = choices
    named = {slot.token: slot.stimulus for slot in choices}
    given = choice if isinstance(choice, str) else ""
    if method is Method.ABX:
        if given not in named:
            raise FileError("Say whether X is A or B.")
        return {"a": first.stimulus, "b": second.stimulus, "x": last.stimulus, "answered": named[given]}
    if given not in (*named, NO_PREFERENCE):
        raise FileError("Choose A, B, or no preference.")
    return {"first": first.stimulus, "second": second.stimulus, "preferred": named.get(given)}


def _rated(choices: list[Slot], ratings: object) -> dict[str, Any]:
    """Return the grades of a MUSHRA page."""
    given = ratings if isinstance(ratings, dict) else {}
    grades = {slot.stimulus: given.get(slot.token) for slot in choices}
    missing = [slot.label for slot in choices if not _is_grade(grades[slot.stimulus])]
    if missing:
        raise FileError(f"Grade every sound from 0 to 100; still missing: {', '.join(missing)}.")
    if BEST not in grades.values():
        raise FileError("Give 100 to at least one sound: the reference is among them, under a number.")
    return {"order": [slot.stimulus for slot in choices], "ratings": grades}
