"""What cannot be started at all, or not for this file or with this model: one line, before anything is written."""

import os
from pathlib import Path

import pytest
from command import Ended, mpeace, write
from helpers import speech_like

from apps.batch.choices import IfExists
from apps.batch.plan import make_plan
from enhance.io.options import DenoiseOptions


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a good file, which every batch must finish."""
    write(tmp_path / "in" / "good.wav", speech_like(0.1, 48_000))
    return tmp_path / "in"


def usage(ended: Ended, *words: object) -> None:
    """Check that nothing was started: one line with these words, exit status 2."""
    assert ended.status == 2
    assert len(ended.stderr.splitlines()) == 1
    for word in words:
        assert str(word) in ended.stderr


def failed(ended: Ended, *lines: tuple[object, ...]) -> None:
    """Check that files failed, each with one line: the file itself, then the words in the rest of its line."""
    assert ended.status == 1
    assert len(ended.problems) == len(lines), ended.stderr
    for line, (file, *words) in zip(ended.problems, lines, strict=True):
        assert line.startswith(f"mpeace: {file}: ")
        for word in words:
            assert str(word) in line.removeprefix(f"mpeace: {file}: ")


def test_output_equals_input(tmp_path: Path, tiny_model: Path) -> None:
    source = write(tmp_path / "a.wav", speech_like(0.1, 48_000))
    before = source.read_bytes()
    (tmp_path / "link.wav").symlink_to(source)
    for output in (source, tmp_path / "." / "a.wav", tmp_path / "link.wav", tmp_path):
        ended = mpeace("denoise", source, "-o", output, "--model", tiny_model, "--if-exists", "overwrite")
        failed(ended, (source, "itself"))
    failed(mpeace("denoise", source, "--name", "{stem}{suffix}", "--model", tiny_model), (source, "itself"))
    assert source.read_bytes() == before


def test_what_is_empty_stands_for_nothing(
    folder: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As of a variable of the shell that is not set: it would be the present folder, or standard output."""
    monkeypatch.chdir(folder)
    model = ("--model", tiny_model)
    usage(mpeace("denoise", "", "-o", tmp_path / "out", *model), "an INPUT is empty: name a file or a folder")
    usage(mpeace("denoise", "-", "-o", "", *model), "-o is empty: name a file or a folder")
    usage(mpeace("denoise", "good.wav", "--name", "", *model), "--name gives '', expected a file name")
    usage(mpeace("denoise", "good.wav", "--subtype", "", *model), "--subtype is empty: expected PCM_16")
    assert [path.name for path in folder.iterdir()] == ["good.wav"]
    assert not (tmp_path / "out").exists()


def test_a_second_name_of_the_input_is_no_output(tmp_path: Path, tiny_model: Path) -> None:
    """A hard link stands for all ways in which two paths may lead to one file: mounts, volumes that ignore case."""
    source = write(tmp_path / "a.wav", speech_like(0.1, 48_000))
    before = source.read_bytes()
    (tmp_path / "b.wav").hardlink_to(source)
    ended = mpeace("denoise", source, "-o", tmp_path / "b.wav", "--if-exists", "overwrite", "--model", tiny_model)
    failed(ended, (source, "itself"))
    assert source.read_bytes() == before


def test_a_link_to_a_file_of_the_same_folder_has_an_output_of_its_own(tmp_path: Path, tiny_model: Path) -> None:
    folder = tmp_path / "in"
    source = write(folder / "talk.wav", speech_like(0.1, 48_000))
    (folder / "a_link.wav").symlink_to(source)
    assert mpeace("denoise", folder, "-o", tmp_path / "out", "--model", tiny_model).status == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a_link.wav", "talk.wav"]


