"""URLs on the command line, with stores that need no server: fsspec's `memory://`, `file://`, and a web server here."""

import http.server
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import ROOT, mpeace, read, write
from helpers import speech_like
from tiny_model import tiny_result

from apps.batch.choices import IfExists
from apps.batch.discovery import Found
from apps.batch.plan import Plan, settle
from apps.batch.store_discovery import find_in_store
from enhance.io.options import DenoiseOptions
from enhance.io.remote import copies
from enhance.io.remote.store import Entry, Store
from enhance.io.task import PARTIAL, Outcome

fsspec = pytest.importorskip("fsspec")
ONE_STEP_OF_16_BITS = 2.0**-15
AUDIO = speech_like(0.2, 48_000)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[object]:
    """A store in memory with three recordings, a hidden one and a text."""
    files = fsspec.filesystem("memory")
    sound = write(tmp_path / "sound.wav", AUDIO).read_bytes()
    for name in ("a.wav", "b/c.wav", "b/d[1].wav", "b/.hidden.wav", ".x/y.wav", "notes.txt"):
        files.pipe_file(f"/in/{name}", sound)
    yield files
    files.store.clear()
    files.pseudo_dirs[:] = [""]


def names(files: object, folder: str) -> list[str]:
    return sorted(path.removeprefix(f"/{folder}/") for path in files.find(f"/{folder}"))  # type: ignore[attr-defined]


def test_a_folder_in_a_store_keeps_its_tree_and_its_names(memory: object, tmp_path: Path, tiny_model: Path) -> None:
    ended = mpeace("denoise", "memory://in", "-o", "memory://out/", "--model", tiny_model)
    assert ended.status == 0, ended.stderr
    assert names(memory, "out") == ["a.wav", "b/c.wav", "b/d[1].wav"]
    assert "1 file is no sound or video and passed over: memory://in/notes.txt" in ended.stderr
    fsspec.filesystem("memory").get_file("/out/b/c.wav", str(tmp_path / "c.wav"))
    assert np.abs(read(tmp_path / "c.wav") - tiny_result(AUDIO)).max() <= ONE_STEP_OF_16_BITS


