"""Post-screening of MUSHRA listeners by the rule of BS.1534-3, section 4.1.2.

A listener is excluded who grades

- the hidden reference below 90 on more than 15 % of the items, or
- the mid-range anchor above 90 on more than 15 % of the items. Items on which more than 25 % of all listeners do so do
  not count here, since the anchor may not be impaired enough there.

The mid-range anchor is the highest one of a test with two anchors or more; a test with fewer has only the first rule.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from apps.listen.analysis.results import Item

GOOD = 90  # grade
MOST_ITEMS = 0.15  # share of a listener's items
MOST_LISTENERS = 0.25  # share of listeners who find no fault with the anchor of an item

Grades = Mapping[str, Mapping[Item, Mapping[str, float]]]  # listener: item: stimulus: grade


@dataclass(frozen=True)
class Screened:
    """Hold the result of the rule for one listener.

    Attributes:
        reference_below: share of items with the hidden reference below 90.
        anchor_above: share of the items that count with the mid-range anchor above 90; None when there is none.
        reason: why the listener is excluded; "" when not.
    """

    reference_below: float
    anchor_above: float | None
    reason: str

    @property
    def excluded(self) -> bool:
        return bool(self.reason)


def screen(grades: Grades, reference: str, anchors: tuple[str, ...]) -> tuple[dict[str, Screened], set[Item]]:
    """Apply the rule.

    Args:
        grades: of all listeners.
        reference: name of the hidden reference.
        anchors: names of the anchors, the lowest first.

    Returns:
        What it says of each listener, and the items that do not count for the anchor.

    Example:
        >>> grades = {"a": {("s", "1"): {"ref": 100}}, "b": {("s", "1"): {"ref": 80}}}
        >>> {listener: found.excluded for listener, found in screen(grades, "ref", ())[0].items()}
        {'a': False, 'b': True}
    """
    mid = anchors[-1] if len(anchors) > 1 else None
    exempt = _exempt(grades, mid) if mid else set()
    return {listener: _screened(given, reference, mid, exempt) for listener, given in grades.items()}, exempt


def _exempt(grades: Grades, mid: str) -> set[Item]:
    found = set()
    for item in {item for given in grades.values() for item in given}:
        above = [given[item][mid] > GOOD for given in grades.values() if item in given]
        if sum(above) > MOST_LISTENERS * len(above):
            found.add(item)
    return found


def _screened(
    given: Mapping[Item, Mapping[str, float]], reference: str, mid: str | None, exempt: set[Item]
) -> Screened:
    below = sum(marks[reference] < GOOD for marks in given.values()) / len(given)
    counted = [item for item in given if item not in exempt]
    above = None
    if mid is not None:
        above = sum(given[item][mid] > GOOD for item in counted) / len(counted) if counted else 0.0
    reasons = []
    if below > MOST_ITEMS:
        reasons.append(f"hidden reference below {GOOD} on {below:.0%} of the items")
    if above is not None and above > MOST_ITEMS:
        reasons.append(f"mid-range anchor above {GOOD} on {above:.0%} of the items")
    return Screened(below, above, "; ".join(reasons))
