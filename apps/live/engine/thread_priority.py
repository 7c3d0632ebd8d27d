"""Real-time priority for a callback's thread, so that other programs do not hold it up."""

import os
import threading
from contextlib import suppress


def raise_thread_priority() -> None:
    """Put the thread that calls this before all threads without real-time priority, where the system permits.

    Linux: the lowest real-time priority, below that of sound servers. Root may have it, and who has a limit `rtprio`,
    which many distributions give to the group audio. Elsewhere, without permission, and in the main thread, which has
    other work to do than sound, nothing changes.
    """
    if threading.get_ident() == threading.main_thread().ident:
        return
    with suppress(AttributeError, OSError):
        policy = os.SCHED_RR | os.SCHED_RESET_ON_FORK
        os.sched_setscheduler(0, policy, os.sched_param(os.sched_get_priority_min(os.SCHED_RR)))
