"""The pages of each listener: which sounds, in which order, under which letters.

Everything is drawn from the seed of the test and the id of the listener (`apps.listen.design.stable_random`), so a page
is the same after a restart, and no two listeners have the same order.

- Pages come in random order over all sets, items, pairs and repeats (BS.1534-3, section 3).
- Sides of a pair are drawn for each pair and item, and swapped at each repeat, so that they balance.
- A page of ACR, DCR or P.835 has one sound to grade; the two sounds of a CCR page come in either order, as any pair.
- Of the scales of P.835, speech comes first for half of the listeners, background for the others; overall is the last.
- X of an ABX page is A or B by the toss of a coin, independent of all others: what the binomial test assumes.
- The sounds of a MUSHRA page come in random order under the numbers 1, 2, 3, ...
"""

import json
from dataclasses import dataclass
from functools import cached_property

from apps.listen.design.plan import Plan
from apps.listen.design.scales import ALONE, SCALES, Scale
from apps.listen.design.settings import Method
from apps.listen.design.stable_random import digest, token


@dataclass(frozen=True)
class Slot:
    """A place on a page.

    Attributes:
        stimulus: the system, reference or anchor in it. Never leaves the server.
        role: "reference" (named as such), "choice" (can be answered) or "x".
        label: what stands on its button.
        token: what the browser knows it by.
    """

    stimulus: str
    role: str
    label: str
    token: str


@dataclass(frozen=True)
class Page:
    """One page of a test: an item, the stimuli that are compared, and the number of the repeat."""

    set_name: str
    item: str
    stimuli: tuple[str, ...]
    repeat: int = 0
    training: bool = False

    @cached_property
    def key(self) -> str:
        """Names the page within the test, for the store."""
        kind = "training" if self.training else "page"
        return json.dumps([kind, self.set_name, self.item, self.stimuli, self.repeat], ensure_ascii=False)


def pages(plan: Plan, listener: str) -> list[Page]:
    """Return the pages of the test in the order of a listener."""
    found = [
        Page(name, item, stimuli, repeat)
        for name, items in plan.items.items()
        for item in items
        for stimuli in plan.on_a_page
        for repeat in range(plan.settings.repeats)
    ]
    return sorted(found, key=lambda page: digest("order", plan.settings.seed, listener, page.key))


def training_pages(plan: Plan) -> list[Page]:
    """Return the pages of practice, with items that the test leaves out where there are some."""
    seed, kinds, spare = plan.settings.seed, plan.on_a_page, any(plan.spare.values())
    places = [(name, item) for name, items in (plan.spare if spare else plan.items).items() for item in items]
    places.sort(key=lambda place: digest("training", seed, *place))
    return [
        Page(*places[number % len(places)], kinds[number % len(kinds)], number, training=True)
        for number in range(plan.settings.training)
    ]


def slots(plan: Plan, listener: str, page: Page) -> list[Slot]:
    """Return the stimulus at each place of a listener's page; the named reference comes first."""
    drawn = _order(plan, listener, page)
    found = [("reference", "reference", "Reference", plan.reference)] if plan.shows_reference else []
    if plan.method is Method.MUSHRA:
        found += [(f"choice {number}", "choice", str(number), name) for number, name in enumerate(drawn, 1)]
    elif plan.method in ALONE:
        found.append(("choice", "choice", "Sound", drawn[0]))
    else:
        labels = ("First", "Second") if plan.method is Method.CCR else ("A", "B")
        found += [(f"choice {label}", "choice", label, name) for label, name in zip(labels, drawn, strict=True)]
    if plan.method is Method.ABX:
        coin = digest("x", plan.settings.seed, listener, page.key)[0] % 2
        found.append(("x", "x", "X", drawn[coin]))
    return [
        Slot(str(stimulus), role, label, token(plan.settings.seed, listener, page.key, place))
        for place, role, label, stimulus in found
    ]


def scales(plan: Plan, listener: str) -> list[Scale]:
    """Return the scales of each page in the order of a listener; [] when sounds are compared without one."""
    found = list(SCALES.get(plan.method, ()))
    if plan.method is Method.P835 and digest("scales", plan.settings.seed, listener)[0] % 2:
        found[:2] = found[1::-1]
    return found


def page_token(plan: Plan, listener: str, page: Page) -> str:
    """Return the name by which a listener's browser knows the page."""
    return token(plan.settings.seed, listener, page.key)


def _order(plan: Plan, listener: str, page: Page) -> list[str]:
    seed = plan.settings.seed
    if plan.method is Method.MUSHRA:
        return sorted(page.stimuli, key=lambda name: digest("slot", seed, listener, page.key, name))
    side = digest("side", seed, listener, page.set_name, page.item, *sorted(page.stimuli))[0] + page.repeat
    return sorted(page.stimuli, reverse=side % 2 == 1)
