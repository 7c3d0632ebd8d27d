"""The network as an ONNX graph: what `enhance.network` computes, in as few operators as can be.

Of one hop, ONNX Runtime spends 2 to 3 us on each operator, however small, so that the hundreds of them that come of
tracing PyTorch cost more than all arithmetic. Here each is written by hand:

- shapes are constants, with 0 for a dimension to be kept and -1 for what follows from the rest;
- time comes first, ``[time, batch, ...]``, as the GRUs along time want it; from the features to the masks both are one;
- the features of a hop are signed sums of products of rows: two products with constant matrices choose the rows, a third
  one adds up;
- the running level is an RNN without a non-linearity;
- a layer over neighbouring bands or positions is a convolution, next to a transposition.

Layers are nodes whose names begin with :data:`LAYER`.
"""

import math
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from enhance.config import SAMPLE_RATE
from enhance.dft import FactoredDFT
from enhance.network import FEATURES, SPECTRUM_FLOOR_DB, TINY_POWER, DualPath, Enhancer, Neighbours

OPSET = 20
IR_VERSION = 10
LAYER = "layer_"
END = np.iinfo(np.int64).max  # as the end of a slice

Value = str  # the name of one
Input = Value | NDArray[Any] | None  # an array is a constant, None an input that is left out


def floats(values: ArrayLike | Tensor) -> NDArray[np.float32]:
    """A float32 array."""
    return np.asarray(values.detach().cpu() if isinstance(values, Tensor) else values, np.float32)


