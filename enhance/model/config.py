"""Dimensions of the enhancement network: one frozen dataclass and the three sizes that the project trains.

Everything that follows from a dimension is derived here, so that a checkpoint needs to carry this one value only.
"""

from dataclasses import asdict, dataclass, fields
from typing import Any


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

    def __post_init__(self) -> None:
        if self.window != 2 * self.hop:
            raise ValueError(f"the window must be two hops long; got window {self.window}, hop {self.hop}")
        if self.bands % 8:
            raise ValueError(f"the number of bands must be a multiple of 8; got {self.bands}")
        if self.narrow_bands >= self.bins or self.taps < 1 or self.lookahead < 0 or self.blocks < 1:
            raise ValueError(f"dimensions out of range: {self}")

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
        return max(self.taps - 1, 1) + self.lookahead

    @property
    def latency(self) -> int:
        """Samples by which the network's output lags behind its input."""
        return self.window - self.hop + self.lookahead * self.hop

    @property
    def algorithmic_latency(self) -> int:
        """Samples from a sound entering to it leaving, the wait for a whole hop included."""
        return self.latency + self.hop

    def to_dict(self) -> dict[str, Any]:
        """Return the dimensions as plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "NetworkConfig":
        """Return the dimensions from plain values.

        Raises:
            ValueError: a key is not a dimension.
        """
        known = [field.name for field in fields(cls)]
        for key in values:
            if key not in known:
                raise ValueError(f"unknown network dimension {key!r}; known are: {', '.join(known)}")
        return cls(**values)


SIZES = {
    "tiny": NetworkConfig(stem_channels=24, channels=32, head_channels=8),
    "small": NetworkConfig(),
    "base": NetworkConfig(stem_channels=96, channels=160, head_channels=32),
}
"""The sizes that the project trains, by name."""
