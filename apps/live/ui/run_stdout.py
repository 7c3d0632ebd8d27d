"""`mpeace live --stdout`: the denoised microphone as samples on standard output, for a program that reads them.

The samples are 16-bit integers, little-endian, channels in turn, as `mpeace denoise --raw s16le:RATE:CHANNELS` has
them. All words go to standard error.
"""

import os
import sys
import time
from typing import Any

import numpy as np

from apps.live.devices import devices, portaudio
from apps.live.devices.devices import INPUT, Device, find_again
from apps.live.devices.endpoints import DeviceProblem, Endpoint
from apps.live.engine.block_processor import BlockProcessor, Controls
from apps.live.engine.latency import Policy
from apps.live.engine.ring_buffer import Ring
from apps.live.engine.streams import BLOCKS_PER_SECOND, Link, Path
from apps.live.session import silence_hint
from apps.live.session.session import LiveSettings
from enhance.io.pipes.raw_pcm import to_bytes
from enhance.runtime.adaptive import AdaptiveModel, model_ladder
from enhance.utils.errors import UsageError
from enhance.utils.interrupt import Stopped, Stopper

_RATE = 48_000  # Hz, when none is asked for
_ALLOWANCE = 0.1  # seconds that a slow model may fall behind; nothing has to be played in time here
_TICK = 0.003  # seconds between two looks at the queue
_KEPT = 5.0  # seconds that a reader may lag behind before sound is lost
_STALLED = 4.0  # seconds without a call after which the microphone is gone
_RETRY = 1.0  # seconds between two looks for it


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
        self._queue.write(self.path.process(given))


def run_stdout(settings: LiveSettings) -> int:
    """Write samples until the reader or a signal ends it. A microphone that vanishes is waited for.

    Args:
        settings: what was asked for.

    Returns:
        The exit status: 0 when the reader has ended, 128 + n after signal n.

    Raises:
        UsageError: when it cannot start.
        ModelError: when the model cannot be used.
    """
    _check(settings)
    portaudio.load()
    source = devices.choose(settings.source, INPUT, devices.list_devices())
    rate, channels = settings.sample_rate or _RATE, settings.channels or 1
    if source.inputs < channels:
        raise UsageError(f"--channels {channels}: {source.name} has {source.inputs}")
    model = AdaptiveModel(model_ladder(settings.model), allowance=_ALLOWANCE)
    model.warm_up(channels)
    controls = Controls(attenuation_limit_db=settings.attenuation_limit_db, mix=settings.mix)
    path = BlockProcessor(model, rate, channels, round(rate / BLOCKS_PER_SECOND), controls)
    queue = Ring(channels, round(_KEPT * rate))
    status = 0
    with Stopper() as stopper, portaudio.quiet():
        link: InputLink | None = InputLink(path, Endpoint(source, INPUT, channels), settings.policy, queue)
        model.load.reset()  # whatever held up the start, it says nothing of what is to come
        try:
            _say(f"{source.name}: s16le:{rate}:{channels}, {1000 * link.algorithm:.1f} ms late beside the device")
            lost, silent = 0, False
            while True:
                with stopper.waiting():
                    _write(queue, channels)
                if link is None or not link.active or link.stalled > _STALLED:
                    link = _again(link, path, source, settings.policy, queue)
                if queue.lost != lost:
                    _say(f"the reader is too slow: {(queue.lost - lost) / rate:.2f} s are lost")
                    lost = queue.lost
                while model.messages:
                    _say(model.messages.pop(0))
                was, silent = silent, path.blocks - path.heard > silence_hint.SECONDS * BLOCKS_PER_SECOND
                if silent and not was:
                    _say(silence_hint.advice(source.name))
                stopper.check()
                time.sleep(_TICK)
        except BrokenPipeError:
            pass  # whoever read has had enough
        except Stopped as stopped:
            status = stopped.exit_status
        finally:
            if link is not None:
                link.close()
    return status


def _check(settings: LiveSettings) -> None:
    """Refuse what makes no sense together."""
    for option, given in (("output", settings.target), ("record", settings.record), ("monitor", settings.monitor)):
        if given:
            raise UsageError(f"--{option} and --stdout are two things: the sound goes to the reader alone")
    if sys.stdout.isatty():
        raise UsageError("standard output is this terminal; --stdout wants a reader: mpeace live --stdout | PROGRAM")


def _write(queue: Ring, channels: int) -> None:
    """Write what is in the queue; nothing of it waits in a buffer of Python's.

    Raises:
        BrokenPipeError: nobody reads any more.
    """
    frames = np.empty((len(queue), channels), np.float32)
    data = to_bytes(frames[: queue.read(frames)], "PCM_16")
    while data:
        data = data[os.write(sys.stdout.fileno(), data) :]


def _again(link: InputLink | None, path: Path, source: Device, policy: Policy, queue: Ring) -> InputLink | None:
    """Close a link whose microphone has vanished; open one when it is back. Looks once a second."""
    if link is not None:
        link.close()
        _say(f"{source.name} has vanished; waiting for it to come back")
    time.sleep(_RETRY)
    back = find_again(source, INPUT) if portaudio.rescan() else None
    if back is None:
        return None
    try:
        link = InputLink(path, Endpoint(back, INPUT, path.channels), policy, queue)
    except DeviceProblem:
        return None
    _say(f"{source.name} is back")
    return link


def _say(message: str) -> None:
    print(f"mpeace: {message}", file=sys.stderr, flush=True)
