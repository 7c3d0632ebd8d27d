"""`mpeace live --stdout`: the denoised microphone as samples on standard output, for a program that reads them.

The samples are 16-bit integers, little-endian, channels in turn, as `mpeace denoise --raw s16le:RATE:CHANNELS` has
them. All words go to standard error.
"""

import os
import sys
import time
from contextlib import suppress
from typing import Any

import numpy as np

from apps.live.devices import devices, portaudio
from apps.live.devices.devices import INPUT
from apps.live.devices.endpoints import DeviceProblem, Endpoint
from apps.live.engine.latency import Policy
from apps.live.engine.realtime_kit import watch_time_limit
from apps.live.engine.ring_buffer import Ring
from apps.live.engine.streams import BLOCKS_PER_SECOND, Link, Path
from apps.live.engine.thread_priority import HOW_TO_GET_IT, REFUSED
from apps.live.service.state import StateFile
from apps.live.session import silence_hint
from apps.live.session.device_watch import Watch
from apps.live.session.meters import Meters, Processor
from apps.live.session.session import LiveSettings, be_quick, warmed_up
from apps.live.session.status import Status
from apps.live.ui.reader import PIECE, has_room
from enhance.io.pipes.raw_pcm import to_bytes
from enhance.utils.errors import UsageError, say
from enhance.utils.interrupt import Stopped, Stopper

_RATE = 48_000  # Hz, when none is asked for
_ALLOWANCE = 0.1  # seconds that a slow model may fall behind; nothing has to be played in time here
_TICK = 0.003  # seconds between two looks at the queue
_KEPT = 5.0  # seconds that a reader may lag behind before sound is lost
_SAY_AGAIN = 10.0  # seconds between two words on sound that a reader loses


class InputLink(Link):
    """One stream that only brings sound; what the path makes of it goes into a queue.

    Args:
        path: what happens to the sound.
        source: the microphone.
        policy: how much the device may buffer.
        queue: where the result goes.

    Raises:
        DeviceProblem: when the device cannot be opened.
    """

    def __init__(self, path: Path, source: Endpoint, policy: Policy, queue: Ring) -> None:
        super().__init__(path)
        self._queue = queue
        self._open(policy.split(self.algorithm, 1).device, source, None)

    def _call(self, given: np.ndarray, frames: int, time: Any, status: Any) -> None:
        self._note_call(status)
        self.lost_in.note(time.inputBufferAdcTime, frames)
        self._queue.write(self.path.process(given))


