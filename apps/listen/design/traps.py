"""Trap questions: pages that say their right answer, so that a wrong one shows that nobody listened (ITU-T P.808, 6.3).

    [[traps]]
    answer = 2                      # the grade; for pairs "A", "B" or "none"
    sound = "traps/choose-poor.wav" # says what to choose; without it, the question says so

A trap comes once for each listener, at a random place. Its sound takes the place of all sounds on the page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from apps.listen.design.scales import SCALES
from apps.listen.design.settings import Method, TestSettings
from enhance.utils.errors import UsageError

SET = ""  # in the place of the name of a set, of a trap with a sound of its own
SOUND = "trap"  # in the place of a system

_SIDES = {Method.PAIRWISE: ("A", "none", "B"), Method.ABX: ("A", "B")}


def answers_of(method: Method) -> tuple[int | str, ...]:
    """Return what may be the right answer to a trap; () for a method that has none."""
    if method in SCALES:
        return SCALES[method][0].grades
    return _SIDES.get(method, ())


def check_traps(settings: TestSettings) -> None:
    """Check that each trap has an answer that the method knows, and that its sound is there.

    Raises:
        UsageError: when not; one line that says what.
    """
    known = answers_of(settings.method)
    for number, trap in enumerate(settings.traps, 1):
        if not known:
            raise UsageError(
                f"{settings.path}: traps are not for {settings.method}, which screens listeners by the hidden reference"
            )
        if trap.answer not in known or isinstance(trap.answer, bool):
            allowed = ", ".join(map(repr, known))
            raise UsageError(
                f"{settings.path}: the answer of trap {number} is {trap.answer!r}, expected one of {allowed}"
            )
        if trap.sound is not None and not trap.sound.is_file():
            raise UsageError(f"{settings.path}: trap {number} names {trap.sound}, which is not there")


@dataclass(frozen=True)
class Judged:
    """Hold how a listener answered a trap."""

    expected: int | str
    given: int | str
    passed: bool


def judge(method: Method, expected: int | str, content: dict[str, Any], labels: dict[str, str]) -> Judged:
    """Return whether a complete answer is the right one.

    Args:
        method: of the test.
        expected: the right answer.
        content: of the call.
        labels: token: label of the sounds of the page.
    """
    if method in SCALES:
        grades: Sequence[int] = [content["scores"][scale.name] for scale in SCALES[method]]
        wrong = [grade for grade in grades if grade != expected]
        return Judged(expected, wrong[0] if wrong else grades[0], not wrong)
    given = labels.get(content["choice"], "none")
    return Judged(expected, given, given == expected)
