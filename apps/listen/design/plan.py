"""The settings held against the folder: which sets, systems, pairs and items a test has, all of them there."""

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from apps.listen.design.scales import ALONE, IN_PAIRS
from apps.listen.design.settings import Method, TestSettings, read_settings
from apps.listen.design.stable_random import digest
from apps.listen.design.stimulus_folder import SoundSet, read_corpus
from apps.listen.design.texts import read_texts
from apps.listen.design.traps import check_traps
from enhance.utils.errors import UsageError

MOST_SIGNALS = 12  # on a MUSHRA page, with hidden reference and anchors (BS.1534-3, section 5.3)


@dataclass(frozen=True)
class Plan:
    """A test that can be run.

    Attributes:
        settings: what the TOML file says.
        sets: sets in the test.
        systems: systems in the test, without reference and anchors.
        pairs: for pairwise, ABX and CCR, else ().
        items: set: its items in the test.
        spare: set: its items that are not in the test, for practice.
        reference: name of the reference; None when a test that needs none has none.
        labels: name of each stimulus: how people call it.
    """

    settings: TestSettings
    sets: dict[str, SoundSet]
    systems: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    items: dict[str, tuple[str, ...]]
    spare: dict[str, tuple[str, ...]]
    reference: str | None
    labels: dict[str, str]

    @property
    def method(self) -> Method:
        return self.settings.method

    @property
    def anchors(self) -> tuple[str, ...]:
        """Names of the MUSHRA anchors, the lowest first; () for other methods."""
        return tuple(map(anchor_name, self.settings.anchors_hz)) if self.method is Method.MUSHRA else ()

    @property
    def on_a_page(self) -> tuple[tuple[str, ...], ...]:
        """The stimuli of one page: a pair, one that is graded alone, or all for MUSHRA; one entry a kind of page."""
        if self.method in IN_PAIRS:
            return self.pairs
        if self.method in ALONE:
            hidden = (self.reference,) if self.reference and self.settings.hidden_reference else ()
            return tuple((name,) for name in (*self.systems, *hidden))
        assert self.reference is not None
        return ((*self.systems, self.reference, *self.anchors),)

    @property
    def shows_reference(self) -> bool:
        """True when a page has the reference, named as such, to listen to."""
        if self.method in (Method.MUSHRA, Method.DCR):
            return True
        return self.method is Method.PAIRWISE and self.settings.open_reference and self.reference is not None

    @property
    def pages(self) -> int:
        """Pages that each listener answers."""
        each = self.settings.items_each
        items = sum(min(each, len(items)) if each else len(items) for items in self.items.values())
        return len(self.on_a_page) * self.settings.repeats * items + len(self.settings.traps)


def anchor_name(hertz: int) -> str:
    """Name of the low-pass anchor with this cut-off frequency."""
    return f"anchor-{hertz}"


def make_plan(path: Path) -> Plan:
    """Read the TOML file of a test and the folder that it names.

    Raises:
        UsageError: when something is missing or does not fit together; one line that says what.
    """
    settings = read_settings(path)
    sounds = [trap.sound for trap in settings.traps if trap.sound is not None]
    corpus = read_corpus(settings.folder, settings.reference, sounds)
    sets = {name: corpus[name] for name in _known(settings, "sets", settings.sets or tuple(corpus), tuple(corpus))}
    first = next(iter(sets.values()))
    shared = tuple(name for name in first.labels if all(name in entry.labels for entry in sets.values()))
    if _has(first, first.reference) and first.reference in settings.systems:
        raise UsageError(
            f"{settings.path}: systems names {first.reference!r}, which is the reference: leave it out (pairs may name "
            "it, and hidden_reference lets it be graded), or name another folder with reference"
        )
    systems = _known(settings, "systems", settings.systems or shared, shared)
    references = {entry.reference for entry in sets.values()}
    if len(references) > 1:
        raise UsageError(f"{settings.path}: the sets have different references: {', '.join(sorted(references))}")
    reference = first.reference if all(_has(entry, first.reference) for entry in sets.values()) else None
    if reference is None and settings.reference is not None:
        raise UsageError(f"{settings.path}: reference names {settings.reference!r}, which {settings.folder} lacks")
    labels = {**first.labels, first.reference: "reference"}
    labels |= {anchor_name(hertz): f"{hertz / 1000:g} kHz anchor" for hertz in settings.anchors_hz}
    items = {name: _items(settings, entry) for name, entry in sets.items()}
    spare = {name: tuple(item for item in sets[name].items if item not in items[name]) for name in sets}
    pairs = _pairs(settings, systems, reference)
    if pairs:
        systems = tuple(name for name in systems if any(name in pair for pair in pairs))
    plan = Plan(settings, sets, systems, pairs, items, spare, reference, labels)
    _check(plan)
    return plan


