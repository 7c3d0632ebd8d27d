"""Nodes and constants of an ONNX graph, and the layers of PyTorch as nodes; their names begin with :data:`LAYER`."""

from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import ArrayLike, NDArray
from onnx import helper, numpy_helper
from torch import Tensor, nn

LAYER = "layer_"
END = np.iinfo(np.int64).max  # as the end of a slice

Value = str  # the name of one
Input = Value | NDArray[Any] | None  # an array is a constant, None an input that is left out


def floats(values: ArrayLike | Tensor) -> NDArray[np.float32]:
    """Return a float32 array."""
    return np.asarray(values.detach().cpu() if isinstance(values, Tensor) else values, np.float32)


def integers(*values: int) -> NDArray[np.int64]:
    """Return an int64 vector: a shape, axes, sizes."""
    return np.array(values, np.int64)


class Graph:
    """Nodes and constants, in the order of their writing.

    Example:
        >>> graph = Graph()
        >>> graph("Add", "x", floats([1.0])), [node.op_type for node in graph.nodes]
        ('add_0', ['Add'])
    """

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[tuple[Any, ...], onnx.TensorProto] = {}

    def several(self, operator: str, outputs: int, *inputs: Input, name: str = "", **attributes: Any) -> list[Value]:
        """Return the outputs of a new node."""
        name = name or f"{operator.lower()}_{len(self.nodes)}"
        names = [name, *[f"{name}.{index}" for index in range(1, outputs)]]
        given = ["" if x is None else x if isinstance(x, str) else self.constant(x) for x in inputs]
        self.nodes.append(helper.make_node(operator, given, names, name, **attributes))
        return names

    def __call__(self, operator: str, *inputs: Input, name: str = "", **attributes: Any) -> Value:
        """Return the output of a new node with one."""
        return self.several(operator, 1, *inputs, name=name, **attributes)[0]

    def constant(self, value: NDArray[Any]) -> Value:
        """Return the name of a constant; equal ones are kept once."""
        key = (value.dtype.str, value.shape, value.tobytes())
        if key not in self.constants:
            self.constants[key] = numpy_helper.from_array(value, f"constant_{len(self.constants)}")
        return self.constants[key].name

    def reshape(self, x: Value, *shape: int, name: str = "") -> Value:
        """0 keeps a dimension, -1 stands for what is left."""
        return self("Reshape", x, integers(*shape), name=name)

    def cut(self, x: Value, begin: int, end: int, axis: int, name: str = "") -> Value:
        """Return part of an axis; negative positions count from its end."""
        return self("Slice", x, integers(begin), integers(end), integers(axis), name=name)

    def split(self, x: Value, sizes: list[int], axis: int) -> list[Value]:
        """Return all of an axis in parts."""
        return self.several("Split", len(sizes), x, integers(*sizes), axis=axis)

    def swap(self, x: Value, *order: int) -> Value:
        """Return axes in another order."""
        return self("Transpose", x, perm=order)

    def product(self, name: str, layer: nn.Linear, x: Value) -> Value:
        """Return a layer over the last axis, without its bias."""
        return self("MatMul", x, floats(layer.weight.T), name=LAYER + name)

    def linear(self, name: str, layer: nn.Linear, rows: Value) -> Value:
        """Return a layer over the rows of a matrix."""
        return self("Gemm", rows, floats(layer.weight.T), floats(layer.bias), name=LAYER + name)

    def convolution(self, name: str, layer: nn.Linear, x: Value, size: int, stride: int = 1) -> Value:
        """Return a layer over windows of ``[frames, channels, positions]``, zeros beyond its ends."""
        weight = floats(layer.weight.unflatten(1, (size, -1)).transpose(1, 2))
        pads = [(size - stride) // 2] * 2
        return self("Conv", x, weight, floats(layer.bias), name=LAYER + name, strides=[stride], pads=pads)

    def norm(self, layer: nn.LayerNorm, x: Value) -> Value:
        """Normalise over the last axis."""
        weights = floats(layer.weight), floats(layer.bias)
        return self("LayerNormalization", x, *weights, epsilon=layer.eps, axis=-1)

    def silu(self, x: Value) -> Value:
        """Return x times its sigmoid, which ONNX Runtime makes one operator of."""
        return self("Mul", x, self("Sigmoid", x))

    def gru(self, name: str, layer: nn.GRU, x: Value, first: Input = None, outputs: int = 1) -> list[Value]:
        """Turn ``[steps, rows, channels]`` to ``[steps, directions, rows, hidden]``; a second output is the state."""
        ends = ["", "_reverse"][: 1 + layer.bidirectional]

        def weights(name: str) -> NDArray[np.float32]:
            gates = [floats(getattr(layer, f"{name}_l0{end}")).reshape(3, layer.hidden_size, -1) for end in ends]
            return np.stack([gate[[1, 0, 2]] for gate in gates])  # update, reset, new

        by_input, by_state = (weights(name).reshape(len(ends), 3 * layer.hidden_size, -1) for name in _WEIGHTS)
        bias = np.concatenate([weights(name).reshape(len(ends), -1) for name in _BIASES], axis=1)
        attributes: dict[str, Any] = {"hidden_size": layer.hidden_size, "linear_before_reset": 1}
        if layer.bidirectional:
            attributes["direction"] = "bidirectional"
        return self.several("GRU", outputs, x, by_input, by_state, bias, None, first, name=LAYER + name, **attributes)


_WEIGHTS, _BIASES = ("weight_ih", "weight_hh"), ("bias_ih", "bias_hh")


def both_ways(forward: nn.GRU, backward: nn.GRU) -> nn.GRU:
    """Return one bidirectional layer in place of one that runs forward and one that runs backward."""
    layer = nn.GRU(forward.input_size, forward.hidden_size, bidirectional=True)
    weights = dict(forward.named_parameters())
    weights |= {f"{name}_reverse": value for name, value in backward.named_parameters()}
    layer.load_state_dict(weights)
    return layer


def side_by_side(first: nn.Linear, second: nn.Linear) -> nn.Linear:
    """Return one layer over the inputs of two, whose outputs are added."""
    layer = nn.Linear(first.in_features + second.in_features, first.out_features)
    layer.load_state_dict({"weight": torch.cat([first.weight, second.weight], 1), "bias": first.bias + second.bias})
    return layer
