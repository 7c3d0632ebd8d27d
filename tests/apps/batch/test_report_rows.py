"""`--report` as rows, JSONL or Parquet: written file by file, and gone on with."""

import hashlib
import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from command import mpeace, start, write, write_silence
from helpers import speech_like

from apps.batch.report_rows import RowReport
from enhance.io.task import Outcome


def rows_of(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return pytest.importorskip("pyarrow.parquet").read_table(path).to_pylist()
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_a_row_has_all_of_a_file_and_the_next_run_adds_to_it(tmp_path: Path, tiny_model: Path, suffix: str) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    report = tmp_path / f"r{suffix}"
    source = write(tmp_path / "in" / "a.wav", speech_like(2, 44_100, 2), 44_100, subtype="PCM_24")
    (tmp_path / "in" / "bad.wav").write_text("no sound")
    command = ("denoise", tmp_path / "in", "-o", tmp_path / "out", "--model", tiny_model, "--report", report)
    assert mpeace(*command).status == 1
    good, bad = sorted(rows_of(report), key=lambda row: row["status"])
    assert (good["input"], good["output"]) == (str(source), str(tmp_path / "out" / "a.wav"))
    assert (good["status"], good["reason"], good["seconds"], good["samples"]) == ("done", "", 2.0, 88_200)
    assert (good["sample_rate"], good["channels"], good["subtype"]) == (44_100, 2, "PCM_24")
    assert good["sha256"] == hashlib.sha256((tmp_path / "out" / "a.wav").read_bytes()).hexdigest()
    assert good["output_dbfs"] == pytest.approx(good["input_dbfs"] - 6.02, abs=0.1)
    assert 0 <= good["speech_share"] <= 1
    assert good["cpu_seconds"] > 0
    assert (bad["status"], bad["sha256"]) == ("failed", None)
    assert "not a sound file" in bad["reason"]
    write(tmp_path / "in" / "b.wav", speech_like(0.1, 48_000))
    assert mpeace(*command).status == 1
    statuses = sorted((Path(row["input"]).name, row["status"]) for row in rows_of(report))
    assert statuses == [("a.wav", "done"), ("b.wav", "done"), ("bad.wav", "failed"), ("bad.wav", "failed")]
    assert sorted(path.name for path in tmp_path.glob("r*")) == [report.name]


def test_a_killed_batch_has_reported_what_it_finished(tmp_path: Path, tiny_model: Path) -> None:
    report = tmp_path / "r.jsonl"
    short = write(tmp_path / "short.wav", speech_like(0.1, 48_000))
    long = write_silence(tmp_path / "long.wav", seconds=20_000)
    process = start("denoise", short, long, "-o", tmp_path / "out", "--model", tiny_model, "--report", report)
    while not report.exists() or not report.read_text().endswith("\n"):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert [row["status"] for row in rows_of(report)] == ["done"]
    with report.open("a") as file:
        file.write('{"input": "to')  # as if it had been killed in the middle of a line
    other = write(tmp_path / "other.wav", speech_like(0.1, 48_000))
    ended = mpeace("denoise", short, other, "-o", tmp_path / "out", "--model", tiny_model, "--report", report)
    assert ended.status == 0, ended.stderr
    assert [(Path(row["input"]).name, row["status"]) for row in rows_of(report)] == [
        ("short.wav", "done"),
        ("other.wav", "done"),
    ]


@pytest.mark.parametrize(
    "content", ["no report\n", '{"a": 1}\n', "no line", "[]\n", '{"input": "a"}\n{"input": "b"}', "a\nb"]
)
def test_a_file_that_is_no_report_is_not_touched(tmp_path: Path, tiny_model: Path, content: str) -> None:
    source = write(tmp_path / "a.wav", speech_like(0.1, 48_000))
    (tmp_path / "r.jsonl").write_text(content)
    ended = mpeace("denoise", source, "--model", tiny_model, "--report", tmp_path / "r.jsonl")
    assert ended.status == 2
    assert "was not written by this option; name another" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert (tmp_path / "r.jsonl").read_text() == content
    assert not (tmp_path / "a_denoised.wav").exists()


def test_rows_go_to_a_file_of_this_machine(tmp_path: Path, tiny_model: Path) -> None:
    source = write(tmp_path / "a.wav", speech_like(0.1, 48_000))
    ended = mpeace("denoise", source, "--model", tiny_model, "--report", "s3://bucket/r.jsonl")
    assert ended.status == 2
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_a_name_that_is_no_utf8_has_one_row_in_each_format(tmp_path: Path, suffix: str) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    path, name = tmp_path / f"r{suffix}", "caf\udce9.wav"  # as Python holds the byte E9
    for status in ("done", "skipped"):
        report = RowReport(path)
        report.add(Outcome(name, f"out/{name}", status, notes=[name]))  # type: ignore[arg-type]
        report.close()
    (row,) = rows_of(path)
    shown = name if suffix == ".jsonl" else "caf\\udce9.wav"
    assert (row["input"], row["output"], row["notes"]) == (shown, f"out/{shown}", [shown])
    assert [place.name for place in tmp_path.iterdir()] == [path.name]
