"""The filter for Pipecat, inside a real pipeline with transports that live in this process."""
# pyright: reportMissingImports=false
# (It need not be installed where the types are checked.)

import asyncio
import threading
from typing import Any

import numpy as np
import pytest
from helpers import lag, si_sdr_db, speech_like
from noisy_speech import noisy_speech
from readme import readme_blocks

from enhance import Denoiser

pytest.importorskip("pipecat", reason="Pipecat is not installed: pip install 'mpeace[pipecat]'")

from pipecat.frames.frames import (
    EndFrame,
    FilterEnableFrame,
    FilterUpdateSettingsFrame,
    Frame,
    InputAudioRawFrame,
    OutputAudioRawFrame,
    StartFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner

from enhance.agents.frames import AgentSound
from enhance.agents.pipecat import MpeaceFilter


class Microphone(BaseInputTransport):
    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)


class Loudspeaker(BaseOutputTransport):
    heard: bytes = b""

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        self.heard += frame.audio
        return True


class Echo(FrameProcessor):
    """A bot that says what it hears, and notes it."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[bytes] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            self.heard.append(frame.audio)
            frame = OutputAudioRawFrame(frame.audio, frame.sample_rate, frame.num_channels)
        await self.push_frame(frame, direction)


def converse(frames: list[Frame], rate: int, **filters: Any) -> tuple[Echo, Loudspeaker]:
    """Send frames through microphone, bot and loudspeaker."""
    params = TransportParams(
        audio_in_enabled=True,
        audio_out_enabled=True,
        audio_in_sample_rate=rate,
        audio_out_sample_rate=rate,
        audio_out_10ms_chunks=1,
        audio_out_end_silence_secs=0,
        audio_out_auto_silence=False,
        **filters,
    )
    bot, loudspeaker = Echo(), Loudspeaker(params)

    async def session() -> None:
        worker = PipelineWorker(Pipeline([Microphone(params), bot, loudspeaker]), enable_rtvi=False)
        started = asyncio.Event()

        @worker.event_handler("on_pipeline_started")
        async def note(*_: object) -> None:
            started.set()

        async def send() -> None:
            await asyncio.wait_for(started.wait(), 30)
            for frame in frames:
                await worker.queue_frame(frame)
                await asyncio.sleep(0)
            while len(bot.heard) < sum(isinstance(frame, InputAudioRawFrame) for frame in frames):
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.5)
            await worker.queue_frame(EndFrame())

        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        await asyncio.gather(runner.run(), send())

    asyncio.run(asyncio.wait_for(session(), 90))
    return bot, loudspeaker


def chunks(audio: np.ndarray, rate: int, size: int) -> list[Frame]:
    """float32 [time] as frames of `size` samples."""
    sound = np.rint(audio * 32767).astype(np.int16)
    parts = [sound[start : start + size] for start in range(0, len(sound), size)]
    return [InputAudioRawFrame(audio=part.tobytes(), sample_rate=rate, num_channels=1) for part in parts]


@pytest.mark.parametrize("in_thread", [False, True])
@pytest.mark.parametrize(("rate", "milliseconds"), [(8_000, 20), (16_000, 20), (24_000, 10), (48_000, 10)])
def test_a_bot_hears_the_denoised_sound_of_the_file_in_chunks_of_the_same_size(
    shipped_denoiser: Denoiser, rate: int, milliseconds: int, in_thread: bool
) -> None:
    audio = noisy_speech(2, rate)[0]
    frames = chunks(audio, rate, rate * milliseconds // 1000)
    sizes = [len(frame.audio) for frame in frames]  # type: ignore[attr-defined]
    sound_filter = MpeaceFilter(shipped_denoiser, attenuation_limit_db=12, in_thread=in_thread)
    bot, _ = converse(frames, rate, audio_in_filter=sound_filter)
    assert [len(chunk) for chunk in bot.heard] == sizes
    heard = np.frombuffer(b"".join(bot.heard), np.int16)
    fresh = MpeaceFilter(shipped_denoiser, attenuation_limit_db=12)
    asyncio.run(fresh.start(rate))
    asyncio.run(fresh.filter(bytes(sizes[0])))
    delay = round((fresh.delay_seconds or 0) * rate)
    assert lag(heard, audio) == delay <= 0.0181 * rate
    wanted = shipped_denoiser.denoise(audio, rate, attenuation_limit_db=12)
    assert si_sdr_db(heard[delay:], wanted[: len(wanted) - delay]) > 20
    assert sound_filter.errors == 0
    assert threading.active_count() < 20


def test_what_a_bot_says_is_denoised_by_the_filter_of_the_output(tiny_denoiser: Denoiser) -> None:
    rate = 16_000
    audio = speech_like(1, rate)[0]
    _, loudspeaker = converse(chunks(audio, rate, 160), rate, audio_out_filter=MpeaceFilter(tiny_denoiser))
    said = np.frombuffer(loudspeaker.heard, np.int16)
    assert len(said) == len(audio)
    assert lag(said, audio) == 224
    assert np.abs(said[224:] / 32768 - 0.5 * audio[:-224]).max() < 0.02


def test_control_frames_switch_and_adjust_and_never_stop_the_sound(
    tiny_denoiser: Denoiser, caplog: pytest.LogCaptureFixture
) -> None:
    rate = 48_000
    frames: list[Frame] = chunks(speech_like(0.1, rate)[0], rate, 480)
    frames += [FilterEnableFrame(enable=False), FilterUpdateSettingsFrame(settings={"mix": 0.5})]
    frames += [FilterUpdateSettingsFrame(settings={"mix": 7}), FilterUpdateSettingsFrame(settings={"volume": 1})]
    frames += chunks(speech_like(0.1, rate)[0], rate, 480)
    sound_filter = MpeaceFilter(tiny_denoiser)
    bot, _ = converse(frames, rate, audio_in_filter=sound_filter)
    assert len(bot.heard) == 20
    assert sound_filter.bypassed
    assert sound_filter.errors == 2
    assert ["mix 7" in record.getMessage() for record in caplog.records if "mpeace" in record.name] == [True, False]


@pytest.mark.parametrize("sizes", [[0, 1, 3, 320, 7, 641], [2], [1]])
def test_bytes_in_any_number_come_back_without_a_loss(tiny_denoiser: Denoiser, sizes: list[int]) -> None:
    """Half a sample waits for its other half."""
    sound = np.rint(speech_like(0.1, 16_000)[0] * 32767).astype(np.int16).tobytes()
    sound_filter = MpeaceFilter(tiny_denoiser)

    async def session() -> bytes:
        await sound_filter.start(16_000)
        given, at, turn = b"", 0, 0
        while at < len(sound):
            given += await sound_filter.filter(sound[at : at + sizes[turn % len(sizes)]])
            at, turn = at + sizes[turn % len(sizes)], turn + 1
        await sound_filter.stop()
        return given

    assert len(asyncio.run(session())) == len(sound)
    assert sound_filter.errors == 0


def test_sound_before_start_passes_and_is_counted(tiny_denoiser: Denoiser) -> None:
    sound_filter = MpeaceFilter(tiny_denoiser, in_thread=True)
    assert asyncio.run(sound_filter.filter(b"ab")) == b"ab"
    assert sound_filter.errors == 1
    asyncio.run(sound_filter.stop())


@pytest.mark.parametrize("channels", [0, 1.5, "2"])
def test_channels_that_are_none_are_refused(tiny_denoiser: Denoiser, channels: Any) -> None:
    with pytest.raises(ValueError, match=f"{channels} channels: expected a whole number from 1"):
        MpeaceFilter(tiny_denoiser, channels=channels)


def test_a_switch_takes_its_turn_behind_the_sound_in_the_thread(
    tiny_denoiser: Denoiser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change in the middle of a frame could be lost, or end the task of the sound."""
    sound_filter, busy, done = MpeaceFilter(tiny_denoiser, in_thread=True), threading.Event(), threading.Event()
    process = AgentSound.process

    def slow(self: AgentSound, *arguments: Any) -> bytes:
        busy.set()
        done.wait(60)
        return process(self, *arguments)

    monkeypatch.setattr(AgentSound, "process", slow)

    async def session() -> None:
        await sound_filter.start(16_000)
        sound = asyncio.create_task(sound_filter.filter(bytes(320)))
        await asyncio.to_thread(busy.wait, 60)
        switch = asyncio.create_task(sound_filter.process_frame(FilterEnableFrame(enable=False)))
        await asyncio.sleep(0.1)
        assert not sound_filter.bypassed
        done.set()
        await asyncio.gather(sound, switch)
        assert sound_filter.bypassed
        await sound_filter.stop()

    asyncio.run(session())


