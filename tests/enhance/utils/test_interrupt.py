"""Signals are noted and raised at a safe place; the former handlers come back."""

import os
import signal
import sys
import threading
from collections.abc import Iterator

import pytest

from enhance.utils.interrupt import HeldInterrupt, Stopped, Stopper

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signal that asks a process to end")


@pytest.fixture
def python_takes_ctrl_c() -> Iterator[None]:
    """Python's own handler, also where the tests run in a process that ignores Ctrl-C."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


def send(number: int = signal.SIGTERM) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_is_noted_and_raised_when_asked_for(number: int, status: int) -> None:
    former = signal.getsignal(number)
    with Stopper() as stopper:
        assert not stopper.received
        stopper.check()
        send(number)
        assert stopper.received
        with pytest.raises(Stopped) as stopped:
            stopper.check()
    assert stopped.value.exit_status == status
    assert signal.getsignal(number) is former


def test_a_signal_breaks_a_wait_at_once() -> None:
    def wait() -> None:
        with stopper.waiting():
            send()
            pytest.fail("it goes on")

    with Stopper() as stopper, pytest.raises(Stopped):
        wait()


def test_a_sleep_ends_with_a_signal_that_another_thread_took() -> None:
    def take() -> None:
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

    thread = threading.Timer(0.05, take)
    with Stopper() as stopper:
        stopper.sleep(0.01)
        thread.start()
        with pytest.raises(Stopped):
            stopper.sleep(300)
    thread.join()


def test_a_second_signal_does_not_wait_for_a_safe_place() -> None:
    with Stopper():
        send()
        with pytest.raises(Stopped):
            send(signal.SIGINT)


def test_for_a_server_a_second_signal_changes_nothing() -> None:
    with Stopper(once=True) as stopper:
        send()
        send(signal.SIGINT)
        with pytest.raises(Stopped) as stopped:
            stopper.check()
    assert stopped.value.exit_status == 130


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="needs SIGHUP")
def test_a_hangup_that_is_ignored_stays_ignored() -> None:
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Stopper() as stopper:
            send(signal.SIGHUP)
            assert not stopper.received
    finally:
        signal.signal(signal.SIGHUP, former)


def interrupt(times: int, check: bool, done: list[str]) -> None:
    """Do something in which Ctrl-C comes once or twice, and note what is done."""
    with HeldInterrupt() as stopper:
        for _ in range(times):
            send(signal.SIGINT)
            done.append("what must not be torn")
        if check:
            stopper.check()
        done.append("the rest")


@pytest.mark.usefixtures("python_takes_ctrl_c")
@pytest.mark.parametrize(
    ("times", "check", "expected"),
    [
        (1, True, ["what must not be torn"]),
        (1, False, ["what must not be torn", "the rest"]),
        (2, False, ["what must not be torn"]),  # the second one does not wait
    ],
)
def test_a_library_holds_ctrl_c_back_until_a_safe_place_or_its_end(
    times: int, check: bool, expected: list[str]
) -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        interrupt(times, check, done)
    assert done == expected
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_library_leaves_a_program_its_own_handler_of_ctrl_c() -> None:
    came: list[int] = []
    former = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        with HeldInterrupt() as stopper:
            send(signal.SIGINT)
            stopper.check()
    finally:
        signal.signal(signal.SIGINT, former)
    assert came == [signal.SIGINT]
