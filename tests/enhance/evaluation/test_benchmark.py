"""`python -m enhance.benchmark`: that it measures what it says, never how fast the machine is."""

import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tiny_model import TINY_METADATA, write_tiny_model

from enhance import Denoiser, benchmark, list_models
from enhance.evaluation import peers
from enhance.evaluation import speed as speeds


def test_everybody_is_measured_in_the_same_run(tiny_denoiser):
    measured = speeds.measure_speed(tiny_denoiser, speeds.speech_like(1.0), repeats=1)
    systems = {speed.system for speed in measured}
    assert any(name.startswith("RNNoise") for name in systems)
    own = [speed for speed in measured if speed.system == "mpeace tiny-delay"]
    assert [speed.mode for speed in own] == ["whole file", "blocks of 1 s", speeds.HOP_BY_HOP]
    assert own[2].ratio == 1
    for speed in measured:
        assert speed.rtf >= 0
        if speed.mode == speeds.HOP_BY_HOP:
            p50, p95, p99 = (value or 0 for value in (speed.p50, speed.p95, speed.p99))
            assert 0 < p50 <= p95 <= p99


def test_a_model_for_files_stands_beside_that_of_streams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speeds, "PEERS", [])
    far = Denoiser(write_tiny_model(tmp_path / "far.onnx", TINY_METADATA | {"block": "20"}))
    measured = speeds.measure_speed(far, speeds.speech_like(1.0), repeats=1)
    assert {speed.mode for speed in measured} == {speeds.WHOLE_FILE}
    assert [speed.system for speed in measured] == ["mpeace tiny-delay", f"mpeace {list_models()[0].name}"]
    assert measured[1].ratio == 1


def test_times_are_those_of_the_calls():
    """Four calls that sleep 5 ms: no CPU, 5 ms each (and never less)."""

    def sleep(audio: np.ndarray) -> None:
        assert audio.shape == (480,)
        time.sleep(0.005)

    cpu, times = speeds.time_calls(speeds.Contender("sleeper", "hop by hop", 480, sleep), np.zeros(2000, np.float32))
    assert times.shape == (4,)
    assert times.min() >= 5e6
    assert cpu < 0.015


@pytest.mark.parametrize("peer", peers.PEERS)
def test_peers_denoise(peer):
    """The peer that is timed really works: white noise comes out at least 6 dB lower."""
    try:
        _, hop = peer()
    except ImportError as error:
        pytest.skip(f"needs a package that is left out of the extra: {error}")
    rng = np.random.default_rng(0)
    levels = []
    for _ in range(200):
        noise = (0.05 * rng.standard_normal(peers.HOP)).astype(np.float32)
        levels.append((np.mean(noise**2), np.mean(hop(noise) ** 2)))
    before, after = np.mean(levels[100:], axis=0)
    assert 10 * np.log10(after / before) < -6


def test_peak_memory_is_that_of_the_command_and_not_of_this_process():
    ballast = np.ones(25_000_000)  # 200 MB here
    small = benchmark.peak_memory([sys.executable, "-c", "pass"])
    large = benchmark.peak_memory([sys.executable, "-c", "ballast = b'x' * 300_000_000"])
    assert ballast.nbytes == 200e6
    assert small < 100e6
    assert 300e6 < large < 400e6


def test_a_command_that_fails_is_an_error():
    with pytest.raises(RuntimeError, match="failed with status 3: broken"):
        benchmark.peak_memory([sys.executable, "-c", "import sys; print('broken', file=sys.stderr); sys.exit(3)"])


def test_tables_and_figures_are_written(tiny_model, tmp_path, capsys):
    out = tmp_path / "out" / "speed.md"
    command = ["--model", str(tiny_model), "--parts", "speed", "--seconds", "1", "--repeats", "1", "--out", str(out)]
    assert benchmark.main(command) == 0
    assert out.read_text() in capsys.readouterr().out
    content = json.loads(out.with_suffix(".json").read_text())
    assert content["versions"].keys() >= {"python", "onnxruntime", "pyrnnoise"}
    assert content["machine"] in out.read_text()
    assert speeds.load_speeds(out.with_suffix(".json"))[2].mode == speeds.HOP_BY_HOP
    with pytest.raises(ValueError, match="expected the JSON of a benchmark"):
        speeds.load_speeds(out)


def test_bad_arguments_are_refused_in_one_line(tmp_path, tiny_model, capsys):
    assert benchmark.main(["--model", str(tmp_path / "none.onnx"), "--parts", "speed"]) == 1
    assert benchmark.main(["--model", str(tiny_model), "--parts", "speed", "--repeats", "0"]) == 1
    assert benchmark.main(["--model", str(tiny_model), "--parts", "speed", "--audio", str(tmp_path / "none.wav")]) == 1
    for seconds in ("nan", "inf"):
        assert benchmark.main(["--model", str(tiny_model), "--parts", "speed", "--seconds", seconds]) == 1
    errors = capsys.readouterr().err.strip().splitlines()
    assert len(errors) == 5
    assert all(line.startswith("enhance.benchmark: ") for line in errors)


def test_the_command_line_is_measured_as_it_is(tiny_model, tmp_path):
    """The real command on short files: every figure is there and has the size that it must have."""
    command = [sys.executable, "-m", "apps.cli"]
    figures = benchmark.measure_jobs(command, str(tiny_model), tmp_path, repeats=1, seconds=2)
    figures += benchmark.measure_memory(command, str(tiny_model), tmp_path, seconds=10)
    figures += benchmark.measure_start(command, str(tiny_model), tmp_path, repeats=1)
    values = {figure.name: figure.value for figure in figures}
    one, two, ratio, peak, long, start, first = values.values()
    assert ratio == pytest.approx(one / two)
    assert 20 < peak < 2000  # MB: more than Python alone, less than a mistake of the unit
    assert min(one, two, long, start, first) > 0
    for index in range(benchmark.JOB_FILES):
        assert (tmp_path / "out_0_2" / f"{index}.wav").exists()
    assert (tmp_path / "long_denoised.wav").stat().st_size == (tmp_path / "long.wav").stat().st_size


def test_a_command_without_output_has_no_first_sample(tmp_path):
    with pytest.raises(RuntimeError, match="failed with status"):
        benchmark.measure_start([sys.executable, "-c", "pass"], None, tmp_path, repeats=1)


def test_the_share_around_the_network_is_told_for_each_format(tmp_path: Path, tiny_model: Path) -> None:
    figures = benchmark.measure_files(str(tiny_model), tmp_path, repeats=1, seconds=1)
    names = [figure.name for figure in figures]
    assert names[:2] == ["FLAC, 1 s, CPU time", "FLAC, share around the network"]
    assert {"MP3, 1 s, CPU time", "FLAC at 44.1 kHz, 1 s, CPU time"} < set(names)
    assert all(figure.value > 0 for figure in figures)
