"""The exported file in other engines than ONNX Runtime on a CPU: nothing in it is refused, and it sounds the same."""

import numpy as np
import onnx
import pytest

from enhance import Denoiser, find_model, list_models

TOLERANCE = 1e-5  # at full scale: float32 sums in another order, fed back through GRUs


@pytest.mark.parametrize("name", [entry.name for entry in list_models()])
def test_a_shipped_file_has_only_operators_of_the_standard_and_activations_that_openvino_knows(name: str) -> None:
    model = onnx.load(find_model(name))
    assert {opset.domain for opset in model.opset_import} == {""}
    (level,) = [node for node in model.graph.node if node.op_type == "RNN"]
    activations = [a.strings for a in level.attribute if a.name.startswith("activation")]
    assert activations == [[b"Relu"]]


@pytest.mark.parametrize(("hops", "seconds"), [(1, 10), (100, 65)])
def test_openvino_gives_the_same_sound_over_a_minute(shipped_denoiser: Denoiser, hops: int, seconds: int) -> None:
    """In blocks of a second, or of a hop; the state goes from block to block as it does in ONNX Runtime."""
    openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed: pip install openvino")
    core = openvino.Core()
    core.set_property("CPU", {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1})
    compiled = core.compile_model(shipped_denoiser.path, "CPU")
    rng = np.random.default_rng(0)
    size = hops * shipped_denoiser.info.hop
    count = seconds * shipped_denoiser.info.sample_rate // size
    state = other = shipped_denoiser.initial_state()
    for loudness in rng.uniform(0, 0.3, count):
        block = (loudness * rng.standard_normal((1, size))).astype(np.float32)
        estimate, state = shipped_denoiser.step(block, state)
        results = compiled({"audio": block, "state": other})
        other = np.array(results["next_state"])
        np.testing.assert_allclose(results["estimate"], estimate, atol=TOLERANCE)
