"""Local copies of files in stores: whole, private while they are used, and gone afterwards."""

import io
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from helpers import speech_like
from tiny_model import tiny_result

from enhance import Denoiser, FileError, denoise_file
from enhance.io.denoise_file import run_task
from enhance.io.options import DenoiseOptions
from enhance.io.remote import copies
from enhance.io.remote.copies import discard, download, local_copies, new_spool, upload
from enhance.io.task import PARTIAL, Task
from enhance.utils.interrupt import Stopped, Stopper

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """fsspec's store in memory, and a folder for temporary files of its own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    files = fsspec.filesystem("memory")
    yield files
    files.store.clear()
    assert not list((tmp_path / "temporary").iterdir()), "something was left behind"


def nothing() -> None:
    pass


def test_a_task_is_done_between_copies_that_only_the_owner_reads(memory: Any, tmp_path: Path) -> None:
    memory.pipe_file("/in/talk.wav", b"input")
    spool = new_spool()
    task = Task("memory://in/talk.wav", "memory://out/talk.flac", str(Path(spool, PARTIAL)), None, 5, spool)
    with Stopper() as stopper, local_copies(task, stopper, nothing) as here:
        assert Path(here.source).read_bytes() == b"input"
        assert (Path(here.source).suffix, Path(here.target).suffix) == (".wav", ".flac")
        assert here.partial == task.partial
        assert stat.S_IMODE(Path(spool).stat().st_mode) == 0o700
        Path(here.target).write_bytes(b"output")
        assert not memory.exists("/out/talk.flac")
    assert memory.cat_file("/out/talk.flac") == b"output"


def test_what_goes_wrong_between_leaves_the_store_as_it_was(memory: Any) -> None:
    memory.pipe_file("/in/talk.wav", b"input")
    spool = new_spool()
    task = Task("memory://in/talk.wav", "memory://out/talk.wav", str(Path(spool, PARTIAL)), None, 5, spool)
    with Stopper() as stopper, suppress(FileError), local_copies(task, stopper, nothing) as here:
        Path(here.target).write_bytes(b"output")
        raise FileError("no sound")
    assert not memory.exists("/out/talk.wav")


def test_large_outputs_go_in_parts_and_end_when_they_are_stopped(
    memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "_BLOCK", 1000)
    source = tmp_path / "output.wav"
    source.write_bytes(bytes(range(250)) * 20)
    sent: list[None] = []
    upload(source, "memory://out/a.wav", Stopper(), lambda: sent.append(None))
    assert memory.cat_file("/out/a.wav") == source.read_bytes()
    assert len(sent) == 5
    stopper = Stopper()
    monkeypatch.setattr(stopper, "check", lambda: (_ for _ in ()).throw(Stopped(2)))
    with pytest.raises(Stopped):
        upload(source, "memory://out/b.wav", stopper, nothing)
    assert not memory.exists("/out/b.wav")


def test_an_input_that_does_not_fit_onto_the_disk_is_refused_before_it_is_fetched(
    memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.pipe_file("/in/a.wav", bytes(5000))
    monkeypatch.setattr(copies.shutil, "disk_usage", lambda _: _Usage())
    with pytest.raises(FileError, match=r"do not fit into .*; TMPDIR names another folder"):
        download("memory://in/a.wav", tmp_path / "copy.wav", Stopper(), nothing)
    assert not (tmp_path / "copy.wav").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_the_message_says_that_the_disk_is_full(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    memory.pipe_file("/in/a.wav", bytes(5000))
    with pytest.raises(FileError, match=r"^its copy on this machine cannot be written: no space left on device$"):
        download("memory://in/a.wav", Path("/dev/full"), Stopper(), nothing)


def test_copies_in_use_look_used_however_long_the_work_takes(
    memory: Any, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = io.BytesIO()
    soundfile.write(sound, speech_like(0.2, 48_000).T, 48_000, format="WAV")
    memory.pipe_file("/in/a.wav", sound.getvalue())
    monkeypatch.setattr(copies, "_FRESH", 0.0)
    spool = Path(new_spool())
    written: list[float] = []

    def progress(*_: object) -> None:
        written.append(spool.stat().st_mtime)
        os.utime(spool, (0, 0))

    target = tmp_path / "b.wav"
    task = Task("memory://in/a.wav", str(target), str(tmp_path / "part"), None, 5, str(spool))
    with Stopper() as stopper:
        assert run_task(Denoiser(tiny_model), task, DenoiseOptions(), stopper, progress).status == "done"
    assert written
    assert min(written) > 0


class _Usage:
    free = 4999


def test_what_a_process_that_died_has_left_is_discarded(memory: Any) -> None:
    spool = new_spool()
    Path(spool, "in").mkdir(parents=True)
    Path(spool, PARTIAL).touch()
    discard(Task("memory://in/a.wav", "memory://out/a.wav", str(Path(spool, PARTIAL)), spool=spool))
    discard(Task("a.wav", "b.wav", str(Path(spool, "never made"))))


def test_denoise_file_takes_urls(memory: Any, tmp_path: Path, tiny_model: Path) -> None:
    sound = speech_like(0.2, 48_000)
    soundfile.write(tmp_path / "a.wav", sound.T, 48_000, "FLOAT")
    done = denoise_file(tmp_path / "a.wav", "memory://x/b.wav", model=tiny_model)
    assert done.samples == sound.shape[1]
    denoise_file("memory://x/b.wav", (tmp_path / "c.wav").as_uri(), model=tiny_model, mix=0.0)
    result = soundfile.read(tmp_path / "c.wav", dtype="float32", always_2d=True)[0].T
    np.testing.assert_allclose(result, tiny_result(sound), atol=1e-6)
    denoise_file("memory://x/b.wav", "memory://x/d.flac", model=tiny_model)
    for same in ("memory://x/b.wav", "memory:///x/b.wav"):
        with pytest.raises(FileError, match=r"^memory://x/b.wav: it would be written over itself"):
            denoise_file("memory://x/b.wav", same, model=tiny_model)
    assert memory.cat_file("/x/d.flac")[:4] == b"fLaC"
    with pytest.raises(FileError, match=r"^memory://x/b.wav: https://h/a.wav: web servers are read and not written to"):
        denoise_file("memory://x/b.wav", "https://me:pw@h/a.wav", model="is not loaded first")
    with pytest.raises(FileError, match=r"^memory://x/no.wav: cannot be read: there is no such bucket or file$"):
        denoise_file("memory://x/no.wav", tmp_path / "d.wav", model=tiny_model)


def test_denoise_file_names_a_url_that_no_store_has_once(tmp_path: Path, tiny_denoiser: Denoiser) -> None:
    with pytest.raises(FileError) as caught:
        denoise_file("nowhere://bucket/a.wav", tmp_path / "a.wav", model=tiny_denoiser)
    assert str(caught.value) == "nowhere://bucket/a.wav: fsspec knows no stores called nowhere://"
