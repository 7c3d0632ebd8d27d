"""The ONNX graph beside the PyTorch network, stage by stage: a difference names the stage that it comes from."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper
from recordings import SMALLEST

from enhance.model.config import FINE_AFTER, FINE_BEFORE, NetworkConfig
from enhance.model.network import TINY_POWER, Enhancer
from enhance.model.onnx_dft import FactoredDFT
from enhance.model.onnx_graph import build

STAGES = ("spectra", "level", "features", "fine", "masks", "deep_filter", "estimate")
STUDIO = replace(SMALLEST, backward=True, ahead=2, block=5, taps_ahead=2, fine_bins=8, between=True)
TOLERANCE = 2e-4  # of values around 1: float32 sums in another order, and quotients of small powers in the features
BATCH, HOPS = 2, 7

Arrays = Mapping[str, NDArray[np.float32]]


def made(config: NetworkConfig) -> Enhancer:
    """A network with random weights everywhere, positions, biases and filters included."""
    torch.manual_seed(0)
    network = Enhancer(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network


def by_onnx(network: Enhancer, audio: torch.Tensor, state: torch.Tensor) -> Arrays:
    """The result of each stage of the graph, in its own layout."""
    model = build(network)
    known = {value.name for value in model.graph.output}
    model.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        for name in STAGES
        if name not in known and (network.config.fine_bins or name != "fine")
    )
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [name for name in (*STAGES, "next_state") if network.config.fine_bins or name != "fine"]
    results = session.run(names, {"audio": audio.numpy(), "state": state.numpy()})
    return {name: np.asarray(result) for name, result in zip(names, results, strict=True)}


@torch.no_grad()
def by_pytorch(network: Enhancer, audio: torch.Tensor, state: torch.Tensor) -> Arrays:
    """The result of each stage of the network, in the graph's layout: time before batch, parts before bins."""
    c = network.config
    last_hop, overlap, level_state, kept, *others = state.split(network.state_sizes, dim=1)
    hops = torch.cat([last_hop, audio], dim=1).unflatten(1, (-1, c.hop))
    real, imag = network.spectra(hops, kept)
    now, before = slice(c.history, None), slice(c.history - 1, -1)
    level, _ = network.level((real[:, now].square() + imag[:, now].square()).mean(dim=-1), level_state)
    features = network.features(real[:, now], imag[:, now], (real[:, before], imag[:, before]), level)
    silent = real.new_zeros(len(real), c.margin, c.bins)
    heard = torch.cat([real, silent], dim=1), torch.cat([imag, silent], dim=1)
    fine = None
    if c.fine_bins:
        around = slice(c.history - FINE_BEFORE, real.shape[1] + FINE_AFTER)
        fine = network.fine(heard[0][:, around], heard[1][:, around], level)
    gains, filters, _ = network.masks(features, others[: c.blocks], fine)
    done = gains.shape[1] - c.ahead
    filtered = network.deep_filter(gains[:, :done], filters[:, :done], *heard)
    estimate, _ = network.overlap_add(*filtered, overlap)
    if c.between:
        other, _ = network.halfway(hops, gains, filters, others[c.blocks :], done)
        estimate = (estimate + other) / 2
    gains, filters = (x[:, : done + c.between] for x in (gains, filters))
    taps = filters.flatten(3).transpose(2, 3)  # [batch, time, 2 taps, narrow bands]
    twice = torch.from_numpy(FactoredDFT(c.window).twice)
    layouts = {
        "spectra": torch.stack([real[:, now], imag[:, now]], dim=2).transpose(0, 1),
        "level": level.T[..., None, None] + TINY_POWER,
        "features": features.permute(1, 0, 3, 2).flatten(0, 1),
        "masks": torch.cat([gains[..., None, : c.narrow_bands], taps], dim=2).transpose(0, 1),
        "deep_filter": (torch.stack(filtered, dim=2) * twice).transpose(0, 1),
        "estimate": estimate,
        "next_state": network(audio, state)[1],
    }
    if fine is not None:
        layouts["fine"] = fine.permute(1, 0, 3, 2).flatten(0, 1)
    return {name: value.numpy() for name, value in layouts.items()}


def differences(network: Enhancer, other: Enhancer) -> dict[str, float]:
    """By stage, how far the graph of one network is from the other network, relative to the stage's largest value."""
    generator = torch.Generator().manual_seed(1)
    audio = 0.1 * torch.randn(BATCH, HOPS * network.config.hop, generator=generator)
    before = 0.1 * torch.randn(BATCH, 9 * network.config.hop, generator=generator)
    with torch.no_grad():
        _, state = network(before, network.initial_state(BATCH))
    ours, theirs = dict(by_onnx(network, audio, state)), by_pytorch(other, audio, state)
    narrow, masks = network.config.narrow_bands, torch.from_numpy(ours["masks"])  # before their non-linearities
    ours["masks"] = torch.cat([masks[:, :, :1].sigmoid(), masks[:, :, 1:].tanh()], dim=2)[..., :narrow].numpy()
    found = {}
    for name, expected in theirs.items():
        assert ours[name].shape == expected.shape, name
        found[name] = float(np.abs(ours[name] - expected).max() / np.abs(expected).max())
    return found


@pytest.mark.parametrize(
    "config", [SMALLEST, replace(SMALLEST, lookahead=1, taps=1), replace(SMALLEST, blocks=2), STUDIO]
)
def test_every_stage_of_the_graph_computes_what_that_of_the_network_does(config: NetworkConfig) -> None:
    network = made(config)
    for stage, difference in differences(network, network).items():
        assert difference < TOLERANCE, stage


@pytest.mark.parametrize(
    ("stage", "weight"),
    [("spectra", "window"), ("features", "rotation"), ("masks", "stem.bias"), ("deep_filter", "turns")],
)
def test_the_first_stage_that_differs_is_the_one_that_was_changed(stage: str, weight: str) -> None:
    network, other = made(SMALLEST), made(SMALLEST)
    with torch.no_grad():
        {**dict(other.named_parameters()), **dict(other.named_buffers())}[weight].mul_(1.5).add_(0.1)
    found = [name for name, difference in differences(network, other).items() if difference > 10 * TOLERANCE]
    assert found[0] == stage
