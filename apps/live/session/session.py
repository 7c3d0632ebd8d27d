"""A live session: devices, network, recording, looked after from one loop; screen and log show its `Status`."""

import gc
import math
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from apps.live.devices import devices
from apps.live.devices import virtual_microphone as virtual
from apps.live.devices.devices import INPUT, OUTPUT
from apps.live.devices.endpoints import DeviceProblem, Endpoint, common_rate, start_stream
from apps.live.engine.block_processor import BlockProcessor, Controls
from apps.live.engine.latency import LOW, Policy
from apps.live.engine.playback import DriftCompensatedOutput
from apps.live.engine.realtime_kit import watch_time_limit
from apps.live.engine.streams import BLOCKS_PER_SECOND, Link, make_link
from apps.live.engine.thread_priority import HOW_TO_GET_IT, REFUSED, raise_thread_priority
from apps.live.session import silence_hint
from apps.live.session.device_watch import Watch, sides
from apps.live.session.meters import Meters, Processor
from apps.live.session.recorder import Recorder
from apps.live.session.status import Status
from enhance.runtime.adaptive import AdaptiveModel, model_ladder
from enhance.utils.errors import FileError, UsageError

_LIMITS = (None, 40.0, 30.0, 24.0, 18.0, 15.0, 12.0, 9.0, 6.0, 3.0, 0.0)  # dB, from strong to weak
_SETTLE = 1.0  # seconds after which troubles of starting are forgotten
_ALLOWANCE = 0.5  # share of the device's buffers that a slow model may use up
_OPEN_AGAIN = 20.0  # seconds after which devices may be opened anew since their delay has grown
_COLLECT = 10.0  # seconds between two collections of garbage
_LOUDSPEAKERS = (
    "the clean voice goes to {}: wear headphones, as loudspeakers near the microphone can howl; "
    "other programs hear it after mpeace live --setup"
)
_SWITCH = 0.0005  # seconds that another thread may keep the interpreter from the callback


@dataclass(frozen=True)
class LiveSettings:
    """Hold what the person asked for; None is the default of each."""

    model: str | None = None
    source: str | None = None
    target: str | None = None
    sample_rate: int | None = None
    channels: int | None = None
    policy: Policy = LOW
    shared_clock: bool = False
    attenuation_limit_db: float | None = None
    mix: float = 1.0
    monitor: str | None = None
    folder: Path = Path()
    record: bool = False


