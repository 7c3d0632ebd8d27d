"""Try to break it: kills, damaged files, full disks, long files. `python tests/reliability.py` takes hours, outside CI.

Each part counts what went wrong, and writes its line of `checkpoints/evaluation/reliability.md` and the counts beside
it (`reliability.json`); parts that are not asked for keep the lines that they have. `--part kills --times 10` is a
quick look. Needs a checkout and, for live sound, PulseAudio.
"""

import argparse
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from apps.batch.workers import run_in_processes  # noqa: E402
from enhance.io.options import DenoiseOptions  # noqa: E402
from enhance.io.task import PARTIAL, Outcome, Task  # noqa: E402
from enhance.reporting.markdown import markdown_table  # noqa: E402
from enhance.utils.atomic import write_text  # noqa: E402
from enhance.utils.environment import machine  # noqa: E402
from enhance.utils.interrupt import Stopper  # noqa: E402

REPORT = ROOT / "checkpoints" / "evaluation" / "reliability.md"
RATE = 48_000
KINDS = ("wav", "flac", "ogg", "opus", "mp3", "aiff", "caf", "w64", "au", "m4a", "mkv")
MINUTES = (1, 10, 60, 180)
HEADER = ("what", "times", "went wrong", "figures", "commit")
TITLE = """Reliability: what was tried, how often, and how often it went wrong. Written by
`python tests/reliability.py`, each line when its part was run last, at the commit named in it."""
Row = tuple[str, int, int, str]
DEADLINE = float("inf")  # time.monotonic() after which a part ends with the counts that it has


