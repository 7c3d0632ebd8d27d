"""Dimensions of the codec emulator and the presets that the project trains.

Everything that follows from a dimension is derived here, so that a checkpoint needs to carry this one value only.
"""

from dataclasses import asdict, dataclass
from typing import Any

from emulator.lame import Setting, check_setting
from enhance.utils.plain_values import from_plain


@dataclass(frozen=True)
class EmulatorConfig:
    """Dimensions of :class:`emulator.model.network.Emulator`.

    Example:
        >>> EmulatorConfig().bins
        513
        >>> EmulatorConfig.from_dict({"chanels": [8]})
        Traceback (most recent call last):
        ...
        ValueError: unknown emulator dimension 'chanels'; known are: setting, sample_rate, window, hop, ...
    """

    setting: str = "v9"  # of LAME, as `emulator.lame.Setting.parse` reads it
    sample_rate: int = 16_000  # Hz
    window: int = 1024  # samples per STFT frame; LAME's own long block is 1152 samples wide
    hop: int = 256  # samples between frames
    quiet_db: float = -80.0  # dBFS (RMS) of the softest tone that the codec keeps when nothing masks it
    patch: int = 2  # neighbouring bins that the finest level holds as channels
    channels: tuple[int, ...] = (16, 32, 48, 64)  # of each level, finest first; each halves both axes
    middle: int = 2  # residual blocks of the bottleneck

    def __post_init__(self) -> None:
        check_setting(Setting.parse(self.setting), self.sample_rate)
        if self.window % 2 or not 0 < self.hop <= self.window // 2:
            raise ValueError(f"the window must be even and two hops or more; got {self.window} and {self.hop}")
        if len(self.channels) < 2 or (self.window // 2) % (self.patch * self.stride):
            raise ValueError(f"{self.window // 2} bins do not divide by {self.patch} times {self.stride}")

    @property
    def bins(self) -> int:
        """Bins of the one-sided spectrum."""
        return self.window // 2 + 1

    @property
    def stride(self) -> int:
        """Factor between the finest and the coarsest level."""
        return 2 ** (len(self.channels) - 1)

    def to_dict(self) -> dict[str, Any]:
        """Return the dimensions as plain values."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "EmulatorConfig":
        """Return the dimensions from plain values.

        Raises:
            ValueError: a key is not a dimension.
        """
        return from_plain(cls, values, "emulator dimension")


PRESETS = {
    "mp3-cbr16-16k": EmulatorConfig("cbr16", 16_000),
    "mp3-v9-16k": EmulatorConfig("v9", 16_000),
    "mp3-v6-48k": EmulatorConfig("v6", 48_000, quiet_db=-91.0),
}
"""The emulators that the project trains, by name."""
