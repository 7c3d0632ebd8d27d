"""The emulator of the paper, as the reference to beat: a U-Net from magnitudes to the magnitudes of the coded sound.

After Ananthabhotla et al. (doi:10.1145/3343031.3351148) and their follow-up on networks of limited capacity: a 2-D
convolutional U-Net with skip connections on magnitude spectrograms, trained by the distance of magnitudes. The layout
(strided 5 x 5 convolutions, batch normalisation, leaky rectifiers) is that of Jansson et al., "Singing voice separation
with deep U-Net convolutional networks" (ISMIR 2017), which the authors build on. It has no part that knows how much
noise the codec adds.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from emulator.model.config import EmulatorConfig
from emulator.model.network import POWER_FLOOR
from emulator.model.spectrum import power, stft, unit_window

CHANNELS = (16, 32, 48, 64)
QUIET = -4.0  # what the last layer starts from: magnitudes of 3e-4
COMPRESSION = 0.5  # of the magnitudes that go in; without it loud partials are all that is seen


class PaperEmulation(NamedTuple):
    """Output of the network for a signal."""

    spectrum: Tensor  # [batch, bins, frames] complex: the input
    magnitude: Tensor  # [batch, bins, frames]: of the coded sound


class PaperUNet(nn.Module):
    """The network.

    Args:
        config: names the codec setting, sample rate, window and hop; the layers are fixed.

    Example:
        >>> PaperUNet(EmulatorConfig("cbr16"))(torch.randn(1, 5000)).magnitude.shape
        torch.Size([1, 513, 20])
    """

    def __init__(self, config: EmulatorConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("window", unit_window(config.window), persistent=False)
        inputs = (1, *CHANNELS[:-1])
        self.downs = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 5, stride=2, padding=2), nn.BatchNorm2d(b), nn.LeakyReLU(0.2))
            for a, b in zip(inputs, CHANNELS, strict=True)
        )
        outputs = [*reversed(CHANNELS[:-1]), CHANNELS[0]]
        merged = [CHANNELS[-1], *(2 * c for c in reversed(CHANNELS[:-1]))]
        self.ups = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(a, b, 4, stride=2, padding=1), nn.BatchNorm2d(b), nn.ReLU())
            for a, b in zip(merged, outputs, strict=True)
        )
        self.out = nn.Conv2d(CHANNELS[0] + 1, 1, 5, padding=2)
        nn.init.constant_(self.out.bias, QUIET)  # type: ignore[arg-type]

    def spectrum(self, audio: Tensor) -> Tensor:
        """Turn ``[batch, time]`` into ``[batch, bins, frames]``, as `emulator.model.network.Emulator.spectrum` does."""
        return stft(audio, self.get_buffer("window"), self.config.hop)

    def forward(self, audio: Tensor) -> PaperEmulation:
        """Return the magnitudes of the coded sound from ``[batch, time]``."""
        spectrum = self.spectrum(audio)
        magnitude = (power(spectrum) + POWER_FLOOR).sqrt()
        frames, factor = spectrum.shape[-1], 2 ** len(CHANNELS)
        x = nn.functional.pad(magnitude[:, None, :-1] ** COMPRESSION, (0, -frames % factor))
        shallow, skips = x, []
        for down in self.downs:
            x = down(x)
            skips.append(x)
        for level, up in enumerate(self.ups):
            x = up(x if level == 0 else torch.cat([x, skips[-1 - level]], dim=1))
        x = nn.functional.softplus(self.out(torch.cat([x, shallow.to(x.dtype)], dim=1)).float())
        x = nn.functional.pad(x[:, 0, :, :frames], (0, 0, 0, 1), mode="replicate")
        return PaperEmulation(spectrum, x ** (1 / COMPRESSION))
