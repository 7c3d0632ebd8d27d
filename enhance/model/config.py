"""Dimensions of the enhancement network: one frozen dataclass and the sizes that the project trains.

Everything that follows from a dimension is derived here, so that a checkpoint needs to carry this one value only.
"""

from dataclasses import asdict, dataclass
from typing import Any

from enhance.utils.plain_values import from_plain

FINE_FRAMES = 8  # spectra, 10 ms apart, that the fine powers of a frame are made of
FINE_BEFORE, FINE_AFTER = 4, 3  # how they lie around it


@dataclass(frozen=True)
class NetworkConfig:
    """Dimensions of :class:`enhance.model.network.Enhancer`.

    Example:
        >>> NetworkConfig().latency
        480
        >>> NetworkConfig.from_dict({"chanels": 8})
        Traceback (most recent call last):
        ...
        ValueError: unknown network dimension 'chanels'; known are: window, hop, lookahead, ...
    """

    window: int = 960  # samples per STFT frame (20 ms)
    hop: int = 480  # samples between frames (10 ms); the window is two hops long
    lookahead: int = 0  # frames that the network sees before it decides on one
    narrow_bands: int = 100  # lowest bands, one STFT bin (50 Hz) wide each: 0 to 5 kHz, where harmonics live
    wide_bands: int = 28  # bands above, equally spaced on the ERB-rate scale up to 24 kHz
    taps: int = 3  # frames (the present one and those before) that the deep filter of a narrow band combines
    stem_channels: int = 48  # channels at a quarter of the bands' resolution
    channels: int = 80  # channels at an eighth of it, where the recurrent blocks work
    head_channels: int = 16  # channels at full band resolution, before gains and filters
    blocks: int = 2  # dual-path blocks: a GRU across frequency, then one along time
    level_seconds: float = 1.0  # time constant of the running level that features are divided by
    backward: bool = False  # GRUs along time also run backward, from `ahead` frames behind a block
    ahead: int = 0  # frames behind a block that a call is given to look at; their estimate belongs to the next call
    block: int = 0  # frames that a file is denoised by at a time; 0: any number, as the result does not depend on it
    taps_ahead: int = 0  # frames after the present one that the deep filter combines as well
    fine_bins: int = 0  # lowest bins whose power is also seen 12.5 Hz apart, over 90 ms
    between: bool = False  # the estimate is the mean of that of the frames and that of frames halfway between them

    def __post_init__(self) -> None:
        if self.window != 2 * self.hop:
            raise ValueError(f"the window must be two hops long; got window {self.window}, hop {self.hop}")
        if self.bands % 8:
            raise ValueError(f"the number of bands must be a multiple of 8; got {self.bands}")
        if self.narrow_bands >= self.bins or self.taps < 1 or self.lookahead < 0 or self.blocks < 1:
            raise ValueError(f"dimensions out of range: {self}")
        if min(self.ahead, self.block, self.taps_ahead, self.fine_bins) < 0 or self.fine_bins > self.narrow_bands:
            raise ValueError(f"dimensions out of range: {self}")
        if self.fine_bins % 4:
            raise ValueError(f"the number of fine bins must be a multiple of 4; got {self.fine_bins}")
        if (self.backward or self.ahead) and not self.block:
            raise ValueError(f"a network that hears what comes needs the length of a block; got {self}")
        if self.between and (not self.ahead or self.hop % 2):
            raise ValueError(f"frames between the others need a frame ahead, and an even hop; got {self}")
        if self.lookahead and (self.backward or self.ahead or self.taps_ahead or self.fine_bins):
            raise ValueError(f"frames ahead are seen either by lookahead or by ahead, not by both; got {self}")

    @property
    def bins(self) -> int:
        """Bins of the one-sided spectrum."""
        return self.window // 2 + 1

    @property
    def bands(self) -> int:
        """Bands that the network sees."""
        return self.narrow_bands + self.wide_bands

    @property
    def history(self) -> int:
        """Earlier spectra that are kept in the state."""
        return max(self.taps - 1, 1, FINE_BEFORE if self.fine_bins else 0) + self.lookahead

    @property
    def margin(self) -> int:
        """Spectra after a frame that filters and features ask for; silence where a call has none."""
        return max(self.taps_ahead, FINE_AFTER if self.fine_bins else 0)

    @property
    def tap_offsets(self) -> tuple[int, ...]:
        """Frames that the deep filter combines, as frames before the present one."""
        return (*range(self.taps), *(-tap for tap in range(1, self.taps_ahead + 1)))

    @property
    def latency(self) -> int:
        """Samples by which the network's output lags behind its input."""
        return self.window - self.hop + self.lookahead * self.hop

    @property
    def algorithmic_latency(self) -> int:
        """Samples from a sound entering to it leaving, the wait for a whole hop included."""
        return self.latency + self.hop + (self.ahead + max(self.block - 1, 0)) * self.hop

    def to_dict(self) -> dict[str, Any]:
        """Return the dimensions as plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "NetworkConfig":
        """Return the dimensions from plain values.

        Raises:
            ValueError: a key is not a dimension.
        """
        return from_plain(cls, values, "network dimension")


SIZES = {
    "micro": NetworkConfig(stem_channels=12, channels=16, head_channels=4),
    "tiny": NetworkConfig(stem_channels=24, channels=32, head_channels=8),
    "small": NetworkConfig(),
    "base": NetworkConfig(stem_channels=96, channels=160, head_channels=32),
    "studio": NetworkConfig(backward=True, ahead=25, block=400, taps_ahead=2, fine_bins=40, between=True),
}
"""The sizes that the project trains, by name; `micro` is for comparisons alone."""
