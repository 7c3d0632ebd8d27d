"""The codec emulator: a 2-D U-Net on the log-power spectrogram that says what the codec keeps and what noise it adds.

A U-Net (Ronneberger et al., doi:10.1007/978-3-319-24574-4_28) sees the STFT of the input on one magnitude scale, as in
Ananthabhotla et al., "Towards a Perceptual Loss: Using a Neural Network Codec Approximation as a Loss for Generative
Audio Models" (doi:10.1145/3343031.3351148). Two heads follow. The first is a bounded mask: the part of each cell's
magnitude that survives coding. The second is the log-variance of the codec's error in each cell: the level of the noise
that the encoder allows itself, which with a psychoacoustic model in charge is what it deems inaudible.

The bins are folded into channels at the finest level, so that full resolution costs little. A learnt offset for each
frequency is given to every level, since thresholds and the low-pass depend on frequency. There is no
normalisation across time: what a cell yields depends on its surroundings only, and signals of any length are treated
alike.
"""

from collections.abc import Collection, Iterator
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from emulator.model.config import EmulatorConfig
from emulator.model.spectrum import power, stft, unit_window

POWER_FLOOR = 1e-10  # power of a cell that counts as none; the rounding of 16-bit samples makes 0.8e-10
MASK_LIMIT = 2**0.5  # a coded cell may come out stronger than it was, by 3 dB
LOG_POWER_CENTRE, LOG_POWER_SCALE = -13.0, 5.0  # mean and spread of natural log power in speech and music
LEARNT = 0.94  # share of the band that resampled sound fills; above, the answer is that for the last bin below
SMOOTHING = (5, 3)  # bins and frames of the local power that the noise level is relative to


class Emulation(NamedTuple):
    """Output of the emulator for a signal."""

    spectrum: Tensor  # [batch, bins, frames] complex: the input; white noise of power p has power p in each cell
    mask: Tensor  # [batch, bins, frames], 0 to MASK_LIMIT: what the codec leaves of each magnitude
    log_variance: Tensor  # [batch, bins, frames]: natural log of the power expected of coded minus input
    layers: dict[str, Tensor]  # "encoder1" (finest) to "bottleneck" to "decoder1": [batch, channels, frequency, time]


