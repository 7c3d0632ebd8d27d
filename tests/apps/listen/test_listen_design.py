"""Orders of a listening test: random for each listener, the same after every restart, balanced where they must be."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from command import ROOT
from listening import write_sounds, write_toml

from apps.listen.design.page_order import pages, slots, training_pages
from apps.listen.design.plan import make_plan


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sounds")
    return write_sounds(folder, ("x", "y", "z"), [f"item{number}" for number in range(8)], seconds=0.1)


def test_each_page_comes_once_in_an_order_of_its_own(sounds: Path) -> None:
    plan = make_plan(write_toml(sounds, method="pairwise", repeats=2, loudness="none"))
    orders = {listener: [page.key for page in pages(plan, listener)] for listener in ("anna", "ben", "cleo")}
    assert plan.pages == 3 * 8 * 2
    for order in orders.values():
        assert len(order) == len(set(order)) == plan.pages
        assert set(order) == set(orders["anna"])
    assert len({tuple(order) for order in orders.values()}) == 3
    other = make_plan(write_toml(sounds, "other.toml", method="pairwise", repeats=2, loudness="none", seed=2))
    assert [page.key for page in pages(other, "anna")] != orders["anna"]


def test_the_order_is_the_same_in_another_process_and_another_year(sounds: Path) -> None:
    toml = write_toml(sounds, method="mushra", loudness="none")
    plan = make_plan(toml)
    program = (
        "import sys; from pathlib import Path; from apps.listen.design.plan import make_plan; "
        "from apps.listen.design.page_order import pages, slots; plan = make_plan(Path(sys.argv[1])); "
        "print([[s.stimulus for s in slots(plan, 'anna', page)] + [page.item] for page in pages(plan, 'anna')])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program, toml],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={"PYTHONHASHSEED": "7", "PYTHONPATH": str(ROOT)},
    ).stdout
    here = [[slot.stimulus for slot in slots(plan, "anna", page)] + [page.item] for page in pages(plan, "anna")]
    assert shown.strip() == str(here)
    assert [page.item[-1] for page in pages(plan, "anna")] == list("32451760"), (
        "stored tests would be continued wrongly"
    )


def test_sides_balance_over_repeats(sounds: Path) -> None:
    plan = make_plan(write_toml(sounds, method="pairwise", repeats=2, loudness="none"))
    first = {page.key: slots(plan, "anna", page)[1].stimulus for page in pages(plan, "anna")}
    sides = Counter((page.stimuli, page.item, first[page.key]) for page in pages(plan, "anna"))
    assert set(sides.values()) == {1}, "each pair of an item comes once in either order"


def test_x_is_either_by_chance(sounds: Path) -> None:
    plan = make_plan(write_toml(sounds, method="abx", repeats=20, loudness="none"))
    found = []
    for page in pages(plan, "anna"):
        a, b, x = slots(plan, "anna", page)
        assert (a.label, b.label, x.label, x.role) == ("A", "B", "X", "x")
        assert x.stimulus in (a.stimulus, b.stimulus)
        found.append(x.stimulus == a.stimulus)
    assert 0.4 < sum(found) / len(found) < 0.6


def test_mushra_places_are_spread_evenly(sounds: Path) -> None:
    plan = make_plan(write_toml(sounds, method="mushra", repeats=30, loudness="none"))
    places = Counter()
    for page in pages(plan, "anna"):
        named, *numbered = slots(plan, "anna", page)
        assert (named.role, named.stimulus) == ("reference", "reference")
        assert {slot.stimulus for slot in numbered} == {"x", "y", "z", "reference", "anchor-3500", "anchor-7000"}
        places.update((slot.label, slot.stimulus) for slot in numbered)
    assert len(places) == 36
    assert 20 <= min(places.values()) <= max(places.values()) <= 60, "240 pages: 40 in the mean"


def test_tokens_are_new_for_each_listener_page_and_place(sounds: Path) -> None:
    plan = make_plan(write_toml(sounds, method="mushra", loudness="none"))
    tokens = [
        slot.token
        for listener in ("anna", "ben")
        for page in pages(plan, listener)
        for slot in slots(plan, listener, page)
    ]
    assert len(set(tokens)) == len(tokens) == 2 * 8 * 7


def test_practice_takes_items_that_the_test_leaves_out(sounds: Path) -> None:
    plan = make_plan(write_toml(sounds, method="pairwise", items=5, training=3, loudness="none"))
    (chosen,) = plan.items.values()
    assert len(chosen) == 5
    assert not {page.item for page in training_pages(plan)} & set(chosen)
    assert {page.stimuli for page in training_pages(plan)} == set(plan.pairs)
    everything = make_plan(write_toml(sounds, method="pairwise", training=1, loudness="none"))
    assert training_pages(everything)[0].key not in {page.key for page in pages(everything, "anna")}