def test_a_batch_resumes_by_listing_and_reads_nothing_again(
    memory: object, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert mpeace("denoise", "memory://in/a.wav", "-o", "memory://in/out/", "--model", tiny_model).status == 0
    ended = mpeace("denoise", "memory://in", "-o", "memory://in/out", "--model", tiny_model)
    assert "2 done, 1 skipped, 0 failed" in ended.stderr
    monkeypatch.setattr(type(memory), "open", lambda *_, **__: pytest.fail("something was read"))
    ended = mpeace("denoise", "memory://in", "-o", "memory://in/out", "--model", "no-such-model")
    assert (ended.status, "0 done, 3 skipped, 0 failed" in ended.stderr) == (0, True), ended.stderr
    ended = mpeace("denoise", "memory://in/a.wav", "-o", "memory://in/out/", "--if-exists", "fail")
    assert ended.status == 1
    assert "the output memory://in/out/a.wav exists" in ended.stderr


def test_patterns_single_files_and_templates_in_a_store(memory: object, tiny_model: Path) -> None:
    assert mpeace("denoise", "memory://in/b/*.wav", "--model", tiny_model).status == 0
    assert names(memory, "in/b") == [".hidden.wav", "c.wav", "c_denoised.wav", "d[1].wav", "d[1]_denoised.wav"]
    assert mpeace("denoise", "memory://in/**/c.wav", "-o", "memory://out", "--model", tiny_model).status == 0
    assert names(memory, "out") == ["b/c.wav"]
    named = ("--name", "{stem}-clean{suffix}", "--format", "flac")
    assert mpeace("denoise", "memory://in/b/d[1].wav", "-o", "memory://x", *named, "--model", tiny_model).status == 0
    assert names(memory, "x") == ["d[1]-clean.flac"]


def test_from_a_store_to_this_machine_and_back(memory: object, tmp_path: Path, tiny_model: Path) -> None:
    assert mpeace("denoise", "memory://in/", "-o", tmp_path / "out", "--model", tiny_model).status == 0
    assert {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.wav")} == {
        "a.wav",
        str(Path("b/c.wav")),
        str(Path("b/d[1].wav")),
    }
    again = mpeace("denoise", tmp_path / "out", "-o", "memory://back", "--model", tiny_model)
    assert (again.status, names(memory, "back")) == (0, ["a.wav", "b/c.wav", "b/d[1].wav"])


def test_a_file_url_is_a_path(tmp_path: Path, tiny_model: Path) -> None:
    write(tmp_path / "a b.wav", AUDIO)
    url = (tmp_path / "a b.wav").as_uri()
    assert "%20" in url
    assert mpeace("denoise", url, "-o", f"file://{tmp_path}/out", "--model", tiny_model).status == 0
    assert (tmp_path / "out" / "a b.wav").exists()


@pytest.mark.parametrize("refused", ["MemoryFileSystem.pipe_file", "MemoryFile.write"])
def test_a_failed_output_leaves_the_store_as_it_was(
    memory: object, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    """In one request, or in parts."""
    memory.pipe_file("/out/a.wav", b"what was there")  # type: ignore[attr-defined]

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("key=AKIASECRET")

    monkeypatch.setattr(f"fsspec.implementations.memory.{refused}", refuse)
    monkeypatch.setattr(copies, "_BLOCK", 8192 if "write" in refused else copies._BLOCK)
    command = ("denoise", "memory://in/a.wav", "-o", "memory://out/", "--if-exists", "overwrite", "--model", tiny_model)
    ended = mpeace(*command)
    monkeypatch.undo()
    assert ended.status == 1
    assert "memory://in/a.wav: memory://out/a.wav cannot be written: no permission" in ended.problems[0]
    assert "AKIASECRET" not in ended.stderr
    assert memory.cat_file("/out/a.wav") == b"what was there"  # type: ignore[attr-defined]


def test_a_file_that_is_replaced_while_it_is_read_is_refused(
    memory: object, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind: Any = type(memory)
    opened = kind.open

    def replacing(files: object, path: str, mode: str = "rb", **options: object) -> object:
        file = opened(files, path, mode, **options)
        if mode == "rb":
            files.pipe_file(path, b"another file")  # type: ignore[attr-defined]
        return file

    monkeypatch.setattr(kind, "open", replacing)
    ended = mpeace("denoise", "memory://in/a.wav", "-o", "memory://out/", "--model", tiny_model)
    assert ended.status == 1
    assert ended.problems[0].startswith("mpeace: memory://in/a.wav: was replaced while it was read")
    assert names(memory, "out") == []


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (
            ("memory://nowhere/a.wav", "-o", "memory://out"),
            1,
            "nowhere/a.wav: there is no such bucket or file",
        ),
        (("memory://nowhere/*.wav", "-o", "memory://out"), 1, "no file matches this pattern"),
        (("memory://in/a.wav", "-o", "https://host/out/"), 2, "web servers are read and not written to"),
        (("ftp://me:pw@127.0.0.1:1/d/x.wav", "-o", "memory://out"), 2, "ftp://127.0.0.1:1/d/x.wav: fsspec names files"),
        (("memory://in/a.wav", "-o", "ftp://127.0.0.1:1/out/"), 2, "fsspec names files of ftp:// without their server"),
        (("https://me:pw@[x/a.wav?signature=1", "-o", "memory://out"), 1, "https://[x/a.wav?...: "),
        (("nonsense://in/a.wav", "-o", "memory://out"), 2, "fsspec knows no stores called nonsense://"),
        (("memory://in/a.wav", "-o", "memory://in/a.wav"), 1, "would be written over itself"),
        (("memory://in/a.wav", "-o", "memory://in/b"), 0, ""),
        (("memory://in/a.wav", "-o", "memory://x/", "--engine", "ray"), 2, "takes no memory:// addresses"),
        (("memory://in/a.wav", "-o", "-", "--engine", "ray"), 2, "--engine ray takes files"),
        (("memory://in/a.wav", "-o", "memory://x/", "--address", "auto"), 2, "--address belongs to --engine ray"),
    ],
)
def test_urls_that_make_no_sense(
    memory: object, tiny_model: Path, arguments: tuple[str, ...], status: int, words: str
) -> None:
    ended = mpeace("denoise", *arguments, "--model", tiny_model)
    assert ended.status == status, ended.stderr
    assert words in ended.stderr
    assert "pw" not in ended.stderr
    assert len(ended.problems) == (status > 0)


def test_names_that_would_lead_out_of_the_folder_are_refused(memory: object, tmp_path: Path, tiny_model: Path) -> None:
    memory.store["/in/../../up.wav"] = memory.store["/in/a.wav"]  # type: ignore[attr-defined]
    ended = mpeace("denoise", "memory://in", "-o", tmp_path / "x" / "out", "--model", tiny_model)
    assert ended.status in (0, 1)
    assert not list(tmp_path.rglob("up.wav"))


@pytest.mark.parametrize("outputs", ["out", "memory://out", None])
@pytest.mark.parametrize("key", ["in//etc/x.wav", "in/b/../../x.wav", "in/./x.wav"])
def test_a_key_that_would_name_a_path_elsewhere_fails_alone(
    monkeypatch: pytest.MonkeyPatch, outputs: str | None, key: str
) -> None:
    entries = [Entry(f"memory://{name}", 1, None, "") for name in (key, "in/b/y.wav")]
    monkeypatch.setattr(Store, "kind", lambda *_: "folder")
    monkeypatch.setattr(Store, "below", lambda *_: entries)
    settled: list[Outcome] = []
    found = find_in_store("memory://in/", outputs, settled, [])
    assert [(item.source, item.below) for item in found] == [("memory://in/b/y.wav", "b")]
    assert [(outcome.input, outcome.status) for outcome in settled] == [(f"memory://{key}", "failed")]


def test_a_store_as_a_whole_keeps_its_tree_in_the_folder_of_the_outputs(
    memory: object, tmp_path: Path, tiny_model: Path
) -> None:
    ended = mpeace("denoise", "memory://", "-o", tmp_path / "out", "--model", tiny_model)
    assert ended.status == 0, ended.stderr
    assert sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.wav")) == [
        "in/a.wav",
        "in/b/c.wav",
        "in/b/d[1].wav",
    ]


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder without a line for each request."""

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """The address of a web server with one recording."""
    write(tmp_path / "web" / "a b.wav", AUDIO)
    handler = partial(Quiet, directory=str(tmp_path / "web"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_file_on_a_web_server_is_an_input_and_its_signature_is_not_shown(
    web: str, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of several blocks, from a server that gives files from the beginning only, as this one."""
    pytest.importorskip("aiohttp")
    monkeypatch.setattr(copies, "_BLOCK", 4096)
    url, report = f"{web}/a%20b.wav?signature=S3CRET", tmp_path / "report.json"
    ended = mpeace("denoise", url, "-o", tmp_path / "out/", "--model", tiny_model, "--report", report)
    assert ended.status == 0, ended.stderr
    assert np.abs(read(tmp_path / "out" / "a b.wav") - tiny_result(AUDIO)).max() <= ONE_STEP_OF_16_BITS
    missing = mpeace("denoise", f"{web}/no.wav?signature=S3CRET", "-o", tmp_path / "out/", "--model", tiny_model)
    assert missing.status == 1
    assert len(missing.problems) == 1
    assert f"{web}/no.wav?...: " in missing.problems[0]
    assert "there is no such bucket or file" in missing.problems[0]
    assert "S3CRET" not in ended.stderr + missing.stderr + report.read_text()
    assert mpeace("denoise", url, "--model", tiny_model).status == 2, "nothing can be written beside it"


