"""What a model file says about itself, and what it may not leave out or say wrong."""

from pathlib import Path

import pytest
from tiny_model import TINY_METADATA, write_tiny_model

from enhance import Denoiser, ModelError


def test_metadata_are_read(tiny_denoiser: Denoiser) -> None:
    assert tiny_denoiser.info.sample_rate == 48000
    assert tiny_denoiser.info.training == {}
    assert tiny_denoiser.info.name == "tiny-delay"


@pytest.mark.parametrize("key", TINY_METADATA)
def test_a_file_that_lacks_a_key_is_refused_by_name(tmp_path: Path, key: str) -> None:
    metadata = {name: value for name, value in TINY_METADATA.items() if name != key}
    path = write_tiny_model(tmp_path / "lacking.onnx", metadata)
    with pytest.raises(ModelError, match=rf"lacking\.onnx .* lack '{key}'$"):
        Denoiser(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hop", "0"),
        ("hop", "ten"),
        ("sample_rate", "-48000"),
        ("sample_rate", "999999999"),
        ("hop", "9" * 12),
        ("state_size", "9" * 5000),
        ("latency", "9" * 15),
        ("latency", "1.5"),
        ("training", "{"),
        ("training", "[]"),
        ("training", "[" * 100_000),
    ],
)
def test_a_file_with_wrong_metadata_is_refused_by_name(tmp_path: Path, key: str, value: str) -> None:
    path = write_tiny_model(tmp_path / "wrong.onnx", TINY_METADATA | {key: value})
    with pytest.raises(ModelError, match=rf"wrong\.onnx: metadata '{key}'"):
        Denoiser(path)


def test_a_later_format_is_refused(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "later.onnx", TINY_METADATA | {"format_version": "2"})
    with pytest.raises(ModelError, match="format version '2', this program reads '1': update mpeace"):
        Denoiser(path)


def test_metadata_that_do_not_fit_the_graph_are_refused(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "unfit.onnx", TINY_METADATA | {"state_size": "481"})
    with pytest.raises(ModelError, match="does not run"):
        Denoiser(path)
