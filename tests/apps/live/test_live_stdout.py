"""`mpeace live --stdout` on a real virtual microphone: another program reads the clean voice as samples."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from command import ROOT, mpeace, read
from helpers import si_sdr_db
from livecommand import LATER, LONG, find, repeated
from readme import readme_line, run_in_shell
from soundserver import Cable, SoundServer

from apps.live.devices.devices import Device
from apps.live.engine.latency import Latency
from apps.live.engine.lost_sound import LostSound
from apps.live.engine.ring_buffer import Ring
from apps.live.session.session import LiveSettings
from apps.live.ui import run_stdout as stdout_module
from apps.live.ui.json_log import Log
from apps.live.ui.run_stdout import run_stdout
from enhance import Denoiser
from enhance.dsp.resampling import resample
from enhance.io.pipes.raw_pcm import to_bytes
from enhance.utils.errors import UsageError

pytestmark = pytest.mark.sound

RATE = 16_000  # what a voice assistant asks of its --mic-command


@pytest.fixture(scope="module")
def noisy() -> np.ndarray:
    return read(ROOT / "tests" / "data" / "noisy.flac")[0]


def started(
    server: SoundServer, *arguments: object, source: str = "test_mic", reader: int = subprocess.PIPE
) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "apps.cli", "live", "--stdout", "-i", source, *map(str, arguments)]
    environment = {**server.environment, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, env=environment, stdout=reader, stderr=subprocess.PIPE)


def test_a_reader_gets_the_voice_that_a_file_of_it_gives(server: SoundServer, noisy: np.ndarray) -> None:
    """The best of three, as sound passes as it came while the machine is too busy."""
    fidelity = -np.inf
    for _ in range(3):
        with Cable(server, repeated(noisy, LONG)) as cable:
            process = started(server, "--sample-rate", RATE, "--latency", 0.2)
            assert process.stdout is not None
            data = process.stdout.read(2 * 9 * RATE)
            process.send_signal(signal.SIGINT)
            stderr = process.communicate(timeout=300)[1].decode()
        assert process.returncode == 130
        assert "s16le:16000:1, 24.0 ms late beside the device" in stderr
        heard = np.frombuffer(data, "<i2") / np.float32(32768)
        expected = Denoiser().denoise(resample(cable.heard[None], 48_000, RATE)[0], RATE)
        part = heard[4 * RATE : 8 * RATE]
        start = find(part, expected)
        fidelity = max(fidelity, si_sdr_db(part, expected[start : start + len(part)]))
        if fidelity > 15:
            break
    assert fidelity > 15


def test_it_ends_in_peace_with_its_reader(server: SoundServer) -> None:
    process = started(server)
    assert process.stdout is not None
    assert len(process.stdout.read(4800)) == 4800
    process.stdout.close()
    assert process.wait(60) == 0
    assert process.stderr is not None
    lines = process.stderr.read().decode().splitlines()
    assert len(lines) == 1
    assert "s16le:48000:1, 20.0 ms late" in lines[0]


def test_a_program_reads_it_as_the_readme_says(server: SoundServer, tmp_path: Path) -> None:
    """The line of the README as it stands."""
    run_in_shell(readme_line("mpeace live --stdout"), tmp_path, server.environment, PROGRAM="head -c 4800 > voice.raw")
    assert (tmp_path / "voice.raw").stat().st_size == 4800


def test_a_microphone_that_vanishes_is_waited_for(server: SoundServer) -> None:
    process = started(server, "--sample-rate", RATE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(RATE)
    server.unplug()
    time.sleep(2)
    server.plug_in()
    try:
        assert len(process.stdout.read(12 * RATE)) == 12 * RATE  # six seconds, the pipe holds two: it has gone on
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=300)
    assert process.returncode == 143


def test_promise_21_a_named_microphone_that_vanishes_is_waited_for(
    server: SoundServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server moves the stream to another microphone, where nobody knows of being heard. --status says it, too."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", server.environment["XDG_RUNTIME_DIR"])  # for --status, in this process

    def plugged_in() -> str:
        return server.pactl("load-module", "module-null-sink", "sink_name=studio", "rate=48000").strip()

    module = plugged_in()
    process = started(server, "--latency", 0.2, source="studio.monitor", reader=subprocess.DEVNULL)
    assert process.stderr is not None
    end = threading.Timer(2 * LATER, process.kill)
    end.start()
    try:
        lines = (line.decode() for line in process.stderr)
        assert any("s16le:48000:1" in line for line in lines)
        deadline = time.monotonic() + LATER
        while (state := mpeace("live", "--status")).status and time.monotonic() < deadline:
            time.sleep(0.2)
        assert re.match(r"running: Monitor of .* -> standard output, 48 kHz, model \w+, delay ", state.stdout)
        time.sleep(5)  # the server has been asked once, and is asked every three seconds
        server.pactl("unload-module", module)
        assert any("has vanished; waiting for it to come back" in line for line in lines)
        module = plugged_in()
        assert any("is back" in line for line in lines)
        process.send_signal(signal.SIGTERM)
        assert process.wait(LATER) == 143
        assert mpeace("live", "--status").status == 3
    finally:
        end.cancel()
        process.kill()
        process.wait()
        server.pactl("unload-module", module)


def test_promise_20_what_holds_up_the_start_changes_no_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a busy machine a thread without priority, as the main one, takes several times as long as the callback."""
    step = Denoiser.step

    def held_up(self: Denoiser, block: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if threading.current_thread() is threading.main_thread():
            time.sleep(0.02)
        return step(self, block, state)

    def no_reader(_: float) -> None:
        raise BrokenPipeError

    microphone = Device("Mic", "ALSA", 0, 1, 0, RATE, (0.01, 0.01), (0.01, 0.01))
    link = SimpleNamespace(
        **{"active": True, "stalled": 0.0, "algorithm": 0.02, "xruns": 0, "lost_in": LostSound(RATE)},
        latency=lambda: Latency(0.02, 0.0, 0.01),
        close=lambda: None,
    )
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(Denoiser, "step", held_up)
    monkeypatch.setattr(stdout_module.portaudio, "load", lambda: None)
    monkeypatch.setattr(stdout_module.devices, "list_devices", lambda: [microphone])
    monkeypatch.setattr(stdout_module, "InputLink", lambda *_: link)
    monkeypatch.setattr(stdout_module, "be_quick", lambda: None, raising=False)
    monkeypatch.setattr(stdout_module, "time", SimpleNamespace(sleep=no_reader))
    assert run_stdout(LiveSettings(source="Mic")) == 0
    assert capsys.readouterr().err == "mpeace: Mic: s16le:48000:1, 20.0 ms late beside the device\n"


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of Windows cannot be asked whether they have room")
def test_a_reader_who_pauses_holds_up_nothing_but_its_own_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    """While it pauses the microphone is looked after, and `--status` answered; then it gets what was kept."""
    ours, theirs = os.pipe()
    queue = Ring(2, 60_000)  # 240 kB; the pipe takes 64
    sound = np.random.default_rng(0).uniform(-1, 1, (60_000, 2)).astype(np.float32)
    queue.write(sound)
    with os.fdopen(theirs, "wb") as pipe, os.fdopen(ours, "rb") as reader:
        monkeypatch.setattr("sys.stdout", pipe)
        writing = threading.Thread(target=stdout_module._write, args=(queue, 2), daemon=True)
        writing.start()
        writing.join(10)
        held_up, read = writing.is_alive(), b""
        while len(read) < 4 * len(sound):
            read += reader.read1(4096)
            if not held_up:
                stdout_module._write(queue, 2)
        writing.join()
    assert not held_up
    assert read == to_bytes(sound, "PCM_16")


@pytest.mark.parametrize("arguments", [("-o", "speaker"), ("--record",), ("--monitor", "speaker")])
def test_what_makes_no_sense_beside_it_is_one_line(arguments: tuple[str, ...]) -> None:
    ended = mpeace("live", "--stdout", *arguments)
    assert ended.status == 2
    assert "and --stdout are two things: the sound goes to the reader alone" in ended.stderr
    assert ended.stderr.count("\n") == 1


def a_log() -> Log:
    return Log(SimpleNamespace(status=lambda: SimpleNamespace(as_dict=dict)))  # type: ignore[arg-type]


def test_a_closed_output_is_no_reader_and_no_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of `>&-`, and of Windows' pythonw."""
    log = a_log()
    monkeypatch.setattr("sys.stdout", None)
    with pytest.raises(UsageError, match="standard output is closed; --stdout wants a reader"):
        run_stdout(LiveSettings())
    assert log.update()


def test_a_log_that_was_held_up_goes_on_at_one_line_a_second(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As by a stopped process: what it has missed does not come all at once."""
    now = [0.0]
    monkeypatch.setattr("apps.live.ui.json_log.time.monotonic", lambda: now[0])
    log = a_log()
    for moment in (0.0, 0.5, 1.0, 61.3, 61.4, 61.5, 62.0, 62.1):
        now[0] = moment
        assert log.update()
    assert capfd.readouterr().out.count("\n") == 4


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of Windows cannot be asked whether they have room")
def test_a_reader_of_the_log_who_pauses_holds_up_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `mpeace live --no-ui | less`: recordings lost what came meanwhile, and signals were not obeyed."""
    now, words = [0.0], ["first"]
    monkeypatch.setattr("apps.live.ui.json_log.time.monotonic", lambda: now[0])

    def status() -> SimpleNamespace:
        told = {"messages": words.copy(), "recording": "\udce9", "filling": "Ü" * 3000}
        words.clear()
        return SimpleNamespace(as_dict=lambda: told)

    log = Log(SimpleNamespace(status=status))  # type: ignore[arg-type]

    def run() -> None:
        for _ in range(60):
            now[0] += 1
            assert log.update()
        through.set()

    through = threading.Event()
    ours, theirs = os.pipe()
    with os.fdopen(theirs, "w", encoding="latin-1") as pipe, os.fdopen(ours, "rb") as reader:
        monkeypatch.setattr("sys.stdout", pipe)
        threading.Thread(target=run, daemon=True).start()
        assert through.wait(5)
        words.append("meanwhile")
        read = b""
        while b"meanwhile" not in read or not read.endswith(b"\n"):
            read += reader.read1(65536)
            now[0] += 1
            assert log.update()
    lines = [json.loads(line) for line in read.splitlines()]
    assert [message for line in lines for message in line["messages"]] == ["first", "meanwhile"]
    assert {(line["recording"], line["filling"]) for line in lines} == {("\udce9", "Ü" * 3000)}


def test_a_reader_of_the_log_who_goes_away_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `mpeace live --no-ui | head -2`: the session is closed in order, and nothing fails at the program's end."""
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "w") as pipe:
        monkeypatch.setattr("sys.stdout", pipe)
        assert not a_log().update()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_a_full_disk_ends_the_log_and_not_the_sound(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        monkeypatch.setattr("sys.stdout", full)
        assert a_log().update()
    assert capsys.readouterr().err == "mpeace: the log ends: no space left on device\n"


def test_a_terminal_is_no_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdout", Terminal())
    with pytest.raises(UsageError, match="standard output is this terminal; --stdout wants a reader"):
        run_stdout(LiveSettings())
