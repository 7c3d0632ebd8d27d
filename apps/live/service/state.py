"""What running sessions of `mpeace live` say of themselves, for `mpeace live --status`: a small file for each."""

import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from enhance.utils.atomic import write_text

_INTERVAL = 1.0  # seconds between two writes
_SILENT, _DEAD = 5.0, 60.0  # seconds without one after which a session hangs, or has ended without a word


def state_folder() -> Path:
    """Return the folder of these files, this person's own; where the system has one that goes at logout, in that."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime:
        return Path(runtime) / "mpeace"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "mpeace" / "live"
    return Path.home() / ".cache" / "mpeace" / "live"


class StateFile:
    """The file of this process. A folder that cannot be written leaves no file, and never ends the sound."""

    def __init__(self) -> None:
        self._path = state_folder() / f"live-{os.getpid()}.json"
        self._written = -_INTERVAL

    @property
    def due(self) -> bool:
        """Whether it is time to write again."""
        return time.monotonic() - self._written >= _INTERVAL

    def write(self, values: dict[str, Any]) -> None:
        """Replace what the file says."""
        self._written = time.monotonic()
        with suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_text(self._path, json.dumps(values))

    def remove(self) -> None:
        """Say that the session has ended."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


def sessions() -> list[dict[str, Any]]:
    """Return what each session has said last, with the seconds since then as `age`; those of the dead are removed."""
    found = []
    for path in sorted(state_folder().glob("live-*.json")):
        with suppress(OSError, ValueError):
            age = max(0.0, time.time() - path.stat().st_mtime)
            if age > _DEAD:
                path.unlink(missing_ok=True)
                continue
            found.append({**json.loads(path.read_text(encoding="utf-8")), "age": age})
    return found


def describe(state: dict[str, Any]) -> str:
    """Say in one line how a session is.

    Example:
        >>> describe({"state": "waiting for the device", "input": "USB mic", "output": "mpeace", "age": 0.2})
        'waiting for the device: USB mic -> mpeace'
    """
    line = f"{state['state']}: {state['input']} -> {state['output']}"
    if latency := state.get("latency_ms"):
        line += (
            f", {state['sample_rate'] / 1000:g} kHz, model {state['model']}, delay {latency['total']:.0f} ms, "
            f"{state['xruns']} xruns, lost {state['lost_in']:.1f} s in and {state['lost_out']:.1f} s out, "
            f"undenoised {state['skipped'] * state['block_ms'] / 1000:.2f} s, "
            f"CPU {state['cpu_percent']:.0f} %, {_clock(state['seconds'])} of sound"
        )
    if state.get("silence"):
        line += f"; {state['silence']}"
    return line + (f"; it has said nothing for {state['age']:.0f} s" if state["age"] > _SILENT else "")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def print_status() -> int:
    """Print a line for each running session. Returns 0, or 3 when none runs, as `systemctl status` does."""
    found = sessions()
    for state in found:
        print(describe(state))
    if not found:
        print("mpeace live does not run; start it by: mpeace live, or for good by: mpeace live --install-service")
    return 0 if found else 3
