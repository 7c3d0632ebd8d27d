"""A model file reads no other file."""

from pathlib import Path

import onnx
import pytest
from tiny_model import write_tiny_model

from enhance import Denoiser, ModelError


@pytest.mark.parametrize("where", ["initializer", "attribute"])
def test_weights_in_other_files_are_refused_before_anything_is_loaded(tmp_path: Path, where: str) -> None:
    """The file that the weights are said to lie in is not there: only a look at the model itself can tell."""
    tensor = onnx.TensorProto(name="gain", data_type=onnx.TensorProto.FLOAT, dims=[1])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")
    model = onnx.load(write_tiny_model(tmp_path / "outside.onnx"))
    if where == "initializer":
        model.graph.initializer[0].CopyFrom(tensor)
    else:
        model.graph.node[0].attribute.append(onnx.helper.make_attribute("value", tensor))
    (tmp_path / "outside.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="keeps weights in other files") as error:
        Denoiser(tmp_path / "outside.onnx")
    assert "\n" not in str(error.value)
    assert "outside.onnx" in str(error.value)
