"""What the system refuses: permissions, a full disk, pipes that break. One clear line, and nothing half-written."""

import io
import os
import resource
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from command import as_nobody, mpeace, partial_files, start, write
from helpers import speech_like


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions of this system are of another kind")
def test_no_permission(tiny_model: Path, tmp_path: Path) -> None:
    good = write(tmp_path / "in" / "good.wav", speech_like(0.1, 48_000))
    bad = write(tmp_path / "in" / "shut.wav", speech_like(0.1, 48_000))
    out = tmp_path / "out"
    out.mkdir()
    out.chmod(0o777)
    for parent in {tmp_path, *tmp_path.parents, *tiny_model.parents}:
        if parent.owner() == tmp_path.owner() and any("pytest-" in part for part in parent.parts):
            parent.chmod(0o755)  # pytest makes its folders for their owner only
    mpeace("denoise", good, "-o", tmp_path / "warm.wav", "--model", tiny_model)  # imports as root
    bad.chmod(0)
    with as_nobody():
        unreadable = mpeace("denoise", bad, "-o", out / "shut.wav", "--model", tiny_model)
    out.chmod(0o555)
    with as_nobody():
        unwritable = mpeace("denoise", good, "-o", out / "new.wav", "--model", tiny_model)
    assert unreadable.problems == [f"mpeace: {bad}: cannot be read: permission denied"]
    assert unwritable.problems == [f"mpeace: {good}: cannot write {out / 'new.wav'}: permission denied"]
    assert (unreadable.status, unwritable.status) == (1, 1)
    assert not list(out.iterdir())


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv of util-linux")
@pytest.mark.parametrize("jobs", [1, 2])
def test_the_rest_goes_on_after_a_file_that_may_not_be_read(tmp_path: Path, tiny_model: Path, jobs: int) -> None:
    """File permissions bind root, too, without its privilege to override them."""
    for name in ("a.wav", "b.wav", "c.wav", "d.flac"):
        write(tmp_path / "in" / name, speech_like(0.1, 48_000))
    shut = tmp_path / "in" / "b.wav"
    shut.chmod(0)
    without = "-dac_override,-dac_read_search"
    bound = ["setpriv", f"--bounding-set={without}", f"--inh-caps={without}"] if os.geteuid() == 0 else []
    process = start("denoise", tmp_path / "in", "-o", tmp_path / "out", "-j", jobs, "--model", tiny_model, before=bound)
    lines = process.communicate()[1].decode().splitlines()
    assert process.returncode == 1
    assert [line for line in lines if line.startswith("mpeace:")] == [
        f"mpeace: {shut}: cannot be read: permission denied"
    ]
    assert any("3 done, 0 skipped, 1 failed" in line for line in lines)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.wav", "c.wav", "d.flac"]


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "m4a"])
def test_full_disk(tmp_path: Path, tiny_model: Path, suffix: str) -> None:
    """The limit on the size of a file stands for a full disk: both fail in `write`."""
    source = write(tmp_path / "a.wav", np.random.default_rng(0).uniform(-0.5, 0.5, (2, 480_000)))
    output = tmp_path / f"out.{suffix}"
    if suffix == "m4a":
        from media import make_m4a  # needs PyAV

        source = make_m4a(tmp_path / "a.m4a")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        ended = mpeace("denoise", source, "-o", output, "--model", tiny_model)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert ended.status == 1
    assert ended.problems == [f"mpeace: {source}: cannot write {output}: file too large"]
    assert not output.exists()
    assert not partial_files(tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_full_disk_behind_standard_output(tmp_path: Path, tiny_model: Path) -> None:
    source = write(tmp_path / "a.wav", speech_like(1, 48_000))
    with Path("/dev/full").open("wb") as full:
        process = start("denoise", source, "-o", "-", "--model", tiny_model, stdout=full)
        _, stderr = process.communicate()
    assert process.returncode == 1
    assert stderr.decode().splitlines() == [f"mpeace: {source}: no space left on device"]


def test_a_reader_that_goes_away(tmp_path: Path, tiny_model: Path) -> None:
    source = write(tmp_path / "a.wav", speech_like(20, 48_000))
    process = start("denoise", source, "-o", "-", "--model", tiny_model, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.read(1000)
    process.stdout.close()
    assert process.stderr is not None
    lines = process.stderr.read().decode().splitlines()
    assert process.wait() == 1
    assert lines == [f"mpeace: {source}: the program that reads the output has closed it"]


def test_a_closed_standard_error_keeps_no_sound_and_puts_no_words_into_it(tmp_path: Path, tiny_model: Path) -> None:
    """As by `2>&-`: what is said is lost, and nothing else."""
    source = write(tmp_path / "a.wav", speech_like(1, 16_000), 16_000)
    closed = ("sh", "-c", 'exec "$@" 2>&-', "sh")
    process = start("denoise", source, "-o", "-", "--model", tiny_model, before=closed, stdout=subprocess.PIPE)
    assert len(process.communicate()[0]) == len(source.read_bytes())
    assert process.returncode == 0
    missing = start("denoise", tmp_path / "none.wav", before=closed, stdout=subprocess.PIPE)
    assert missing.communicate()[0] == b""
    assert missing.returncode == 1


def test_a_pipe_that_is_no_wav(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = write(tmp_path / "a.wav", speech_like(1, 48_000)).read_bytes()
    for content, words in (
        (b"", "nothing came"),
        (b"no sound at all, only text", "not WAV"),
        (good[:20], "cut off before"),
        (good[:60_000], "its header promises 48000 samples, there are 29978"),
        (good[:20] + b"\x55" + good[21:], "format 85"),
    ):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
        ended = mpeace("denoise", "-", "-o", tmp_path / "out.wav", "--model", tiny_model)
        assert ended.status == 1
        assert len(ended.problems) == 1
        assert words in ended.problems[0]
        assert ended.problems[0].startswith("mpeace: standard input: ")
        assert not (tmp_path / "out.wav").exists()
        assert not partial_files(tmp_path)
