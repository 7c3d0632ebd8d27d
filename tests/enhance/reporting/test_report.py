"""What a command of the evidence leaves behind."""

import argparse
import json
from pathlib import Path

import pytest

from enhance.reporting.report import Report, add_report_arguments, load_rows, run_report, save_report


@pytest.mark.parametrize("options", [[], ["--quick"]])
def test_the_settings_say_whether_it_was_a_quick_run(options: list[str], tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    add_report_arguments(parser)
    report = Report("cost", [{"ms": 1}], "| ms |", {"seeds": [0]})
    assert run_report("program", lambda _: report, parser.parse_args([*options, "--out", str(tmp_path)])) == 0
    written = json.loads((tmp_path / "cost.json").read_text(encoding="utf-8"))
    assert written["settings"] == {"seeds": [0], "quick": bool(options)}


class Unwritable:
    """A value that fails while it is written, as a full disk does."""

    def __str__(self) -> str:
        raise OSError("no space left")


def test_rows_of_finished_runs_are_kept_when_the_next_table_cannot_be_written(tmp_path: Path) -> None:
    rows = [{"loss": "bark", "pesq": 1.5}]
    save_report(Report("ablation", rows, "| table |", {}), tmp_path, 1.0)
    with pytest.raises(OSError, match="no space left"):
        save_report(Report("ablation", [{"loss": "mel", "pesq": Unwritable()}, *rows], "", {}), tmp_path, 1.0)
    assert load_rows(tmp_path / "ablation.csv", ["loss"]) == rows


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "loss,pesq\nbark,good\n", "loss,pesq\nbark\n"])
def test_rows_of_another_program_are_refused_by_name(tmp_path: Path, content: str) -> None:
    (tmp_path / "ablation.csv").write_text(content)
    with pytest.raises(ValueError, match=r"ablation\.csv: expected the rows of finished runs"):
        load_rows(tmp_path / "ablation.csv", ["loss"])
    assert load_rows(tmp_path / "none.csv", ["loss"]) == []