def test_nothing_of_a_cancelled_session_is_left_in_the_thread(
    tiny_denoiser: Denoiser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pipecat cancels the task of the sound; its last chunk is still denoised, and came into the next session."""
    sound_filter, busy, done = MpeaceFilter(tiny_denoiser, in_thread=True), threading.Event(), threading.Event()
    process, ended = AgentSound.process, threading.Event()

    def slow(self: AgentSound, *arguments: Any) -> bytes:
        busy.set()
        done.wait(60)
        try:
            return process(self, *arguments)
        finally:
            ended.set()

    monkeypatch.setattr(AgentSound, "process", slow)

    async def session() -> None:
        await sound_filter.start(16_000)
        sound = asyncio.create_task(sound_filter.filter(bytes(320)))
        await asyncio.to_thread(busy.wait, 60)
        sound.cancel()
        stopping = asyncio.create_task(sound_filter.stop())
        await asyncio.sleep(0.1)
        done.set()
        await stopping
        await asyncio.to_thread(ended.wait, 60)
        assert sound_filter.delay_seconds is None

    asyncio.run(session())


def test_the_example_of_the_readme_sets_the_filter_of_a_transport() -> None:
    (example,) = [block for block in readme_blocks() if "pipecat" in block]
    names: dict[str, Any] = {}
    exec(compile(example, "README.md", "exec"), names)
    assert isinstance(names["params"].audio_in_filter, MpeaceFilter)
