"""`--manifest`: inputs, outputs and settings row by row."""

import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from command import mpeace, read, write
from helpers import speech_like
from tiny_model import tiny_result

from apps.batch import manifest
from enhance.io.options import DenoiseOptions
from enhance.utils.errors import UsageError

AUDIO = speech_like(0.2, 48_000)
ONE_STEP_OF_16_BITS = 2.0**-15


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    return write(tmp_path / "a.wav", AUDIO)


def write_rows(path: Path, rows: list[dict[str, object]]) -> Path:
    """Write rows in the format that the suffix names."""
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".parquet":
        arrow = pytest.importorskip("pyarrow")
        pytest.importorskip("pyarrow.parquet").write_table(arrow.Table.from_pylist(rows), path)
    else:
        names = list(rows[0])
        lines = [",".join("" if row[name] is None else f'"{row[name]}"' for name in names) for row in rows]
        path.write_text("\n".join([",".join(names), *lines]) + "\n")
    return path


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_each_row_has_its_input_its_output_and_its_settings(
    tmp_path: Path, sound: Path, tiny_model: Path, suffix: str
) -> None:
    rows: list[dict[str, object]] = [
        {"input": str(sound), "output": str(tmp_path / "x/one.wav"), "mix": None, "format": None},
        {"input": str(sound), "output": str(tmp_path / "y/two.wav"), "mix": 0.0, "format": None},
        {"input": str(sound), "output": str(tmp_path / "y/three.flac"), "mix": 1.0, "format": "flac"},
        {"input": str(tmp_path / "no.wav"), "output": str(tmp_path / "no_clean.wav"), "mix": None, "format": None},
    ]
    manifest = write_rows(tmp_path / f"rows{suffix}", rows)
    ended = mpeace("denoise", "--manifest", manifest, "--model", tiny_model)
    assert ended.status == 1
    assert ended.problems == [f"mpeace: {tmp_path / 'no.wav'}: no such file or directory"]
    assert "3 done, 0 skipped, 1 failed" in ended.stderr
    assert np.abs(read(tmp_path / "x/one.wav") - tiny_result(AUDIO)).max() <= ONE_STEP_OF_16_BITS
    assert np.abs(read(tmp_path / "y/two.wav") - read(sound)).max() <= ONE_STEP_OF_16_BITS
    assert np.abs(read(tmp_path / "y/three.flac") - tiny_result(AUDIO)).max() <= ONE_STEP_OF_16_BITS
    again = mpeace("denoise", "--manifest", manifest, "--model", tiny_model)
    assert "0 done, 3 skipped, 1 failed" in again.stderr


def test_an_output_that_ends_as_a_folder_is_none(tmp_path: Path, sound: Path, tiny_model: Path) -> None:
    folder = f"{tmp_path}/clean/"
    rows = write_rows(tmp_path / "rows.csv", [{"input": str(sound), "output": folder}])
    ended = mpeace("denoise", "--manifest", rows, "--model", tiny_model)
    assert ended.problems == [f"mpeace: {sound}: the output {folder} is a folder; name a file"]
    assert not (tmp_path / "clean").exists()


def test_a_row_whose_output_cannot_be_fails_and_the_others_are_done(
    tmp_path: Path, sound: Path, tiny_model: Path
) -> None:
    """Its message says which; a manifest of thousands is not refused for one of them."""
    wrong, good = [tmp_path / "a.m4a", tmp_path / "a.wma", "https://host/a.wav"], tmp_path / "good.wav"
    rows: list[dict[str, object]] = [{"input": str(sound), "output": str(target)} for target in [*wrong, good]]
    ended = mpeace("denoise", "--manifest", write_rows(tmp_path / "rows.csv", rows), "--model", tiny_model)
    assert ended.status == 1
    assert good.exists()
    reasons = ("is written only from .m4a, not from .wav", "is not written; name an output", "is on a web server")
    for target, reason in zip(wrong, reasons, strict=True):
        assert any(str(target) in line and reason in line for line in ended.problems)
    assert len(ended.problems) == len(wrong)


