"""`s3://` on the command line: a real S3 server on this machine, and one that fails, breaks off and refuses."""

# pyright: reportMissingImports=false

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from command import mpeace, start, write
from flaky_store import KEY, SECRET, Fault, Store, flaky_store
from helpers import speech_like

NAMES = ("a.wav", "b/c.wav", "b/d.flac")


@pytest.fixture(scope="module")
def running() -> Iterator[Store]:
    with flaky_store() as store:
        yield store


@pytest.fixture
def store(running: Store, tmp_path: Path) -> Store:
    """The store with three recordings, which also lie in the folder `in` here; nothing fails yet."""
    for key in running.list_keys():
        running.client.delete_object(Bucket="calls", Key=key)
    for number, name in enumerate(NAMES):
        sound = write(tmp_path / "in" / name, speech_like(0.2, 48_000, seed=number))
        running.put(f"in/{name}", sound.read_bytes())
    running.faults.clear()
    running.requests.clear()
    return running


@pytest.fixture
def long_recording(store: Store, tmp_path: Path) -> str:
    """A recording whose output is sent in several parts; returns its path."""
    sound = np.zeros((1, 48_000 * 100), np.float32)
    sound[:, ::1000] = 0.1
    return str(write(tmp_path / "long.wav", sound))


def silent_about_keys(text: str) -> bool:
    return KEY not in text and SECRET not in text and "Traceback" not in text


def test_a_bucket_gives_what_the_same_files_here_give_and_resumes_by_listing(
    store: Store, tmp_path: Path, tiny_model: Path
) -> None:
    assert mpeace("denoise", tmp_path / "in", "-o", tmp_path / "out", "--model", tiny_model).status == 0
    command = ("denoise", "s3://calls/in/", "-o", "s3://calls/out/", "--model", tiny_model)
    ended = mpeace(*command)
    assert ended.status == 0, ended.stderr
    assert store.list_keys("out/") == [f"out/{name}" for name in NAMES]
    assert all(store.get(f"out/{name}") == (tmp_path / "out" / name).read_bytes() for name in NAMES)
    store.requests.clear()
    again = mpeace(*command)
    assert "0 done, 3 skipped, 0 failed" in again.stderr
    assert not store.asked(r"GET /calls/\w+/"), "files were read"
    assert not store.asked("^(PUT|POST)")
    assert len(store.requests) < 12


def test_a_pattern_a_single_file_and_a_manifest_of_a_bucket(store: Store, tmp_path: Path, tiny_model: Path) -> None:
    assert mpeace("denoise", "s3://calls/in/**/*.flac", "-o", tmp_path / "out", "--model", tiny_model).status == 0
    assert [path.name for path in (tmp_path / "out").rglob("*.*")] == ["d.flac"]
    assert mpeace("denoise", "s3://calls/in/a.wav", "--model", tiny_model).status == 0
    assert "in/a_denoised.wav" in store.list_keys()
    rows = "".join(f"s3://calls/in/{name},s3://calls/rows/{name}\n" for name in NAMES)
    store.put("rows.csv", f"input,output\n{rows}".encode())
    ended = mpeace("denoise", "--manifest", "s3://calls/rows.csv", "--model", tiny_model)
    assert ended.status == 0, ended.stderr
    assert store.list_keys("rows/") == [f"rows/{name}" for name in NAMES]


@pytest.mark.parametrize(
    "fault",
    [
        Fault("GET /calls/in/a.wav", times=2, status=503, code="SlowDown"),
        Fault("GET /calls/in/a.wav", times=2, status=500, code="InternalError"),
        Fault("GET /calls/in/a.wav", times=1, status=0),
        Fault("PUT /calls/out/a.wav", times=1, status=503, code="SlowDown"),
    ],
    ids=["throttled", "failing", "reset-in-the-middle-of-a-read", "throttled-output"],
)
def test_a_store_that_fails_for_a_while_costs_no_file(
    store: Store, tmp_path: Path, tiny_model: Path, fault: Fault
) -> None:
    store.faults.append(fault)
    assert mpeace("denoise", tmp_path / "in/a.wav", "-o", tmp_path / "a.wav", "--model", tiny_model).status == 0
    ended = mpeace("denoise", "s3://calls/in/a.wav", "-o", "s3://calls/out/", "--model", tiny_model)
    assert fault.times == 0, "the fault did not come"
    assert ended.status == 0, ended.stderr
    assert store.get("out/a.wav") == (tmp_path / "a.wav").read_bytes()


def test_a_part_that_is_refused_leaves_neither_a_file_nor_parts(
    store: Store, tiny_model: Path, long_recording: str
) -> None:
    store.faults.append(Fault("PUT /calls/long.wav.*partNumber=2", times=99, status=403, code="AccessDenied"))
    ended = mpeace("denoise", long_recording, "-o", "s3://calls/", "--model", tiny_model)
    assert ended.status == 1
    assert len(ended.problems) == 1
    assert f"{long_recording}: s3://calls/long.wav cannot be written: no permission" in ended.problems[0]
    assert silent_about_keys(ended.stderr)
    assert store.asked("PUT .*partNumber=1")
    assert store.unfinished() == 0
    assert "long.wav" not in store.list_keys()
    store.faults.clear()
    assert mpeace("denoise", long_recording, "-o", "s3://calls/", "--model", tiny_model).status == 0
    assert len(store.get("long.wav")) > 9_000_000
    assert store.unfinished() == 0


