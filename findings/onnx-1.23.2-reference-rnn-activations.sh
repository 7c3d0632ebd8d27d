#!/usr/bin/env bash
# Expected: the reference evaluator of onnx runs an RNN with the activation Relu, which the operator's text lists among
# its activations and which the checker accepts; it is what other engines are compared with.
# Seen: onnx 1.23.2 raises "Unknown activation function 'Relu'." for opset 20; ONNX Runtime 1.32.0 gives the right
# values. So it is with Sigmoid, Softsign and Softplus; Tanh works.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
"$folder/bin/python" - <<'END'
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

print("onnx", onnx.__version__, "onnxruntime", onnxruntime.__version__)


def recurrent(activation: str) -> onnx.ModelProto:
    weights = {"W": np.ones((1, 1, 1)), "R": np.full((1, 1, 1), 0.5)}
    node = helper.make_node("RNN", ["x", "W", "R"], ["y"], hidden_size=1, activations=[activation])
    graph = helper.make_graph(
        [node],
        "rnn",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3, 1, 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [3, 1, 1, 1])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model


x = np.array([1, -1, 2], np.float32).reshape(3, 1, 1)
failed = []
for activation in ("Tanh", "Relu", "Sigmoid", "Softsign", "Softplus"):
    model = recurrent(activation)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    values = np.round(session.run(None, {"x": x})[0].ravel(), 4)
    try:
        found = np.round(ReferenceEvaluator(model).run(None, {"x": x})[0].ravel(), 4)
    except RuntimeError as error:
        found = f"RuntimeError: {error}"
        failed.append(activation)
    print(f"{activation}: ONNX Runtime {values}, reference {found}")
if "Relu" not in failed or "Tanh" in failed:
    sys.exit("the reference evaluator knows other activations: the behaviour has changed")
END
