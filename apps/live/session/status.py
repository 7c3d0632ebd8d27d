"""The state of a session as one value: the screen draws it, the log writes it as JSON."""

import time
from dataclasses import asdict, dataclass
from typing import Any

from apps.live.engine.block_processor import BlockProcessor
from apps.live.engine.streams import BLOCKS_PER_SECOND, Link
from apps.live.session.meters import Meters, percentiles
from apps.live.session.recorder import Recorder
from enhance.runtime.adaptive import AdaptiveModel

RUNNING, WAITING = "running", "waiting for the device"


@dataclass(frozen=True)
class Status:
    """Levels in dBFS, times in milliseconds.

    Attributes:
        seconds: of sound that went through.
        latency_ms: see `Latency.in_milliseconds`; None while it waits for a device.
        frame_ms: p50, p95 and p99 of the time that a block of `block_ms` takes.
        load: share of the time there is that the model takes.
        xruns: times that sound was lost, by PortAudio or between two devices.
        lost_in: seconds of sound that the microphone's side has lost.
        lost_out: seconds of silence that were heard because nothing came.
        mix: share of the denoised sound, from 0 to 1; the rest is the input.
        speech_probability: that somebody speaks now, from 0 to 1.
        silence: why the microphone gives exact zeros, and what to do about it, while it does.
        skipped: hops that passed undenoised because there was no time.
    """

    time: str
    state: str
    seconds: float
    input: str
    output: str
    sample_rate: int
    channels: int
    model: str
    input_rms: float
    input_peak: float
    output_rms: float
    output_peak: float
    suppression_db: float
    speech_probability: float
    latency_ms: dict[str, float | None] | None
    frame_ms: dict[str, float]
    block_ms: float
    load: float
    xruns: int
    lost_in: float
    lost_out: float
    skipped: int
    repaired: int
    cpu_percent: float
    bypass: bool
    muted: bool
    attenuation_limit_db: float | None
    mix: float
    monitor: bool
    silence: str | None
    recording: str | None
    recorded_seconds: float
    messages: list[str]

    @classmethod
    def of(
        cls,
        path: BlockProcessor,
        link: Link | None,
        model: AdaptiveModel,
        meters: Meters,
        *,
        source: str,
        target: str,
        cpu: float,
        xruns: int,
        lost: tuple[float, float],
        silence: str | None,
        recorder: Recorder | None,
        messages: list[str],
    ) -> "Status":
        """Gather it from the parts of a session."""
        return cls(
            time=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            state=WAITING if link is None else RUNNING,
            seconds=round(path.blocks / BLOCKS_PER_SECOND, 2),
            input=source,
            output=target,
            sample_rate=path.sample_rate,
            channels=path.channels,
            model=model.name,
            input_rms=round(meters.given.rms, 1),
            input_peak=round(meters.given.peak, 1),
            output_rms=round(meters.out.rms, 1),
            output_peak=round(meters.out.peak, 1),
            suppression_db=round(meters.suppression, 1),
            speech_probability=round(path.speech_probability, 3),
            latency_ms=None if link is None else link.latency().in_milliseconds(),
            frame_ms=percentiles(path.times()),
            block_ms=1000 / BLOCKS_PER_SECOND,
            load=round(model.load.ratio, 3),
            xruns=xruns,
            lost_in=round(lost[0], 2),
            lost_out=round(lost[1], 2),
            skipped=model.skipped,
            repaired=path.repaired,
            cpu_percent=round(cpu, 1),
            bypass=path.controls.bypass,
            muted=path.controls.muted,
            attenuation_limit_db=path.controls.attenuation_limit_db,
            mix=path.controls.mix,
            monitor=path.listener is not None,
            silence=silence,
            recording=None if recorder is None else str(recorder.paths[1]),
            recorded_seconds=0.0 if recorder is None else round(recorder.seconds, 2),
            messages=messages,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return all values for JSON."""
        return asdict(self)
