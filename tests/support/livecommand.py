"""`mpeace live --no-ui` in a process of its own, watched through its log."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from soundserver import RATE, Cable, SoundServer

ROOT = Path(__file__).resolve().parents[2]
# A machine that does other things too needs room in the device; the delay that results is what is told.
ROOMY = ("--latency", "0.15")
LATER = 60.0  # seconds that anything may take on a busy machine
LONG = 3 * LATER  # seconds of sound that do not end before something that comes late


class Live:
    """Context: runs the command; what is left of it is killed at the end.

    Args:
        server: whose devices it uses.
        arguments: after `mpeace live`.

    Attributes:
        statuses: the lines of the log so far.
        stderr: what it has said to the person.
    """

    def __init__(self, server: SoundServer, *arguments: object) -> None:
        command = [*server.prefix, sys.executable, "-m", "apps.cli", "live", *map(str, arguments), "--no-ui"]
        environment = {**server.environment, "PYTHONPATH": str(ROOT)}
        self.statuses: list[dict[str, Any]] = []
        self.stderr = ""
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, start_new_session=True)

    def __enter__(self) -> Self:
        self._readers = [threading.Thread(target=read, daemon=True) for read in (self._read, self._listen)]
        for reader in self._readers:
            reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.stop()

    def stop(self, number: int = signal.SIGINT) -> int:
        """End it by a signal. Returns its exit status; kills it after a while, and then fails."""
        self.process.send_signal(number)
        try:
            self.process.wait(LATER)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise
        for reader in self._readers:
            reader.join(1)
        return self.process.returncode

    def until(self, condition: Callable[[dict[str, Any]], bool], seconds: float = LATER) -> dict[str, Any]:
        """Wait for a status, from now on, that fulfils a condition."""
        seen, deadline = len(self.statuses), time.monotonic() + seconds
        while time.monotonic() < deadline and self.process.poll() is None:
            for status in self.statuses[seen:]:
                if condition(status):
                    return status
            seen = len(self.statuses)
            time.sleep(0.05)
        raise AssertionError(f"it did not happen; ended {self.process.poll()}, last: {self.statuses[-1:]}")

    @property
    def messages(self) -> list[str]:
        """All messages so far."""
        return [message for status in self.statuses for message in status["messages"]]

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.statuses.append(json.loads(line))

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.stderr += line.decode()


def running(status: dict[str, Any]) -> bool:
    """Sound goes through, and its delay is known."""
    return status["state"] == "running" and status["seconds"] > 2 and status["latency_ms"]["measured"] is not None


def repeated(audio: np.ndarray, seconds: float) -> np.ndarray:
    """Pieces of the audio in random order, so that no three seconds are like any others."""
    rng, pieces, left = np.random.default_rng(0), [], round(seconds * RATE)
    while left > 0:
        length = int(rng.uniform(0.3, 1.0) * RATE)
        start = int(rng.uniform(0, len(audio) - length))
        pieces.append(audio[start : start + length] * np.hanning(length) ** 0.1)
        left -= length
    return np.concatenate(pieces).astype(np.float32)[: round(seconds * RATE)]


def heard_delay_ms(cable: Cable) -> float:
    """Delay of what the loudspeaker got behind what the microphone heard, from five to two seconds before the end."""
    end = min(len(cable.heard), len(cable.out))
    part = slice(end - 5 * RATE, end - 2 * RATE)
    return 1000 * (find(cable.heard[part], cable.out, part.start, RATE) - part.start) / RATE


def reported_delay_ms(live: Live) -> float:
    """Median of the delays that were told over those seconds: the server moves its buffers now and then."""
    return float(np.median([status["latency_ms"]["total"] for status in live.statuses[-5:-1]]))


def recordings(folder: Path) -> tuple[Path, Path]:
    """The recorded input and output."""
    (given,), (out,) = folder.glob("*-in.flac"), folder.glob("*-out.flac")
    return given, out


def find(part: np.ndarray, whole: np.ndarray, after: int = 0, within: int | None = None) -> int:
    """Where `part` [samples] begins in `whole` [samples], by cross-correlation, whatever its level there.

    Args:
        part, whole: the signals.
        after: earliest place.
        within: samples after it that are searched; all when None.
    """
    if after or within is not None:
        end = None if within is None else after + within + len(part)
        return after + find(part, whole[after:end])
    size = 1 << (len(whole) + len(part)).bit_length()
    spectrum = np.fft.rfft(whole.astype(np.float64), size) * np.conj(np.fft.rfft(part.astype(np.float64), size))
    places = len(whole) - len(part) + 1
    energy = np.concatenate([[0], np.cumsum(np.square(whole, dtype=np.float64))])
    energy = energy[len(part) :][:places] - energy[:places]
    return int(np.argmax(np.fft.irfft(spectrum, size)[:places] / np.sqrt(energy + 1e-3 * energy.max() + 1e-12)))


def shifts(part: np.ndarray, whole: np.ndarray, start: int) -> list[int]:
    """By how many samples `part` [samples] is found later in `whole` than before, each time that this changes.

    Empty when `part` is in `whole` from `start` on without one sample missing, added or changed. Where something is
    different, the search goes on 50 ms later within half a second. The last three seconds are not looked at.
    """
    found: list[int] = []
    place, lag = 0, start
    while True:
        length = min(len(part) - place, len(whole) - place - lag)
        different = np.abs(part[place:][:length] - whole[place + lag :][:length]) > 2.0**-22
        place += int(np.argmax(different)) if different.any() else length
        if place > len(part) - 3 * RATE:
            return found
        place += RATE // 20
        near = find(part[place : place + 2 * RATE], whole, max(0, place + lag - RATE // 2), RATE) - place
        found.append(near - lag)
        lag = near
