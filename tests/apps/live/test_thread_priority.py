"""The callback's thread gets real-time priority, and no other one."""

import os
import threading

import pytest

from apps.live.engine.thread_priority import raise_thread_priority


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler") or os.geteuid() != 0, reason="needs Linux, and root for it")
def test_promise_20_a_thread_gets_real_time_priority_and_no_other_does() -> None:
    def work() -> None:
        raise_thread_priority()
        found.append(os.sched_getscheduler(0))

    found: list[int] = []
    raise_thread_priority()  # in the main thread: nothing
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
    wanted = os.SCHED_RR | os.SCHED_RESET_ON_FORK
    try:
        os.sched_setscheduler(0, wanted, os.sched_param(os.sched_get_priority_min(os.SCHED_RR)))
    except OSError:
        wanted = os.SCHED_OTHER  # a container may forbid it
    else:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    assert found == [wanted]