def test_two_rows_with_one_output_fail_both_and_the_others_are_done(
    tmp_path: Path, sound: Path, tiny_model: Path
) -> None:
    other = write(tmp_path / "b.wav", AUDIO)
    out, good = tmp_path / "out.wav", tmp_path / "good.wav"
    pairs = ((sound, out), (other, out), (other, good))
    rows: list[dict[str, object]] = [{"input": source, "output": target} for source, target in pairs]
    ended = mpeace("denoise", "--manifest", write_rows(tmp_path / "rows.csv", rows), "--model", tiny_model)
    assert ended.status == 1
    assert len(ended.problems) == 2
    assert all(f"would both become {out}; give each row an output of its own" in line for line in ended.problems)
    assert good.exists()
    assert not out.exists()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (
            "m.csv",
            "input,output,mixx\na.wav,b.wav,\n",
            "row 1: there is no column 'mixx'; there are input, output",
        ),
        ("m.csv", "input\na.wav\n", "row 1: no output"),
        ("m.csv", "input,output\na.wav\n", "row 1 has not as many cells"),
        ("m.csv", "input,output,mix\na.wav,b.wav,2\n", "row 1: --mix"),
        ("m.csv", "input,output,mix\na.wav,b.wav,much\n", "row 1: mix 'much' is no value of that column"),
        ("m.csv", "input,output,format\na.wav,b.wav,mp5\n", "row 1: format 'mp5': expected wav, flac,"),
        ("m.csv", "input,output,clip\na.wav,b.wav,loud\n", "row 1: clip 'loud': expected clamp, rescale, fail"),
        ("m.csv", "input,output,link\na.wav,b.wav,both\n", "row 1: link 'both': expected auto, on, off"),
        ("m.csv", "input,output\n", "it has no rows"),
        ("m.csv", "", "it has no rows"),
        ("m.csv", "input,output\n\xff,b\n", "no UTF-8"),
        ("m.jsonl", '{"input": "a.wav"}\n', "row 1: no output"),
        ("m.jsonl", '\n{"input": 3, "output": "b"}\n', "row 1: no input"),
        ("m.jsonl", '{"input": "a", "output": "b", "sample_rate": 1e999}\n', "row 1: sample_rate inf is no value"),
        (
            "m.jsonl",
            '{"input": "a", "output": "b", "sample_rate": 44100.7}\n',
            "row 1: sample_rate 44100.7 is no value",
        ),
        ("m.jsonl", "[" * 100_000 + "\n", "line 1 is no JSON object"),
        ("m.jsonl", "[1]\n", "line 1 is no JSON object"),
        ("m.csv", "input,output,mix,output\na.wav,b.wav,1,c.wav\n", "there are two columns 'output'; keep one of them"),
        ("m.jsonl", '{"input": "a", "output": "b", "mix": 0, "mix": 1}\n', "line 1: there are two columns 'mix'"),
        (
            "m.jsonl",
            '{"input": "a\\u0000", "output": "b"}\n',
            "row 1: input 'a\\x00' is no name of a file: there is a NUL",
        ),
        (
            "m.jsonl",
            '{"input": "a", "output": "\\ud800"}\n',
            "row 1: output '\\ud800' is no name of a file: there is half",
        ),
        (
            "m.jsonl",
            '{"input": "a", "output": "b", "track": [null]}\n',
            "row 1: track [None] is no value of that column",
        ),
        ("m.parquet", "PAR1", "it is no Parquet file"),
        ("m.txt", "", "expected a .csv, .jsonl or .parquet file"),
    ],
)
def test_a_manifest_with_a_fault_is_refused_in_one_line(
    tmp_path: Path, tiny_model: Path, name: str, content: str, words: str
) -> None:
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    (tmp_path / name).write_bytes(content.encode("latin-1"))
    ended = mpeace("denoise", "--manifest", tmp_path / name, "--model", tiny_model)
    assert ended.status == 2, ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert f"--manifest {tmp_path / name}" in ended.stderr
    assert words in ended.stderr


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("m.csv", "input,output,sample_rate,channels\na.wav,b.wav,16000.0,2.0\nc.wav,d.wav,,\n"),
        ("m.jsonl", '{"input": "a.wav", "output": "b.wav", "sample_rate": 16000.0, "channels": 2.0}\n'),
    ],
)
def test_whole_numbers_may_have_a_point(tmp_path: Path, name: str, content: str) -> None:
    """As pandas and Parquet write a column of numbers that has an empty cell."""
    (tmp_path / name).write_text(content)
    row = manifest.read_manifest(str(tmp_path / name), DenoiseOptions())[0]
    assert (row.options.sample_rate, row.options.channels) == (16_000, (2,))