def commit() -> str:
    """Return the commit that is tried, marked when the tree differs from it."""
    described = ["git", "describe", "--always", "--dirty", "--exclude", "*"]
    return subprocess.run(described, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def noisy(seconds: float, channels: int = 1) -> np.ndarray:
    """Speech in noise, repeated; float32 [samples, channels]."""
    audio, _ = soundfile.read(ROOT / "tests" / "data" / "noisy.flac", dtype="float32", always_2d=True)
    return np.resize(np.tile(audio, (1, channels)), (round(seconds * RATE), channels))


def start(*arguments: object, **options: Any) -> subprocess.Popen[Any]:
    """Start the command in a process group of its own."""
    command = [sys.executable, "-m", "apps.cli", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **options}
    return subprocess.Popen(command, env=environment, start_new_session=True, **quiet)


def kills(jobs: int, times: int, folder: Path) -> Row:
    """Kill a batch at random moments and let it go on, again and again; every output must be whole, and the right one.

    One kill in two takes the first process only, as the system's out-of-memory killer does; its workers must end too.
    """
    for number in range(8):
        (folder / "in").mkdir(exist_ok=True)
        soundfile.write(folder / "in" / f"{number}.flac", noisy(4 + number), RATE)
    begun = time.monotonic()
    command = ("denoise", folder / "in", "-j", jobs, "-o")
    assert start(*command, folder / "wanted").wait() == 0
    whole = time.monotonic() - begun
    wanted = {path.name: path.read_bytes() for path in (folder / "wanted").iterdir()}
    out, wrong, killed, runs = folder / "out", 0, 0, 0
    while killed < times and time.monotonic() < DEADLINE:
        process = start(*command, out)
        runs += 1
        try:
            process.wait(random.uniform(0, 1.2 * whole))
        except subprocess.TimeoutExpired:
            (os.killpg if killed % 2 else os.kill)(process.pid, signal.SIGKILL)
            process.wait()
            killed += 1
        deadline = time.monotonic() + 60
        while _group_lives(process.pid) and time.monotonic() < deadline:
            time.sleep(0.1)
        if _group_lives(process.pid):  # workers that outlive their parent
            os.killpg(process.pid, signal.SIGKILL)
            wrong += 1
        there = {path.name: path.read_bytes() for path in out.glob("[!.]*")}
        wrong += sum(content != wanted.get(name) for name, content in there.items())
        if len(there) == len(wanted):
            shutil.rmtree(out)
    wrong += start(*command, out).wait() != 0
    wrong += {path.name: path.read_bytes() for path in out.glob("[!.]*")} != wanted
    left = len(list(out.glob(f".*{PARTIAL}")))
    figures = f"{runs} runs; the last one finished the rest; {left} partial files wait for their removal after an hour"
    return f"batch killed, `--jobs {jobs}`", killed, wrong, figures


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def live_kills(times: int, folder: Path) -> Row:
    """Kill `mpeace live --record`; what was recorded must be readable, but for its last seconds."""
    from livecommand import ROOMY, Live, recordings
    from soundserver import SoundServer

    from enhance.io.sound.sound_file import SoundReader

    wrong, killed, started, lost = 0, 0, 0, []
    with SoundServer() as server:
        server.plug_in()
        while killed < times and started < 2 * times and time.monotonic() < DEADLINE:
            started += 1
            place = folder / str(started)
            with Live(server, "-i", "headset", "-o", "headset", "--record", "--folder", place, *ROOMY) as live:
                until = random.uniform(1, 8)
                try:
                    told = live.until(lambda line, until=until: line["recorded_seconds"] > until)["recorded_seconds"]
                except AssertionError:  # the sound server gave nothing: no run to kill
                    continue
                os.killpg(live.process.pid, signal.SIGKILL)
                live.process.wait()
                killed += 1
            for path in recordings(place):
                try:
                    reader = SoundReader(path, salvage=True)
                    seconds = sum(block.shape[1] for block in reader.blocks()) / reader.sample_rate
                    reader.close()
                    lost.append(max(0.0, told - seconds))
                except Exception as error:
                    print(f"{path}: {error}", file=sys.stderr)
                    wrong += 1
    worst = max(lost, default=float("nan"))
    figures = f"the end that is lost: {np.median(lost or [np.nan]):.1f} s in the median, {worst:.1f} s at most"
    figures += f"; {started - killed} of {started} starts got no sound from the server"
    return "`mpeace live --record` killed", killed, wrong, figures


def small_files(folder: Path) -> list[Path]:
    """A third of a second in each kind of file."""
    import av

    files = []
    for kind in KINDS:
        path = folder / f"a.{kind}"
        if kind in ("m4a", "mkv"):
            with av.open(str(path), "w", format="ipod" if kind == "m4a" else "matroska") as out:
                track = out.add_stream("aac", rate=RATE, layout="mono")
                frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(noisy(0.3).T), "fltp", "mono")
                frame.sample_rate = RATE
                out.mux(track.encode(frame))
                out.mux(track.encode(None))
        elif kind == "opus":
            soundfile.write(path, noisy(0.3), RATE, format="OGG", subtype="OPUS")
        else:
            soundfile.write(path, noisy(0.3), RATE)
        files.append(path)
    return files


def fuzz(times: int, folder: Path) -> Row:
    """Denoise mutated files, half of them with --salvage; each must be done or refused in one line."""
    originals = [(path, path.read_bytes()) for path in small_files(folder)]
    rng = np.random.default_rng(int(time.time()))
    counts = {"done": 0, "failed": 0}
    odd: list[str] = []
    with Stopper() as stopper:
        for begin in range(0, times, 200):
            if time.monotonic() > DEADLINE:
                break
            tasks = []
            for number in range(begin, min(begin + 200, times)):
                path, content = originals[number % len(originals)]
                mutated = bytearray(content)
                for place in rng.integers(0, len(content), rng.integers(1, 30)):
                    mutated[place] = rng.integers(256)
                if number % 3 == 0:
                    del mutated[rng.integers(1, len(content)) :]
                source = folder / f"{number}{path.suffix}"
                source.write_bytes(mutated)
                target = folder / f"out-{number}{path.suffix}"
                tasks.append(Task(str(source), str(target), str(folder / f".{number}{PARTIAL}")))

            def done(task: Task, outcome: Outcome) -> None:
                counts[outcome.status] += 1
                if "\n" in outcome.message or "unexpected" in outcome.message or "process that" in outcome.message:
                    odd.append(f"{task.source}: {outcome.message}")
                for path in (task.source, task.target):
                    Path(path).unlink(missing_ok=True)

            options = DenoiseOptions(model="tiny", salvage=begin % 400 == 0)
            run_in_processes(tasks, 1, options, stopper, lambda *_: None, done, {})
    for line in odd:
        print(line, file=sys.stderr)
    left = len(list(folder.glob(f".*{PARTIAL}")))
    figures = f"{len(KINDS)} kinds of files; {counts['done']} denoised, {counts['failed']} refused in one line"
    return "damaged files", sum(counts.values()), len(odd) + left, figures


