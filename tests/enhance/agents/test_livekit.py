"""The processor for LiveKit, with LiveKit's own frames and streams; no server is needed."""
# pyright: reportMissingImports=false
# (It need not be installed where the types are checked.)

import asyncio
import logging
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import lag, si_sdr_db, speech_like
from noisy_speech import noisy_speech
from readme import readme_blocks

from enhance import Denoiser, benchmark_agents

rtc = pytest.importorskip("livekit.rtc", reason="LiveKit is not installed: pip install 'mpeace[livekit]'")

from enhance.agents.livekit import NoiseCancellation  # noqa: E402

SOURCE = {"room_name": "room", "participant_identity": "somebody", "publication_sid": "TR_1"}


def frames(audio: np.ndarray, rate: int, size: int) -> list:
    """float32 [channels, time] as LiveKit's frames of `size` samples."""
    samples = np.rint(audio * 32767).astype(np.int16)
    parts = [samples[:, start : start + size] for start in range(0, samples.shape[1], size)]
    return [rtc.AudioFrame(np.ascontiguousarray(p.T).tobytes(), rate, len(p), p.shape[1]) for p in parts]


def samples_of(given: list) -> np.ndarray:
    """The frames as int16 [channels, time]."""
    parts = [np.frombuffer(frame.data, np.int16).reshape(-1, frame.num_channels).T for frame in given]
    return np.concatenate(parts, axis=1)


