"""An exported network that is known in closed form: it delays by one hop and halves the level."""

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import TensorProto, helper, numpy_helper

from enhance.dsp.dc_blocker import DcBlocker

TINY_GAIN = 0.5
TINY_HOP = 480
TINY_METADATA = {
    "mpeace_version": "0.0.0",
    "format_version": "1",
    "name": "tiny-delay",
    "sample_rate": "48000",
    "window": "960",
    "hop": str(TINY_HOP),
    "lookahead": "0",
    "latency": str(TINY_HOP),
    "state_size": str(TINY_HOP),
    "parameters": "1",
    "macs_per_second": "48000",
    "training": "{}",
    "licence": "Apache-2.0",
}


def without_offset(audio: np.ndarray) -> np.ndarray:
    """[channels, time] at 48 kHz as every model hears it."""
    channels, samples = audio.shape
    hops = np.pad(audio, ((0, 0), (0, -samples % TINY_HOP)))
    present = np.pad(np.ones(samples, np.float32), (0, -samples % TINY_HOP))
    return DcBlocker(48_000, TINY_HOP, channels).process(hops, present)[:, :samples]


def tiny_result(audio: np.ndarray) -> np.ndarray:
    """What a stream with this model makes of [channels, time] at 48 kHz: without its offset, and halved."""
    return np.float32(TINY_GAIN) * without_offset(audio)


def write_tiny_model(path: Path, metadata: dict[str, str] | None = None, gain: ArrayLike = TINY_GAIN) -> Path:
    """Write a model that obeys the contract and only delays by one hop and scales by `gain`.

    The state holds the last hop: estimate = gain * (state, audio)[:-hop], next_state = (state, audio)[-hop:].
    """
    constants = {"gain": np.asarray(gain, np.float32), "zero": [0], "last": [-TINY_HOP], "end": [2**31], "time": [1]}
    nodes = [
        helper.make_node("Concat", ["state", "audio"], ["line"], axis=1),
        helper.make_node("Slice", ["line", "zero", "last", "time"], ["delayed"]),
        helper.make_node("Slice", ["line", "last", "end", "time"], ["next_state"]),
        helper.make_node("Mul", ["delayed", "gain"], ["estimate"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [_value("audio", "samples"), _value("state", TINY_HOP)],
        [_value("estimate", "samples"), _value("next_state", TINY_HOP)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, TINY_METADATA if metadata is None else metadata)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def _value(name: str, width: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", width])