def full_disks(times: int, folder: Path) -> Row:
    """Denoise onto a disk that is full after some bytes, for which a limit on the size of a file stands."""
    source = folder / "a.wav"
    soundfile.write(source, noisy(6, 2), RATE)
    wrong = tried = 0
    for number in range(times):
        if time.monotonic() > DEADLINE:
            break
        tried += 1
        output = folder / f"out.{('wav', 'flac', 'ogg', 'mp3')[number % 4]}"
        room = random.randrange(40_000)
        limit = lambda room=room: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))  # noqa: E731
        status = start("denoise", source, "-o", output, "--model", "tiny", preexec_fn=limit).wait()
        wrong += status != 1 or output.exists() or bool(list(folder.glob(f".*{PARTIAL}")))
    return "full disks", tried, wrong, "exit status 1, nothing half-written"


def lengths(most: int, folder: Path) -> Row:
    """Denoise files of growing length, up to so many minutes: memory stays, time grows with the length."""
    memory, speed = [], []
    tried = [minutes for minutes in MINUTES if minutes <= most]
    for minutes in tried:
        source = folder / "long.wav"
        with soundfile.SoundFile(source, "w", RATE, 2, "PCM_16") as file:
            for _ in range(minutes):
                file.write(noisy(60, 2))
        process = start("denoise", source, "-o", folder / "out.wav", "--if-exists", "overwrite")
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        memory.append(usage.ru_maxrss / 1024)
        speed.append((usage.ru_utime + usage.ru_stime) / minutes)
    words = [f"{m} min: {mb:.0f} MB, {s:.1f} s of CPU a minute" for m, mb, s in zip(tried, memory, speed, strict=True)]
    wrong = int(max(memory) > 1.3 * min(memory)) + int(max(speed[1:], default=0) > 1.3 * min(speed[1:], default=0))
    return f"stereo of 1 to {tried[-1]} minutes", len(tried), wrong, "; ".join(words)


def parts(times: int | None) -> dict[str, Callable[[Path], Row]]:
    """Return the parts by name; `times` in place of the usual counts."""
    return {
        "kills": lambda folder: kills(1, times or 60, folder),
        "kills-2": lambda folder: kills(2, times or 60, folder),
        "live": lambda folder: live_kills(times or 60, folder),
        "fuzz": lambda folder: fuzz(times or 20_000, folder),
        "disks": lambda folder: full_disks(times or 150, folder),
        "lengths": lambda folder: lengths(times or MINUTES[-1], folder),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run the parts; returns 1 when anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", action="append", choices=list(parts(None)), help="may be repeated; all if absent")
    parser.add_argument(
        "--times", type=int, help="instead of 60 kills, 20,000 damaged files, 150 full disks, 180 minutes"
    )
    parser.add_argument("--minutes", type=float, default=float("inf"), help="after which a part ends with its counts")
    options = parser.parse_args(argv)
    global DEADLINE
    counts = REPORT.with_suffix(".json")
    rows: dict[str, list[Any]] = json.loads(counts.read_text())["parts"] if counts.is_file() else {}
    failed = False
    for name in options.part or list(parts(None)):
        DEADLINE = time.monotonic() + 60 * options.minutes
        with tempfile.TemporaryDirectory(prefix="mpeace-reliability-") as folder:
            row = parts(options.times)[name](Path(folder))
        print(*row, sep=" | ", flush=True)
        failed |= row[2] > 0
        rows[name] = [*row, commit()]
        ordered = {name: rows[name] for name in parts(None) if name in rows}
        write_text(counts, json.dumps({"machine": machine(), "parts": ordered}, indent=1) + "\n")
        table = markdown_table(HEADER, [[str(cell) for cell in row] for row in ordered.values()], notes=2)
        write_text(REPORT, f"{TITLE}\n\n{table}\n\n{machine()}.\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
