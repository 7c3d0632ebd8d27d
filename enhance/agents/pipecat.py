"""Noise filter for Pipecat: for `audio_in_filter` and `audio_out_filter` of a transport.

It runs in this process, needs no account and downloads nothing. As many bytes come back as came, in chunks of any size,
at any rate.

Needs `pip install 'mpeace[pipecat]'`.
"""
# pyright: reportMissingImports=false
# (It need not be installed where the types are checked.)

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from numbers import Integral
from os import PathLike
from typing import Any, TypeVar

from enhance.agents.frames import AgentSound, SoundState
from enhance.runtime.denoiser import Denoiser
from enhance.utils.extras import missing

try:
    from pipecat.audio.filters.base_audio_filter import BaseAudioFilter
    from pipecat.frames.frames import FilterControlFrame, FilterEnableFrame, FilterUpdateSettingsFrame
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(f"{__name__} {missing(error) or error}", name=error.name) from error

logger = logging.getLogger("mpeace.pipecat")
Result = TypeVar("Result")


class MpeaceFilter(SoundState, BaseAudioFilter):
    """Denoises the sound of one transport.

    `FilterEnableFrame` switches it, without a click and with the same delay; `FilterUpdateSettingsFrame` sets
    `attenuation_limit_db` and `mix`.

    Args:
        model: None for the default model, a name or an .onnx file; or a `Denoiser`, which many filters may share.
        attenuation_limit_db: the most that noise is lowered, dB >= 0; None for no limit.
        mix: share of the denoised sound from 0 to 1.
        channels: of the transport's sound (`audio_in_channels`), which Pipecat does not give to a filter.
        in_thread: denoise in a thread of its own, so that the event loop does not wait for it.

    Raises:
        ModelError: when the model cannot be used.
        ValueError: for a value outside its range.
    """

    def __init__(
        self,
        model: Denoiser | str | PathLike[str] | None = None,
        *,
        attenuation_limit_db: float | None = None,
        mix: float = 1.0,
        channels: int = 1,
        in_thread: bool = False,
    ) -> None:
        if not isinstance(channels, Integral) or channels < 1:
            raise ValueError(f"{channels} channels: expected a whole number from 1")
        self._sound = AgentSound(model, attenuation_limit_db, mix, logger)
        self._channels = channels
        self._in_thread = in_thread
        self._thread: ThreadPoolExecutor | None = None
        self._rate: int | None = None
        self._rest = b""  # of a sample whose other bytes are still to come

    async def start(self, sample_rate: int) -> None:
        """Begin, at the rate of the transport."""
        await self._in_turn(self._sound.reset)
        self._rate, self._rest = sample_rate, b""
        if self._in_thread and self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="mpeace")

    async def stop(self) -> None:
        """End, with the transport; it may start again."""
        try:
            await self._in_turn(self._sound.reset)  # behind sound whose task was cancelled, and which goes on
        finally:
            if self._thread is not None:
                self._thread.shutdown(wait=False)
                self._thread = None
            self._rest = b""

    async def process_frame(self, frame: FilterControlFrame) -> None:
        """Switch or adjust. A setting that makes no sense is said in the log, and all stays as it was."""
        if isinstance(frame, FilterEnableFrame):
            await self._in_turn(self._sound.bypass, not frame.enable)
        elif isinstance(frame, FilterUpdateSettingsFrame):
            try:
                await self._in_turn(partial(self._sound.adjust, **frame.settings))
            except (ValueError, TypeError) as error:
                self._sound.failed(error, "the settings stay")

    async def filter(self, audio: bytes) -> bytes:
        """Denoise int16 samples, channels interleaved. Half a sample waits for its other half."""
        if self._rate is None:
            self._sound.failed(RuntimeError("sound before start"), "it goes on as it came, noisy")
            return audio
        sound = self._rest + bytes(audio)
        whole = len(sound) - len(sound) % (2 * self._channels)
        sound, self._rest = sound[:whole], sound[whole:]
        return await self._in_turn(self._sound.process, sound, self._rate, self._channels)

    async def _in_turn(self, work: Callable[..., Result], *arguments: Any) -> Result:
        """Do something to the sound: in the thread, if there is one, so that nothing else happens to it meanwhile."""
        if self._thread is None:
            return work(*arguments)
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