def test_ctrl_c_while_an_output_is_sent_takes_its_parts_back(
    store: Store, tiny_model: Path, long_recording: str
) -> None:
    process = start("denoise", long_recording, "-o", "s3://calls/", "--model", tiny_model)

    def press() -> None:
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(5)  # longer than the parent takes to notice and to tell its process, on a busy machine

    store.faults.append(Fault("PUT .*partNumber=1", before=press))
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 130, stderr.decode()
    assert store.asked("PUT .*partNumber=1")
    assert store.asked("DELETE /calls/long.wav")
    assert store.unfinished() == 0
    assert "long.wav" not in store.list_keys()


@pytest.mark.parametrize(
    ("arguments", "fault", "status", "words"),
    [
        (("s3://nowhere/in/a.wav", "-o", "out/"), None, 1, "s3://nowhere/in/a.wav: there is no such bucket or file"),
        (("s3://nowhere/in/", "-o", "out/"), None, 1, "s3://nowhere/in/: there is no such bucket or file"),
        (("s3://calls/in/no.wav", "-o", "out/"), None, 1, "s3://calls/in/no.wav: there is no such bucket or file"),
        (
            ("s3://calls/in/a.wav", "-o", "s3://nowhere/"),
            None,
            2,
            "s3://nowhere/a.wav cannot be written: there is no",
        ),
        (
            ("s3://calls/in/", "-o", "out/"),
            Fault("calls", 99, 403, "AccessDenied"),
            1,
            "s3://calls/in/: cannot be reached: no permission",
        ),
        (
            ("s3://calls/in/a.wav", "-o", "out/"),
            Fault("GET /calls/in/a.wav", 99, 403, "AccessDenied"),
            1,
            "s3://calls/in/a.wav: cannot be read: no permission",
        ),
        (
            ("s3://calls/in/a.wav", "-o", "s3://calls/out/"),
            Fault("PUT /calls/out/a.wav", 99, 403, "AccessDenied"),
            1,
            "s3://calls/out/a.wav cannot be written: no permission",
        ),
    ],
)
def test_what_a_store_refuses_is_one_line_with_the_url_and_no_key(
    store: Store,
    tmp_path: Path,
    tiny_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    fault: Fault | None,
    status: int,
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    if fault is not None:
        store.faults.append(fault)
    ended = mpeace("denoise", *arguments, "--model", tiny_model)
    assert ended.status == status, ended.stderr
    assert len(ended.problems) == 1, ended.stderr
    assert words in ended.problems[0]
    assert silent_about_keys(ended.stderr)


def test_a_bucket_that_vanishes_in_the_middle_fails_the_rest_one_line_each(
    store: Store, tmp_path: Path, tiny_model: Path
) -> None:
    gone = Fault("(GET|HEAD) /calls/in/b/", 99, 404, "NoSuchBucket")
    store.faults.append(Fault("GET /calls/in/a.wav", before=lambda: store.faults.append(gone)))
    ended = mpeace("denoise", "s3://calls/in/", "-o", tmp_path / "out", "--model", tiny_model)
    assert ended.status == 1
    assert "1 done, 0 skipped, 2 failed" in ended.stderr
    assert len(ended.problems) == 2
    assert all("there is no such bucket or file" in line for line in ended.problems)


def test_an_object_that_is_replaced_while_it_is_read_is_refused(store: Store, tmp_path: Path, tiny_model: Path) -> None:
    store.faults.append(Fault("GET /calls/in/a.wav", before=lambda: store.put("in/a.wav", b"another")))
    ended = mpeace("denoise", "s3://calls/in/a.wav", "-o", tmp_path / "out/", "--model", tiny_model)
    assert ended.status == 1
    assert "replaced while it was read" in ended.problems[0]
    assert not list((tmp_path / "out").rglob("*"))


def test_without_credentials_or_a_store_one_line_says_so(
    store: Store, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import s3fs

    def refused(words: str) -> None:
        s3fs.S3FileSystem.clear_instance_cache()
        ended = mpeace("denoise", "s3://calls/in/a.wav", "-o", tmp_path / "out/", "--model", tiny_model)
        s3fs.S3FileSystem.clear_instance_cache()
        assert ended.status == 1
        assert len(ended.problems) == 1
        assert f"mpeace: s3://calls/in/a.wav: cannot be reached: {words}" in ended.problems[0]
        assert silent_about_keys(ended.stderr)

    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        refused("the store cannot be reached")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    refused("no credentials are found where the store's own programs look for them")
