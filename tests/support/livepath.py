"""Sound through `BlockProcessor`, without a device."""

import numpy as np

from apps.live.engine.block_processor import BlockProcessor, Controls
from enhance import Denoiser
from enhance.runtime.adaptive import AdaptiveModel

RATE = 48_000
BLOCK = 480


def through(path: BlockProcessor, audio: np.ndarray) -> np.ndarray:
    """Send [samples] through a path of one channel, block by block."""
    blocks = audio[: len(audio) // path.block * path.block].reshape(-1, path.block, 1)
    return np.concatenate([path.process(block)[:, 0].copy() for block in blocks])


def make_path(model: Denoiser, **controls: bool | float) -> BlockProcessor:
    """A path whose model is never too slow, however busy the machine."""
    return BlockProcessor(AdaptiveModel([model], allowance=60), RATE, 1, BLOCK, Controls(**controls))  # type: ignore[arg-type]