@pytest.mark.parametrize(
    ("rate", "milliseconds"), [(24_000, 50), (48_000, 10), (24_000, 10), (16_000, 10), (8_000, 20)]
)
@pytest.mark.parametrize("channels", [1, 2])
def test_no_frame_comes_back_raw_or_padded_or_of_another_size(
    shipped_denoiser: Denoiser, rate: int, milliseconds: int, channels: int
) -> None:
    """The sizes at which other plugins return the noisy frame or fill it with zeros."""
    audio = noisy_speech(2, rate, channels)
    given = frames(audio, rate, rate * milliseconds // 1000)
    processor = NoiseCancellation(shipped_denoiser)
    out = [processor._process(frame) for frame in given]
    for before, after in zip(given, out, strict=True):
        assert isinstance(after, rtc.AudioFrame)
        assert (after.sample_rate, after.num_channels) == (rate, channels)
        assert after.samples_per_channel == before.samples_per_channel
        assert after.userdata is before.userdata
        assert bytes(after.data) != bytes(before.data)
    assert processor.errors == 0
    samples = samples_of(out)
    delay = round((processor.delay_seconds or 0) * rate)
    assert 0.0099 * rate <= delay <= 0.0181 * rate
    assert not samples[:, : delay // 2].any()
    assert lag(samples[0], samples_of(given)[0]) == delay


def test_frames_change_rate_channels_and_size_in_the_middle(tiny_denoiser: Denoiser) -> None:
    """Also to a size that is no whole number of blocks, and to one sample."""
    processor = NoiseCancellation(tiny_denoiser)
    audio = speech_like(0.5, 48_000, 2)
    for rate, channels, size in ((48000, 1, 480), (48000, 1, 441), (24000, 2, 1200), (48000, 1, 1), (44100, 2, 512)):
        for frame in frames(audio[:channels, : 20 * size], rate, size):
            out = processor._process(frame)
            assert (out.sample_rate, out.num_channels, out.samples_per_channel) == (rate, channels, size)
    assert processor.errors == 0


def test_it_is_a_processor_as_livekit_wants_it(tiny_denoiser: Denoiser) -> None:
    """LiveKit takes what can be called for a function that selects one, and skips a processor that is not enabled."""
    processor = NoiseCancellation(tiny_denoiser)
    assert isinstance(processor, rtc.FrameProcessor)
    assert not callable(processor)
    assert (processor.enabled, processor.bypassed) == (True, False)
    processor.enabled = False
    assert (processor.enabled, processor.bypassed) == (True, True)
    assert processor.delay_seconds is None


def test_another_track_begins_anew_and_a_closed_processor_works_on(tiny_denoiser: Denoiser) -> None:
    """LiveKit has called `_close` before the first frame, and `_on_stream_info_updated` for each track."""
    given = frames(speech_like(0.3, 24_000), 24_000, 1200)
    processor = NoiseCancellation(tiny_denoiser)
    processor._close()
    first = samples_of([processor._process(frame) for frame in given])
    processor._on_stream_info_updated(**SOURCE)
    second = samples_of([processor._process(frame) for frame in given])
    processor._on_stream_info_cleared()
    processor._close()
    third = samples_of([processor._process(frame) for frame in given])
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, third)


def test_the_delay_is_in_the_log(tiny_denoiser: Denoiser, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    processor = NoiseCancellation(tiny_denoiser)
    for frame in frames(speech_like(0.3, 24_000), 24_000, 1200):
        processor._process(frame)
    (record,) = caplog.records
    assert record.getMessage() == "noise cancellation at 24000 Hz: the sound comes 12.7 ms later"


def test_audio_stream_hands_on_the_denoised_sound(shipped_denoiser: Denoiser) -> None:
    """A real track and stream in this process, at the frames of LiveKit Agents: 24 kHz, 50 ms."""
    rate, size = 24_000, 1200
    audio = np.rint(noisy_speech(2, rate)[0] * 32767).astype(np.int16)
    processor = NoiseCancellation(shipped_denoiser, attenuation_limit_db=12)
    calls: list[np.ndarray] = []
    denoise = processor._process

    def listen(frame):
        calls.append(np.frombuffer(frame.data, np.int16).copy())
        return denoise(frame)

    processor._process = listen  # type: ignore[method-assign]

    async def session() -> list:
        source = rtc.AudioSource(rate, 1)
        track = rtc.LocalAudioTrack.create_audio_track("microphone", source)
        stream = rtc.AudioStream.from_track(
            track=track, sample_rate=rate, num_channels=1, frame_size_ms=50, noise_cancellation=processor
        )
        out: list = []

        async def read() -> None:
            async for event in stream:
                out.append(event.frame)

        reading = asyncio.create_task(read())
        for start in range(0, len(audio), rate // 100):
            part = audio[start : start + rate // 100]
            await source.capture_frame(rtc.AudioFrame(part.tobytes(), rate, 1, len(part)))
        await asyncio.sleep(0.5)
        await stream.aclose()
        reading.cancel()
        return out

    out = asyncio.run(asyncio.wait_for(session(), 60))
    assert len(out) == len(calls) >= 30
    assert {frame.samples_per_channel for frame in out} == {size}
    given, heard = np.concatenate(calls), samples_of(out)[0]
    delay = round((processor.delay_seconds or 0) * rate)
    wanted = shipped_denoiser.denoise(given, rate, attenuation_limit_db=12) * 32768
    assert lag(heard, given) == delay
    assert si_sdr_db(heard[delay:], wanted[: len(wanted) - delay]) > 20
    assert processor.errors == 0


def test_the_example_of_the_readme_makes_a_stream_of_denoised_sound() -> None:
    (example,) = [block for block in readme_blocks() if "livekit" in block]
    names: dict = {}
    exec(compile(example, "README.md", "exec"), names)

    async def session() -> None:
        track = rtc.LocalAudioTrack.create_audio_track("microphone", rtc.AudioSource(48_000, 1))
        stream = names["clean_stream"](track)
        assert isinstance(stream._processor, NoiseCancellation)
        await stream.aclose()

    asyncio.run(asyncio.wait_for(session(), 60))


def test_a_benchmark_of_nothing_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "clean").mkdir()
    messages = {
        "0": "--every: expected 1 or more, got 0",
        "1": f"{tmp_path}: expected the folders clean/ and noisy/ in it, found no noisy/",
    }
    for every, message in messages.items():
        assert benchmark_agents.main(["--set", str(tmp_path), "--every", every]) == 1
        assert capsys.readouterr().err == f"enhance.benchmark_agents: {message}\n"


def test_the_benchmark_reports_the_lag_and_that_no_frame_is_raw(
    shared: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("enhance.benchmark_agents.SESSIONS", (1, 2))
    monkeypatch.setattr("enhance.benchmark_agents.TIMED_FRAMES", 5)
    monkeypatch.setitem(sys.modules, "livekit.plugins", None)  # others may be installed; they take long
    assert benchmark_agents.main(["--set", str(shared / "eval"), "--every", "32"]) == 0
    *_, noisy, ours = capsys.readouterr().out.splitlines()
    assert noisy.startswith("| noisy |")
    cells = [cell.strip() for cell in ours.strip("|").split("|")]
    assert cells[0].startswith("mpeace ")
    assert cells[3:6] == ["12.67", "0.00", "0.00"]  # lag, raw and padded frames
    assert all(len(cell.split(" / ")) == 3 for cell in cells[6:])


def test_livekit_has_no_public_name_for_what_processes_a_frame() -> None:
    """When this fails, the processor and `enhance.benchmark_agents` can use what is new."""
    assert {name for name in dir(rtc.FrameProcessor) if not name.startswith("_")} == {"enabled"}
