"""The enhancement network: 48 kHz, waveform and state in, waveform and state out.

A 20 ms STFT (root-Hann, 10 ms hop) is seen as 128 bands: every bin up to 5 kHz, triangles on the ERB-rate scale above.
Four bands at a time become a position with ``stem_channels`` channels, two positions then one with ``channels``. There,
dual-path blocks run a bidirectional GRU across frequency and a GRU along time (Luo et al., "Dual-path RNN", ICASSP
2020; used the same way by GTCRN, Rong et al., ICASSP 2024, and LiSenNet, Yan et al., ICASSP 2025). The way back yields
a gain for each band and, below 5 kHz, a deep filter over the last frames (Schröter et al., "DeepFilterNet", ICASSP
2022).

All layers but the GRUs are matrix products over the last axis, applied to each frame on its own, so time lives in the
GRUs only: the state is small, training is fast on a CPU, and one file serves one hop or hundreds a call. Early
reduction of the frequency axis follows FastEnhancer (Ahn et al., 2025). `enhance/README.md` has the measurements.

Features do not depend on the input's level: powers are divided by a running mean, phases enter as differences along
time (with the hop's own rotation removed) and along frequency.

All this is causal. A network for files may also hear what comes: GRUs along time that run backward from `ahead` frames
behind a block, taps of the deep filter on later frames, and fine powers, 12.5 Hz apart, of the lowest bins, in which
the harmonics of a low voice stand apart from a rumble. These parts begin at zero (`enhance.model.warm_start`), so that
the causal network's training counts for them. Its estimate can be the mean of two, as a mean over shifts takes away
what blocks of samples leave (Coifman and Donoho, "Translation-invariant de-noising", 1995): of the frames, and of
frames halfway between them with the means of the masks around them.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from enhance.dsp.erb import wide_band_matrix
from enhance.dsp.rate import SAMPLE_RATE
from enhance.model.config import FINE_AFTER, FINE_BEFORE, FINE_FRAMES, NetworkConfig
from enhance.model.layers import DualPath, Neighbours, fine_transform, joined, neighbourhoods, parted

FEATURES = 6
TINY_POWER = 1e-12  # far below the power of a dithered 24-bit silence in one STFT bin
SPECTRUM_FLOOR_DB = -60.0  # powers below this, relative to the running level, look alike in the logarithmic feature


class Enhancer(nn.Module):
    """Speech enhancement as a function of a waveform and a state.

    Args:
        config: the dimensions.

    Example:
        >>> network = Enhancer(NetworkConfig(stem_channels=8, channels=8, head_channels=4))
        >>> estimate, state = network(torch.zeros(2, 4800), network.initial_state(2))
        >>> estimate.shape, state.shape == (2, network.state_size)
        (torch.Size([2, 4800]), True)
    """

    window: Tensor
    wide: Tensor
    rotation: Tensor
    turns: Tensor
    fine_cos: Tensor
    fine_sin: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = c = config
        self.register_buffer("window", torch.hann_window(c.window).sqrt(), persistent=False)
        wide = wide_band_matrix(c.bins, c.narrow_bands, c.wide_bands, SAMPLE_RATE)
        self.register_buffer("wide", torch.from_numpy(wide).float(), persistent=False)
        hops = torch.arange(c.bins, dtype=torch.float64) * c.hop / c.window * 2
        rotation = torch.cos(math.pi * hops).float()  # +1, -1, +1 ...: the phase that a hop adds to each bin
        self.register_buffer("rotation", rotation, persistent=False)
        powers = [rotation[: c.narrow_bands] ** abs(tap) for tap in c.tap_offsets]
        self.register_buffer("turns", torch.stack(powers, dim=-1), persistent=False)
        for name, part in zip(("fine_cos", "fine_sin"), fine_transform(rotation[: c.fine_bins]), strict=True):
            self.register_buffer(name, part, persistent=False)
        self.stem = nn.Linear(8 * FEATURES, c.stem_channels)
        self.fine_stem = nn.Linear(4 * FINE_FRAMES, c.stem_channels) if c.fine_bins else None
        self.stem_position = nn.Parameter(torch.zeros(c.bands // 4, c.stem_channels))
        self.encode = Neighbours(c.stem_channels)
        self.down = nn.Linear(2 * c.stem_channels, c.channels)
        self.position = nn.Parameter(torch.zeros(c.bands // 8, c.channels))
        self.paths = nn.ModuleList(DualPath(c.channels, c.backward) for _ in range(c.blocks))
        self.up = nn.Linear(c.channels, 2 * c.stem_channels)
        self.skip = nn.Linear(c.stem_channels, c.stem_channels)
        self.decode = Neighbours(c.stem_channels)
        self.expand = nn.Linear(c.stem_channels, 4 * c.head_channels)
        self.features_skip = nn.Linear(FEATURES, c.head_channels)
        self.head = nn.Linear(3 * c.head_channels, 1 + 2 * len(c.tap_offsets))
        if self.fine_stem is not None:
            nn.init.zeros_(self.fine_stem.weight)
            nn.init.zeros_(self.fine_stem.bias)
        with torch.no_grad():  # at the start the deep filter is silent and the gains are open
            self.head.weight.mul_(0.1)
            self.head.bias.zero_()
            self.head.bias[0] = 1.0

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """Values per kind of state: last hop, overlap, level, spectra (real and imaginary), recurrent blocks.

        With frames between the others then also half a hop before the last, and their overlap and spectra.
        """
        c = self.config
        recurrent = c.bands // 8 * c.channels
        spectra = 2 * c.history * c.bins
        between = (c.hop // 2, c.hop, spectra) if c.between else ()
        return (c.hop, c.hop, 2, spectra, *[recurrent] * c.blocks, *between)

    @property
    def state_size(self) -> int:
        """Values of the state of one channel."""
        return sum(self.state_sizes)

    def initial_state(self, batch: int) -> Tensor:
        """Return the state before the first sample: ``[batch, state_size]`` zeros."""
        return torch.zeros(batch, self.state_size, device=self.window.device)

    def spectra(self, hops: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Transform windowed frames of two hops each, and put those spectra before them that the state keeps.

        Args:
            hops: ``[batch, time + 1, hop]`` samples.
            kept: ``[batch, history * 2 * bins]``.

        Returns:
            Real and imaginary parts, ``[batch, history + time, bins]`` each.
        """
        c = self.config
        spectrum = torch.fft.rfft(torch.cat([hops[:, :-1], hops[:, 1:]], dim=2) * self.window)
        before = kept.unflatten(1, (c.history, 2 * c.bins))
        real = torch.cat([before[..., : c.bins], spectrum.real], dim=1)
        imag = torch.cat([before[..., c.bins :], spectrum.imag], dim=1)
        return real, imag

    def to_bands(self, x: Tensor) -> Tensor:
        """Return sums over bands: ``[..., bins] -> [..., bands]``."""
        narrow = self.config.narrow_bands
        return torch.cat([x[..., :narrow], x[..., narrow:] @ self.wide], dim=-1)

    def level(self, power: Tensor, state: Tensor, ahead: int = 0) -> tuple[Tensor, Tensor]:
        """Follow the frames' power by an exponential running mean, unbiased from the first frame on.

        Args:
            power: ``[batch, time]``.
            state: ``[batch, 2]``, the decayed sums of power and of ones.
            ahead: frames at the end that the next state does not count.

        Returns:
            Mean ``[batch, time]`` and the next state.
        """
        frames = power.shape[1]
        decay = math.exp(-self.config.hop / SAMPLE_RATE / self.config.level_seconds)
        age = torch.arange(1, frames + 1, device=power.device)
        lag = (age[:, None] - age[None, :]).to(power.dtype)
        kernel = torch.where(lag >= 0, decay ** lag.clamp(min=0), torch.zeros_like(lag))
        carried = decay ** age.to(power.dtype)
        total = power @ kernel.T + state[:, :1] * carried
        count = kernel.sum(dim=1) + state[:, 1:] * carried
        return total / count, torch.stack([total[:, -1 - ahead], count[:, -1 - ahead]], dim=1)

    def features(self, real: Tensor, imag: Tensor, before: tuple[Tensor, Tensor], level: Tensor) -> Tensor:
        """Return level-free features ``[batch, time, bands, FEATURES]`` of spectra and the spectra one frame before."""
        lower_real, lower_imag = F.pad(real, (1, -1)), F.pad(imag, (1, -1))  # one bin down
        quantities = [
            real.square() + imag.square(),
            before[0].square() + before[1].square(),
            (real * before[0] + imag * before[1]) * self.rotation,
            (imag * before[0] - real * before[1]) * self.rotation,
            real * lower_real + imag * lower_imag,
            imag * lower_real - real * lower_imag,
        ]
        bands = self.to_bands(torch.stack(quantities, dim=-2))
        power, power_before, along_real, along_imag, across_real, across_imag = bands.unbind(dim=-2)
        relative = power / (level[..., None] + TINY_POWER)
        along_norm = (power * power_before).sqrt() + TINY_POWER
        across_norm = -(power + TINY_POWER)  # the window's centre at half its length turns each second bin
        return torch.stack(
            [
                (relative + 1e-9) ** 0.15,
                torch.log10(relative + 10 ** (SPECTRUM_FLOOR_DB / 10)) / 3,
                along_real / along_norm,
                along_imag / along_norm,
                (across_real / across_norm).clamp(-2, 2),
                (across_imag / across_norm).clamp(-2, 2),
            ],
            dim=-1,
        )

    def fine(self, real: Tensor, imag: Tensor, level: Tensor) -> Tensor:
        """Return fine powers of the lowest bins, as logarithms, ``[batch, time, fine bins, FINE_FRAMES]``.

        Args:
            real, imag: ``[batch, FINE_BEFORE + time + FINE_AFTER, bins]``.
            level: ``[batch, time]``.
        """
        bins = self.config.fine_bins
        real, imag = (x[..., :bins].unfold(1, FINE_FRAMES, 1) for x in (real, imag))
        cos, sin = self.fine_cos, self.fine_sin
        fine_real = torch.einsum("btfk,fkm->btfm", real, cos) + torch.einsum("btfk,fkm->btfm", imag, sin)
        fine_imag = torch.einsum("btfk,fkm->btfm", imag, cos) - torch.einsum("btfk,fkm->btfm", real, sin)
        relative = (fine_real.square() + fine_imag.square()) / (level[..., None, None] + TINY_POWER)
        return torch.log10(relative + 10 ** (SPECTRUM_FLOOR_DB / 10)) / 3

    def masks(
        self, features: Tensor, states: list[Tensor], fine: Tensor | None = None, ahead: int = 0
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Turn features into masks.

        Args:
            features: ``[batch, time, bands, FEATURES]``.
            states: of the recurrent blocks.
            fine: ``[batch, time, fine bins, FINE_FRAMES]``, of a network that hears them.
            ahead: frames at the end that the states after them do not count.

        Returns:
            Gains ``[batch, time, bands]``, filters ``[batch, time, narrow bands, taps, 2]`` and the next states.
        """
        c = self.config
        shape = features.shape[:2]
        features = features.flatten(0, 1)
        if torch.is_autocast_enabled(features.device.type):  # keep the residual stream in the fast type as well
            features = features.to(torch.get_autocast_dtype(features.device.type))
        x = self.stem(neighbourhoods(features, 4))
        if self.fine_stem is not None and fine is not None:
            low = self.fine_stem(joined(fine.flatten(0, 1).to(features.dtype), 4))
            x = x + F.pad(low, (0, 0, 0, x.shape[1] - low.shape[1]))
        x = x + self.stem_position.to(x.dtype)
        skip = self.encode(x)
        x = self.down(joined(skip, 2))
        x = x + self.position.to(x.dtype)
        after = []
        for path, state in zip(self.paths, states, strict=True):
            x, state = path(x, state.unflatten(1, (c.bands // 8, c.channels)), ahead)
            after.append(state.flatten(1))
        x = self.decode(parted(self.up(x), 2) + self.skip(skip))
        x = parted(self.expand(x), 4)
        x = self.head(neighbourhoods(F.silu(x + self.features_skip(features)), 1))
        gains, filters = torch.sigmoid(x[..., 0]), torch.tanh(x[:, : c.narrow_bands, 1:])
        return gains.unflatten(0, shape), filters.unflatten(-1, (-1, 2)).unflatten(0, shape), after

    def deep_filter(self, gains: Tensor, filters: Tensor, real: Tensor, imag: Tensor) -> tuple[Tensor, Tensor]:
        """Multiply spectra by gains and, below 5 kHz, add what complex filters make of the last frames.

        Args:
            gains: ``[batch, time, bands]``.
            filters: ``[batch, time, narrow bands, taps, 2]``, real and imaginary parts.
            real, imag: ``[batch, history + time + taps ahead or more, bins]``.

        Returns:
            Real and imaginary parts, ``[batch, time, bins]`` each, late by ``config.lookahead`` frames.
        """
        c = self.config
        narrow, frames = c.narrow_bands, gains.shape[1]
        gains = torch.cat([gains[..., :narrow], gains[..., narrow:] @ self.wide.T], dim=-1)
        first = c.history - c.lookahead
        out_real = gains * real[:, first : first + frames]
        out_imag = gains * imag[:, first : first + frames]
        taps = [slice(first - tap, first - tap + frames) for tap in c.tap_offsets]
        past_real = torch.stack([real[:, tap, :narrow] for tap in taps], dim=-1) * self.turns
        past_imag = torch.stack([imag[:, tap, :narrow] for tap in taps], dim=-1) * self.turns
        filter_real, filter_imag = filters[..., 0], filters[..., 1]
        low_real = out_real[..., :narrow] + (filter_real * past_real - filter_imag * past_imag).sum(dim=-1)
        low_imag = out_imag[..., :narrow] + (filter_real * past_imag + filter_imag * past_real).sum(dim=-1)
        return (
            torch.cat([low_real, out_real[..., narrow:]], dim=-1),
            torch.cat([low_imag, out_imag[..., narrow:]], dim=-1),
        )

    def overlap_add(self, real: Tensor, imag: Tensor, overlap: Tensor) -> tuple[Tensor, Tensor]:
        """Transform spectra ``[batch, time, bins]`` back, and add up the frames where they overlap.

        Args:
            real, imag: of the spectra.
            overlap: ``[batch, hop]``, the second half of the frame before.

        Returns:
            Samples ``[batch, time * hop]``, and the second halves of the frame before and of all, ``[batch, 1 + time,
            hop]``.
        """
        c = self.config
        frames = torch.fft.irfft(torch.complex(real, imag), n=c.window) * self.window
        tails = torch.cat([overlap[:, None], frames[..., c.hop :]], dim=1)
        return (frames[..., : c.hop] + tails[:, :-1]).flatten(1), tails

    def halfway(
        self, hops: Tensor, gains: Tensor, filters: Tensor, state: list[Tensor], done: int
    ) -> tuple[Tensor, list[Tensor]]:
        """Return the estimate that frames halfway between the others give, with the means of the masks around them.

        Args:
            hops: ``[batch, time + 1, hop]`` samples.
            gains, filters: masks of all frames that are known; the first and the last also stand for those beyond.
            state: half a hop of samples before `hops`, overlap ``[batch, hop]`` and spectra before the first frame.
            done: hops of the estimate.

        Returns:
            Samples ``[batch, done * hop]``, and the state after them.
        """
        c = self.config
        earlier, overlap, kept = state
        half = c.hop // 2
        samples = F.pad(torch.cat([earlier, hops.flatten(1)], dim=1), (0, half)).unflatten(1, (-1, c.hop))
        real, imag = self.spectra(samples, kept)
        kept = torch.cat([x[:, done : done + c.history] for x in (real, imag)], dim=-1).flatten(1)
        real, imag = (F.pad(x, (0, 0, 0, c.margin)) for x in (real, imag))
        around = torch.arange(-1, done + 1, device=hops.device).clamp(0, gains.shape[1] - 1)
        gains, filters = ((x[:, around[:-1]] + x[:, around[1:]]) / 2 for x in (gains, filters))
        estimate, tails = self.overlap_add(*self.deep_filter(gains, filters, real, imag), overlap)
        samples = torch.cat([earlier, hops[:, :done].flatten(1)], dim=1)
        return estimate[:, half:-half], [samples[:, -half:], tails[:, -2], kept]

    def forward(self, audio: Tensor, state: Tensor, ahead: int | None = None) -> tuple[Tensor, Tensor]:
        """Enhance a block.

        Args:
            audio: ``[batch, (hops + ahead) * hop]`` samples at 48 kHz.
            state: ``[batch, state_size]`` from the block before, or :meth:`initial_state`.
            ahead: hops at the end that are only looked at, and come again in the next call; None for `config.ahead`.

        Returns:
            The estimate, ``[batch, hops * hop]``, late by ``config.latency`` samples, and the next state.
        """
        c = self.config
        ahead = c.ahead if ahead is None else ahead
        last_hop, overlap, level_state, kept, *others = state.split(self.state_sizes, dim=1)
        recurrent, between = others[: c.blocks], others[c.blocks :]
        hops = torch.cat([last_hop, audio], dim=1).unflatten(1, (-1, c.hop))
        real, imag = self.spectra(hops, kept)
        frames = hops.shape[1] - 1
        end, done = c.history + frames, frames - ahead
        now, before = slice(c.history, end), slice(c.history - 1, end - 1)
        power = (real[:, now].square() + imag[:, now].square()).mean(dim=-1)
        level, level_state = self.level(power, level_state, ahead)
        features = self.features(real[:, now], imag[:, now], (real[:, before], imag[:, before]), level)
        kept = torch.cat([x[:, done : done + c.history] for x in (real, imag)], dim=-1).flatten(1)
        real, imag = (F.pad(x, (0, 0, 0, c.margin)) for x in (real, imag))
        fine = None
        if c.fine_bins:
            around = slice(c.history - FINE_BEFORE, end + FINE_AFTER)
            fine = self.fine(real[:, around], imag[:, around], level)
        gains, filters, recurrent = self.masks(features, recurrent, fine, ahead)
        gains, filters = gains.to(audio.dtype), filters.to(audio.dtype)
        filtered = self.deep_filter(gains[:, :done], filters[:, :done], real, imag)
        estimate, tails = self.overlap_add(*filtered, overlap)
        if between:
            other, between = self.halfway(hops, gains, filters, between, done)
            estimate = (estimate + other) / 2
        return estimate, torch.cat([hops[:, done], tails[:, -1], level_state, kept, *recurrent, *between], dim=1)
