"""`mpeace live` on real virtual devices: the result, the delay, the keys' effects, and what may go wrong."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from command import ROOT, mpeace, read
from helpers import si_sdr_db
from livecommand import (
    LATER,
    LONG,
    ROOMY,
    Live,
    find,
    heard_delay_ms,
    recordings,
    repeated,
    reported_delay_ms,
    running,
    shifts,
)
from soundserver import PULSEAUDIO, RATE, Cable, SoundServer

from enhance import list_models

pytestmark = pytest.mark.sound

ROOMY_PAIR = ("--latency", "0.4")  # shared by three
SERVERS_OWN = 10  # samples that the server's virtual sink may shift when it moves its own buffers
SETTLED = 10  # seconds after which the server has found the size of its buffers, and shifts no sound any more
SECONDS = float(os.environ.get("MPEACE_LIVE_SECONDS", "30"))  # 300 and 1800 are the long runs


@pytest.fixture(scope="module")
def noisy() -> np.ndarray:
    """Five seconds of a noisy voice, [samples] at 48 kHz."""
    return read(ROOT / "tests" / "data" / "noisy.flac")[0]


@pytest.mark.long
def test_the_result_is_that_of_the_file_path_and_nothing_is_lost(
    server: SoundServer, noisy: np.ndarray, tmp_path: Path
) -> None:
    """Promises 20 and 25: no sample lost or changed, no xrun, memory flat; further tries if the machine is busy."""
    for attempt in range(4):
        folder = tmp_path / str(attempt)
        with (
            Cable(server, repeated(noisy, SECONDS + 15)) as cable,
            Live(server, "-i", "headset", "-o", "headset", "--record", "--folder", folder, *ROOMY) as live,
        ):
            live.until(lambda status: status["seconds"] > 5)
            before = resident(live.process.pid)
            last = live.until(lambda status: status["seconds"] > SECONDS, SECONDS + LATER)
            grown, load = resident(live.process.pid) - before, os.getloadavg()[0]
            assert live.stop() == 130
        given, out = recordings(folder)
        heard, played = read(given)[0], read(out)[0]
        assert len(heard) == len(played)
        middle = slice(SETTLED * RATE, (SETTLED + 4) * RATE)
        begin = find(heard[middle], cable.heard)
        end = find(played[middle], cable.out, begin, RATE)
        heard, played = heard[middle.start :], played[middle.start :]
        lost_in, lost_out = shifts(heard, cable.heard, begin), shifts(played, cable.out, end)
        lost = (last["xruns"], last["skipped"], last["repaired"])
        assert mpeace("denoise", given, "-o", folder / "file.flac", "--model", list_models()[0].name).status == 0
        fidelity = si_sdr_db(played, read(folder / "file.flac")[0][middle.start :])
        print(
            f"{len(heard) / RATE:.0f} s: samples shifted in {lost_in}, out {lost_out}; "
            f"delay {1000 * (end - begin) / RATE:.1f} ms, told {last['latency_ms']['total']}; "
            f"frame {last['frame_ms']} at a load of {load:.1f}; xruns, skipped, repaired {lost}; "
            f"SI-SDR to the file {fidelity:.1f} dB; memory +{grown / 2**20:.1f} MiB"
        )
        if not lost_in and sum(map(abs, lost_out)) <= SERVERS_OWN and not any(lost):
            break
    assert lost_in == []
    assert sum(map(abs, lost_out)) <= SERVERS_OWN
    assert lost == (0, 0, 0)
    assert fidelity > 40
    assert grown < 4 * 2**20
    assert last["frame_ms"]["p99"] < 10, "in time; 3 ms are the aim, which depends on the processor"


@pytest.mark.long
def test_promise_25_the_delay_is_what_is_shown(server: SoundServer, noisy: np.ndarray) -> None:
    """Within 10 ms at low latency; the best of three, as the server's own buffers grow when the machine is busy."""
    heard, told = np.inf, 0.0
    for _ in range(3):
        with Cable(server, repeated(noisy, LONG)) as cable, Live(server, "-i", "headset", "-o", "headset") as live:
            last = live.until(lambda status: status["seconds"] > 9, LATER + 9)
            live.stop()
        heard, told = heard_delay_ms(cable), reported_delay_ms(live)
        print(f"delay {heard:.1f} ms, told {told:.1f}")
        if abs(heard - told) <= 10:
            break
    assert abs(heard - told) <= 10
    assert last["latency_ms"]["algorithm"] + last["latency_ms"]["buffer"] <= 30


