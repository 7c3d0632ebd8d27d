"""`--engine ray`, on Ray itself: clusters of one and two nodes on this machine, of which parts die in the middle."""

# pyright: reportMissingImports=false
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import ROOT, mpeace, partial_files, start, write, write_silence
from helpers import speech_like

from apps.batch.ray_cluster import in_words
from enhance.utils.errors import UsageError

ray = pytest.importorskip("ray", reason="needs pip install 'mpeace[ray]'")
pytestmark = pytest.mark.long  # a cluster takes half a minute to start and to end
FILES = 300


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A folder `in` of many recordings, and `local`, what they become without Ray."""
    folder = tmp_path_factory.mktemp("sounds")
    audio = speech_like(6, 16_000)
    for number in range(FILES):
        length = 16_000 * (2 + number % 4)
        write(folder / "in" / f"{number % 7}" / f"{number}.wav", np.roll(audio, number * 100)[:, :length], 16_000)
    ended = mpeace("denoise", folder / "in", "-o", folder / "local", "--model", tiny_model, "-j", 2, "-q")
    assert ended.status == 0, ended.stderr
    return folder


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A cluster of two nodes of one core each."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    running = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    running.add_node(num_cpus=1)
    running.wait_for_nodes()
    yield running
    running.shutdown()


def wait_for(condition: Callable[[], object], process: subprocess.Popen[bytes]) -> None:
    """Wait until a function returns something true, as long as the process lives."""
    while not condition():
        assert process.poll() is None, process.stderr.read().decode() if process.stderr else "it ended"
        time.sleep(0.02)


def outputs(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]


def check_equal(folder: Path, sounds: Path) -> None:
    """All outputs are there, equal to those of a local run, and there are no others."""
    names = sorted(str(path.relative_to(folder)) for path in outputs(folder))
    assert names == sorted(str(path.relative_to(sounds / "local")) for path in outputs(sounds / "local"))
    assert all((folder / name).read_bytes() == (sounds / "local" / name).read_bytes() for name in names)


def workers() -> list[int]:
    """Processes of Ray that denoise at the moment."""
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                command = (place / "cmdline").read_bytes()
            except OSError:
                continue
            if b"ray::_denoise" in command:
                found.append(int(place.name))
    return found


@pytest.mark.parametrize("victim", ["node", "worker"])
def test_a_node_or_a_worker_that_dies_costs_no_file_and_none_is_done_twice(
    cluster: Any, sounds: Path, tmp_path: Path, tiny_model: Path, victim: str
) -> None:
    out, report = tmp_path / "out", tmp_path / "r.jsonl"
    process = start(
        "denoise", sounds / "in", "-o", out, "--model", tiny_model, "--engine", "ray", "--address", cluster.address,
        "--report", report,
    )  # fmt: skip
    wait_for(lambda: len(outputs(out)) > 30 and workers(), process)
    if victim == "node":
        cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
    else:
        for number in workers():
            os.kill(number, signal.SIGKILL)
    _, stderr = process.communicate(timeout=900)
    assert process.returncode == 0, stderr.decode()[-2000:]
    check_equal(out, sounds)
    rows = [json.loads(line) for line in report.read_text().splitlines()]
    assert [row["status"] for row in rows] == ["done"] * FILES
    assert len({row["output"] for row in rows}) == FILES


def test_a_driver_that_is_killed_goes_on_by_the_same_command(
    cluster: Any, sounds: Path, tmp_path: Path, tiny_model: Path
) -> None:
    out, report = tmp_path / "out", tmp_path / "r.jsonl"
    command = (
        "denoise", sounds / "in", "-o", out, "--model", tiny_model, "--engine", "ray", "--address", cluster.address,
        "--report", report,
    )  # fmt: skip
    process = start(*command)
    wait_for(lambda: len(outputs(out)) > 30, process)
    process.kill()
    process.communicate()
    before = {path: path.stat().st_mtime_ns for path in outputs(out)}
    assert len(before) < FILES
    process = start(*command)
    _, stderr = process.communicate(timeout=900)
    assert process.returncode == 0, stderr.decode()[-2000:]
    skipped = re.search(r"(\d+) done, (\d+) skipped, 0 failed", stderr.decode())
    assert skipped is not None
    assert int(skipped[2]) >= len(before)
    check_equal(out, sounds)
    assert all(path.stat().st_mtime_ns == written for path, written in before.items())


def test_a_cluster_of_its_own_does_rows_names_bad_files_and_ends_by_ctrl_c(
    sounds: Path, tmp_path: Path, tiny_model: Path
) -> None:
    good, bad = sounds / "in" / "0" / "0.wav", tmp_path / "bad.wav"
    bad.write_text("no sound")
    manifest = tmp_path / "rows.csv"
    manifest.write_text(
        f"input,output,mix\n{good},{tmp_path / 'a.wav'},\n{good},{tmp_path / 'b.wav'},0\n{bad},c.wav,\n"
    )
    ray_here = ("--model", tiny_model, "--engine", "ray", "--jobs", 2)
    process = start("denoise", "--manifest", manifest, *ray_here, cwd=tmp_path)
    _, stderr = process.communicate(timeout=900)
    assert process.returncode == 1, stderr.decode()
    assert "2 done, 0 skipped, 1 failed" in stderr.decode()
    assert (tmp_path / "a.wav").read_bytes() == (sounds / "local" / "0" / "0.wav").read_bytes()
    assert (tmp_path / "b.wav").read_bytes() != (tmp_path / "a.wav").read_bytes()
    (tmp_path / "long").mkdir()
    long = [write_silence(tmp_path / "long" / f"{number}.wav", 20_000) for number in range(3)]
    process = start("denoise", *long, "-o", tmp_path / "out", *ray_here)
    wait_for(lambda: len(partial_files(tmp_path / "out")) == 2, process)
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=900)
    assert process.returncode == 130, stderr.decode()
    assert "mpeace: stopped; finished files are kept" in stderr.decode().splitlines()[-1]
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.1:1", "--address 127.0.0.1:1: nobody answers there"),
        ("nonsense", "--address nonsense: expected HOST:PORT"),
        ("auto", "--engine ray: no Ray cluster at auto"),
    ],
)
def test_a_cluster_that_is_not_there_is_one_line(
    sounds: Path, tmp_path: Path, tiny_model: Path, address: str, words: str
) -> None:
    file = sounds / "in" / "0" / "0.wav"
    process = start(
        "denoise", file, "-o", tmp_path / "out", "--model", tiny_model, "--engine", "ray", "--address", address
    )
    _, stderr = process.communicate(timeout=900)
    assert process.returncode == 2
    assert len(stderr.decode().splitlines()) == 1
    assert words in stderr.decode()


def test_a_node_without_the_package_is_one_line_that_says_what_to_install(tmp_path: Path) -> None:
    """A module that the driver has and no node: as where mpeace is installed on the driver only."""
    (tmp_path / "enhance_elsewhere.py").write_text("def work():\n    pass\n")
    code = (
        "import sys, ray, pathlib; sys.path.insert(0, sys.argv[1]); import enhance_elsewhere\n"
        "pathlib.Path(sys.argv[1], 'enhance_elsewhere.py').unlink()\n"
        "ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level='ERROR')\n"
        "from apps.batch.ray_cluster import in_words\n"
        "try:\n    ray.get(ray.remote(enhance_elsewhere.work).remote())\n"
        "except Exception as error:\n    print(in_words(error, 3))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    last = done.stderr.splitlines()[-1]
    assert "UsageError: a node of the Ray cluster has no enhance_elsewhere: pip install 'mpeace==" in last
    with pytest.raises(UsageError, match="has no mpeace: pip install 'mpeace=="):
        in_words(ModuleNotFoundError("No module named 'apps.batch'", name="apps.batch"), 3)


def test_ray_data_denoises_a_column_of_sound(sounds: Path, tmp_path: Path, tiny_model: Path) -> None:
    pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    code = (
        "import numpy as np, ray, sys; from enhance import Denoiser; import enhance.ray\n"
        "ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level='ERROR')\n"
        "noise = np.random.default_rng(0).normal(0, 0.1, (20, 16000)).astype(np.float32)\n"
        "rows = ray.data.from_items([{'audio': row, 'id': i} for i, row in enumerate(noise)])\n"
        "clean = rows.map_batches(enhance.ray.Denoise, batch_size=8, concurrency=1,\n"
        "    fn_constructor_kwargs={'sample_rate': 16000, 'model': sys.argv[1]})\n"
        "got = {row['id']: row['denoised'] for row in clean.take_all()}\n"
        "alone = Denoiser(sys.argv[1])\n"
        "assert len(got) == 20\n"
        "assert all(np.abs(got[i] - alone.denoise(noise[i], 16000)).max() < 1e-6 for i in got)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, str(tiny_model)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
