"""The codec loss where people put losses: copied, pickled, moved to a worker, compiled, in a Lightning module."""

import copy
import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from codecloss import ALL, RATE, SAMPLES, signals
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.data import DataLoader, TensorDataset

from emulator.losses.codec_loss import CodecLoss
from emulator.model.presets import random_emulator

EXACT: dict[str, Any] = {"rtol": 0.0, "atol": 0.0}
FUSED: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-5}  # a compiler may add up in another order


@pytest.fixture(scope="module")
def loss() -> CodecLoss:
    return CodecLoss(random_emulator("mp3-v9-16k", seed=0), sample_rate=RATE, missing=0.5, **ALL)


def value_and_gradient(
    loss: Callable[[Tensor, Tensor], Tensor], estimate: Tensor, target: Tensor
) -> tuple[Tensor, Tensor]:
    estimate = estimate.clone().requires_grad_()
    value = loss(estimate, target)
    value.backward()
    assert estimate.grad is not None
    return value.detach(), estimate.grad


@pytest.mark.parametrize("how", ["deepcopy", "pickle", "torch.save"])
def test_a_copy_gives_the_same_values_and_gradients(loss: CodecLoss, how: str) -> None:
    """Though what it holds is in no `state_dict`: a copy carries it."""
    if how == "deepcopy":
        ours = copy.deepcopy(loss)
    elif how == "pickle":
        ours = pickle.loads(pickle.dumps(loss))
    else:
        buffer = io.BytesIO()
        torch.save(loss, buffer)
        buffer.seek(0)
        ours = torch.load(buffer, weights_only=False)
    assert repr(ours) == repr(loss)
    for theirs, expected in zip(
        value_and_gradient(ours, *signals(2)), value_and_gradient(loss, *signals(2)), strict=True
    ):
        torch.testing.assert_close(theirs, expected, **EXACT)


def test_a_reference_kept_on_disk_is_read_by_default(loss: CodecLoss, tmp_path: Path) -> None:
    """By `torch.load`, which takes only what is known to be safe."""
    estimate, target = signals(1)
    torch.save(loss.reference(target), tmp_path / "reference.pt")
    kept = torch.load(tmp_path / "reference.pt")
    torch.testing.assert_close(loss(estimate, kept), loss(estimate, target), **EXACT)


def test_a_reference_can_be_pickled_for_a_loader_in_another_process(loss: CodecLoss) -> None:
    estimate, target = signals(1)
    reference = loss.reference(target)
    sent = pickle.loads(pickle.dumps(reference))
    torch.testing.assert_close(loss(estimate, sent), loss(estimate, reference), **EXACT)


@pytest.mark.long
def test_under_torch_compile_it_is_the_same_loss(loss: CodecLoss) -> None:
    """Graphs as the compiler sees them, without code generation, which would take a C++ compiler and a minute."""
    compiled = torch.compile(loss, backend="aot_eager")
    for theirs, expected in zip(
        value_and_gradient(compiled, *signals(2)), value_and_gradient(loss, *signals(2)), strict=True
    ):
        torch.testing.assert_close(theirs, expected, **FUSED)


def test_in_a_lightning_module_it_trains_and_leaves_no_trace_in_the_checkpoint(loss: CodecLoss) -> None:
    """As an attribute of the module: one step of the Trainer moves the network and nothing else."""
    lightning = pytest.importorskip("lightning")

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network, self.codec = nn.Conv1d(1, 1, 9, padding=4), loss

        def training_step(self, batch: list[Tensor], _: int) -> Tensor:
            noisy, target = batch
            return self.codec(self.network(noisy), target)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    module = Module()
    before = copy.deepcopy(module.network.state_dict())
    silent: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = lightning.Trainer(max_steps=1, accelerator="cpu", enable_model_summary=False, **silent)
    noisy, target = (signal.reshape(2, 1, SAMPLES) for signal in signals(2))
    trainer.fit(module, DataLoader(TensorDataset(noisy, target), batch_size=2))
    assert not torch.equal(module.network.weight, before["weight"])
    assert list(module.state_dict()) == ["network.weight", "network.bias"]
    assert [name for name, _ in module.named_parameters()] == ["network.weight", "network.bias"]


def test_inside_vmap_it_is_the_same_loss(loss: CodecLoss) -> None:
    estimate, target = signals(3)
    found = torch.vmap(lambda one, other: loss(one[None], other[None]))(estimate, target)
    each = [loss(one[None], other[None]) for one, other in zip(estimate, target, strict=True)]
    torch.testing.assert_close(found, torch.stack(each), **FUSED)
    with pytest.raises(ValueError, match="must be finite"):
        loss(estimate * torch.inf, target)


class OnAGPU(TorchFunctionMode):
    """As `torch.device("cuda")` does: random numbers are drawn there, which a generator of the CPU cannot."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        assert func is not torch.randn or kwargs.get("generator") is None or kwargs.get("device") is not None
        return func(*args, **kwargs)


def test_it_can_be_made_where_a_gpu_is_the_default_device() -> None:
    with OnAGPU():
        assert CodecLoss(sample_rate=RATE).bands.isfinite().all()


@pytest.mark.parametrize("default", [torch.bfloat16, torch.float16])
def test_made_in_a_program_of_half_precision_it_computes_in_single(default: torch.dtype) -> None:
    rate = 48_000
    torch.set_default_dtype(default)
    try:
        ours = CodecLoss(sample_rate=rate, **ALL)
        assert torch.get_default_dtype() == default
    finally:
        torch.set_default_dtype(torch.float32)
    both = [value_and_gradient(made, *signals(1, rate=rate)) for made in (ours, CodecLoss(sample_rate=rate, **ALL))]
    for theirs, expected in zip(*both, strict=True):
        torch.testing.assert_close(theirs, expected, **EXACT)


def test_a_reference_made_in_inference_mode_serves_training(loss: CodecLoss) -> None:
    estimate, target = signals(1)
    with torch.inference_mode():
        reference = loss.reference(target.clone())
    both = [value_and_gradient(lambda e, t: loss.terms(e, t).total, estimate, t) for t in (reference, target)]  # type: ignore[arg-type]
    for theirs, expected in zip(*both, strict=True):
        torch.testing.assert_close(theirs, expected, **EXACT)
