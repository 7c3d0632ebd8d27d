"""Batches of many files: time, CPU and memory of each way to do them. `python tests/scale.py`, outside CI.

Writes `checkpoints/evaluation/scale.md`. Ways that lack a package (moto and s3fs for S3, Ray) are left out.
`--short 300 --long 4 --minutes 2 --rows 1000` is a quick look. Needs Linux.
"""

# pyright: reportMissingImports=false

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from textwrap import fill

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from enhance.reporting.markdown import markdown_table  # noqa: E402
from enhance.utils.atomic import write_text  # noqa: E402
from enhance.utils.environment import machine  # noqa: E402

REPORT = ROOT / "checkpoints" / "evaluation" / "scale.md"
RATE = 16_000
SHORT_SECONDS = 1.0
TINY_SECONDS = 0.2  # of files by which the cost of a row is found
HEADER = ("files", "way", "files a second", "CPU s per hour of sound", "peak MB, driver", "peak MB, worker", "wall s")
RUN = """
import json, resource, sys
from apps.cli import main
status = main(sys.argv[2:])
mine, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))  # of this program only
facts = {"status": status, "driver_cpu": mine.ru_utime + mine.ru_stime, "driver_kb": int(peak),
         "children_cpu": children.ru_utime + children.ru_stime, "worker_kb": children.ru_maxrss}
open(sys.argv[1], "w").write(json.dumps(facts))
"""


@dataclass(frozen=True)
class Run:
    """What one batch took.

    Attributes:
        files: how many.
        hours: of sound.
        wall: seconds, with the start of the processes and of a local cluster.
        cpu: seconds, of the driver and of the work on the files.
        driver, worker: highest resident memory, MB; that of a worker of Ray is not known.
    """

    files: int
    hours: float
    wall: float
    cpu: float
    driver: float
    worker: float | None

    @property
    def per_hour(self) -> float:
        return self.cpu / self.hours

    def cells(self) -> list[str]:
        worker = "-" if self.worker is None else f"{self.worker:.0f}"
        figures = f"{self.files / self.wall:.1f}", f"{self.per_hour:.0f}", f"{self.driver:.0f}", worker
        return [*figures, f"{self.wall:.1f}"]


