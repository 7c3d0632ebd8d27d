"""What the codec loss returns: its terms, and the reference that it makes of a target."""

from typing import NamedTuple

import torch
from torch import Tensor


class CodecTerms(NamedTuple):
    """The loss and its parts, means over channels and batches, before weights. A part of weight 0 is 0."""

    total: Tensor  # weighted sum; differentiate this
    noise_to_mask: Tensor  # log noise-to-mask ratio over the predicted noise level
    loudness: Tensor  # what the loudness in bands differs by beyond that noise level
    output: Tensor  # distance of the emulated outputs
    layers: Tensor  # distance of intermediate layers


class Reference(NamedTuple):
    """All that the loss needs of a target, detached. Keep it where a target comes back, as in each epoch."""

    made_for: str  # the loss that it fits
    shape: tuple[int, ...]  # of the target
    gain: Tensor  # [signals, 1]: what brings the target to LEVEL
    spectrum: Tensor  # [signals, bins, frames] complex, after that gain
    noise: Tensor | None  # [signals, bands, frames]: predicted power of the codec's noise
    loudness: Tensor | None  # [signals, bands, frames]: specific loudness
    margin: Tensor | None  # [signals, bands, frames]: what the codec's noise adds to it
    output: Tensor | None  # [signals, bins, frames] complex: compressed spectrum of the emulated output
    layers: dict[str, Tensor]  # [signals, channels, frequency, time]
    scales: dict[str, Tensor]  # [signals]: mean activation of each layer

    def to(self, device: str | torch.device) -> "Reference":
        """Return the same on another device."""
        return self._replace(
            gain=self.gain.to(device),
            spectrum=self.spectrum.to(device),
            noise=_moved(self.noise, device),
            loudness=_moved(self.loudness, device),
            margin=_moved(self.margin, device),
            output=_moved(self.output, device),
            layers={name: layer.to(device) for name, layer in self.layers.items()},
            scales={name: scale.to(device) for name, scale in self.scales.items()},
        )


torch.serialization.add_safe_globals([Reference])  # so that `torch.load` reads it by default


def _moved(value: Tensor | None, device: str | torch.device) -> Tensor | None:
    return None if value is None else value.to(device)
