#!/usr/bin/env bash
# OpenVINO 2026.4.1 computes a wrong result for two GRUs that read the same input, one of them in reverse.
#
# Expected: two ONNX GRU operators over one input [time, batch, channels], one forward and one of direction "reverse", each
#   give what they give alone; in ONNX Runtime 1.32.0 they do, to 1e-6.
# What happens: on the CPU plug-in with more than one row in the batch, the forward one is wrong, by more than the range of
#   its values; the reverse one is right. With one row both are right, and so is either of them alone. One GRU of
#   direction "bidirectional" with the same weights is right as well, and can take the place of both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet openvino==2026.4.1 onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
"$folder/venv/bin/python" - <<'EOF'
import sys

import numpy as np
import onnxruntime
import openvino
from onnx import TensorProto, helper, numpy_helper

CHANNELS, STEPS = 4, 6
rng = np.random.default_rng(0)
weights = [
    {part: rng.standard_normal((1, rows, columns)).astype(np.float32) / 2 for part, rows, columns in
     (("W", 3 * CHANNELS, CHANNELS), ("R", 3 * CHANNELS, CHANNELS))}
    for _ in range(2)
]


def model(kind, batch):
    nodes, constants = [], []
    names = ["forward", "reverse"] if kind == "two" else [kind]
    for name in names:
        if name == "bidirectional":
            parts = {part: np.concatenate([each[part] for each in weights]) for part in "WR"}
        else:
            parts = weights[name == "reverse"]
        constants += [numpy_helper.from_array(value, f"{name}.{part}") for part, value in parts.items()]
        inputs = ["x", f"{name}.W", f"{name}.R"]
        nodes.append(helper.make_node("GRU", inputs, [name], hidden_size=CHANNELS, direction=name, linear_before_reset=1))
    given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [STEPS, batch, CHANNELS])]
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names]
    graph = helper.make_graph(nodes, "grus", given, results, constants)
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()


def differences(kind, batch):
    content = model(kind, batch)
    x = rng.standard_normal((STEPS, batch, CHANNELS)).astype(np.float32)
    right = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]).run(None, {"x": x})
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(content), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    results = compiled({"x": x})
    return [float(np.abs(results[index] - value).max()) for index, value in enumerate(right)]


print(f"openvino {openvino.__version__.split('-')[0]}, onnxruntime {onnxruntime.__version__}: largest differences")
as_told = True
for kind, batch, wrong in (
    ("forward", 16, [False]), ("reverse", 16, [False]), ("bidirectional", 16, [False]),
    ("two", 1, [False, False]), ("two", 16, [True, False]),
):
    found = differences(kind, batch)
    print(f"{kind}, {batch} rows: {', '.join(f'{value:.1e}' for value in found)}")
    as_told &= [value > 0.1 for value in found] == wrong
print("as described" if as_told else "it behaves otherwise now")
sys.exit(not as_told)
EOF
