"""The mean of networks' weights, as a checkpoint that can be exported and says what it was made of."""

import json
from functools import partial
from pathlib import Path

import onnx
import pytest
import torch
from recordings import SMALLEST
from safetensors.torch import load_file, save_file

from enhance import Denoiser
from enhance.average import average, main
from enhance.model import onnx_export
from enhance.model.network import Enhancer


def write_checkpoint(path: Path, seed: int, channels: int = SMALLEST.channels) -> dict[str, torch.Tensor]:
    """As a training leaves it, with random weights; returns those."""
    dimensions = SMALLEST.to_dict() | {"channels": channels}
    torch.manual_seed(seed)
    weights = Enhancer(type(SMALLEST).from_dict(dimensions)).state_dict()
    told = {"format": 1, "task": {"dimensions": dimensions}, "config": {"steps": 3}, "step": 3, "torch": "2"}
    torch.save(told | {"average": weights, "network": weights, "optimizers": []}, path)
    return weights


def test_each_weight_is_the_mean_by_shares(tmp_path: Path) -> None:
    first = write_checkpoint(tmp_path / "last.pt", 0)
    other = write_checkpoint(tmp_path / "other.pt", 1)
    save_file(other, tmp_path / "other.safetensors")
    for name in ("other.pt", "other.safetensors"):
        files = [str(tmp_path / "last.pt"), str(tmp_path / name)]
        assert main([*files, "--shares", "0.7", "0.3", "--out", str(tmp_path / "new" / "mean.pt")]) == 0
        got = torch.load(tmp_path / "new" / "mean.pt", weights_only=True)["average"]
        assert got.keys() == first.keys()
        for key, x in got.items():
            torch.testing.assert_close(x, 0.7 * first[key] + 0.3 * other[key])


def test_the_mean_is_exported_and_says_what_it_is_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compared with PyTorch for a second: for over a minute it is by the test of promise 31."""
    monkeypatch.setattr(onnx_export, "parity", partial(onnx_export.parity, seconds=1.0))
    write_checkpoint(tmp_path / "last.pt", 0)
    write_checkpoint(tmp_path / "other.pt", 1)
    assert main([str(tmp_path / "last.pt"), str(tmp_path / "other.pt"), "--out", str(tmp_path / "mean.pt")]) == 0
    onnx_export.export(tmp_path / "mean.pt", tmp_path / "mean.onnx", "mean")
    Denoiser(tmp_path / "mean.onnx")
    told = {entry.key: entry.value for entry in onnx.load(tmp_path / "mean.onnx").metadata_props}
    assert json.loads(told["training"])["averaged"] == ["0.5 of last.pt", "0.5 of other.pt"]
    mean = torch.load(tmp_path / "mean.pt", weights_only=True)["average"]
    torch.testing.assert_close(load_file(tmp_path / "mean.safetensors"), dict(mean))


def test_a_mean_of_means_says_what_each_is_of(tmp_path: Path) -> None:
    for seed, name in enumerate(("last.pt", "other.pt")):
        write_checkpoint(tmp_path / name, seed)
    last, other, mean, again = (str(tmp_path / f"{name}.pt") for name in ("last", "other", "mean", "again"))
    assert main([last, other, "--out", mean]) == 0
    assert main([mean, last, "--shares", "0.6", "0.4", "--out", again]) == 0
    told = torch.load(tmp_path / "again.pt", weights_only=True)["averaged"]
    assert told == ["0.6 of mean.pt (0.5 of last.pt, 0.5 of other.pt)", "0.4 of last.pt"]


def test_equal_networks_stay_what_they_are() -> None:
    weights = {"x": torch.randn(5, generator=torch.Generator().manual_seed(0))}
    torch.testing.assert_close(average([weights] * 3, [0.2, 0.3, 0.5]), weights, rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    ("shares", "words"),
    [
        (["0.7", "0.7"], "expected 2 shares that add up to 1, got 0.7, 0.7"),
        (["1"], "expected 2 shares that add up to 1, got 1"),
        (["nan", "1"], "expected 2 shares that add up to 1, got nan, 1"),
        (["0.5", "0.5"], "the networks differ in their dimensions"),
    ],
)
def test_what_does_not_fit_is_one_line(
    shares: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_checkpoint(tmp_path / "last.pt", 0)
    write_checkpoint(tmp_path / "wide.pt", 0, channels=2 * SMALLEST.channels)
    out = tmp_path / "mean.pt"
    assert main([str(tmp_path / "last.pt"), str(tmp_path / "wide.pt"), "--shares", *shares, "--out", str(out)]) == 1
    message = capsys.readouterr().err
    assert message.startswith("enhance.average: ")
    assert words in message
    assert message.count("\n") == 1
    assert not out.exists()


def test_damaged_files_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_checkpoint(tmp_path / "last.pt", 0)
    for name in ("damaged.safetensors", "damaged.pt", "missing.safetensors"):
        if not name.startswith("missing"):
            (tmp_path / name).write_bytes(b"nothing")
        assert main([str(tmp_path / "last.pt"), str(tmp_path / name), "--out", str(tmp_path / "mean.pt")]) == 1
        message = capsys.readouterr().err
        assert message.startswith("enhance.average: ")
        assert message.count("\n") == 1
