"""Threads work ahead, in order, and not further than asked."""

import threading
from collections.abc import Iterator

import pytest

from enhance.utils.parallel import map_ahead


def test_results_come_in_the_order_of_the_items_whichever_is_done_first() -> None:
    second_done = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert second_done.wait(30)
        if item == 1:
            second_done.set()
        return item * item

    assert list(map_ahead(work, range(6), workers=2)) == [(item, item * item) for item in range(6)]


def test_no_more_results_wait_than_twice_the_threads() -> None:
    taken = []

    def items() -> Iterator[int]:
        for item in range(100):
            taken.append(item)
            yield item

    results = map_ahead(lambda item: item, items(), workers=3)
    for item, _ in results:
        assert len(taken) <= item + 2 * 3 + 1
    assert len(taken) == 100


def test_an_error_comes_when_its_turn_comes() -> None:
    results = map_ahead(lambda item: 1 // item, [2, 1, 0, 3], workers=2)
    assert [next(results), next(results)] == [(2, 0), (1, 1)]
    with pytest.raises(ZeroDivisionError):
        next(results)
