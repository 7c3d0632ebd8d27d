"""The network as an ONNX graph: what `enhance.model.network` computes, in as few operators as can be.

Of one hop, ONNX Runtime spends about 2 us on each operator, however small, so that the hundreds of them that come of
tracing PyTorch cost more than all arithmetic. Here each is written by hand:

- shapes are constants, with 0 for a dimension to be kept and -1 for what follows from the rest;
- time comes before batch, as the GRUs along time want it; from the features to the masks both are one;
- features and deep filter are signed sums of products of rows: rows are gathered, multiplied, and one product with a
  constant matrix adds up;
- the running level is an RNN whose non-linearity, Relu, changes nothing, as power is never negative (OpenVINO does not
  know Affine);
- a layer over neighbouring bands or positions is a convolution, next to a transposition;
- constant factors and biases are in the constants that follow, where nothing but linear layers lies between.

Frames behind a block that a network for files looks at (`NetworkConfig.ahead`) are computed and cut off: states after
a block are values in the middle of what GRUs and the running level give. With frames between the others
(`NetworkConfig.between`) the first frame behind a block has its masks too.

Nodes are written by `enhance.model.onnx_nodes`. The seven stages are those of `Enhancer`, under the same names;
so are their results (`overlap_add` gives the estimate), by which a test compares each stage with PyTorch's.
"""

import math

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper

from enhance.dsp.rate import SAMPLE_RATE
from enhance.model.config import FINE_AFTER, FINE_BEFORE, FINE_FRAMES
from enhance.model.layers import DualPath, Neighbours
from enhance.model.network import FEATURES, SPECTRUM_FLOOR_DB, TINY_POWER, Enhancer
from enhance.model.onnx_dft import FactoredDFT
from enhance.model.onnx_nodes import END, Graph, Value, both_ways, floats, integers, side_by_side

OPSET = 20
IR_VERSION = 10

_FRAMES = torch.arange(FINE_FRAMES)[:, None]


def spectra(g: Graph, network: Enhancer, dft: FactoredDFT, hops: Value, name: str = "") -> Value:
    """``[time + 1, batch, rows / 2, columns]``, hops as the DFT folds them, to spectra ``[time, batch, 2, bins]``."""
    frames = g("Concat", g.cut(hops, 0, -1, axis=0), g.cut(hops, 1, END, axis=0), axis=2)
    frames = g("Mul", frames, floats(network.window).reshape(dft.rows, dft.columns))
    x = g("Mul", g("MatMul", g.swap(frames, 0, 1, 3, 2), dft.first), dft.turn)
    y = g("MatMul", dft.second, g.reshape(x, 0, 0, 4 * dft.columns, dft.rows))
    return g.cut(g.reshape(y, 0, 0, 2, dft.groups * dft.rows), 0, dft.bins, axis=3, name=name)


def level(g: Graph, network: Enhancer, power: Value, state: Value) -> tuple[Value, Value]:
    """Return `Enhancer.level` and TINY_POWER, of the bands' power ``[time, batch, 1, bands]``; and the next state."""
    c = network.config
    decay = math.exp(-c.hop / SAMPLE_RATE / c.level_seconds)
    mean = np.zeros((1, 2, c.bands), np.float32)
    mean[0, 0] = 1 / c.bins  # the bands' weights add up to one at each bin
    added = floats([[TINY_POWER, 1, 0, 0]])
    first = g.reshape(state, 1, -1, 2)
    inputs = g.reshape(power, 0, 0, c.bands), mean, floats(decay * np.eye(2))[None], added, None, first
    sums, last = g.several("RNN", 2, *inputs, hidden_size=2, activations=["Relu"])
    if c.ahead:
        last = g.cut(sums, -1 - c.ahead, -c.ahead, axis=0)
    total, count = g.split(g.reshape(sums, 0, -1, 1, 2), [1, 1], axis=3)
    return g("Div", total, count, name="level"), g.reshape(last, -1, 2)