def _known(settings: TestSettings, key: str, names: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name not in known:
            there = ", ".join(known) or "none"
            raise UsageError(f"{settings.path}: {key} names {name!r}, which {settings.folder} lacks; there: {there}")
    return names


def _has(entry: SoundSet, system: str) -> bool:
    return all((system, item) in entry.files for item in entry.items)


def _items(settings: TestSettings, entry: SoundSet) -> tuple[str, ...]:
    """Return the items of a set in the test. A number takes the first ones in an order that the seed draws."""
    if isinstance(settings.items, tuple):
        return _known(settings, "items", settings.items, entry.items)
    if settings.items > len(entry.items):
        raise UsageError(f"{settings.path}: items is {settings.items}, but {entry.name} has {len(entry.items)}")
    drawn = sorted(entry.items, key=lambda item: digest("items", settings.seed, entry.name, item))
    return tuple(sorted(drawn[: settings.items or None]))


def _pairs(settings: TestSettings, systems: tuple[str, ...], reference: str | None) -> tuple[tuple[str, str], ...]:
    if settings.method not in IN_PAIRS:
        if settings.pairs:
            raise UsageError(f"{settings.path}: pairs belong to pairwise, ABX and CCR, not to {settings.method}")
        return ()
    if settings.pairs:
        known = (*systems, reference) if reference else systems
        _known(settings, "pairs", tuple(name for pair in settings.pairs for name in pair), known)
        return settings.pairs
    if settings.method in (Method.ABX, Method.CCR):
        return tuple((reference, system) for system in systems) if reference else tuple(combinations(systems, 2))
    return tuple(combinations(systems, 2))


def _check(plan: Plan) -> None:
    path = plan.settings.path
    check_traps(plan.settings)
    read_texts(plan.settings.texts)
    if "{code}" in plan.settings.completion_link and not plan.settings.completion_code:
        raise UsageError(
            f'{path}: completion_link has {{code}}, but there is none: set completion_code, such as "auto"'
        )
    most = max(map(len, plan.items.values()))
    if plan.settings.items_each > most:
        raise UsageError(f"{path}: items_each is {plan.settings.items_each}, but there are {most} items in a set")
    if plan.method in IN_PAIRS and not plan.pairs:
        raise UsageError(f"{path}: {plan.method} needs two systems, there is {', '.join(plan.systems) or 'none'}")
    if plan.reference is None and plan.method in (Method.MUSHRA, Method.DCR):
        raise UsageError(f"{path}: {plan.method.upper()} needs a reference; name its folder with reference")
    if plan.reference is None and plan.settings.loudness == "bs1770-reference":
        raise UsageError(f'{path}: loudness "bs1770-reference" needs a reference; name its folder with reference')
    if not plan.systems:
        raise UsageError(f"{path}: there is no system that all sets have")
    taken = set(plan.anchors) & set(plan.systems)
    if taken:
        raise UsageError(f"{path}: a system cannot be called {taken.pop()}: an anchor is")
    signals = len(plan.on_a_page[0])
    if plan.method is Method.MUSHRA and signals > MOST_SIGNALS:
        most = MOST_SIGNALS - 1 - len(plan.anchors)
        raise UsageError(
            f"{path}: {signals} sounds on a page; BS.1534-3 (5.3) allows {MOST_SIGNALS}: name at most {most} in systems"
        )
