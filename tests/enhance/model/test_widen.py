"""A wider network computes what the narrow one did, and its equal channels part ways in training."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers import full_disk
from recordings import SMALLEST
from safetensors.torch import load_file, save_file

from enhance.model.config import SIZES, NetworkConfig
from enhance.model.network import Enhancer
from enhance.widen import main, widen

REPOSITORY = Path(__file__).resolve().parents[3]
WIDE = replace(SMALLEST, stem_channels=16, channels=16, head_channels=8)


def networks(wide: NetworkConfig) -> tuple[Enhancer, Enhancer]:
    """A narrow network with random weights throughout, and the wide one made of it."""
    torch.manual_seed(0)
    narrow = Enhancer(SMALLEST)
    for parameter in narrow.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    network = Enhancer(wide)
    network.load_state_dict(widen(narrow.state_dict(), SMALLEST, wide))
    return narrow, network


@pytest.mark.parametrize("blocks", [2, 3])
@pytest.mark.parametrize("factor", [1, 2, 3])
def test_the_wide_network_computes_the_same(factor: int, blocks: int) -> None:
    widths = {name: factor * getattr(SMALLEST, name) for name in ("stem_channels", "channels", "head_channels")}
    narrow, wide = networks(replace(SMALLEST, blocks=blocks, **widths))
    audio = 0.1 * torch.randn(2, 9600, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, _ = narrow(audio, narrow.initial_state(2))
        got, _ = wide(audio, wide.initial_state(2))
    assert float(expected.abs().max()) > 0.01
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-5)


def test_equal_channels_get_different_gradients() -> None:
    _, wide = networks(WIDE)
    audio = 0.1 * torch.randn(2, 9600, generator=torch.Generator().manual_seed(1))
    wide(audio, wide.initial_state(2))[0].square().sum().backward()
    gradient = wide.stem.weight.grad
    assert gradient is not None
    pairs = gradient.unflatten(0, (-1, 2))
    assert float((pairs[:, 0] - pairs[:, 1]).norm()) > 0.1 * float(gradient.norm())


def test_widths_that_do_not_fit_are_refused() -> None:
    weights = Enhancer(SMALLEST).state_dict()
    for wide in (replace(WIDE, head_channels=12), replace(WIDE, taps=1), replace(WIDE, blocks=1)):
        with pytest.raises(ValueError, match="all widths to grow by one whole factor"):
            widen(weights, SMALLEST, wide)


def test_the_command_makes_base_of_the_shipped_small(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "base.safetensors"
    assert main([str(REPOSITORY / "checkpoints" / "small.safetensors"), str(target)]) == 0
    Enhancer(SIZES["base"]).load_state_dict(load_file(target))
    (tmp_path / "damaged.safetensors").write_bytes(b"nothing")
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    for name, reason in (("damaged", "damaged.safetensors' holds none"), ("other", "does not say its dimensions")):
        assert main([str(tmp_path / f"{name}.safetensors"), str(target)]) == 1
        message = capsys.readouterr().err
        assert message.startswith("enhance.widen: ")
        assert reason in message
        assert message.count("\n") == 1
    before = target.read_bytes()
    with full_disk():
        assert main([str(REPOSITORY / "checkpoints" / "small.safetensors"), str(target)]) == 1
    assert capsys.readouterr().err.startswith("enhance.widen: [Errno ")
    assert target.read_bytes() == before
    assert target.stat().st_mode & 0o044 == 0o044  # others may read it, as any file
