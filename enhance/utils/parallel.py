"""Work on many cores whose results come in order, with no more of them waiting than are soon used."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ahead(
    work: Callable[[Item], Result], items: Iterable[Item], workers: int | None = None
) -> Iterator[tuple[Item, Result]]:
    """Yield each item and its result in the order of the items, while threads work on the next ones.

    At most two results a thread wait at a time, so memory stays bounded however long the list is.

    Args:
        work: what to do; it should let go of the interpreter, as codecs and NumPy do.
        items: what to do it with; taken when there is room for more.
        workers: threads; None for one a core.

    Raises:
        Exception: whatever `work` raised for an item, when its turn comes.

    Example:
        >>> list(map_ahead(len, ["a", "bcd"], workers=2))
        [('a', 1), ('bcd', 3)]
    """
    workers = workers or os.cpu_count() or 1
    pending: deque[tuple[Item, Future[Result]]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                pending.append((item, pool.submit(work, item)))
                if len(pending) > 2 * workers:
                    done, future = pending.popleft()
                    yield done, future.result()
            while pending:
                done, future = pending.popleft()
                yield done, future.result()
        finally:
            for _, future in pending:
                future.cancel()
