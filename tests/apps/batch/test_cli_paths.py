"""Paths of a batch: those that cannot be looked at, patterns that are none, outputs that collide."""

import json
from pathlib import Path

import pytest
from command import as_nobody, mpeace, write
from helpers import speech_like

TOO_LONG = "x" * 300  # no file system has such a name: asking for it is an error, as it is behind a folder that is shut


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a good file, which every batch must finish."""
    write(tmp_path / "in" / "good.wav", speech_like(0.1, 48_000))
    return tmp_path / "in"


def one_fails(folder: Path, tiny_model: Path, bad: object, *inputs: object) -> str:
    """Denoise: one line about `bad`, and the good file is done. Returns the line."""
    out = folder.parent / "out"
    ended = mpeace("denoise", *inputs, "-o", out, "--model", tiny_model)
    assert ended.status == 1
    assert len(ended.problems) == 1, ended.stderr
    assert ended.problems[0].startswith(f"mpeace: {bad}: ")
    assert [path.name for path in out.iterdir()] == ["good.wav"]
    return ended.problems[0]


def test_a_name_in_a_folder_that_cannot_be_looked_at(folder: Path, tiny_model: Path) -> None:
    bad = folder / "bad.wav"
    bad.symlink_to(TOO_LONG)
    for what in (folder, folder / "*.wav"):
        assert "name too long" in one_fails(folder, tiny_model, bad, what)
        (folder.parent / "out" / "good.wav").unlink()


def test_a_subfolder_that_is_shut(folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    bad = write(folder / "shut" / "a.wav", speech_like(0.1, 48_000))
    for parent in {tmp_path, *tmp_path.parents, *tiny_model.parents}:
        if any("pytest-" in part for part in parent.parts):
            parent.chmod(0o755)  # pytest makes its folders for their owner only
    (tmp_path / "out").mkdir()
    (tmp_path / "out").chmod(0o777)
    mpeace("denoise", folder / "good.wav", "-o", tmp_path / "warm.wav", "--model", tiny_model)  # imports as root
    bad.parent.chmod(0o644)  # its names can be read, what they stand for cannot
    try:
        with as_nobody():
            assert "permission denied" in one_fails(folder, tiny_model, bad, folder)
            ended = mpeace("denoise", folder / "good.wav", "-o", bad.parent / "b.wav", "--model", tiny_model)
    finally:
        bad.parent.chmod(0o755)
    assert ended.stderr == f"mpeace: the output {bad.parent / 'b.wav'} cannot be reached: permission denied\n"
    assert ended.status == 2


def test_a_pattern_that_is_none(folder: Path, tiny_model: Path) -> None:
    pattern = folder / "**x"  # Python 3.13 takes it for *x, which matches nothing
    assert "pattern" in one_fails(folder, tiny_model, pattern, pattern, folder / "good.wav")


@pytest.mark.parametrize(("option", "name"), [("-o", "a.wav"), ("--report", "a.json")])
def test_an_output_that_cannot_be_looked_at(folder: Path, tiny_model: Path, option: str, name: str) -> None:
    ended = mpeace("denoise", folder / "good.wav", option, folder / TOO_LONG / name, "--model", tiny_model)
    assert ended.status == 2
    assert len(ended.stderr.splitlines()) == 1
    assert "name too long" in ended.stderr
    assert list(folder.iterdir()) == [folder / "good.wav"]


def test_a_file_called_as_a_pipe_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_model: Path) -> None:
    """Named, found in a folder, in a manifest and as an output, nothing of it is standard input or output."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "in" / "a.wav", speech_like(0.1, 48_000)).rename(tmp_path / "in" / "-")
    monkeypatch.chdir(tmp_path / "in")
    model = ("--model", tiny_model)
    assert mpeace("denoise", "./-", "-o", tmp_path / "named.wav", *model).status == 0
    assert mpeace("denoise", ".", "-o", tmp_path / "out", *model).status == 0
    (tmp_path / "rows.csv").write_text("input,output\n./-,../row.wav\n")
    assert mpeace("denoise", "--manifest", tmp_path / "rows.csv", *model).status == 0
    expected = (tmp_path / "named.wav").read_bytes()
    assert len(expected) > 9600
    assert (tmp_path / "out" / "-").read_bytes() == (tmp_path / "row.wav").read_bytes() == expected
    monkeypatch.chdir(tmp_path / "out")
    for arguments in (["-o", "./-"], ["-o", ".", "--name", "-"]):
        (tmp_path / "out" / "-").write_bytes(b"")
        ended = mpeace("denoise", tmp_path / "named.wav", *arguments, *model, "--if-exists", "overwrite")
        assert (ended.status, ended.stdout) == (0, "")
        assert len((tmp_path / "out" / "-").read_bytes()) == len(expected)


def test_an_output_that_is_no_file_costs_one_file(folder: Path, tiny_model: Path) -> None:
    bad = write(folder / "bad.wav", speech_like(0.1, 48_000))
    (folder.parent / "out" / "bad.wav").mkdir(parents=True)
    ended = mpeace("denoise", folder, "-o", folder.parent / "out", "--model", tiny_model)
    assert ended.status == 1
    assert ended.problems == [f"mpeace: {bad}: the output {folder.parent / 'out' / 'bad.wav'} is there and is no file"]
    assert (folder.parent / "out" / "good.wav").is_file()


def test_promise_07_collisions_cost_only_the_files_that_collide(folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    first = write(tmp_path / "x" / "a.wav", speech_like(0.1, 48_000))
    second = write(tmp_path / "y" / "a.wav", speech_like(0.1, 48_000))
    out, report = tmp_path / "out", tmp_path / "report.json"
    ended = mpeace("denoise", first, folder, second, "-o", out, "--model", tiny_model, "--report", report)
    assert ended.status == 1
    assert [line.split(": ")[1] for line in ended.problems] == [str(first), str(second)]
    assert all(str(first) in line and str(second) in line and "--name" in line for line in ended.problems)
    assert [path.name for path in out.iterdir()] == ["good.wav"]
    assert json.loads(report.read_text())["failed"] == 2


def test_outputs_of_a_former_run_collide_with_nothing(folder: Path, tiny_model: Path) -> None:
    write(folder / "b.wav", speech_like(0.1, 48_000))
    for _ in range(2):
        assert mpeace("denoise", folder, "--model", tiny_model).status == 0
    assert {path.stem for path in folder.iterdir()} == {"good", "good_denoised", "b", "b_denoised"}
