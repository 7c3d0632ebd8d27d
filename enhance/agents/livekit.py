"""Noise cancellation for LiveKit: a frame processor for `noise_cancellation=`, of agents and of `rtc.AudioStream`.

It runs in this process, needs no account and downloads nothing. As many samples come back as came, at any rate, with
any channels and frame size, also when these change (sound from before the connection comes at another rate).

Needs `pip install 'mpeace[livekit]'`.
"""
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false
# (LiveKit need not be installed where the types are checked.)

from __future__ import annotations

import logging
from os import PathLike
from typing import Any

from enhance.agents.frames import AgentSound, SoundState
from enhance.runtime.denoiser import Denoiser
from enhance.utils.extras import missing

try:
    from livekit import rtc
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(f"{__name__} {missing(error) or error}", name=error.name) from error

logger = logging.getLogger("mpeace.livekit")


class NoiseCancellation(SoundState, rtc.FrameProcessor[rtc.AudioFrame]):
    """Denoises the sound of one session.

    Args:
        model: None for the default model, a name or an .onnx file; or a `Denoiser`, which many sessions may share.
        attenuation_limit_db: the most that noise is lowered, dB >= 0; None for no limit.
        mix: share of the denoised sound from 0 to 1.

    Raises:
        ModelError: when the model cannot be used.
        ValueError: for a strength outside its range.
    """

    def __init__(
        self,
        model: Denoiser | str | PathLike[str] | None = None,
        *,
        attenuation_limit_db: float | None = None,
        mix: float = 1.0,
    ) -> None:
        self._sound = AgentSound(model, attenuation_limit_db, mix, logger)
        self._logged_delay: float | None = None

    @property
    def enabled(self) -> bool:
        """Always true: LiveKit would let a disabled processor out, and the sound would jump by the delay.

        Setting it to False bypasses the network instead: `bypassed` says so.
        """
        return True

    @enabled.setter
    def enabled(self, value: bool) -> None:
        self._sound.bypass(not value)

    def adjust(self, **settings: Any) -> None:
        """Change `attenuation_limit_db` or `mix` while it runs, without a click.

        Raises:
            ValueError: for another name, or a value outside its range; then all stays.
        """
        self._sound.adjust(**settings)

    def _process(self, frame: rtc.AudioFrame) -> rtc.AudioFrame:
        channels, samples, rate = frame.num_channels, frame.samples_per_channel, frame.sample_rate
        sound = memoryview(frame.data).cast("B")[: 2 * channels * samples]
        data = self._sound.process(sound, rate, channels)
        if self._logged_delay != (delay := self.delay_seconds) and delay is not None:
            self._logged_delay = delay
            logger.info("noise cancellation at %d Hz: the sound comes %.1f ms later", rate, 1000 * delay)
        return rtc.AudioFrame(data, rate, channels, samples, userdata=frame.userdata)

    def _on_stream_info_updated(self, *, room_name: str, participant_identity: str, publication_sid: str) -> None:
        """Forget the former track: another one begins."""
        self._sound.reset()

    def _on_stream_info_cleared(self) -> None:
        self._sound.reset()

    def _close(self) -> None:
        """Let go of the sound. LiveKit may call this before the first frame: it goes on when one comes."""
        self._sound.reset()
