"""Uploads are decoded in processes with limits: whatever a file does, it is refused in one line and others go on."""

import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from command import ROOT, read, write
from helpers import speech_like
from media import make, make_m4a
from tiny_model import tiny_result

from apps.demo.limits import Limits
from apps.demo.service.service import DemoService
from apps.demo.service.worker_pool import WorkerPool
from enhance.runtime.strength import Strength
from enhance.utils.errors import FileError

gradio = pytest.importorskip("gradio", reason="needs Gradio: the extra 'demo'")
MUTATIONS = 200


@pytest.fixture(scope="module")
def workers() -> Iterator[WorkerPool]:
    pool = WorkerPool(700, 60)
    yield pool
    pool.close()


@pytest.fixture
def service(tmp_path: Path, tiny_model: Path, workers: WorkerPool) -> DemoService:
    return DemoService(tmp_path / "demo", Limits(minutes=0.5), {"tiny": str(tiny_model)}, workers)


def opened(service: DemoService, path: Path) -> np.ndarray:
    return read(service.open("session", path, Strength(), None).target)


def test_a_process_that_dies_costs_its_file_and_the_next_one_is_denoised(
    service: DemoService, workers: WorkerPool, tmp_path: Path
) -> None:
    audio = speech_like(20, 48_000)
    source = write(tmp_path / "a.wav", audio, subtype="FLOAT")
    assert opened(service, source).shape == audio.shape
    (first,) = workers.processes()
    with pytest.raises(FileError, match=r"the process that worked on it died \(exit code -9\)"):
        service.open("other", source, Strength(), None, lambda *_: os.kill(first, signal.SIGKILL))
    assert workers.processes() == []
    np.testing.assert_allclose(opened(service, source), tiny_result(audio), atol=2**-15)
    assert [path.name for path in (tmp_path / "demo" / "sessions").iterdir()] == [
        service.sessions.get("session").folder.name  # type: ignore[union-attr]
    ], "what was made of the other file is removed"


def test_a_file_that_takes_too_much_memory_is_refused_and_the_process_goes_on(tmp_path: Path, tiny_model: Path) -> None:
    workers = WorkerPool(200, 60)
    service = DemoService(tmp_path / "demo", Limits(minutes=0.5), {"tiny": str(tiny_model)}, workers)
    source = write(tmp_path / "a.wav", speech_like(0.2, 48_000))
    opened(service, source)
    before = workers.processes()
    note = 160_000_000  # bytes of a chunk beside the sound, more than once in memory while it is copied; a hole on disk
    large = tmp_path / "large.wav"
    large.write_bytes(source.read_bytes())
    with large.open("r+b") as file:
        file.seek(0, os.SEEK_END)
        file.write(b"note" + struct.pack("<I", note))
        end = file.seek(note, os.SEEK_CUR)
        file.truncate(end)
        file.seek(4)
        file.write(struct.pack("<I", end - 8))
    with pytest.raises(FileError, match="not enough memory"):
        opened(service, large)
    assert opened(service, source).shape == (1, 9600)
    assert workers.processes() == before
    workers.close()


def test_a_process_that_does_not_go_on_is_ended(tmp_path: Path, tiny_model: Path) -> None:
    source = tmp_path / "pipe.wav"
    os.mkfifo(source)  # opening it waits for a writer who never comes
    workers = WorkerPool(700, 0.5)
    service = DemoService(tmp_path / "demo", Limits(), {"tiny": str(tiny_model)}, workers)
    try:
        work = service._work(service.sessions.new_folder(), source, Strength(), None)
        with pytest.raises(FileError, match=r"no more sound came of it in 0\.5 s; it may be damaged"):
            service._render(work, Strength(), None)
        assert workers.processes() == []
    finally:
        workers.close()


def test_a_job_that_is_done_while_the_server_ends_has_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    workers = WorkerPool(700, 60)
    answer = object()

    def talk(*_: object) -> tuple[object, None]:
        workers.close()
        return answer, None

    monkeypatch.setattr(workers, "_talk", talk)
    assert workers.run(None, print) is answer  # type: ignore[arg-type]
    assert workers.processes() == []
    with pytest.raises(FileError, match="the server is ending"):
        workers.run(None, print)  # type: ignore[arg-type]


def test_the_limit_of_memory_holds_and_a_lower_one_stays() -> None:
    code = (
        "import resource, sys; from enhance.utils.process_limits import limit_memory\n"
        "most = []\n"
        "for more in (300, 200, 400):\n"
        "    limit_memory(1_000_000 * more); most.append(resource.getrlimit(resource.RLIMIT_DATA)[0])\n"
        "kept = bytearray(50_000_000)\n"
        "try: bytearray(250_000_000)\n"
        "except MemoryError: print('refused', most[1] < most[0], most[2] == most[1])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["refused", "True", "True"]


def small_files(folder: Path) -> list[Path]:
    """A fifth of a second in each kind of file that the page takes."""
    audio = speech_like(0.2, 48_000)
    files = [write(folder / f"a.{suffix}", audio) for suffix in ("wav", "flac", "ogg", "mp3", "aiff", "caf")]
    return [
        *files,
        write(folder / "a.opus", audio, format="OGG", subtype="OPUS"),
        make_m4a(folder / "a.m4a"),
        make(folder / "a.mkv", "matroska", "aac", None, 48_000, [audio]),
    ]


def test_200_mutated_uploads_are_denoised_or_refused_in_one_line(
    service: DemoService, workers: WorkerPool, tmp_path: Path
) -> None:
    from apps.demo.service.live_streams import LiveDesk
    from apps.demo.web.api import Api

    (tmp_path / "results").mkdir()
    api = Api(service, LiveDesk(service, service.limits), tmp_path, lambda: tmp_path / "results")
    files = [(path, path.read_bytes()) for path in small_files(tmp_path)]
    random = np.random.default_rng(7)
    refused: list[str] = []
    for number in range(MUTATIONS):
        path, content = files[number % len(files)]
        mutated = bytearray(content)
        for place in random.integers(0, len(content), random.integers(1, 20)):
            mutated[place] = random.integers(256)
        if number % 3 == 0:
            del mutated[random.integers(1, len(content)) :]
        path.write_bytes(mutated)
        try:
            api.denoise({"path": str(path)})
        except gradio.Error as error:
            refused.append(error.message)
    assert 0 < len(refused) < MUTATIONS
    assert not [words for words in refused if "\n" in words or "unexpected" in words or "died" in words]
    path, content = files[0]
    path.write_bytes(content)
    cleaned, figures = api.denoise({"path": str(path)})
    assert figures["seconds"] == pytest.approx(0.2)
    assert Path(cleaned["path"]).stat().st_size > 9600
    assert not list((tmp_path / "demo" / "sessions").iterdir())
    assert len(workers.processes()) == 1
