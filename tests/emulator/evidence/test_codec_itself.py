"""The encoder beside its emulator: a table from a stand-in for torch-aac, and one line where the package is missing."""

import csv
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from helpers import speech_like
from recordings import white, write
from torch import Tensor, nn

from emulator.evidence import codec_itself
from emulator.losses.aac import aac_distance

RATE = 16_000


class Rounding(nn.Module):
    """A codec that rounds samples and lets gradients pass, with the arguments of torch-aac."""

    def __init__(self, sample_rate: int, bitrate: int, device: str) -> None:
        super().__init__()
        self.step = 1000 / bitrate
        assert (sample_rate, device) == (RATE, "cpu")

    def forward(self, audio: Tensor) -> Tensor:
        return audio + (self.step * (audio / self.step).round() - audio).detach()


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in under the package's name."""
    module = ModuleType("torch_aac")
    module.DifferentiableAAC = Rounding  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch_aac", module)


@pytest.mark.usefixtures("package")
def test_what_the_encoder_rounds_away_costs_nothing() -> None:
    target = torch.from_numpy(speech_like(1.0, RATE)).float()
    compare = aac_distance(RATE, 16_000).to(target)
    step = 1000 / 16_000
    inside = (step * (target / step).round() + 0.2 * step) * torch.ones(1)  # rounds to the same
    assert float(compare(inside)) == pytest.approx(float(compare(target)), abs=1e-9) == 0
    estimate = (target + 3 * step).requires_grad_()
    compare(estimate).backward()
    assert estimate.grad is not None
    assert torch.isfinite(estimate.grad).all()
    assert estimate.grad.any()


@pytest.mark.usefixtures("package")
def test_the_table_has_a_line_for_each_loss(tmp_path: Path) -> None:
    clean = speech_like(2.0, RATE)[0]
    write(tmp_path / "set" / "clean" / "a.flac", clean, RATE, subtype="PCM_16")
    write(tmp_path / "set" / "noisy" / "a.flac", clean + 0.1 * white(2.0, RATE), RATE, subtype="PCM_16")
    assert codec_itself.main(["--quick", "--eval", str(tmp_path / "set"), "--out", str(tmp_path)]) == 0
    with (tmp_path / "codec_itself.csv").open(newline="") as file:
        rows = {row["loss"]: row for row in csv.DictReader(file)}
    terms = [f"{preset} {term}" for preset, terms in codec_itself.OURS.items() for term in terms]
    assert list(rows) == ["AAC 32 kbit/s output (torch-aac)", *terms, "compressed complex"]
    assert all(np.isfinite(float(row["si_sdr"])) and float(row["milliseconds"]) > 0 for row in rows.values())
    text = (tmp_path / "codec_itself.md").read_text()
    assert all(f"| {name} |" in text for name in rows)


def test_without_the_package_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch_aac", None)
    assert codec_itself.main(["--eval", str(tmp_path), "--out", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert "AAC needs a package: pip install torch-aac" in error
    assert error.count("\n") == 1