class Pipe:
    """The microphone's side of a pipe: `poll` writes what the reader takes, and looks after the microphone.

    Args:
        settings: what was asked for.

    Raises:
        UsageError: when it cannot start.
        ModelError: when the model cannot be used.
    """

    def __init__(self, settings: LiveSettings) -> None:
        watch_time_limit()
        self._policy = settings.policy
        self._source = source = devices.choose(settings.source, INPUT, devices.list_devices())
        rate, channels = settings.sample_rate or _RATE, settings.channels or 1
        if source.inputs < channels:
            raise UsageError(f"--channels {channels}: {source.name} has {source.inputs}")
        self._model, self._path = warmed_up(settings, rate, channels)
        be_quick()
        self._queue = Ring(channels, round(_KEPT * rate))
        self._watch = Watch((source, INPUT))
        self._meters, self._processor = Meters(), Processor()
        self._told, self._told_at = 0, -_SAY_AGAIN  # frames that the reader had lost when it was said, and when
        self._silent = self._advised = False
        self._former = (0, 0.0)  # xruns and seconds lost of links that are closed
        self._link: InputLink | None = self._open(Endpoint(source, INPUT, channels))
        _say(f"{source.name}: s16le:{rate}:{channels}, {1000 * self._link.algorithm:.1f} ms late beside the device")

    def poll(self, stopper: Stopper) -> None:
        """Write what the reader takes of the queue, and say what happens.

        Raises:
            BrokenPipeError: nobody reads any more.
            Stopped: a signal came.
        """
        path, name, link = self._path, self._source.name, self._link
        with stopper.waiting():
            _write(self._queue, path.channels)
        if link is not None and (problem := self._watch.lost(link)):
            self._former = self._troubles()
            self._link = None
            link.close()
            _say(f"{name} {problem}; waiting for it to come back")
        if self._link is None and (found := self._watch.find()):
            with suppress(DeviceProblem):
                self._link = self._open(Endpoint(found[0], INPUT, path.channels))
                _say(f"{name} is back")
        if (lost := self._queue.lost) != self._told and time.monotonic() - self._told_at >= _SAY_AGAIN:
            _say(f"the reader is too slow: {(lost - self._told) / path.sample_rate:.2f} s are lost")
            self._told, self._told_at = lost, time.monotonic()
        while self._model.messages:
            _say(self._model.messages.pop(0))
        was = self._silent
        self._silent = path.blocks - path.heard > silence_hint.SECONDS * BLOCKS_PER_SECOND
        if self._silent and not was:
            _say(silence_hint.advice(name))
        if REFUSED.is_set() and not self._advised:
            self._advised = True
            _say(HOW_TO_GET_IT)
        frames = np.empty((len(path.tap), 2 * path.channels), np.float32)
        frames = frames[: path.tap.read(frames)]
        self._meters.feed(frames[:, : path.channels], frames[:, path.channels :], path.sample_rate)

    def status(self) -> Status:
        """Return how it is, for `mpeace live --status`."""
        xruns, lost = self._troubles()
        return Status.of(
            self._path,
            self._link,
            self._model,
            self._meters,
            source=self._source.name,
            target="standard output",
            cpu=self._processor.percent(),
            xruns=xruns,
            lost=(lost, self._queue.lost / self._path.sample_rate),
            silence=silence_hint.advice(self._source.name) if self._silent else None,
            recorder=None,
            messages=[],
        )

    def close(self) -> None:
        """Let go of the microphone."""
        if self._link is not None:
            self._link.close()

    def _open(self, side: Endpoint) -> InputLink:
        link = InputLink(self._path, side, self._policy, self._queue)
        self._model.load.reset()  # whatever held up the start, it says nothing of what is to come
        self._model.load.allowance = _ALLOWANCE
        return link

    def _troubles(self) -> tuple[int, float]:
        """Return xruns and the seconds that the microphone's side has lost so far."""
        link = self._link
        now = (0, 0.0) if link is None else (link.xruns, link.lost_in.seconds)
        return self._former[0] + now[0], self._former[1] + now[1]


def run_stdout(settings: LiveSettings) -> int:
    """Write samples until the reader or a signal ends it. A microphone that vanishes is waited for.

    Args:
        settings: what was asked for.

    Returns:
        The exit status: 0 when the reader has ended, 128 + n after signal n.

    Raises:
        UsageError: when it cannot start.
        ModelError: when the model cannot be used.
        StuckError: when the sound system hangs.
    """
    _check(settings)
    portaudio.load()
    state, status = StateFile(), 0
    with Stopper() as stopper, portaudio.quiet():
        pipe = Pipe(settings)
        try:
            while True:
                stopper.check()
                pipe.poll(stopper)
                if state.due:
                    state.write(pipe.status().as_dict())
                time.sleep(_TICK)
        except BrokenPipeError:
            pass  # whoever read has had enough
        except Stopped as stopped:
            status = stopped.exit_status
        finally:
            state.remove()
            pipe.close()
    return status


def _check(settings: LiveSettings) -> None:
    """Refuse what makes no sense together."""
    for option, given in (("output", settings.target), ("record", settings.record), ("monitor", settings.monitor)):
        if given:
            raise UsageError(f"--{option} and --stdout are two things: the sound goes to the reader alone")
    if sys.stdout is None:
        raise UsageError("standard output is closed; --stdout wants a reader: mpeace live --stdout | PROGRAM")
    if sys.stdout.isatty():
        raise UsageError("standard output is this terminal; --stdout wants a reader: mpeace live --stdout | PROGRAM")


def _write(queue: Ring, channels: int) -> None:
    """Write what is in the queue, as far as the reader takes it; nothing waits in a buffer of Python's.

    On Windows, where nobody can ask a pipe whether it has room, it waits for the reader.

    Raises:
        BrokenPipeError: nobody reads any more.
    """
    frames = np.empty((max(1, PIECE // (2 * channels)), channels), np.float32)
    while len(queue) and has_room():
        data = to_bytes(frames[: queue.read(frames)], "PCM_16")
        while data:
            data = data[os.write(sys.stdout.fileno(), data) :]


def _say(message: str) -> None:
    say(f"mpeace: {message}")