@pytest.mark.long
@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_other_rates(server: SoundServer, noisy: np.ndarray, tmp_path: Path, rate: int) -> None:
    """Nearly what the file path gives; the best of three if the machine is so busy that sound passes undenoised."""
    folder = tmp_path
    for attempt in range(3):
        folder = tmp_path / str(attempt)
        options = ("--sample-rate", rate, "--record", "--folder", folder, "--latency", 0.25)
        with (
            Cable(server, repeated(noisy, LONG)) as cable,
            Live(server, "-i", "headset", "-o", "headset", *options) as live,
        ):
            last = live.until(lambda status: status["seconds"] > 9, LATER + 9)
            live.stop()
        apart = abs(heard_delay_ms(cable) - reported_delay_ms(live))
        if not last["skipped"] and not last["xruns"] and apart <= 40:
            break
    given, out = recordings(folder)
    played = read(out)[0]
    assert mpeace("denoise", given, "-o", folder / "file.flac", "--model", list_models()[0].name).status == 0
    settled = slice(5 * rate, None)
    # The hops of the network lie elsewhere when the recording is denoised, and files are resampled by longer filters.
    fidelity = si_sdr_db(played[settled], read(folder / "file.flac")[0][settled])
    print(f"{rate} Hz: delay {last['latency_ms']}, SI-SDR to the file {fidelity:.1f} dB, skipped {last['skipped']}")
    assert fidelity > 20
    assert (last["sample_rate"], last["xruns"]) == (rate, 0)
    assert last["latency_ms"]["algorithm"] <= 30
    assert apart <= 40  # the server resamples, and tells less


@pytest.mark.long
def test_two_devices_are_kept_together(server: SoundServer, noisy: np.ndarray) -> None:
    """The delay after 20 seconds is what is told; the best of three if the machine is busy."""
    for _ in range(3):
        with (
            Cable(server, repeated(noisy, LONG)) as cable,
            Live(server, "-i", "test_mic", "-o", "test_speaker", *ROOMY_PAIR) as live,
        ):
            last = live.until(lambda status: status["seconds"] > 20, LATER + 20)
            live.stop()
        apart = abs(heard_delay_ms(cable) - reported_delay_ms(live))
        if apart <= 40 and not last["xruns"]:
            break
    assert apart <= 40
    assert last["latency_ms"]["buffer"] > 0
    assert last["xruns"] == 0


@pytest.mark.long
def test_two_devices_go_on_after_the_program_was_held_up(server: SoundServer, noisy: np.ndarray) -> None:
    """For half a second, twice: the voice is heard again, the queue is hardly longer, what the device adds is told."""
    with Cable(server, repeated(noisy, LONG)) as cable, Live(server, "-i", "test_mic", "-o", "test_speaker") as live:
        live.until(running)
        before = live.until(lambda status: status["seconds"] > 5)
        for _ in range(2):
            os.kill(live.process.pid, signal.SIGSTOP)
            time.sleep(0.5)
            os.kill(live.process.pid, signal.SIGCONT)
            time.sleep(2)
        seconds = live.statuses[-1]["seconds"]
        last = live.until(lambda status: status["seconds"] > seconds + 6)
        live.stop()
    delay, told = heard_delay_ms(cable), reported_delay_ms(live)
    xruns = last["xruns"] - before["xruns"]
    print(f"told before {before['latency_ms']}, after {last['latency_ms']}, heard {delay:.1f}; {xruns} xruns")
    assert last["output_rms"] > -60
    part = slice(-5 * RATE, -2 * RATE)
    assert np.sqrt(np.mean(cable.out[part] ** 2)) > 0.1 * np.sqrt(np.mean(cable.heard[part] ** 2))
    assert abs(delay - told) <= 40
    assert last["latency_ms"]["buffer"] - before["latency_ms"]["buffer"] <= 4 * xruns + 0.1


@pytest.mark.long
@pytest.mark.parametrize(("source", "target"), [("headset", "headset"), ("test_mic", "test_speaker")])
def test_the_delay_that_is_aimed_at(server: SoundServer, noisy: np.ndarray, source: str, target: str) -> None:
    for _ in range(3):  # a busy machine lets buffers run low once
        with (
            Cable(server, repeated(noisy, LONG)) as cable,
            Live(server, "-i", source, "-o", target, "--latency", 0.2) as live,
        ):
            live.until(lambda status: status["seconds"] > 7, LATER + 7)
            live.stop()
        heard, told = heard_delay_ms(cable), reported_delay_ms(live)
        print(f"aimed at 200 ms, told {told:.1f}, heard {heard:.1f}")
        if max(abs(told - 200), abs(heard - 200)) <= 40:
            break
    assert abs(told - 200) <= 40
    assert abs(heard - 200) <= 40