def test_a_change_on_a_web_server_that_only_dates_its_files_is_noticed(web: str, tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    versions = []
    for seconds in (0, 1):
        os.utime(tmp_path / "web" / "a b.wav", (seconds, seconds))
        versions.append(Store(web).entry(f"{web}/a%20b.wav").version)
    assert versions == ["Thu, 01 Jan 1970 00:00:00 GMT", "Thu, 01 Jan 1970 00:00:01 GMT"]


def test_what_follows_the_name_in_a_web_address_is_no_suffix(tmp_path: Path) -> None:
    targets = [str(tmp_path / "a.mp4"), str(tmp_path / "b.flac"), str(tmp_path / "c.wav")]
    found = [
        Found(f"https://h/{name}?X-Amz-Signature=S", "", False, name, None, 1) for name in ("a.mp4", "b.flac", "c.flac")
    ]
    plan = Plan()
    settle(plan, found, targets, None, IfExists.SKIP, DenoiseOptions())
    assert [task.container for task in plan.tasks] == [None, None, "wav"]


def test_a_folder_of_copies_left_behind_is_removed_also_when_only_the_inputs_are_remote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left = tmp_path / f".0{PARTIAL}"
    left.mkdir()
    os.utime(left, (0, 0))
    found = [Found("https://h/a.wav", "", False, "a", None, 1)]
    settle(Plan(), found, [str(tmp_path / "out" / "a.wav")], None, IfExists.SKIP, DenoiseOptions())
    assert not left.exists()


def test_without_fsspec_one_line_says_what_to_install_and_local_files_never_load_it(
    tmp_path: Path, tiny_model: Path
) -> None:
    write(tmp_path / "a.wav", AUDIO)
    code = (
        "import sys; sys.modules['fsspec'] = None; sys.modules['ray'] = None; sys.modules['pyarrow'] = None\n"
        "from apps.cli import main\n"
        "assert main(['denoise', sys.argv[1], '--model', sys.argv[2], '-q']) == 0\n"
        "for arguments in (['s3://bucket/a.wav', '-o', 's3://bucket/out/'],\n"
        "                  [sys.argv[1], '-o', 'out/', '--engine', 'ray'],\n"
        "                  [sys.argv[1], '-o', 'out/', '--report', 'r.parquet']):\n"
        "    assert main(['denoise', *arguments, '--model', sys.argv[2]]) == 2"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.wav"), str(tiny_model)]
    done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == [
        "mpeace: s3://bucket/out/: stores need fsspec: pip install 'mpeace[cloud]'",
        "mpeace: --engine ray needs Ray: pip install 'mpeace[ray]'",
        "mpeace: a report in Parquet needs PyArrow: pip install 'mpeace[cloud]'",
    ]