def test_a_track_by_number_may_have_a_point_and_a_title_keeps_its_own(tmp_path: Path) -> None:
    lines = [{"input": "a.mp4", "output": "b.mp4", "track": track} for track in (2.0, 3, "2.0", "eng")]
    rows = manifest.read_manifest(str(write_rows(tmp_path / "m.jsonl", lines)), DenoiseOptions())
    assert [row.options.tracks for row in rows] == [("2",), ("3",), ("2.0",), ("eng",)]


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_channels_and_track_may_be_lists(tmp_path: Path, suffix: str) -> None:
    rows: list[dict[str, object]] = [
        {"input": "a.mp4", "output": "b.mp4", "track": ["eng", "2"], "channels": [1, 2]},
        {"input": "c.mp4", "output": "d.mp4", "track": [], "channels": None},
    ]
    first, second = manifest.read_manifest(str(write_rows(tmp_path / f"m{suffix}", rows)), DenoiseOptions())
    assert (first.options.tracks, first.options.channels) == (("eng", "2"), (1, 2))
    assert (second.options.tracks, second.options.channels) == ((), ())


def test_a_column_of_numbers_says_yes_and_no_with_a_point_too(tmp_path: Path) -> None:
    """As pandas and Parquet write 1, 0 and an empty cell."""
    (tmp_path / "m.csv").write_text("input,output,salvage\na.wav,b.wav,1.0\nc.wav,d.wav,0.0\ne.wav,f.wav,\n")
    rows = manifest.read_manifest(str(tmp_path / "m.csv"), DenoiseOptions())
    lines = [{"input": "a.wav", "output": "b.wav", "salvage": given} for given in (1.0, 0.0, None)]
    rows += manifest.read_manifest(str(write_rows(tmp_path / "m.jsonl", lines)), DenoiseOptions())
    assert [row.options.salvage for row in rows] == 2 * [True, False, False]


def test_numbers_of_databases_are_numbers(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    row: dict[str, object] = {
        "input": "a",
        "output": "b",
        "track": Decimal("2.00"),
        "channels": Decimal(1),
        "mix": Decimal("0.5"),
    }
    (read_back,) = manifest.read_manifest(str(write_rows(tmp_path / "m.parquet", [row])), DenoiseOptions())
    assert (read_back.options.tracks, read_back.options.channels, read_back.options.mix) == (("2",), (1,), 0.5)


def test_two_columns_of_one_name_in_parquet(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    table = arrow.table([["a.wav"], ["b.wav"], ["c.wav"]], names=["input", "output", "output"])
    pytest.importorskip("pyarrow.parquet").write_table(table, tmp_path / "m.parquet")
    with pytest.raises(UsageError, match="there are two columns 'output'"):
        manifest.read_manifest(str(tmp_path / "m.parquet"), DenoiseOptions())


def test_inputs_come_from_one_place(tmp_path: Path, sound: Path) -> None:
    manifest = ("--manifest", tmp_path / "no.csv")
    for arguments in ((sound, *manifest), (*manifest, "-o", "out"), (), manifest):
        ended = mpeace("denoise", *arguments)
        assert ended.status == 2
        assert len(ended.stderr.splitlines()) == 1


def test_a_manifest_with_a_signed_address_is_known_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "_content", lambda *_: b"input,output\na.wav,b.wav\n")
    (row,) = manifest.read_manifest("https://host/m.csv?X-Amz-Signature=S", DenoiseOptions())
    assert (row.source, row.target) == ("a.wav", "b.wav")
