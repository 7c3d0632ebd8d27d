"""The commands of the evidence as one runs them, quickly, and the page that links what they wrote."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long


def run(name: str, *arguments: object) -> None:
    command = [sys.executable, "-m", f"emulator.evidence.{name}", *map(str, arguments)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def test_quick_runs_make_tables_and_a_page_of_contents(shared: Path, tmp_path: Path) -> None:
    quick = ("--quick", "--out", tmp_path / "evidence")
    speech, noise = (shared / "data" / kind / "valid" for kind in ("speech", "noise"))
    corpus = [
        "--speech",
        speech,
        "--noise",
        noise,
        "--music",
        shared / "data" / "music",
        "--rooms",
        shared / "data" / "rir",
    ]
    corpus += ["--valid-speech", speech, "--valid-noise", noise, "--simulated-rooms", 0, "--cache", tmp_path / "cache"]
    for name in ("masking", "autoencoder", "cost"):
        run(name, *quick)
    run("descent", *quick, "--eval", shared / "eval")
    run("fidelity", *quick, *corpus)
    run("document", tmp_path / "evidence")
    page = (tmp_path / "evidence" / "README.md").read_text(encoding="utf-8")
    assert page.count("A quick run, to show the shape only.") == 5
