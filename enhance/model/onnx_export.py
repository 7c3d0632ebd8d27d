"""Export of a checkpoint: the ONNX file with its metadata, compared with PyTorch, and the weights as safetensors."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from safetensors.torch import save
from torch import Tensor

from enhance.dsp.rate import SAMPLE_RATE
from enhance.model.checkpoint import load_checkpoint
from enhance.model.config import NetworkConfig
from enhance.model.network import Enhancer
from enhance.model.onnx_dft import FactoredDFT
from enhance.model.onnx_graph import build
from enhance.runtime.metadata import FORMAT_VERSION
from enhance.utils.atomic import write_bytes
from enhance.utils.environment import versions

UNSTATED = "not stated"


TOLERANCE = 1e-4  # largest difference from PyTorch at full scale: two orders of float32 sums, fed back through GRUs


PARITY_SECONDS = 65.0


PARITY_HOPS = (1, 7, 200)


def load_network(checkpoint: dict[str, Any]) -> Enhancer:
    """Return the network with the averaged weights of a training checkpoint.

    Raises:
        ValueError: the checkpoint is of another kind of network.
    """
    if "dimensions" not in checkpoint["task"]:
        raise ValueError(f"expected a checkpoint of enhance.train; this one holds {', '.join(checkpoint['task'])}")
    network = Enhancer(NetworkConfig.from_dict(checkpoint["task"]["dimensions"]))
    network.load_state_dict(checkpoint["average"])
    return network.eval()


def macs_per_second(network: Enhancer) -> int:
    """Return multiply-accumulates of one second of audio: layers, counted by running one hop, transforms and bands.

    What a network looks at ahead is computed in two calls, and counts twice.
    """
    between = network.config.between
    counted = (1 + between) * FactoredDFT(network.config.window).products
    counted += (7 + between) * network.wide.numel()  # six features to bands, gains back to bins

    def count(module: torch.nn.Module, inputs: tuple[Tensor, ...], _: object) -> None:
        nonlocal counted
        rows = inputs[0].numel() // inputs[0].shape[-1]
        counted += rows * sum(p.numel() for p in module.parameters() if p.ndim == 2)

    hooks = [
        module.register_forward_hook(count)
        for module in network.modules()
        if isinstance(module, torch.nn.Linear | torch.nn.GRU)
    ]
    with torch.no_grad():
        network(torch.zeros(1, network.config.hop), network.initial_state(1), 0)
    for hook in hooks:
        hook.remove()
    c = network.config
    return (
        counted * SAMPLE_RATE * (c.block + c.ahead) // (c.hop * c.block) if c.block else counted * SAMPLE_RATE // c.hop
    )


def metadata(network: Enhancer, name: str, training: dict[str, Any], licence: str = UNSTATED) -> dict[str, str]:
    """Return the metadata of the file."""
    c = network.config
    values = {
        "mpeace_version": versions(("mpeace",)).get("mpeace", "not installed"),
        "format_version": FORMAT_VERSION,
        "name": name,
        "sample_rate": SAMPLE_RATE,
        "window": c.window,
        "hop": c.hop,
        "lookahead": c.lookahead,
        "ahead": c.ahead,
        "block": c.block,
        "latency": c.latency,
        "state_size": network.state_size,
        "parameters": sum(p.numel() for p in network.parameters()),
        "macs_per_second": macs_per_second(network),
        "training": json.dumps(training),
        "licence": licence,
    }
    return {key: str(value) for key, value in values.items()}


def to_onnx(network: Enhancer, properties: dict[str, str]) -> onnx.ModelProto:
    """Return the network as an ONNX model with metadata."""
    model = build(network)
    onnx.helper.set_model_props(model, properties)
    onnx.checker.check_model(model)
    return model


def parity(network: Enhancer, model: bytes, seconds: float = PARITY_SECONDS) -> float:
    """Largest difference between PyTorch and ONNX Runtime over some audio, whole and in blocks of several sizes.

    A network with blocks of its own is compared in those.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    c = network.config
    hop, ahead = c.hop, c.ahead * c.hop
    generator = torch.Generator().manual_seed(0)
    hops = round(seconds * SAMPLE_RATE / hop)
    loudness = torch.rand(2, hops // 20 + 1, generator=generator).square().repeat_interleave(20 * hop, dim=1)
    audio = 0.3 * torch.randn(2, hops * hop, generator=generator) * loudness[:, : hops * hop]
    audio = torch.nn.functional.pad(audio, (0, ahead))

    def pieces(size: int) -> list[Tensor]:
        return [audio[:, first : first + size * hop + ahead] for first in range(0, hops * hop, size * hop)]

    parts, carried = [], network.initial_state(2)
    with torch.no_grad():
        for piece in pieces(c.block or hops):
            part, carried = network.eval()(piece, carried)
            parts.append(part.numpy())
    expected = np.concatenate(parts, axis=1)
    worst = 0.0
    for size in (c.block,) if c.block else PARITY_HOPS:
        estimates, state = [], np.zeros((2, network.state_size), np.float32)
        for piece in pieces(size):
            estimate, state = session.run(None, {"audio": piece.numpy(), "state": state})
            estimates.append(estimate)
        worst = max(worst, float(np.abs(np.concatenate(estimates, axis=1) - expected).max()))
    return worst


def export(
    checkpoint_file: Path, onnx_file: Path, name: str, licence: str = UNSTATED, grid: Mapping[str, int] | None = None
) -> float:
    """Write ``onnx_file`` and the weights beside it as safetensors; return the largest difference from PyTorch.

    Args:
        checkpoint_file: of a training.
        onnx_file: to write.
        name: of the model.
        licence: of the weights.
        grid: another `block`, `ahead` or `between` of `NetworkConfig`, of a network that hears ahead; no weight
            depends on them.

    Raises:
        ValueError: the checkpoint is damaged, the network does not hear ahead, or the runtime disagrees with PyTorch.
    """
    checkpoint = load_checkpoint(checkpoint_file)
    network = load_network(checkpoint)
    if grid and not network.config.block:
        raise ValueError(f"{', '.join(grid)}: this network does not hear ahead")
    network.config = replace(network.config, **(grid or {}))
    training = {key: checkpoint[key] for key in ("task", "config", "step", "torch", "averaged") if key in checkpoint}
    model = to_onnx(network, metadata(network, name, training, licence)).SerializeToString()
    difference = parity(network, model)
    if difference > TOLERANCE:
        raise ValueError(
            f"ONNX Runtime differs from PyTorch by {difference:.2g}, over {TOLERANCE:.0e}; nothing written"
        )
    onnx_file.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(onnx_file, model)
    weights = {key: value.contiguous() for key, value in network.state_dict().items()}
    dimensions = {"dimensions": json.dumps(network.config.to_dict())}
    write_bytes(onnx_file.with_suffix(".safetensors"), save(weights, dimensions))
    return difference