def integers(*values: int) -> NDArray[np.int64]:
    """An int64 vector: a shape, axes, sizes."""
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
        """The outputs of a new node."""
        name = name or f"{operator.lower()}_{len(self.nodes)}"
        names = [name, *[f"{name}.{index}" for index in range(1, outputs)]]
        given = ["" if x is None else x if isinstance(x, str) else self.constant(x) for x in inputs]
        self.nodes.append(helper.make_node(operator, given, names, name, **attributes))
        return names

    def __call__(self, operator: str, *inputs: Input, name: str = "", **attributes: Any) -> Value:
        """The output of a new node with one."""
        return self.several(operator, 1, *inputs, name=name, **attributes)[0]

    def constant(self, value: NDArray[Any]) -> Value:
        """The name of a constant; equal ones are kept once."""
        key = (value.dtype.str, value.shape, value.tobytes())
        if key not in self.constants:
            self.constants[key] = numpy_helper.from_array(value, f"constant_{len(self.constants)}")
        return self.constants[key].name

    def reshape(self, x: Value, *shape: int) -> Value:
        """0 keeps a dimension, -1 stands for what is left."""
        return self("Reshape", x, integers(*shape))

    def cut(self, x: Value, begin: int, end: int, axis: int) -> Value:
        """Part of an axis; negative positions count from its end."""
        return self("Slice", x, integers(begin), integers(end), integers(axis))

    def split(self, x: Value, sizes: list[int], axis: int) -> list[Value]:
        """All of an axis in parts."""
        return self.several("Split", len(sizes), x, integers(*sizes), axis=axis)

    def swap(self, x: Value, *order: int) -> Value:
        """Axes in another order."""
        return self("Transpose", x, perm=order)

    def linear(self, name: str, layer: nn.Linear, x: Value, bias: Input = None, weight: Tensor | None = None) -> Value:
        """A layer over the last axis; ``bias`` takes the place of its own."""
        product = self("MatMul", x, floats((layer.weight if weight is None else weight).T), name=LAYER + name)
        return self("Add", product, floats(layer.bias) if bias is None else bias)

    def convolution(self, name: str, layer: nn.Linear, x: Value, size: int, stride: int = 1) -> Value:
        """A layer over windows of ``[frames, channels, positions]``, zeros beyond its ends."""
        weight = floats(layer.weight.unflatten(1, (size, -1)).transpose(1, 2))
        pads = [(size - stride) // 2] * 2
        return self("Conv", x, weight, floats(layer.bias), name=LAYER + name, strides=[stride], pads=pads)

    def norm(self, layer: nn.LayerNorm, x: Value) -> Value:
        """Over the last axis."""
        weights = floats(layer.weight), floats(layer.bias)
        return self("LayerNormalization", x, *weights, epsilon=layer.eps, axis=-1)

    def silu(self, x: Value) -> Value:
        """x times its sigmoid, which ONNX Runtime makes one operator of."""
        return self("Mul", x, self("Sigmoid", x))

    def gru(self, name: str, layer: nn.GRU, x: Value, first: Input = None) -> list[Value]:
        """``[steps, rows, channels]`` to ``[steps, directions, rows, hidden]``, and the last state."""
        ends = ["", "_reverse"][: 1 + layer.bidirectional]

        def weights(name: str) -> NDArray[np.float32]:
            gates = [floats(getattr(layer, f"{name}_l0{end}")).reshape(3, layer.hidden_size, -1) for end in ends]
            return np.stack([gate[[1, 0, 2]] for gate in gates])  # update, reset, new

        by_input, by_state = (weights(name).reshape(len(ends), 3 * layer.hidden_size, -1) for name in _WEIGHTS)
        bias = np.concatenate([weights(name).reshape(len(ends), -1) for name in _BIASES], axis=1)
        attributes: dict[str, Any] = {"hidden_size": layer.hidden_size, "linear_before_reset": 1}
        if layer.bidirectional:
            attributes["direction"] = "bidirectional"
        return self.several("GRU", 2, x, by_input, by_state, bias, None, first, name=LAYER + name, **attributes)


_WEIGHTS, _BIASES = ("weight_ih", "weight_hh"), ("bias_ih", "bias_hh")


def _spectra(g: Graph, network: Enhancer, dft: FactoredDFT, hops: Value) -> Value:
    """``[time + 1, batch, rows / 2, columns]``, hops as the DFT folds them, to spectra ``[time, batch, 2, bins]``."""
    frames = g("Concat", g.cut(hops, 0, -1, axis=0), g.cut(hops, 1, END, axis=0), axis=2)
    frames = g("Mul", frames, floats(network.window).reshape(dft.rows, dft.columns))
    x = g("Mul", g("MatMul", g.swap(frames, 0, 1, 3, 2), dft.first), dft.turn)
    y = g("MatMul", dft.second, g.reshape(x, 0, 0, 4 * dft.columns, dft.rows))
    return g.cut(g.reshape(y, 0, 0, 2, dft.groups * dft.rows), 0, dft.bins, axis=3)


def _waves(g: Graph, network: Enhancer, dft: FactoredDFT, spectra: Value) -> Value:
    """Windowed frames ``[time, batch, rows, columns]`` of spectra."""
    ends = integers(0, 0, 0, 0, 0, 0, 0, dft.groups * dft.rows - dft.bins)
    x = g.reshape(g("Pad", g("Mul", spectra, dft.twice), ends), 0, 0, 2 * dft.groups, dft.rows)
    x = g("MatMul", g.swap(x, 0, 1, 3, 2), dft.first_inverse)
    x = g("Mul", g.reshape(x, 0, 0, 4 * dft.rows, dft.columns), dft.turn_inverse)
    return g("Mul", g("MatMul", dft.last_inverse, x), floats(network.window).reshape(dft.rows, dft.columns))


def _level(g: Graph, network: Enhancer, power: Value, state: Value) -> tuple[Value, Value]:
    """`Enhancer.running_level` of the bands' power ``[time, batch, 1, bands]``: ``[time, batch, 1, 1]``, next state."""
    c = network.config
    decay = math.exp(-c.hop / SAMPLE_RATE / c.level_seconds)
    mean = np.zeros((1, 2, c.bands), np.float32)
    mean[0, 0] = 1 / c.bins  # the bands' weights add up to one at each bin
    one = floats([[0, 1, 0, 0]])
    linear: dict[str, Any] = {"activations": ["Affine"], "activation_alpha": [1.0], "activation_beta": [0.0]}
    first = g.reshape(state, 1, -1, 2)
    inputs = g.reshape(power, 0, 0, c.bands), mean, floats(decay * np.eye(2))[None], one, None, first
    sums, last = g.several("RNN", 2, *inputs, hidden_size=2, **linear)
    total, count = g.split(g.reshape(sums, 0, -1, 1, 2), [1, 1], axis=3)
    return g("Div", total, count), g.reshape(last, -1, 2)


def _features(g: Graph, network: Enhancer, now: Value, before: Value, state: Value) -> tuple[Value, Value]:
    """`Enhancer.features` of spectra ``[time, batch, 2, bins]``, and the level's next state.

    Returns:
        Features ``[frames, FEATURES, bands]``, and the state.
    """
    c = network.config
    lower = g("Pad", now, integers(0, 0, 0, 1, 0, 0, 0, -1))  # one bin down
    rotation = floats(network.rotation)
    signs = np.stack([abs(rotation), rotation, -abs(rotation)]).repeat(2, axis=0)  # the last is that of across_norm
    rows = g("Mul", g("Concat", now, before, lower, axis=2), signs)
    re, im, re_before, im_before, re_lower, im_lower = range(6)
    one = [re, im, re_before, im_before, re, im, im, re, re, im, im, re]
    other = [re, im, re_before, im_before, *[re_before, im_before] * 2, *[re_lower, im_lower] * 2]
    products = g("Mul", *(g("Gather", rows, integers(*choice), axis=2) for choice in (one, other)))
    pairs = np.kron(np.eye(6), [1, 1])  # power, power before, along and across: of each real and imaginary part
    pairs[[3, 5], [7, 11]] = -1
    narrow, wide = g.split(g("MatMul", floats(pairs[[1, 1, 0, 0, 2, 3, 4, 5]]), products), [c.narrow_bands, c.bins - c.narrow_bands], axis=3)
    bands = g("Concat", narrow, g("MatMul", wide, floats(network.wide)), axis=3)
    powers, differences = g.split(bands, [4, 4], axis=2)
    power = g.cut(powers, 3, 4, axis=2)
    level, state = _level(g, network, power, state)
    relative = g("Div", power, g("Add", level, floats(TINY_POWER)))
    norms = g("Add", g("Sqrt", g("Mul", powers, power)), floats(TINY_POWER))
    logarithm = g("Log", g("Add", relative, floats(10 ** (SPECTRUM_FLOOR_DB / 10))))
    features = g(
        "Concat",
        g("Pow", g("Add", relative, floats(1e-9)), floats(0.15)),
        g("Mul", logarithm, floats(1 / math.log(10) / 3)),
        g("Clip", g("Div", differences, norms), floats(-2), floats(2)),
        axis=2,
    )
    return g.reshape(features, -1, FEATURES, c.bands), state


def _neighbours(g: Graph, name: str, block: Neighbours, x: Value) -> Value:
    """`Neighbours` of ``[frames, positions, channels]``."""
    mixed = g.convolution(f"{name}.mix", block.mix, g.swap(g.norm(block.norm, x), 0, 2, 1), 3)
    return g("Add", x, g.linear(f"{name}.out", block.out, g.swap(g.silu(mixed), 0, 2, 1)))


def _masks(g: Graph, network: Enhancer, features: Value, states: list[Value], time: Value) -> tuple[Value, list[Value]]:
    """`Enhancer.masks` before their non-linearities: ``[time, batch, 1 + 2 taps, bands]`` and the next states."""
    c = network.config
    positions = c.bands // 8
    x = g.swap(g.convolution("stem", network.stem, features, 8, stride=4), 0, 2, 1)
    x = g("Add", x, floats(network.stem_position))
    skip = _neighbours(g, "encode", network.encode, x)
    x = g.reshape(skip, -1, positions, 2 * c.stem_channels)
    x = g.linear("down", network.down, x, floats(network.down.bias + network.position))
    by_time = g("Concat", time, integers(-1, c.channels), axis=0)
    after = []
    for index, (path, state) in enumerate(zip(network.paths, states, strict=True)):
        assert isinstance(path, DualPath)
        name = f"paths.{index}"
        across = g.swap(g.norm(path.frequency_norm, x), 1, 0, 2)
        across, _ = g.gru(f"{name}.frequency", path.frequency, across)
        across = g.reshape(g.swap(across, 2, 0, 1, 3), -1, positions, c.channels)
        x = g("Add", x, g.linear(f"{name}.frequency_out", path.frequency_out, across))
        along = g("Reshape", g.norm(path.time_norm, x), by_time)
        along, last = g.gru(f"{name}.time", path.time, along, g.reshape(state, 1, -1, c.channels))
        along = g.reshape(along, -1, positions, c.channels)
        x = g("Add", x, g.linear(f"{name}.time_out", path.time_out, along))
        after.append(g.reshape(last, -1, positions * c.channels))
    biases = floats(network.up.bias).reshape(2, -1) + floats(network.skip.bias)
    x = g("MatMul", x, floats(network.up.weight.T), name=LAYER + "up")
    x = g("Add", g.reshape(x, -1, 2 * positions, c.stem_channels), floats(np.tile(biases, (positions, 1))))
    x = g("Add", x, g("MatMul", skip, floats(network.skip.weight.T), name=LAYER + "skip"))
    x = _neighbours(g, "decode", network.decode, x)
    x = g("MatMul", x, floats(network.expand.weight.T), name=LAYER + "expand")
    x = g.reshape(x, -1, c.bands, c.head_channels)
    biases = floats(network.expand.bias).reshape(4, -1) + floats(network.features_skip.bias)
    skipped = g("MatMul", g.swap(features, 0, 2, 1), floats(network.features_skip.weight.T), name=LAYER + "features_skip")
    x = g("Add", g("Add", x, floats(np.tile(biases, (c.bands // 4, 1)))), skipped)
    x = g.convolution("head", network.head, g.swap(g.silu(x), 0, 2, 1), 3)
    return g("Reshape", x, g("Concat", time, integers(-1, 1 + 2 * c.taps, c.bands), axis=0)), after


def _filtered(g: Graph, network: Enhancer, masks: Value, spectra: Value) -> Value:
    """Gains and deep filter on spectra ``[history + time, batch, 2, bins]``: ``[time, batch, 2, bins]``."""
    c = network.config
    narrow = c.narrow_bands

    def frames(tap: int, bins: int) -> Value:
        late = c.lookahead + tap
        ends = integers(-late if late else END, bins)
        return g("Slice", spectra, integers(c.history - late, 0), ends, integers(0, 3))

    gains, filters = g.split(masks, [1, 2 * c.taps], axis=2)
    low, high = g.split(g("Sigmoid", gains), [narrow, c.wide_bands], axis=3)
    gains = g("Concat", low, g("MatMul", high, floats(network.wide.T)), axis=3)
    filters = g("Tanh", g.cut(filters, 0, narrow, axis=3))
    turns = floats(network.turns.T).repeat(2, axis=0)
    taps = g("Mul", g("Concat", *(frames(tap, narrow) for tap in range(c.taps)), axis=2), turns)
    same = np.arange(2 * c.taps)  # real and imaginary part of each tap
    taps = g("Gather", taps, integers(*same, *(same ^ 1)), axis=2)
    signs = np.kron(np.eye(2), np.ones(2 * c.taps))
    signs[0, 1 : 2 * c.taps : 2] = -1  # the product of the imaginary parts
    low = g("MatMul", floats(signs), g("Mul", taps, g("Concat", filters, filters, axis=2)))
    low = g("Pad", low, integers(0, 0, 0, 0, 0, 0, 0, c.bins - narrow))
    return g("Add", g("Mul", frames(0, c.bins), gains), low)


def build(network: Enhancer) -> onnx.ModelProto:
    """The network as a model that takes audio and state to estimate and next state; batch and hops are free."""
    c, g, dft = network.config, Graph(), FactoredDFT(network.config.window)
    last_hop, overlap, level, spectra, *recurrent = g.split("state", list(network.state_sizes), axis=1)
    audio = g("Concat", last_hop, "audio", axis=1)
    hops = g.swap(g.reshape(audio, 0, -1, dft.rows // 2, dft.columns), 1, 0, 2, 3)
    now = _spectra(g, network, dft, hops)
    spectra = g.swap(g.reshape(spectra, -1, c.history, 2, c.bins), 1, 0, 2, 3)
    spectra = g("Concat", spectra, now, axis=0)
    features, level = _features(g, network, now, g.cut(spectra, c.history - 1, -1, axis=0), level)
    time = g("Shape", now, start=0, end=1)
    masks, recurrent = _masks(g, network, features, recurrent, time)
    waves = _waves(g, network, dft, _filtered(g, network, masks, spectra))
    heads, tails = g.split(waves, [dft.rows // 2] * 2, axis=2)
    tails = g("Concat", g.reshape(overlap, 1, -1, dft.rows // 2, dft.columns), tails, axis=0)
    hops = g("Add", heads, g.cut(tails, 0, -1, axis=0))
    g("Reshape", g.swap(hops, 1, 0, 2, 3), integers(0, -1), name="estimate")
    kept = g.reshape(g.swap(g.cut(spectra, -c.history, END, axis=0), 1, 0, 2, 3), 0, -1)
    last_hop = g.cut(audio, -c.hop, END, axis=1)
    overlap = g.reshape(g.cut(tails, -1, END, axis=0), -1, c.hop)
    g("Concat", last_hop, overlap, level, kept, *recurrent, axis=1, name="next_state")
    shapes = {"audio": ["batch", f"{c.hop}*hops"], "state": ["batch", network.state_size]}
    shapes |= {"estimate": shapes["audio"], "next_state": shapes["state"]}
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    graph = helper.make_graph(g.nodes, "mpeace", values[:2], values[2:], list(g.constants.values()))
    opset = helper.make_opsetid("", OPSET)
    return helper.make_model(graph, ir_version=IR_VERSION, opset_imports=[opset], producer_name="mpeace")