class Session:
    """Run live sound from the choice of devices to their closing. `poll` has to be called some ten times a second.

    Args:
        settings: what was asked for.

    Raises:
        UsageError: when devices cannot be chosen or opened.
        ModelError: when the model cannot be used.
    """

    def __init__(self, settings: LiveSettings) -> None:
        watch_time_limit()
        self._settings = settings
        found = devices.list_devices()
        self._source = devices.choose(settings.source, INPUT, found)
        self._target = devices.choose(settings.target, OUTPUT, found)
        virtual.check_hears_others(self._source, self._target, found)
        self._watch = Watch((self._source, INPUT), (self._target, OUTPUT))
        self._listener_watch = Watch()
        source, target = sides(self._source, self._target, settings.channels)
        if settings.channels and source.channels < settings.channels:
            raise UsageError(f"--channels {settings.channels}: {self._source.name} has {self._source.inputs}")
        rate = common_rate(source, target, settings.sample_rate)
        self._model, self.path = warmed_up(settings, rate, source.channels)
        self._meters, self._processor = Meters(), Processor()
        self._recorder: Recorder | None = None
        self._messages: list[str] = []
        self._silent = self._settled = self._monitored = self._advised = self._narrow = False
        self._missed = 0  # frames that the tap has lost so far
        self._former = (0, 0.0, 0.0)  # xruns, seconds lost in and out, of links that are closed
        self._opened = time.monotonic()
        self._collected = time.monotonic()
        be_quick()
        _keep_garbage()
        self.link: Link | None = None
        try:
            self._begin(source, target)
        except BaseException:
            _release_garbage()
            raise
        if settings.target is None:
            self._say(_LOUDSPEAKERS.format(self._target.name))
        if settings.record:
            self.record()

    def poll(self) -> None:
        """Look after everything."""
        self._drain()
        if self.link is None:
            self._look_for_devices()
        elif lost := self._watch.lost(self.link):
            self._say(f"{self._source.name} -> {self._target.name} {lost}; waiting for it to come back")
            self._end()
        elif not self._settled and self.link.calls > _SETTLE * BLOCKS_PER_SECOND:
            self._settled = True
            self.link.settle()
        elif self._settled and self.link.grown and time.monotonic() - self._opened > _OPEN_AGAIN:
            self._open_again(self.link)
        if self.path.listener is not None and self._listener_watch.lost(self.path.listener):
            self._say("the monitor has vanished")
            self.monitor()
        self._look_for_silence()
        if REFUSED.is_set() and not self._advised:
            self._advised = True
            self._say(HOW_TO_GET_IT)
        while self._model.messages:
            self._say(self._model.messages.pop(0))
        if time.monotonic() - self._collected > _COLLECT:
            self._collected = time.monotonic()
            gc.collect()

    def status(self) -> Status:
        """Return the state of the session. Messages are handed out once."""
        messages, self._messages = self._messages, []
        return self.peek(messages)

    def peek(self, messages: list[str] | None = None) -> Status:
        """Return the state of the session with these messages; those that wait stay."""
        xruns, lost_in, lost_out = self._troubles()
        return Status.of(
            self.path,
            self.link,
            self._model,
            self._meters,
            source=self._source.name,
            target=self._target.name,
            cpu=self._processor.percent(),
            xruns=xruns,
            lost=(lost_in, lost_out),
            silence=silence_hint.advice(self._source.name) if self._silent else None,
            recorder=self._recorder,
            messages=messages or [],
        )

    @property
    def recording(self) -> bool:
        """Whether both sides are being recorded."""
        return self._recorder is not None

    def bypass(self) -> None:
        """Switch between the denoised sound and the input, both with the same delay."""
        self.path.change(bypass=not self.path.controls.bypass)

    def mute(self) -> None:
        """Switch the output off or on."""
        self.path.change(muted=not self.path.controls.muted)

    def limit(self, step: int) -> None:
        """Make the attenuation limit stronger (-1) or weaker (1) by a step of some dB."""
        strength = _strength(self.path.controls.attenuation_limit_db)
        place = min(range(len(_LIMITS)), key=lambda index: abs(_strength(_LIMITS[index]) - strength))
        self.path.change(attenuation_limit_db=_LIMITS[min(max(place + step, 0), len(_LIMITS) - 1)])

    def mix(self, step: int) -> None:
        """Take a tenth more (1) or less (-1) of the denoised sound, and the rest of the input."""
        self.path.change(mix=min(max(round(10 * self.path.controls.mix) + step, 0), 10) / 10)

    def monitor(self) -> None:
        """Switch on or off that the output is also heard on the monitor device, when the others are there."""
        self._monitored = not self._monitored
        self._listen()

    def record(self) -> None:
        """Begin or end a recording of both sides."""
        try:
            if self._recorder is not None:
                recorder, self._recorder = self._recorder, None
                recorder.close()
                self._say(f"recorded {recorder.seconds:.1f} s: {recorder.paths[0]}, {recorder.paths[1].name}")
                return
            path = self.path
            self._recorder = Recorder(self._settings.folder, path.sample_rate, path.channels, path.latency_samples)
        except FileError as problem:
            self._say(str(problem))

    def close(self) -> list[str]:
        """End everything; recordings are finished. Returns the messages that nobody has seen."""
        self._end()
        self._drain()
        if self._recorder is not None:
            self.record()
        _release_garbage()
        return self._messages

    def _begin(self, source: Endpoint, target: Endpoint) -> None:
        self._sides, self._opened = (source, target), time.monotonic()
        self.link = make_link(self.path, source, target, self._settings.policy, self._settings.shared_clock)
        latency = self.link.latency()
        self._model.load.reset()  # whatever held up the start, it says nothing of what is to come
        self._model.load.allowance = _ALLOWANCE * min(latency.device, latency.in_device)
        self._settled = self._narrow = False

    def _end(self) -> None:
        self._former = self._troubles()
        link, self.link = self.link, None
        self._listen()
        if link is not None:
            link.close()

    def _open_again(self, link: Link) -> None:
        """Open the same devices anew: what the system has kept while it was busy is dropped, and delays no more."""
        source, target, delay = *self._sides, link.latency().total
        closed = time.monotonic()
        self._end()
        instead = "waiting for the devices"  # as when they vanish
        with suppress(DeviceProblem):
            self._begin(source, target)
            instead = "the devices were opened anew"
        xruns, lost_in, lost_out = self._former
        silence = time.monotonic() - closed
        self._former = (xruns, lost_in + delay, lost_out + silence)
        self._say(f"the delay had grown to {delay:.1f} s while the computer was busy; {instead}")
        self._listen()

    def _troubles(self) -> tuple[int, float, float]:
        """Return xruns, and the seconds lost on the way in and out, of all links so far."""
        link = self.link
        now = (0, 0.0, 0.0) if link is None else (link.xruns, link.lost_in.seconds, link.silence)
        return self._former[0] + now[0], self._former[1] + now[1], self._former[2] + now[2]

    def _listen(self) -> None:
        """Open or close the monitor, as it is wanted and there is sound."""
        wanted, feed = self._monitored and self.link is not None, self.path.listener
        if feed is not None and not wanted:
            self.path.listener = None
            time.sleep(2 / BLOCKS_PER_SECOND)  # the callback may be in it
            feed.close()
        if feed is not None or not wanted:
            return
        try:
            device = devices.choose(self._settings.monitor, OUTPUT)
            if (device.full_name, device.server_name) == (self._target.full_name, self._target.server_name):
                raise UsageError(f"the output already goes to {device.name}; name another with --monitor")
            target = Endpoint(device, OUTPUT, min(2, device.outputs))
            path = self.path
            policy = self._settings.policy.split(path.latency_samples / path.sample_rate, 3)
            feed = DriftCompensatedOutput(path.sample_rate, path.block, path.channels, target, policy)
            try:
                start_stream(feed.stream)
            except DeviceProblem:
                feed.close()
                raise
            path.listener, self._listener_watch = feed, Watch((device, OUTPUT))
        except FileError as problem:
            self._monitored = False
            self._say(str(problem))

    def _look_for_devices(self) -> None:
        found = self._watch.find()
        if found is None:
            return
        source, target = sides(found[0], found[1], self._settings.channels)
        if source.channels != self.path.channels:
            if not self._narrow:
                some = f"{source.channels} of {self.path.channels} channels"
                self._say(f"{source.device.name} is back with {some}; waiting for all of them")
            self._narrow = True
            return
        with suppress(DeviceProblem):
            self._begin(source, target)
            self._say(f"{source.device.name} -> {target.device.name} is back")
            self._listen()

    def _drain(self) -> None:
        path = self.path
        frames = np.empty((len(path.tap), 2 * path.channels), np.float32)
        frames = frames[: path.tap.read(frames)]
        missed = path.tap.lost
        lost, self._missed = missed - self._missed, missed
        given, out = frames[:, : path.channels], frames[:, path.channels :]
        self._meters.feed(given, out, path.sample_rate, path.controls.muted)
        if self._recorder is None:
            return
        try:
            if len(frames):
                self._recorder.write(given, out)
            if lost:
                self._recorder.lose(lost)
                self._say(f"recording: {lost / path.sample_rate:.2f} s are silence, as this program was held up")
        except FileError as problem:
            self._recorder = None
            self._say(str(problem))

    def _look_for_silence(self) -> None:
        silent = self.path.blocks - self.path.heard > silence_hint.SECONDS * BLOCKS_PER_SECOND
        if silent and not self._silent:
            self._say(silence_hint.advice(self._source.name))
        self._silent = silent

    def _say(self, message: str) -> None:
        self._messages.append(message)


