"""The MP3 codec as a differentiable function, and the loss made of it.

`CodecLoss` compares waveforms by what an MP3 encoder counts as audible; `round_trip` is the codec itself. Names are
loaded on first use, so that `import emulator` costs nothing.

Example:
    >>> import torch
    >>> from emulator import CodecLoss
    >>> loss = CodecLoss("mp3-v9-16k", sample_rate=48_000)
    >>> estimate, target = torch.randn(2, 48_000, requires_grad=True), torch.randn(2, 48_000)
    >>> loss(estimate, target).backward()
"""

from typing import TYPE_CHECKING

from enhance.utils.lazy import lazy_names

if TYPE_CHECKING:
    from emulator.lame import Setting, round_trip
    from emulator.losses.balancer import Balancer
    from emulator.losses.codec_loss import CodecLoss
    from emulator.losses.codec_terms import CodecTerms, Reference
    from emulator.model.network import Emulation, Emulator
    from emulator.model.presets import load_emulator

    __version__: str

__all__ = [
    "Balancer", "CodecLoss", "CodecTerms", "Emulation", "Emulator", "Reference", "Setting", "load_emulator",
    "round_trip",
]  # fmt: skip

_HOME = {
    "Balancer": "emulator.losses.balancer",
    "CodecLoss": "emulator.losses.codec_loss",
    "CodecTerms": "emulator.losses.codec_terms",
    "Emulation": "emulator.model.network",
    "Emulator": "emulator.model.network",
    "Reference": "emulator.losses.codec_terms",
    "Setting": "emulator.lame",
    "load_emulator": "emulator.model.presets",
    "round_trip": "emulator.lame",
}

__getattr__, __dir__ = lazy_names(__name__, _HOME)
