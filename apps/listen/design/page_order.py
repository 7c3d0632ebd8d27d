"""The pages of each listener: which sounds, in which order, under which letters.

Everything is drawn from the seed of the test and the id of the listener (`apps.listen.design.stable_random`), so a page
is the same after a restart, and no two listeners have the same order.

- Pages come in random order over all sets, items, pairs and repeats (BS.1534-3, section 3).
- Sides of a pair are drawn for each pair and item, and swapped at each repeat, so that they balance.
- A page of ACR, DCR or P.835 has one sound to grade; the two sounds of a CCR page come in either order, as any pair.
- Of the scales of P.835, speech or background comes first, drawn for each listener; overall is the last.
- Each listener gets every item, or the next `items_each` of a common order, as listeners come, so that all items come
  equally often.
- Traps come at random places among the other pages.
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
from apps.listen.design.traps import SET as TRAPS
from apps.listen.design.traps import SOUND as TRAP_SOUND


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
    """One page of a test: an item, the stimuli that are compared, the number of the repeat, or of a trap from 1."""

    set_name: str
    item: str
    stimuli: tuple[str, ...]
    repeat: int = 0
    training: bool = False
    trap: int = 0

    @cached_property
    def key(self) -> str:
        """Names the page within the test, for the store."""
        kind = "training" if self.training else f"trap {self.trap}" if self.trap else "page"
        return json.dumps([kind, self.set_name, self.item, self.stimuli, self.repeat], ensure_ascii=False)


def pages(plan: Plan, listener: str, number: int = 0) -> list[Page]:
    """Return the pages of the test in the order of a listener.

    Args:
        plan: the test.
        listener: the id.
        number: of listeners who came before, where each gets a share of the items.
    """
    found = [
        Page(name, item, stimuli, repeat)
        for name in plan.items
        for item in share(plan, name, number)
        for stimuli in plan.on_a_page
        for repeat in range(plan.settings.repeats)
    ]
    found += [_trap(plan, listener, trap) for trap in range(1, len(plan.settings.traps) + 1)]
    return sorted(found, key=lambda page: digest("order", plan.settings.seed, listener, page.key))


def share(plan: Plan, set_name: str, number: int) -> tuple[str, ...]:
    """Return the items of a set that a listener gets; so many came before."""
    items, each = plan.items[set_name], plan.settings.items_each
    if not each or each >= len(items):
        return items
    drawn = sorted(items, key=lambda item: digest("share", plan.settings.seed, set_name, item))
    return tuple(drawn[(number * each + place) % len(items)] for place in range(each))


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
    if page.trap and page.set_name == TRAPS:
        found = [(place, role, label, TRAP_SOUND) for place, role, label, _ in found]
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


def _trap(plan: Plan, listener: str, number: int) -> Page:
    """Return the page of a trap: its own sound, or any other page's."""
    seed = plan.settings.seed
    if plan.settings.traps[number - 1].sound is not None:
        return Page(TRAPS, f"trap {number}", plan.on_a_page[0], trap=number)
    places = [(name, item, kind) for name, items in plan.items.items() for item in items for kind in plan.on_a_page]
    drawn = int.from_bytes(digest("trap", seed, listener, number)[:8], "big")
    return Page(*places[drawn % len(places)], trap=number)


def _order(plan: Plan, listener: str, page: Page) -> list[str]:
    seed = plan.settings.seed
    if plan.method is Method.MUSHRA:
        return sorted(page.stimuli, key=lambda name: digest("slot", seed, listener, page.key, name))
    side = digest("side", seed, listener, page.set_name, page.item, *sorted(page.stimuli))[0] + page.repeat
    return sorted(page.stimuli, reverse=side % 2 == 1)