def test_two_inputs_with_one_output(tmp_path: Path, tiny_model: Path) -> None:
    first = write(tmp_path / "x" / "a.wav", speech_like(0.1, 48_000))
    second = write(tmp_path / "y" / "a.wav", speech_like(0.1, 48_000))
    ended = mpeace("denoise", first, second, "-o", tmp_path / "out", "--model", tiny_model)
    failed(ended, (first, second), (second, first))
    assert not (tmp_path / "out").exists()
    third = write(tmp_path / "x" / "a.flac", speech_like(0.1, 48_000))
    failed(mpeace("denoise", tmp_path / "x", "--format", "ogg", "--model", tiny_model), (third, first), (first, third))
    assert not list(tmp_path.rglob("*.ogg"))


def test_an_input_that_is_the_output_of_another(tmp_path: Path, tiny_model: Path) -> None:
    first = write(tmp_path / "a.wav", speech_like(0.1, 48_000))
    second = write(tmp_path / "a_denoised.wav", speech_like(0.1, 48_000))
    third = write(tmp_path / "b.wav", speech_like(0.1, 48_000))
    before = second.read_bytes()
    failed(mpeace("denoise", first, second, third, "--model", tiny_model), (first, second), (second, first))
    assert second.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"a.wav", "a_denoised.wav", "b.wav", "b_denoised.wav"}


@pytest.mark.parametrize("damage", ["cut", "text", "missing"])
def test_a_damaged_model(tmp_path: Path, tiny_model: Path, damage: str) -> None:
    source = write(tmp_path / "a.wav", speech_like(0.1, 48_000))
    model = tmp_path / "model.onnx"
    if damage == "cut":
        model.write_bytes(tiny_model.read_bytes()[:200])
    if damage == "text":
        model.write_text("not a network")
    ended = mpeace("denoise", source, "--model", model)
    assert ended.status == 2
    assert len(ended.stderr.splitlines()) == 1
    assert str(model) in ended.stderr
    assert [path for path in tmp_path.iterdir() if path.suffix == ".wav"] == [source]
    info = mpeace("info", model)
    assert info.status == 2
    assert len(info.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--mix", "1.5"), "--mix"),
        (("--mix", "nan"), "--mix"),
        (("--attenuation-limit", "-3"), "--attenuation-limit"),
        (("--sample-rate", "12"), "--sample-rate 12 Hz"),
        (("--format", "mp5"), "mp5"),
        (("--name", "{nonsense}"), "{stem}"),
        (("--name", "../{stem}"), "without folders"),
        (("--report", "no/such/folder/report.json"), "--report"),
        (
            ("--report", "a.wav"),
            "--report a.wav: expected a file whose name ends in .json or .jsonl or",
        ),
        (("--report", "-"), "--report -: expected a file whose name ends in"),
        (("--speech-segments", "a.wav"), "--speech-segments a.wav: expected a file whose name ends in .json"),
        (("-o", "-", "--clip", "rescale"), "--clip rescale"),
        (("-o", "-", "--format", "flac"), "standard output is WAV"),
        (("-o", "out.m4a"), ".m4a"),
        (("-o", "out.raw"), "out.raw: .raw is not written; name an output like out.wav"),
        (("-o", "out.voc"), "out.voc: .voc is not written from .wav"),
        (("-o", os.devnull), "no file"),
    ],
)
def test_options_that_make_no_sense(tmp_path: Path, tiny_model: Path, options: tuple[str, ...], words: str) -> None:
    source = write(tmp_path / "a.wav", speech_like(0.1, 48_000))
    usage(mpeace("denoise", source, "--model", tiny_model, *options), words)
    assert list(tmp_path.iterdir()) == [source]


def test_a_suffix_that_one_of_several_cannot_become_costs_that_one(folder: Path, tmp_path: Path) -> None:
    """A template may fit the recordings of a folder, and not a stray one."""
    (folder / "b.m4a").write_bytes(b"as far as its name says")
    plan = make_plan([str(folder)], str(tmp_path / "out"), "{stem}.m4a", IfExists.SKIP, DenoiseOptions())
    assert [task.source for task in plan.tasks] == [str(folder / "b.m4a")]
    assert [outcome.input for outcome in plan.settled] == [str(folder / "good.wav")]
    assert ".m4a is written only from .m4a, not from .wav" in plan.settled[0].message