class Residual(nn.Module):
    """Two convolutions beside the identity; the second starts small."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.normal_(self.second.weight, std=0.3 * (9 * channels) ** -0.5)
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(nn.functional.silu(x))
        return x + self.second(nn.functional.silu(hidden))


class Emulator(nn.Module):
    """The network.

    Args:
        config: its dimensions.

    Example:
        >>> emulator = Emulator(EmulatorConfig())
        >>> emulation = emulator(torch.randn(2, 5000))
        >>> emulation.mask.shape, emulator.resynthesise(emulation, 5000).shape
        (torch.Size([2, 513, 20]), torch.Size([2, 5000]))
        >>> list(emulation.layers)
        ['encoder1', 'encoder2', 'encoder3', 'bottleneck', 'decoder3', 'decoder2', 'decoder1']
    """

    def __init__(self, config: EmulatorConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("window", unit_window(config.window), persistent=False)
        channels = config.channels
        bands = [config.window // 2 // config.patch // 2**level for level in range(len(channels))]
        self.stem = nn.Conv2d(config.patch, channels[0], 3, padding=1)
        self.places = nn.ParameterList(
            [nn.Parameter(torch.zeros(c, b, 1)) for c, b in zip(channels, bands, strict=True)]
        )
        self.encoders = nn.ModuleList([Residual(c) for c in channels[:-1]])
        pairs = list(pairwise(channels))
        self.downs = nn.ModuleList([nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in pairs])
        self.middle = nn.ModuleList([Residual(channels[-1]) for _ in range(config.middle)])
        self.ups = nn.ModuleList([nn.Conv2d(b, 4 * a, 1) for a, b in pairs])
        self.merges = nn.ModuleList([nn.Conv2d(2 * a, a, 1) for a, _ in pairs])
        self.decoders = nn.ModuleList([Residual(c) for c in channels[:-1]])
        self.head = nn.Conv2d(channels[0] + config.patch, channels[0], 3, padding=1)
        self.out = nn.Conv2d(channels[0], 2 * config.patch, 3, padding=1)

    @property
    def layer_names(self) -> list[str]:
        """Names of the intermediate layers, in the order in which they are computed."""
        levels = range(1, len(self.config.channels))
        return [*(f"encoder{n}" for n in levels), "bottleneck", *(f"decoder{n}" for n in reversed(levels))]

    def spectrum(self, audio: Tensor) -> Tensor:
        """Turn ``[batch, time]`` into ``[batch, bins, frames]``; frame t is centred on sample t * hop."""
        return stft(audio, self.get_buffer("window"), self.config.hop)

    def forward(self, audio: Tensor) -> Emulation:
        """Emulate the codec for ``[batch, time]`` at the emulator's sample rate, samples in [-1, 1]."""
        return self.analyse(self.spectrum(audio))

    def analyse(self, spectrum: Tensor) -> Emulation:
        """Return the same from a spectrum ``[batch, bins, frames]``."""
        config = self.config
        frames = spectrum.shape[-1]
        cells = power(spectrum) + POWER_FLOOR
        folded = self._features(cells)
        layers = dict(self._levels(folded))
        values = self._heads(layers["decoder1"], folded)
        logits, noise = unfold(values.float() if values.dtype != torch.float64 else values, config.patch)
        learnt = round(LEARNT * config.bins)
        beyond = (0, 0, 0, config.bins - learnt)
        logits, noise = (nn.functional.pad(x[:, :learnt, :frames], beyond, "replicate") for x in (logits, noise))
        local = nn.functional.avg_pool2d(
            cells, SMOOTHING, 1, (SMOOTHING[0] // 2, SMOOTHING[1] // 2), count_include_pad=False
        )
        mask = MASK_LIMIT * torch.sigmoid(logits)
        return Emulation(spectrum, mask, local.log() + LOG_POWER_SCALE * noise, layers)

    def layers(self, spectrum: Tensor, names: Collection[str]) -> dict[str, Tensor]:
        """Return some of the layers of :meth:`analyse`; nothing after the last of them is computed."""
        cells = power(spectrum) + POWER_FLOOR
        found: dict[str, Tensor] = {}
        for name, layer in self._levels(self._features(cells)):
            if name in names:
                found[name] = layer
            if len(found) == len(set(names)):
                break
        return found

    def _features(self, cells: Tensor) -> Tensor:
        """Turn ``[batch, bins, frames]`` into ``[batch, patch, bands, frames]``, padded to whole strides."""
        feature = (cells[:, :-1].log() - LOG_POWER_CENTRE) / LOG_POWER_SCALE
        feature = nn.functional.pad(feature, (0, -cells.shape[-1] % self.config.stride))
        folded = fold(feature, self.config.patch)
        try:
            return folded.contiguous(memory_format=torch.channels_last)
        except RuntimeError:  # inside torch.vmap, which knows this layout for no tensor
            return folded

    def _levels(self, folded: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield names and values of the layers, one by one."""
        x, skips = self.stem(folded), []
        for level, (encoder, down) in enumerate(zip(self.encoders, self.downs, strict=True)):
            x = encoder(x + self.places[level])
            yield f"encoder{level + 1}", x
            skips.append(x)
            x = down(nn.functional.silu(x))
        x = x + self.places[-1]
        for block in self.middle:
            x = block(x)
        yield "bottleneck", x
        for level in reversed(range(len(skips))):
            x = nn.functional.pixel_shuffle(self.ups[level](nn.functional.silu(x)), 2)
            x = self.decoders[level](self.merges[level](torch.cat([x, skips[level]], dim=1)))
            yield f"decoder{level + 1}", x

    def _heads(self, x: Tensor, folded: Tensor) -> Tensor:
        x = self.head(torch.cat([nn.functional.silu(x), folded.to(x.dtype)], dim=1))
        return self.out(nn.functional.silu(x))

    def resynthesise(self, emulation: Emulation, length: int) -> Tensor:
        """Return the emulated output ``[batch, length]``: the masked spectrum as a waveform."""
        c, window = self.config, self.get_buffer("window")
        return torch.istft(emulation.mask * emulation.spectrum, c.window, c.hop, window=window, length=length)


def fold(x: Tensor, patch: int) -> Tensor:
    """Turn ``[batch, bins, frames]`` into ``[batch, patch, bins / patch, frames]``: bins become channels."""
    return x.unflatten(1, (-1, patch)).transpose(1, 2)


def unfold(x: Tensor, patch: int) -> tuple[Tensor, Tensor]:
    """Turn ``[batch, 2 * patch, bands, frames]`` into two of ``[batch, bins, frames]``."""
    first, second = x.unflatten(1, (2, patch)).transpose(2, 3).flatten(2, 3).unbind(1)
    return first, second