def _strength(limit: float | None) -> float:
    return 100.0 if limit is None else limit


def warmed_up(settings: LiveSettings, rate: int, channels: int) -> tuple[AdaptiveModel, BlockProcessor]:
    """Return a model, and what uses it, ready to run in a callback: until it does, a busy machine changes no model.

    Args:
        settings: what was asked for.
        rate: Hz.
        channels: of the sound.

    Raises:
        ModelError: when the model cannot be used.
    """
    model = AdaptiveModel(model_ladder(settings.model), allowance=math.inf)
    with ThreadPoolExecutor(1, initializer=raise_thread_priority) as thread:  # as quick as the callback's thread
        thread.submit(model.warm_up, channels).result()
    controls = Controls(attenuation_limit_db=settings.attenuation_limit_db, mix=settings.mix)
    return model, BlockProcessor(model, rate, channels, round(rate / BLOCKS_PER_SECOND), controls)


def be_quick() -> None:
    """Make callbacks punctual, where the system allows it."""
    with suppress(AttributeError, OSError):
        os.setpriority(os.PRIO_PROCESS, 0, min(os.getpriority(os.PRIO_PROCESS, 0), -11))
    sys.setswitchinterval(_SWITCH)


def _keep_garbage() -> None:
    """Let no callback collect garbage: `Session.poll` does it now and then."""
    gc.collect()
    gc.freeze()
    gc.disable()


def _release_garbage() -> None:
    """Let Python collect it again."""
    gc.unfreeze()
    gc.enable()