def make_recordings(folder: Path, count: int, seconds: float) -> None:
    """Write speech in noise, cut at another place in each file, a hundred files in a folder."""
    audio, rate = soundfile.read(ROOT / "tests" / "data" / "noisy.flac", dtype="float32")
    audio = audio[:: rate // RATE]
    for number in range(count):
        path = folder / f"{number // 100:03d}" / f"{number:05d}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.resize(np.roll(audio, -997 * number), round(seconds * RATE)), RATE)


def batch(source: str, target: str, report: Path, *options: str) -> Run:
    """Do one batch, and measure it."""
    facts_file = report.with_suffix(".facts")
    report.unlink(missing_ok=True)
    command = [sys.executable, "-c", RUN, str(facts_file), "denoise", source, "-o", target, "-q"]
    started = time.monotonic()
    subprocess.run(
        [*command, "--report", str(report), *options], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    wall = time.monotonic() - started
    facts = json.loads(facts_file.read_text())
    rows = [json.loads(line) for line in report.read_text().splitlines()]
    assert facts["status"] == 0
    assert all(row["status"] == "done" for row in rows)
    on_ray = "ray" in options
    cpu = facts["driver_cpu"] + (sum(row["cpu_seconds"] for row in rows) if on_ray else facts["children_cpu"])
    hours = sum(row["seconds"] for row in rows) / 3600
    worker = None if on_ray else facts["worker_kb"] / 1024
    return Run(len(rows), hours, wall, cpu, facts["driver_kb"] / 1024, worker)


@contextmanager
def s3() -> Iterator[None]:
    """Run moto's S3 server in a process of its own, whose CPU does not count."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.environ.update(AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}", AWS_DEFAULT_REGION="us-east-1")
    os.environ.update(AWS_ACCESS_KEY_ID="scale", AWS_SECRET_ACCESS_KEY="scale")
    try:
        for _ in range(600):
            with socket.socket() as knock:
                if knock.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield
    finally:
        server.terminate()
        server.wait(30)
        del os.environ["AWS_ENDPOINT_URL"]


@contextmanager
def two_nodes() -> Iterator[str]:
    """Run a Ray cluster of two nodes of one core each; yields its address."""
    from ray.cluster_utils import Cluster

    os.environ["PYTHONPATH"] = str(ROOT)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    try:
        yield cluster.address
    finally:
        cluster.shutdown()


def ways(folder: Path, inputs: Path, name: str, on_ray: bool = True) -> dict[str, Run]:
    """Do the same files in each way that can be had here."""
    found = {"`--jobs 2`": batch(str(inputs), str(folder / "local"), folder / "r.jsonl", "--jobs", "2")}
    if find_spec("moto") and find_spec("s3fs"):
        import s3fs

        with s3():
            store = s3fs.S3FileSystem(skip_instance_cache=True)
            store.mkdir("scale")
            store.put(str(inputs), f"scale/{name}", recursive=True)
            urls = f"s3://scale/{name}/", f"s3://scale/{name}-out/"
            found["`--jobs 2`, S3 to S3"] = batch(*urls, folder / "r.jsonl", "--jobs", "2")
    if on_ray and find_spec("ray"):
        options = ("--engine", "ray", "--jobs", "2")
        found["Ray, one node"] = batch(str(inputs), str(folder / "ray"), folder / "r.jsonl", *options)
        with two_nodes() as address:
            options = ("--engine", "ray", "--address", address)
            found["Ray, two nodes"] = batch(str(inputs), str(folder / "nodes"), folder / "r.jsonl", *options)
    for place in ("local", "ray", "nodes"):
        with suppress(FileNotFoundError):
            shutil.rmtree(folder / place)
    return found


def page(results: dict[str, dict[str, Run]], starts: dict[str, Run], growth: tuple[Run, Run], price: float) -> str:
    """Return the document."""
    rows = [[kind, way, *run.cells()] for kind, runs in results.items() for way, run in runs.items()]
    long_ones = list(results.values())[-1]
    plain = long_ones["`--jobs 2`"]
    over = [
        f"{way}: {100 * (run.per_hour / plain.per_hour - 1):+.0f} %"
        for way, run in long_ones.items()
        if run is not plain
    ]
    few, many = growth
    ratio = (many.cpu / many.files) / (few.cpu / few.files)
    core_hours = plain.per_hour * 1e6 / 3600
    paragraphs = [
        f"Batches of many files, by `python tests/scale.py`. Short files have {SHORT_SECONDS:g} s each; 16 kHz, one "
        "channel, the default model. CPU of Ray's own processes and of the S3 server (moto, on this machine) is not "
        "counted, that of the driver and of the work on the files is.",
        markdown_table(HEADER, rows, left=2),
        "Overhead of CPU on the long files, beside `--jobs 2` on local ones (wanted: at most 10 %): "
        f"{'; '.join(over) or 'not measured'}. The starts of the processes are part of it, however long they work: a "
        f"batch of one file takes {'; '.join(f'{run.cpu:.1f} s ({way})' for way, run in starts.items())}.",
        f"From {few.files} to {many.files} files of {TINY_SECONDS:g} s, CPU a file changes by "
        f"{100 * (ratio - 1):+.1f} % (wanted: within 10 %), the driver's memory from {few.driver:.0f} to "
        f"{many.driver:.0f} MB.",
        f"On paper: a million hours at {plain.per_hour:.0f} CPU seconds each are {core_hours:,.0f} core hours, or "
        f"{price * core_hours:,.0f} $ at {price:g} $ a core hour; {core_hours / 24:,.0f} cores do them in a day.",
        "What would break first is the driver's memory: it keeps about a kilobyte a file, so 12 million calls of five "
        "minutes want over 10 GB; give it manifests of a million rows each. Next are listings: 12 million names take "
        "12,000 requests, one after the other. The store itself bears the work: a file takes about five requests, so "
        f"a day wants {12e6 * 5 / 86_400:,.0f} a second; S3 bears 3,500 writes and 5,500 reads a second of a prefix.",
        f"{machine()}; load {os.getloadavg()[0]:.1f} when this was written: well above 2, other work ran beside it.",
    ]
    return "\n\n".join(text if "\n" in text else fill(text, 120) for text in paragraphs) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", type=int, default=10_000, help="short files")
    parser.add_argument("--rows", type=int, default=10_000, help="tiny files, and a tenth of them, for the growth")
    parser.add_argument("--long", type=int, default=20, help="long files")
    parser.add_argument("--minutes", type=float, default=3.0, help="of a long file")
    parser.add_argument("--price", type=float, default=0.04, help="dollars a core hour")
    parser.add_argument("--out", type=Path, default=REPORT, help="the page")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="mpeace-scale-") as place:
        folder = Path(place)
        make_recordings(folder / "few", options.rows // 10, TINY_SECONDS)
        make_recordings(folder / "many", options.rows, TINY_SECONDS)
        make_recordings(folder / "one", 1, TINY_SECONDS)
        make_recordings(folder / "short", options.short, SHORT_SECONDS)
        make_recordings(folder / "long", options.long, 60 * options.minutes)
        few, many = (
            batch(str(folder / name), str(folder / f"{name}-out"), folder / "r.jsonl", "--jobs", "2")
            for name in ("few", "many")
        )
        starts = ways(folder, folder / "one", "one", on_ray=False)
        short = ways(folder, folder / "short", "short")
        long_ones = ways(folder, folder / "long", "long")
    kinds = {f"{options.short} short": short, f"{options.long} of {options.minutes:g} min": long_ones}
    write_text(options.out, page(kinds, starts, (few, many), options.price))
    return 0


if __name__ == "__main__":
    sys.exit(main())
