"""Writing in a thread of its own."""

import threading

import numpy as np
import pytest

from enhance.io.write_behind import WriteBehind


class Recorder:
    """A sink that notes what it is told; it fails at the block that begins with -1."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.threads: set[int] = set()
        self.gate = threading.Event()
        self.gate.set()

    def write(self, block: np.ndarray) -> None:
        self.gate.wait(60)
        if block[0, 0] == -1:
            raise OSError("disk full")
        self.threads.add(threading.get_ident())
        self.told.append(float(block[0, 0]))

    def close(self) -> None:
        self.threads.add(threading.get_ident())
        self.told.append("close")

    def abort(self) -> None:
        self.threads.add(threading.get_ident())
        self.told.append("abort")


def block(value: float) -> np.ndarray:
    return np.full((1, 4), value, np.float32)


def test_blocks_are_written_in_order_by_one_thread_and_may_change_afterwards() -> None:
    sink = Recorder()
    shared = block(0)
    with WriteBehind(sink) as behind:
        for value in range(20):
            shared[:] = value
            behind.write(shared)
        behind.close()
    assert sink.told == [*map(float, range(20)), "close"]
    assert len(sink.threads) == 1
    assert threading.get_ident() not in sink.threads


def write_all(behind: WriteBehind, *values: float) -> None:
    for value in values:
        behind.write(block(value))
    behind.close()


@pytest.mark.parametrize("more", [[], [2.0] * 5])
def test_an_error_comes_out_of_the_next_call_or_of_close_and_nothing_is_written_after_abort(more: list[float]) -> None:
    sink = Recorder()
    with WriteBehind(sink) as behind:
        with pytest.raises(OSError, match="disk full"):
            write_all(behind, 1.0, -1.0, *more)
        behind.abort()
        told = list(sink.told)
    assert len(sink.threads) == 1
    assert threading.get_ident() not in sink.threads
    assert told[-1] == sink.told[-1] == "abort"
    assert "close" not in told


def test_no_more_than_two_blocks_wait() -> None:
    sink = Recorder()
    sink.gate.clear()
    with WriteBehind(sink) as behind:
        behind.write(block(0))
        behind.write(block(1))
        third = threading.Thread(target=behind.write, args=(block(2),))
        third.start()
        third.join(0.2)
        assert third.is_alive()
        sink.gate.set()
        third.join(60)
        behind.close()
    assert sink.told == [0.0, 1.0, 2.0, "close"]


def test_an_interrupt_while_the_thread_starts_leaves_no_second_user_of_the_sink(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Python gives an executor a thread when it has started: one that is interrupted there is its own master."""
    sink = Recorder()
    sink.gate.clear()
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        monkeypatch.undo()
        raise KeyboardInterrupt

    def work() -> None:
        with WriteBehind(sink) as behind:
            try:
                behind.write(block(1))
            except KeyboardInterrupt:
                behind.abort()
                raise

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        work()
    assert sink.told == []  # it was given up while a thread was still writing into it
    sink.gate.set()