def features(g: Graph, network: Enhancer, now: Value, before: Value, state: Value) -> tuple[Value, Value, Value]:
    """Return `Enhancer.features` of spectra ``[time, batch, 2, bins]``.

    Returns:
        Features ``[frames, FEATURES, bands]``, the running level ``[time, batch, 1, 1]``, and its next state.
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
    quantities = g("MatMul", floats(pairs[[1, 1, 0, 0, 0, 2, 3, 4, 5]]), products)
    narrow, wide = g.split(quantities, [c.narrow_bands, c.bins - c.narrow_bands], axis=3)
    bands = g("Concat", narrow, g("MatMul", wide, floats(network.wide)), axis=3)
    powers, power, differences = g.split(bands, [4, 1, 4], axis=2)
    running, state = level(g, network, power, state)
    relative = g("Div", power, running)
    norms = g("Add", g("Sqrt", g("Mul", powers, power)), floats(TINY_POWER))
    logarithm = g("Log", g("Add", relative, floats(10 ** (SPECTRUM_FLOOR_DB / 10))))
    stacked = g(
        "Concat",
        g("Pow", g("Add", relative, floats(1e-9)), floats(0.15)),
        g("Mul", logarithm, floats(1 / math.log(10) / 3)),
        g("Clip", g("Div", differences, norms), floats(-2), floats(2)),
        axis=2,
    )
    return g.reshape(stacked, -1, FEATURES, c.bands, name="features"), running, state


def fine(g: Graph, network: Enhancer, spectra: Value, running: Value) -> Value:
    """Return `Enhancer.fine` as ``[frames, FINE_FRAMES, fine bins]``.

    Args:
        spectra: ``[FINE_BEFORE + time + FINE_AFTER, batch, 2, bins]``.
        running: level ``[time, batch, 1, 1]``.
    """
    bins = network.config.fine_bins
    low = g.cut(spectra, 0, bins, axis=3)
    frames = [g.cut(low, k, k - FINE_FRAMES + 1 or END, axis=0) for k in range(FINE_FRAMES)]
    turned = g("Mul", g("Concat", *frames, axis=2), floats(network.rotation[:bins] ** _FRAMES).repeat(2, axis=0))
    cos, sin = floats(network.fine_cos[0].T), floats(network.fine_sin[0].T)  # of bin 0, which a hop does not turn
    real, imag = np.stack([cos, sin], axis=2), np.stack([-sin, cos], axis=2)  # [fine, frame, real and imaginary]
    waves = np.concatenate([real, imag]).reshape(2 * FINE_FRAMES, 2 * FINE_FRAMES)
    parts = g("MatMul", waves, turned)
    power = g("MatMul", floats(np.kron([1, 1], np.eye(FINE_FRAMES))), g("Mul", parts, parts))
    relative = g("Add", g("Div", power, running), floats(10 ** (SPECTRUM_FLOOR_DB / 10)))
    scaled = g("Mul", g("Log", relative), floats(1 / math.log(10) / 3))
    return g.reshape(scaled, -1, FINE_FRAMES, bins, name="fine")


def _neighbours(g: Graph, name: str, block: Neighbours, x: Value) -> Value:
    """Return `Neighbours` of ``[frames, positions, channels]``, but for the last bias: only linear layers follow."""
    mixed = g.convolution(f"{name}.mix", block.mix, g.swap(g.norm(block.norm, x), 0, 2, 1), 3)
    return g("Add", x, g.product(f"{name}.out", block.out, g.swap(g.silu(mixed), 0, 2, 1)))


def masks(
    g: Graph, network: Enhancer, features: Value, fine: Value | None, states: list[Value], time: Value
) -> tuple[Value, list[Value]]:
    """`Enhancer.masks` before their non-linearities: ``[time, batch, 1 + 2 taps, bands]`` and the next states."""
    c = network.config
    positions = c.bands // 8
    x = g.swap(g.convolution("stem", network.stem, features, 8, stride=4), 0, 2, 1)
    if fine is not None and network.fine_stem is not None:
        low = g.swap(g.convolution("fine_stem", network.fine_stem, fine, 4, stride=4), 0, 2, 1)
        x = g("Add", x, g("Pad", low, integers(0, 0, 0, 0, (c.bands - c.fine_bins) // 4, 0)))
    x = g("Add", x, floats(network.stem_position))
    skip = _neighbours(g, "encode", network.encode, x)
    x = g.product("down", network.down, g.reshape(skip, -1, positions, 2 * c.stem_channels))
    bias = network.down(network.encode.out.bias.repeat(2)) + network.position
    x = g.reshape(g("Add", x, floats(bias)), -1, c.channels)
    by_time = g("Concat", time, integers(-1, c.channels), axis=0)
    after = []
    for index, (path, state) in enumerate(zip(network.paths, states, strict=True)):
        assert isinstance(path, DualPath)
        name = f"paths.{index}"
        across = g.reshape(g.norm(path.frequency_norm, x), -1, positions, c.channels)
        (across,) = g.gru(f"{name}.frequency", path.frequency, g.swap(across, 1, 0, 2))
        across = g.reshape(g.swap(across, 2, 0, 1, 3), -1, c.channels)
        x = g("Add", x, g.linear(f"{name}.frequency_out", path.frequency_out, across))
        normal = g("Reshape", g.norm(path.time_norm, x), by_time)
        state = g.reshape(state, 1, -1, c.channels)
        layer, out = path.time, path.time_out
        if path.back is not None and path.back_out is not None:
            # Two operators that read the same values are more than OpenVINO can do (findings/openvino-*-two-grus-*).
            layer, out = both_ways(path.time, path.back), side_by_side(path.time_out, path.back_out)
            state = g("Pad", state, integers(0, 0, 0, 1, 0, 0))
        along, last = g.gru(f"{name}.time", layer, normal, state, outputs=2)
        if c.ahead or layer.bidirectional:
            last = g.cut(g.cut(along, 0, 1, axis=1), -1 - c.ahead, -c.ahead or END, axis=0)
        if layer.bidirectional:
            along = g.swap(along, 0, 2, 1, 3)
        x = g("Add", x, g.linear(f"{name}.time_out", out, g.reshape(along, -1, out.in_features)))
        after.append(g.reshape(last, -1, positions * c.channels))
    x = g.reshape(g.linear("up", network.up, x), -1, 2 * positions, c.stem_channels)
    bias = network.skip(network.encode.out.bias)
    x = g("Add", g("Add", x, floats(bias)), g.product("skip", network.skip, skip))
    x = _neighbours(g, "decode", network.decode, x)
    x = g.reshape(g.product("expand", network.expand, x), -1, c.bands, c.head_channels)
    bias = network.expand(network.decode.out.bias).reshape(4, -1) + network.features_skip.bias
    skipped = g.product("features_skip", network.features_skip, g.swap(features, 0, 2, 1))
    x = g("Add", g("Add", x, floats(bias.repeat(c.bands // 4, 1))), skipped)
    x = g.convolution("head", network.head, g.swap(g.silu(x), 0, 2, 1), 3)
    rows = integers(-1, 1 + 2 * len(c.tap_offsets), c.bands)
    behind = c.ahead - c.between
    if not behind:
        return g("Reshape", x, g("Concat", time, rows, axis=0), name="masks"), after
    return g.cut(g("Reshape", x, g("Concat", time, rows, axis=0)), 0, -behind, axis=0, name="masks"), after


def opened(g: Graph, network: Enhancer, masks: Value) -> tuple[Value, Value]:
    """Return gains ``[time, batch, 1, bands]`` and filters ``[time, batch, 2 taps, narrow bands]``."""
    gains, filters = g.split(masks, [1, 2 * len(network.config.tap_offsets)], axis=2)
    return g("Sigmoid", gains), g("Tanh", g.cut(filters, 0, network.config.narrow_bands, axis=3))


def deep_filter(
    g: Graph,
    network: Enhancer,
    gains: Value,
    filters: Value,
    spectra: Value,
    weights: NDArray[np.float32],
    name: str = "",
) -> Value:
    """Return masked spectra ``[time, batch, 2, bins]`` times ``weights``.

    Args:
        gains, filters: of the frames that are denoised.
        spectra: ``[history + time + ahead + margin, batch, 2, bins]``.
        weights: that the inverse DFT asks for.
    """
    c = network.config
    narrow, taps = c.narrow_bands, len(c.tap_offsets)

    def frames(tap: int, begin: int, end: int) -> Value:
        late = c.lookahead + tap
        last = -(late + c.ahead + c.margin)
        return g("Slice", spectra, integers(c.history - late, begin), integers(last or END, end), integers(0, 3))

    gains, high = g.split(gains, [narrow, c.wide_bands], axis=3)
    high = g("Mul", frames(0, narrow, c.bins), g("MatMul", high, floats(network.wide.T) * weights[narrow:]))
    filters = g("Concat", filters, gains, filters, gains, axis=2)
    turns = floats(network.turns.T).repeat(2, axis=0) * weights[:narrow]
    tapped = g("Mul", g("Concat", *(frames(tap, 0, narrow) for tap in c.tap_offsets), axis=2), turns)
    real = [*range(2 * taps), 0]  # what the filters and the gain are multiplied by, for the real part of the sum
    imag = [*(part ^ 1 for part in range(2 * taps)), 1]
    products = g("Mul", g("Gather", tapped, integers(*real, *imag), axis=2), filters)
    signs = np.kron(np.eye(2), np.ones(len(real)))
    signs[0, 1 : 2 * taps : 2] = -1  # products of imaginary parts
    return g("Concat", g("MatMul", floats(signs), products), high, axis=3, name=name)


def overlap_add(
    g: Graph, network: Enhancer, dft: FactoredDFT, spectra: Value, overlap: Value, name: str = ""
) -> tuple[Value, Value]:
    """Return `Enhancer.overlap_add` of spectra ``[time, batch, 2, bins]`` that were multiplied by ``dft.twice``.

    Args:
        overlap: second half of the frame before, ``[batch, hop]``.

    Returns:
        The samples, ``[batch, samples]``, and second halves of frames, ``[1 + time, batch, rows / 2, columns]`` as the
        DFT folds them.
    """
    overlap = g.reshape(overlap, 1, -1, dft.rows // 2, dft.columns)
    ends = integers(0, 0, 0, 0, 0, 0, 0, dft.groups * dft.rows - dft.bins)
    x = g.reshape(g("Pad", spectra, ends), 0, 0, 2 * dft.groups, dft.rows)
    x = g("MatMul", g.swap(x, 0, 1, 3, 2), dft.first_inverse)
    x = g("Mul", g.reshape(x, 0, 0, 4 * dft.rows, dft.columns), dft.turn_inverse)
    frames = g("Mul", g("MatMul", dft.last_inverse, x), floats(network.window).reshape(dft.rows, dft.columns))
    heads, tails = g.split(frames, [dft.rows // 2] * 2, axis=2)
    tails = g("Concat", overlap, tails, axis=0)
    hops = g("Add", heads, g.cut(tails, 0, -1, axis=0))
    return g.reshape(g.swap(hops, 1, 0, 2, 3), 0, -1, name=name), tails


def halfway(
    g: Graph, network: Enhancer, dft: FactoredDFT, audio: Value, masks: tuple[Value, Value], state: list[Value]
) -> tuple[Value, list[Value]]:
    """Return what `Enhancer.halfway` does.

    Args:
        audio: ``[batch, (time + ahead + 1) * hop]``, from the last hop before the block on.
        masks: gains and filters of the block's frames and one more.
        state: as `Enhancer.halfway` takes it.
    """
    c = network.config
    earlier, overlap, kept = state
    half = c.hop // 2
    samples = g("Concat", earlier, audio, axis=1)
    hops = _in_hops(g, dft, g("Pad", samples, integers(0, 0, 0, half)))
    known = g("Concat", _unfolded(g, network, kept), spectra(g, network, dft, hops), axis=0)
    heard = _with_margin(g, network, known)
    before = (g.cut(g("Concat", g.cut(x, 0, 1, axis=0), x, axis=0), 0, -1, axis=0) for x in masks)
    gains, filters = (g("Add", *pair) for pair in zip(before, masks, strict=True))
    filtered = deep_filter(g, network, gains, filters, heard, floats(dft.twice / 2))
    estimate, tails = overlap_add(g, network, dft, filtered, overlap)
    last = -c.ahead - 1  # of the frames that the next call does not make again
    earlier = g.cut(audio, c.hop * last - half, c.hop * last, axis=1)
    kept = _folded(g, g.cut(known, last - c.history, last, axis=0))
    return g.cut(estimate, half, -half, axis=1), [earlier, g.reshape(g.cut(tails, -2, -1, axis=0), -1, c.hop), kept]


def _in_hops(g: Graph, dft: FactoredDFT, samples: Value) -> Value:
    """Return ``[batch, samples]`` as hops, ``[time, batch, rows / 2, columns]``."""
    return g.swap(g.reshape(samples, 0, -1, dft.rows // 2, dft.columns), 1, 0, 2, 3)


def _with_margin(g: Graph, network: Enhancer, known: Value) -> Value:
    """Return spectra with the silent ones behind them that filters and features of the last frames ask for."""
    margin = network.config.margin
    return g("Pad", known, integers(0, 0, 0, 0, margin, 0, 0, 0)) if margin else known


def _unfolded(g: Graph, network: Enhancer, kept: Value) -> Value:
    """Return the spectra of a state, ``[history, batch, 2, bins]``."""
    return g.swap(g.reshape(kept, -1, network.config.history, 2, network.config.bins), 1, 0, 2, 3)


def _folded(g: Graph, spectra: Value) -> Value:
    """Return such spectra as part of a state, ``[batch, values]``."""
    return g.reshape(g.swap(spectra, 1, 0, 2, 3), 0, -1)


@torch.no_grad()
def build(network: Enhancer) -> onnx.ModelProto:
    """Return the network as a model that takes audio and state to estimate and next state; batch and hops are free."""
    c, g, dft = network.config, Graph(), FactoredDFT(network.config.window)
    last_hop, overlap, level_state, kept, *others = g.split("state", list(network.state_sizes), axis=1)
    recurrent, between = others[: c.blocks], others[c.blocks :]
    audio = g("Concat", last_hop, "audio", axis=1)
    hops = _in_hops(g, dft, audio)
    now = spectra(g, network, dft, hops, "spectra")
    known = g("Concat", _unfolded(g, network, kept), now, axis=0)  # [history + time + ahead, batch, 2, bins]
    end = -c.ahead or END
    seen, running, level_state = features(g, network, now, g.cut(known, c.history - 1, -1, axis=0), level_state)
    heard = _with_margin(g, network, known)
    finely = None
    if c.fine_bins:
        around = g.cut(heard, c.history - FINE_BEFORE, FINE_AFTER - c.margin or END, axis=0)
        finely = fine(g, network, around, running)
    chosen, recurrent = masks(g, network, seen, finely, recurrent, g("Shape", now, start=0, end=1))
    gains, filters = opened(g, network, chosen)
    other = ""
    if between:
        other, between = halfway(g, network, dft, audio, (gains, filters), between)
        gains, filters = (g.cut(x, 0, -1, axis=0) for x in (gains, filters))
    filtered = deep_filter(g, network, gains, filters, heard, dft.twice, "deep_filter")
    estimate, tails = overlap_add(g, network, dft, filtered, overlap, "" if other else "estimate")
    if other:
        g("Mul", g("Add", estimate, other), floats(0.5), name="estimate")
    overlap = g.reshape(g.cut(tails, -1, END, axis=0), -1, c.hop)
    kept = _folded(g, g.cut(known, -c.history - c.ahead, end, axis=0))
    last_hop = g.cut(audio, -c.hop * (1 + c.ahead), -c.hop * c.ahead or END, axis=1)
    g("Concat", last_hop, overlap, level_state, kept, *recurrent, *between, axis=1, name="next_state")
    shapes = {"audio": ["batch", f"{c.hop}*hops"], "state": ["batch", network.state_size]}
    estimated = f"{c.hop}*(hops-{c.ahead})" if c.ahead else shapes["audio"][1]
    shapes |= {"estimate": ["batch", estimated], "next_state": shapes["state"]}
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    graph = helper.make_graph(g.nodes, "mpeace", values[:2], values[2:], list(g.constants.values()))
    opset = helper.make_opsetid("", OPSET)
    return helper.make_model(graph, ir_version=IR_VERSION, opset_imports=[opset], producer_name="mpeace")
