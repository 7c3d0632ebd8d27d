"""The autoencoder of the paper's experiment: few numbers per frame, so that the loss decides what they are spent on.

Audio becomes frames of an MDCT (Princen, Johnson, Bradley 1987; sine window, as many coefficients as samples), whose
coefficients carry sign and size of all that is in the signal. A linear projection and two blocks of convolutions
along time make `width` numbers of each frame; the mirror image makes coefficients of them again.

Training starts from the principal components of the training data, the best linear autoencoder for l2, with the
convolutions adding nothing yet. So a few hundred steps suffice, every loss starts from a signal with the right phases,
and the plain losses start where they are strongest.
"""

import math

import torch
from torch import Tensor, nn

HOP = 256  # samples between frames, and coefficients in each: 16 ms at 16 kHz
SCALE_POWER = 0.5  # coefficients are divided by their usual size to this power: 0 leaves them, 1 makes all alike
SMALLEST_SCALE = 1e-3  # usual size of a coefficient, relative to the largest


def mdct_basis(hop: int = HOP) -> Tensor:
    """Return basis ``[hop, 2 * hop]`` of the MDCT with sine window: orthonormal, also across frames.

    Example:
        >>> basis = mdct_basis(8)
        >>> torch.allclose(basis @ basis.T, torch.eye(8), atol=1e-6)
        True
    """
    k = torch.arange(hop, dtype=torch.float64)[:, None] + 0.5
    n = torch.arange(2 * hop, dtype=torch.float64)[None] + 0.5
    window = torch.sin(math.pi * n / (2 * hop)) * math.sqrt(2 / hop)
    return (window * torch.cos(math.pi / hop * (n + hop / 2) * k)).float()


class Block(nn.Module):
    """Two convolutions along time beside the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(channels, channels, 3, padding=1)
        self.second = nn.Conv1d(channels, channels, 1)
        nn.init.normal_(self.second.weight, std=0.3 * channels**-0.5)
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(nn.functional.gelu(self.first(x)))


def _branch(inputs: int, hidden: int, blocks: int, outputs: int) -> nn.Sequential:
    """Return convolutions that add nothing before they are trained."""
    last = nn.Conv1d(hidden, outputs, 1)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)  # type: ignore[arg-type]
    return nn.Sequential(nn.Conv1d(inputs, hidden, 3, padding=1), *(Block(hidden) for _ in range(blocks)), last)


class Autoencoder(nn.Module):
    """The network.

    Args:
        audio: ``[batch, time]``, the training data: sizes and principal components of the coefficients come from it.
        width: numbers for each frame that pass the bottleneck, 1 to HOP.
        hidden: channels of the convolutions.
        blocks: of convolutions on each side.

    Raises:
        ValueError: the width is out of range.

    Example:
        >>> audio = 0.1 * torch.randn(4, 8000)
        >>> network = Autoencoder(audio, width=32, hidden=64)
        >>> network(audio).shape, network.encode(audio).shape
        (torch.Size([4, 8000]), torch.Size([4, 32, 33]))
        >>> whole = Autoencoder(audio, width=HOP, hidden=64)  # nothing is lost: the transform reconstructs perfectly
        >>> bool((whole(audio) - audio).abs().max() < 1e-5)
        True
    """

    basis: Tensor
    scale: Tensor

    def __init__(self, audio: Tensor, width: int, hidden: int = 256, blocks: int = 2) -> None:
        super().__init__()
        if not 1 <= width <= HOP:
            raise ValueError(f"the width of the bottleneck must be from 1 to {HOP}; got {width}")
        self.register_buffer("basis", mdct_basis()[:, None], persistent=False)
        coefficients = self._frames(audio).transpose(0, 1).flatten(1)
        usual = coefficients.square().mean(dim=1).sqrt()
        usual = usual.clamp(min=SMALLEST_SCALE * float(usual.max()))
        self.register_buffer("scale", usual[:, None] ** SCALE_POWER)
        scaled = (coefficients / self.scale).double()
        components = torch.linalg.eigh(scaled @ scaled.T).eigenvectors.flip(1)[:, :width].float()  # largest first
        self.project = nn.Conv1d(HOP, width, 1, bias=False)
        self.expand = nn.Conv1d(width, HOP, 1, bias=False)
        with torch.no_grad():
            self.project.weight.copy_(components.T[..., None])
            self.expand.weight.copy_(components[..., None])
        self.encoder = _branch(HOP, hidden, blocks, width)
        self.decoder = _branch(width, hidden, blocks, HOP)

    def _frames(self, audio: Tensor) -> Tensor:
        padded = nn.functional.pad(audio[:, None], (HOP, HOP + -audio.shape[-1] % HOP))
        return nn.functional.conv1d(padded, self.basis, stride=HOP)

    def encode(self, audio: Tensor) -> Tensor:
        """Turn ``[batch, time]`` into ``[batch, width, frames]``."""
        scaled = self._frames(audio) / self.scale
        return self.project(scaled) + self.encoder(scaled)

    def decode(self, code: Tensor, length: int) -> Tensor:
        """Turn ``[batch, width, frames]`` into ``[batch, length]``."""
        coefficients = (self.expand(code) + self.decoder(code)) * self.scale
        return nn.functional.conv_transpose1d(coefficients, self.basis, stride=HOP)[:, 0, HOP : HOP + length]

    def forward(self, audio: Tensor) -> Tensor:
        """Send ``[batch, time]`` through the bottleneck and back."""
        return self.decode(self.encode(audio), audio.shape[-1])
