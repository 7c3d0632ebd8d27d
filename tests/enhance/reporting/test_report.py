"""What a command of the evidence leaves behind."""

import argparse
import json
from pathlib import Path

import pytest

from enhance.reporting.report import Report, add_report_arguments, run_report


@pytest.mark.parametrize("options", [[], ["--quick"]])
def test_the_settings_say_whether_it_was_a_quick_run(options: list[str], tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    add_report_arguments(parser)
    report = Report("cost", [{"ms": 1}], "| ms |", {"seeds": [0]})
    assert run_report("program", lambda _: report, parser.parse_args([*options, "--out", str(tmp_path)])) == 0
    written = json.loads((tmp_path / "cost.json").read_text(encoding="utf-8"))
    assert written["settings"] == {"seeds": [0], "quick": bool(options)}
