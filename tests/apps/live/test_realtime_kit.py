"""Real-time priority for a program without rights of its own: RealtimeKit is asked, and its absence is told."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from realtimekit import RealtimeKit
from soundserver import ORDINARY

ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("setpriv") is None, reason="needs Linux and setpriv (package util-linux)"
)
RAISE = """
import os, resource, threading
from apps.live.engine.thread_priority import REFUSED, raise_thread_priority
from apps.live.engine import realtime_kit
realtime_kit.watch_time_limit()
raised, done = threading.Event(), threading.Event()
thread = threading.Thread(target=lambda: (raise_thread_priority(), raised.set(), done.wait()), daemon=True)
thread.start()
raised.wait()
[asked.join(60) for asked in threading.enumerate() if asked.name == "rtkit"]
print(os.getpid(), thread.native_id, REFUSED.is_set(), resource.getrlimit(resource.RLIMIT_RTTIME))
os.kill(os.getpid(), __import__("signal").SIGXCPU)  # what the kernel sends at the limit: no end of the program
done.set()
print("still there")
"""


def run(environment: dict[str, str]) -> list[str]:
    ordinary = ORDINARY if os.geteuid() == 0 else ()
    command = [*ordinary, sys.executable, "-c", RAISE]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout.splitlines()


def test_an_ordinary_user_gets_it_from_realtime_kit() -> None:
    with RealtimeKit() as kit:
        first, second = run(kit.environment)
    process, thread, refused, limit = first.split(maxsplit=3)
    assert kit.asked == [(int(process), int(thread), 1)]
    assert (refused, limit) == ("False", "(100000, 200000)")
    assert second == "still there"


def test_without_realtime_kit_it_is_refused() -> None:
    with RealtimeKit(gives=False) as kit:
        first, _ = run(kit.environment)
    assert first.split()[2] == "True"
    assert run({**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nowhere/at/all"})[0].split()[2] == "True"
