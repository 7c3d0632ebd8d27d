"""The parts of `mpeace live` on their own: queue, drift, the path of the sound, recorder, devices by name, words."""

import gc
import os
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from command import ROOT, mpeace, read
from helpers import si_sdr_db, speech_like
from livepath import BLOCK, RATE, make_path, through

from apps.live.devices.devices import INPUT, OUTPUT, Device, choose, table
from apps.live.devices.portaudio import install_command
from apps.live.devices.virtual_microphone import guide
from apps.live.diagnostics.latency_measurement import bursts, find_bursts
from apps.live.engine.block_processor import GLIDE, BlockProcessor, Controls
from apps.live.engine.drift_resampler import HELD_BACK, SETTLED, Control, DriftResampler, control
from apps.live.engine.latency import parse
from apps.live.engine.ring_buffer import Ring
from apps.live.engine.thread_priority import raise_thread_priority
from apps.live.session.recorder import Recorder
from enhance import Denoiser
from enhance.dsp.polyphase import Polyphase
from enhance.dsp.resampling import resample
from enhance.io.sound.sound_file import SoundReader
from enhance.runtime.adaptive import AdaptiveModel
from enhance.utils.errors import FileError, UsageError


def live(model: Denoiser, audio: np.ndarray, rate: int) -> tuple[np.ndarray, BlockProcessor]:
    """Send [channels, samples] through a path, its delay cut off, and the path."""
    path = BlockProcessor(AdaptiveModel([model], allowance=60), rate, len(audio), rate // 100, Controls())
    blocks = audio.T.reshape(-1, path.block, len(audio))
    return np.concatenate([path.process(block).copy() for block in blocks]).T[:, path.latency_samples :], path


def test_ring_keeps_the_order_round_its_end() -> None:
    ring, rng = Ring(2, 100), np.random.default_rng(0)
    sent, came = [], []
    for _ in range(200):
        frames = rng.normal(size=(int(rng.integers(1, 40)), 2)).astype(np.float32)
        if ring.write(frames):
            sent.append(frames)
        out = np.zeros((int(rng.integers(1, 40)), 2), np.float32)
        came.append(out[: ring.read(out)])
    rest = np.zeros((100, 2), np.float32)
    came.append(rest[: ring.read(rest)])
    np.testing.assert_array_equal(np.concatenate(came), np.concatenate(sent))
    assert ring.lost > 0


@pytest.mark.parametrize("difference", [-300e-6, -50e-6, 0.0, 100e-6, 300e-6])
def test_drift_control_holds_the_queue_for_clocks_that_differ(difference: float) -> None:
    """Simulated clocks: the queue stays within 2 ms, and the speed becomes the ratio of the clocks."""
    rng, state, queue, target, elapsed = np.random.default_rng(0), Control(), 0.035, 0.03, 0.01
    errors, speeds = [], []
    for _ in range(30_000):
        queue += elapsed * (1 + difference) / state.speed - elapsed
        state = control(state, queue - target + rng.normal(0, 0.002), elapsed)
        errors.append(queue - target)
        speeds.append(state.speed)
    settled = round(3 * SETTLED / elapsed)
    assert np.abs(errors[settled:]).max() < 0.002
    assert np.mean(speeds[settled:]) == pytest.approx(1 + difference, abs=10e-6)
    assert np.abs(np.array(speeds[settled:]) - 1 - difference).max() < 200e-6  # a third of a cent


def test_drift_resampler_is_transparent_at_equal_clocks() -> None:
    drift = DriftResampler(1)
    tone = np.sin(2 * np.pi * 1000 * np.arange(2 * RATE) / RATE).astype(np.float32)
    out = np.concatenate([drift.process(block.reshape(-1, 1)) for block in tone.reshape(-1, BLOCK)])[:, 0]
    middle = out[RATE // 2 : RATE]
    phase = 2 * np.pi * 1000 * np.arange(len(middle)) / RATE
    basis = np.stack([np.sin(phase), np.cos(phase)], axis=1)
    weights, *_ = np.linalg.lstsq(basis, middle, rcond=None)
    residual = middle - basis @ weights
    assert 10 * np.log10(np.sum(middle**2) / np.sum(residual**2)) > 90
    assert np.hypot(*weights) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("speed", [1.0005, 0.998])
@pytest.mark.parametrize("hertz", [1000, 20_000])
def test_drift_resampler_keeps_time_and_level_when_clocks_differ(speed: float, hertz: int) -> None:
    """Against the formula of the tone, within 2e-4: the table of the filter and its 81 dB."""
    drift = DriftResampler(2)
    drift.state = Control(speed=speed)
    tone = np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE).astype(np.float32)
    given = np.stack([tone, -tone], axis=1)
    out = np.concatenate([drift.process(block) for block in np.split(given, [1, 8, 500, 501, 30_000])])
    assert len(out) == int(np.ceil((RATE - HELD_BACK) / speed))
    inside = np.arange(100, len(out) - 100)
    np.testing.assert_allclose(out[inside, 0], np.sin(2 * np.pi * hertz * speed * inside / RATE), atol=2e-4)
    np.testing.assert_array_equal(out[:, 0], -out[:, 1])


@pytest.mark.parametrize(("rate", "channels"), [(48_000, 1), (48_000, 3)])
def test_any_channels_give_what_a_file_gives(shipped_denoiser: Denoiser, rate: int, channels: int) -> None:
    audio = speech_like(3, rate, channels)
    out, _ = live(shipped_denoiser, audio, rate)
    np.testing.assert_allclose(out, shipped_denoiser.denoise(audio, rate)[:, : out.shape[1]], atol=1e-4)


@pytest.mark.parametrize(
    ("rate", "alike_db", "same_grid_db"), [(16_000, 20, 30), (32_000, 24, 40), (44_100, 25, 40), (96_000, 25, 40)]
)
def test_other_rates_give_nearly_what_a_file_gives(
    shipped_denoiser: Denoiser, rate: int, alike_db: float, same_grid_db: float
) -> None:
    """Two things differ, see `Stream`: the grid of hops, which matters more, and the resampler, which is shorter."""
    audio = resample(np.tile(read(ROOT / "tests" / "data" / "noisy.flac"), (2, 1)), RATE, rate)
    audio = audio[:, : audio.shape[1] // (rate // 100) * (rate // 100)]
    out, path = live(shipped_denoiser, audio, rate)
    length = out.shape[1]
    assert path.latency_samples + path.block <= 0.03 * rate
    file = shipped_denoiser.denoise(audio, rate)[:, :length]
    assert si_sdr_db(out[1], file[1]) > alike_db
    early = round(Polyphase(rate, RATE).half * RATE / rate) * rate // RATE  # of the grid
    moved = shipped_denoiser.denoise(np.pad(audio, ((0, 0), (early, 0))), rate)[:, early:][:, :length]
    assert si_sdr_db(out[1], moved[1]) > same_grid_db
    np.testing.assert_allclose(out[0], out[1], atol=1e-6)


@pytest.mark.parametrize("change", [{"bypass": True}, {"muted": True}, {"attenuation_limit_db": 6.0}, {"mix": 0.5}])
def test_promise_26_switching_makes_no_click_and_no_delay(
    shipped_denoiser: Denoiser, change: dict[str, bool | float]
) -> None:
    """No step between two samples is larger than the largest one of input and output."""
    noisy = read(ROOT / "tests" / "data" / "noisy.flac")[0]
    path = make_path(shipped_denoiser)
    plain = through(path, noisy)
    path = make_path(shipped_denoiser)
    half = len(noisy) // 2 // BLOCK * BLOCK
    out = [through(path, noisy[:half])]
    path.change(**change)
    out.append(through(path, noisy[half:]))
    switched = np.concatenate(out)
    largest = max(np.abs(np.diff(noisy)).max(), np.abs(np.diff(plain)).max())
    around = slice(half - BLOCK, half + round(3 * GLIDE * RATE))
    assert np.abs(np.diff(switched[around])).max() <= largest
    np.testing.assert_array_equal(switched[:half], plain[:half])
    if "bypass" in change:
        settled = half + round(2 * GLIDE * RATE)
        delayed = noisy[settled - path.latency_samples : len(switched) - path.latency_samples]
        np.testing.assert_array_equal(switched[settled:], delayed)


def test_promise_20_a_block_leaves_no_allocation(shipped_denoiser: Denoiser) -> None:
    """Nothing stays allocated and no garbage arises for 500 blocks; what a block borrows is given back."""
    path = make_path(shipped_denoiser)
    block = speech_like(BLOCK / RATE, RATE)[0].reshape(-1, 1)
    gc.collect()
    gc.disable()
    try:
        for _ in range(100):
            path.process(block)
        tracemalloc.start()
        for _ in range(500):  # as many as below: what is asked for afterwards keeps the memory of its longest list
            path.process(block)
        path._stream.take_speech()
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        objects = gc.get_count()[0]
        for _ in range(500):
            path.process(block)
        path._stream.take_speech()
        after, peak = tracemalloc.get_traced_memory()
        grown = gc.get_count()[0] - objects
    finally:
        tracemalloc.stop()
        gc.enable()
    assert after - held < 1024  # counters that pass 2^8 become objects, once
    assert grown < 10
    assert peak - held < 64 * 1024
    print(f"500 blocks: {after - held} bytes stay, {grown} objects, at most {peak - held} bytes borrowed at a time")


def test_samples_that_are_no_numbers_become_silence(shipped_denoiser: Denoiser) -> None:
    path = make_path(shipped_denoiser)
    block = np.full((BLOCK, 1), 0.01, np.float32)
    block[7] = np.nan
    block[9] = np.inf
    assert np.isfinite(through(path, np.tile(block[:, 0], 20))).all()
    assert path.repaired == 40


def test_recorder_writes_both_sides_aligned(tmp_path: Path) -> None:
    audio = speech_like(1, RATE, 2).T
    recorder = Recorder(tmp_path / "new", RATE, 2, delay=500)
    late = np.concatenate([np.zeros((500, 2), np.float32), audio])[: len(audio)]
    for start in range(0, len(audio), 700):
        recorder.write(audio[start : start + 700], late[start : start + 700])
    recorder.close()
    given, out = (read(path) for path in recorder.paths)
    assert given.shape == out.shape == (2, len(audio) - 500)
    np.testing.assert_array_equal(given, out)
    again = Recorder(tmp_path / "new", RATE, 2, delay=0)
    again.close()
    assert len(set(recorder.paths + again.paths)) == 4


def test_a_recording_that_is_killed_is_there_but_for_its_last_second(tmp_path: Path) -> None:
    audio = np.random.default_rng(0).normal(0, 0.1, (5 * RATE, 1)).astype(np.float32)
    recorder = Recorder(tmp_path, RATE, 1, delay=0)
    for start in range(0, len(audio), 480):
        recorder.write(audio[start : start + 480], audio[start : start + 480])
    for path in recorder.paths:  # as they are on the disk at this moment
        killed = SoundReader(path, salvage=True)
        there = np.concatenate([block.copy() for block in killed.blocks()], axis=1)
        killed.close()
        assert there.shape[1] > 4 * RATE - 2 * 4096
        np.testing.assert_allclose(there[0], audio[: there.shape[1], 0], atol=2**-23)
    recorder.close()


def test_recording_to_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot record to"):
        Recorder(tmp_path / "file" / "folder", RATE, 1, delay=0)


def device(name: str, host_api: str = "ALSA", inputs: int = 1, outputs: int = 0, **options: object) -> Device:
    return Device(name, host_api, 0, inputs, outputs, RATE, (0.01, 0.01), (0.1, 0.1), **options)  # type: ignore[arg-type]


def test_promise_21_devices_by_part_of_their_name() -> None:
    found = [device("USB Audio: front"), device("USB Audio: rear"), device("Built-in", default_input=True)]
    assert choose("rear", INPUT, found).name == "USB Audio: rear"
    assert choose("usb audio: FRONT", INPUT, found).name == "USB Audio: front"
    assert choose(None, INPUT, found).name == "Built-in"
    with pytest.raises(UsageError, match=r"'usb' fits 2 input devices.*USB Audio: front, ALSA; USB Audio: rear, ALSA"):
        choose("usb", INPUT, found)
    with pytest.raises(UsageError, match=r"no input device has 'x1' in its name; there are: USB Audio: front"):
        choose("x1", INPUT, found)
    with pytest.raises(UsageError, match=r"no sound output"):
        choose(None, OUTPUT, found)
    assert table(found)[3].startswith(">   Built-in")


def test_promise_21_one_device_under_several_host_apis_is_no_ambiguity() -> None:
    long = "Microphone (A very long name of a device)"
    found = [device(long[:31], "MME"), device(long, "Windows DirectSound"), device(long, "Windows WASAPI")]
    assert choose("microphone", INPUT, found).host_api == "Windows WASAPI"
    assert choose(f"{long}, windows directsound", INPUT, found).host_api == "Windows DirectSound"


@pytest.mark.parametrize(
    ("release", "command"),
    [
        ("ID=debian", "sudo apt install libportaudio2"),
        ('ID=linuxmint\nID_LIKE="ubuntu debian"', "sudo apt install libportaudio2"),
        ("ID=fedora", "sudo dnf install portaudio"),
        ('ID="opensuse-leap"\nID_LIKE="suse opensuse"', "sudo zypper install libportaudio2"),
        ("ID=unheard-of", "package manager"),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="the names are of Linux distributions")
def test_promise_23_how_portaudio_is_installed(tmp_path: Path, release: str, command: str) -> None:
    (tmp_path / "os-release").write_text(release)
    assert command in install_command(tmp_path / "os-release")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere PortAudio comes with sounddevice")
def test_promise_23_portaudio_missing_is_one_line() -> None:
    code = (
        "import ctypes.util, sys; ctypes.util.find_library = lambda name: None; "
        "from apps.cli import main; sys.exit(main(['live']))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("mpeace: live sound needs PortAudio, which is not installed: ")


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler") or os.geteuid() != 0, reason="needs Linux, and root for it")
def test_promise_20_a_thread_gets_real_time_priority_and_no_other_does() -> None:
    def work() -> None:
        raise_thread_priority()
        found.append(os.sched_getscheduler(0))

    found: list[int] = []
    raise_thread_priority()  # in the main thread: nothing
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
    wanted = os.SCHED_RR | os.SCHED_RESET_ON_FORK
    try:
        os.sched_setscheduler(0, wanted, os.sched_param(os.sched_get_priority_min(os.SCHED_RR)))
    except OSError:
        wanted = os.SCHED_OTHER  # a container may forbid it
    else:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    assert found == [wanted]


@pytest.mark.parametrize("value", ["-0.1", "1.5", "nan"])
def test_promise_12_a_mix_that_is_none(value: str) -> None:
    ended = mpeace("live", "--mix", value)
    assert ended.status == 2
    assert ended.problems == [f"mpeace: --mix {value}: expected a number from 0 (the input) to 1 (denoised)"]


def test_promise_12_mix_and_limit_are_those_of_files(shipped_denoiser: Denoiser) -> None:
    noisy = read(ROOT / "tests" / "data" / "noisy.flac")
    out = through(path := make_path(shipped_denoiser, mix=0.7, attenuation_limit_db=12.0), noisy[0])
    file = shipped_denoiser.denoise(noisy[0], RATE, mix=0.7, attenuation_limit_db=12.0)
    np.testing.assert_allclose(out[path.latency_samples :], file[: len(out) - path.latency_samples], atol=1e-4)


@pytest.mark.parametrize("text", ["0", "-1", "fast", "nan", "3"])
def test_latency_that_is_none(text: str) -> None:
    ended = mpeace("live", "--latency", text)
    assert ended.status == 2
    assert ended.problems == [f"mpeace: --latency is low, safe, or seconds up to 2, not {text}"]
    assert parse("0.08").split(fixed=0.02, parts=3).device == pytest.approx(0.02)
    assert parse("0.01").split(fixed=0.02, parts=2).device == 0
    assert parse("safe").split(fixed=0.02, parts=2) == parse("safe")


def test_bursts_are_found_in_noise_and_not_in_nothing() -> None:
    signal = bursts(44_100)
    noise = np.random.default_rng(0).normal(0, 0.02, len(signal)).astype(np.float32)
    found = find_bursts(0.1 * np.roll(signal, 2205) + noise * 0.1, signal, 44_100)
    assert found.median == pytest.approx(0.05, abs=1e-4)
    with pytest.raises(FileError, match="0 of 5 bursts came back"):
        find_bursts(noise, signal, 44_100)


def test_promise_24_each_system_has_its_words() -> None:
    assert "BlackHole" in " ".join(guide("macOS"))
    assert "CABLE Output" in " ".join(guide("Windows"))
    assert "libasound2-plugins" in " ".join(guide("Linux"))