def test_devices_of_the_sound_server_by_name(server: SoundServer, noisy: np.ndarray) -> None:
    """Sinks and sources that PortAudio does not list are found under the server's own names."""
    with Cable(server, repeated(noisy, LONG)) as cable, Live(server, "-i", "mic", "-o", "speaker", *ROOMY_PAIR) as live:
        assert live.until(running)["input_rms"] > -60
        live.stop()
    assert np.abs(cable.out).max() > 0.01


def test_an_input_of_more_channels_than_the_output(server: SoundServer) -> None:
    for name, channels in (("wide", 4), ("narrow", 1)):
        server.pactl("load-module", "module-null-sink", f"sink_name={name}", "rate=48000", f"channels={channels}")
    for channels in (4, 2):
        options = ("-i", "wide.monitor", "-o", "narrow", "--channels", channels)
        with Live(server, *options, *ROOMY_PAIR) as live:
            assert live.until(running)["channels"] == channels
            live.stop()
        assert live.messages == []


@pytest.mark.long
def test_promise_21_a_device_that_vanishes_is_waited_for(
    server: SoundServer, noisy: np.ndarray, tmp_path: Path
) -> None:
    # What came by a device of ALSA, PipeWire moves to a sink of its own, and back; only its own names are missed.
    source, target = ("headset", "headset") if server.kind == PULSEAUDIO else ("mic", "speaker")
    with Live(server, "-i", source, "-o", target, "--record", "--folder", tmp_path, *ROOMY) as live:
        live.until(running)
        server.unplug()
        waiting = live.until(lambda status: status["state"] != "running")
        server.plug_in()
        with Cable(server, repeated(noisy, LONG)):
            again = live.until(lambda status: status["state"] == "running" and status["input_rms"] > -60)
        assert live.stop() == 130
    assert any("has vanished; waiting" in message for message in live.messages)
    assert any("is back" in message for message in live.messages)
    assert again["seconds"] > waiting["seconds"]
    assert np.abs(read(recordings(tmp_path)[1])).max() > 0.01


def test_promise_21_a_sink_of_the_server_that_vanishes_is_waited_for(server: SoundServer) -> None:
    """The server would move the sound to another sink, here the virtual microphone's own, and say nothing."""
    server.pactl("load-module", "module-null-sink", "sink_name=other", "rate=48000")
    with Live(server, "-i", "mic", "-o", "other", *ROOMY_PAIR) as live:
        live.until(running)
        number = next(
            line.split()[0]
            for line in server.pactl("list", "short", "modules").splitlines()
            if "sink_name=other" in line
        )
        server.pactl("unload-module", number)
        live.until(lambda status: status["state"] != "running")
        server.pactl("load-module", "module-null-sink", "sink_name=other", "rate=48000")
        live.until(lambda status: status["state"] == "running")
        assert live.stop() == 130


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_leaves_no_process_and_a_valid_recording(
    server: SoundServer, noisy: np.ndarray, tmp_path: Path, number: int, status: int
) -> None:
    with (
        Cable(server, repeated(noisy, LONG)),
        Live(server, "-i", "headset", "-o", "headset", "--record", "--folder", tmp_path, *ROOMY) as live,
    ):
        live.until(lambda line: line["recorded_seconds"] > 2)
        group = live.process.pid
        assert live.stop(number) == status
    with pytest.raises(ProcessLookupError):
        os.killpg(group, 0)
    given, out = recordings(tmp_path)
    assert read(given).shape == read(out).shape
    assert read(given).shape[1] > 2 * RATE
    assert "recorded" in live.stderr
    assert "Traceback" not in live.stderr


@pytest.mark.long
def test_promise_20_another_process_hogs_a_core(server: SoundServer, noisy: np.ndarray) -> None:
    hog = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        for _ in range(2):  # a second try if the machine is busy anyway
            with Cable(server, repeated(noisy, LONG)), Live(server, "-i", "headset", "-o", "headset", *ROOMY) as live:
                live.until(running)
                last = live.until(lambda status: status["seconds"] > 10, LATER + 10)
                live.stop()
            if not last["xruns"]:
                break
    finally:
        hog.kill()
        hog.wait()
    print(f"with a hog: xruns {last['xruns']}, frame {last['frame_ms']}")
    assert last["xruns"] == 0


def test_promise_22_a_silent_microphone_is_explained(server: SoundServer) -> None:
    with Live(server, "-i", "headset", "-o", "headset", *ROOMY) as live:
        live.until(lambda status: any("exact silence" in message for message in status["messages"]))
        live.stop()
    assert any("pactl set-source-mute" in message for message in live.messages)


def resident(process: int) -> int:
    """Bytes of memory that a process holds."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
