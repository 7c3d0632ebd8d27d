"""Real-time priority for a callback's thread, so that other programs do not hold it up."""

import os
import sys
import threading

from apps.live.engine.realtime_kit import ask_realtime_kit

REFUSED = threading.Event()  # set when a thread of this process did not get it
HOW_TO_GET_IT = (
    "no real-time priority: sound can be lost while other programs are busy. Install rtkit, or join a group that has "
    "it (often: sudo usermod -aG audio $USER) and log in again"
)


def raise_thread_priority() -> None:
    """Put the thread that calls this before all threads without real-time priority, where the system permits.

    Linux: the lowest real-time priority, below that of sound servers. Root may have it, and who has a limit `rtprio`,
    which many distributions give to the group audio. For all others RealtimeKit is asked in the background; `REFUSED`
    is set when it does not give it either. Elsewhere, and in the main thread, which has other work to do than sound,
    nothing changes.
    """
    if sys.platform != "linux" or threading.get_ident() == threading.main_thread().ident:
        return
    lowest = os.sched_get_priority_min(os.SCHED_RR)
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(lowest))
    except OSError:
        thread = threading.get_native_id()
        threading.Thread(target=_ask, args=(thread, lowest), name="rtkit", daemon=True).start()


def _ask(thread: int, priority: int) -> None:
    if not ask_realtime_kit(thread, priority):
        REFUSED.set()
