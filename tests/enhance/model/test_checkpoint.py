"""Checkpoints: what is missing, damaged or of another format is said so."""

from pathlib import Path

import pytest
import torch

from enhance.average import main as average
from enhance.export import main as export
from enhance.model.checkpoint import FORMAT, load_checkpoint, save_atomically


def test_what_was_saved_is_read(tmp_path: Path) -> None:
    save_atomically({"format": FORMAT, "x": torch.arange(3)}, tmp_path / "a.pt")
    assert load_checkpoint(tmp_path / "a.pt")["x"].tolist() == [0, 1, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]


def test_a_missing_checkpoint_is_called_missing_without_advice_to_delete_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = str(tmp_path / "last.pt")
    assert export([missing, str(tmp_path / "a.onnx")]) == 1
    assert capsys.readouterr().err == f"enhance.export: no checkpoint '{missing}'\n"
    assert average([missing, missing, "--out", str(tmp_path / "mean.pt")]) == 1
    assert capsys.readouterr().err == f"enhance.average: no checkpoint '{missing}'\n"
    with pytest.raises(FileNotFoundError, match="it is a folder"):
        load_checkpoint(tmp_path)


def test_damaged_checkpoints_and_those_of_another_format_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    save_atomically({"format": FORMAT, "x": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match=r"is no readable checkpoint \(.*\): it is damaged"):
        load_checkpoint(path)
    save_atomically({"format": FORMAT + 1}, path)
    with pytest.raises(ValueError, match=f"is no checkpoint of format {FORMAT}"):
        load_checkpoint(path)
