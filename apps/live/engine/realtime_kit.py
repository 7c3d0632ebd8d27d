"""Real-time priority through RealtimeKit, which gives it on desktops to programs without rights of their own.

It is a service on the system's D-Bus, https://git.0pointer.net/rtkit.git/tree/README, which sound servers use too. Who
asks must have a limit on the time that a real-time thread may run without a pause (RLIMIT_RTTIME); a thread that
reaches it gets ordinary priority back here, as the kernel would end the program.
"""

import os
import signal
import threading
from typing import Any

_NAME, _PATH = "org.freedesktop.RealtimeKit1", "/org/freedesktop/RealtimeKit1"
_ANSWER = 5.0  # seconds that the service may take
_MOST_US = 200_000  # microseconds that a thread may run without a pause, if the service allows more

_raised: set[int] = set()  # threads that have it from us


def ask_realtime_kit(thread: int, priority: int) -> bool:
    """Ask for real-time priority for a thread of this process; return whether it was given. It may take seconds.

    Args:
        thread: its number in the system, `threading.get_native_id()`.
        priority: of SCHED_RR, 1 the lowest.
    """
    try:
        import resource

        from jeepney import DBusAddress, Properties, new_method_call
        from jeepney.io.blocking import open_dbus_connection
    except ImportError:
        return False
    kit = DBusAddress(_PATH, _NAME, _NAME)
    try:
        with open_dbus_connection("SYSTEM") as bus:

            def call(message: Any) -> Any:
                return bus.send_and_get_reply(message, timeout=_ANSWER).body

            most = call(Properties(kit).get("RTTimeUSecMax"))
            if not isinstance(most[0], tuple):  # no such service: an error's text
                return False
            hard = min(int(most[0][1]), _MOST_US)
            resource.setrlimit(resource.RLIMIT_RTTIME, (hard // 2, hard))
            arguments = (os.getpid(), thread, priority)
            answer = call(new_method_call(kit, "MakeThreadRealtimeWithPID", "ttu", arguments))
    except (OSError, ValueError, KeyError, TimeoutError):
        return False
    if answer:  # an error's text; a success is empty
        return False
    _raised.add(thread)
    return True


def watch_time_limit() -> None:
    """Give threads ordinary priority when they reach the limit, instead of ending. Called in the main thread."""
    if hasattr(signal, "SIGXCPU") and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGXCPU, _lower)


def _lower(*_: Any) -> None:
    while _raised:
        try:
            os.sched_setscheduler(_raised.pop(), os.SCHED_OTHER, os.sched_param(0))
        except OSError:
            continue  # the thread has ended