def test_a_subtype_that_the_container_lacks(folder: Path, tiny_model: Path) -> None:
    ended = mpeace("denoise", folder, "--format", "flac", "--subtype", "FLOAT", "--model", tiny_model)
    assert ended.status == 1
    assert "flac has no subtype FLOAT; it has PCM" in ended.problems[0]


def test_a_rate_that_the_container_lacks(tmp_path: Path, tiny_model: Path) -> None:
    source = write(tmp_path / "a.wav", speech_like(0.1, 44_100), 44_100)
    ended = mpeace("denoise", source, "--format", "opus", "--model", tiny_model)
    assert ended.status == 1
    assert "--sample-rate" in ended.problems[0]
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes")
def test_a_pipe_with_a_name_is_no_file_and_the_line_says_what_is_read(tmp_path: Path) -> None:
    """As /dev/stdin, and <(PROGRAM) of the shell."""
    os.mkfifo(tmp_path / "pipe")
    advice = "a pipe, not a file; WAV from a program is read so: PROGRAM | mpeace denoise -"
    failed(mpeace("denoise", tmp_path / "pipe", "-o", tmp_path / "out.wav"), (tmp_path / "pipe", advice))


def test_a_report_takes_the_place_of_no_other_file(tmp_path: Path, tiny_model: Path) -> None:
    """Not of somebody's JSON, nor of what another option wrote; of a former report it does."""
    source = write(tmp_path / "a.wav", speech_like(0.1, 48_000))
    report, segments = tmp_path / "r.json", tmp_path / "s.json"
    arguments = ("denoise", source, "-o", tmp_path / "out.wav", "--model", tiny_model)
    assert mpeace(*arguments, "--speech-segments", segments).status == 0
    for content in ('{"files": []}', "[]", "no JSON", segments.read_text()):
        report.write_text(content)
        usage(mpeace(*arguments, "--report", report), f"--report {report}: this file was not written by this option")
        assert report.read_text() == content
    report.write_text("")
    for _ in range(2):
        assert mpeace(*arguments, "--report", report).status == 0
    written = report.read_text()
    usage(mpeace(*arguments, "--speech-segments", report), "this file was not written by this option; name another")
    os.mkfifo(tmp_path / "pipe.json")
    usage(mpeace(*arguments, "--report", tmp_path / "pipe.json"), "it is there and is no file")
    assert (report.read_text(), '"skipped": 1' in written) == (written, True)


def test_an_output_is_no_file_of_an_option(tmp_path: Path, tiny_model: Path) -> None:
    source = write(tmp_path / "a.wav", speech_like(0.1, 48_000))
    report, manifest = tmp_path / "r.json", tmp_path / "m.csv"
    rest = ("--model", tiny_model, "--if-exists", "overwrite")
    both = f"--report and --speech-segments both name {report}"
    usage(mpeace("denoise", source, *rest, "--report", report, "--speech-segments", report), both)
    for option in ("--report", "--speech-segments"):
        ended = mpeace("denoise", source, "-o", report, *rest, option, tmp_path / "." / "r.json")
        usage(ended, f"the output {report} is the file of {option}; name another for one of them")
    manifest.write_text(f"input,output\n{source},{manifest}\n")
    before = manifest.read_text()
    usage(mpeace("denoise", "--manifest", manifest, *rest), f"the output {manifest} is the file of --manifest")
    assert manifest.read_text() == before
    assert sorted(tmp_path.iterdir()) == [source, manifest]


def test_standard_input_goes_to_a_file_and_not_to_a_folder(tmp_path: Path, tiny_model: Path) -> None:
    for folder in (f"{tmp_path}/new/", str(tmp_path)):
        ended = mpeace("denoise", "-", "-o", folder, "--model", tiny_model)
        usage(ended, f"standard input is written to a sound file such as out.wav, not to {folder}")
    assert not list(tmp_path.iterdir())
