"""Speech denoising: the network, its training, and the runtime that needs neither.

`Denoiser` runs an exported ONNX file with numpy, onnxruntime and soxr only. Names are loaded on first use, so that
`import enhance` costs nothing and `enhance.train` never pulls in the runtime (nor the runtime PyTorch).

Example:
    >>> import numpy as np
    >>> from enhance import Denoiser
    >>> noisy = np.random.default_rng(0).normal(0, 0.01, (2, 44100))  # stereo, one second
    >>> Denoiser().denoise(noisy, sample_rate=44100).shape
    (2, 44100)
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

# ONNX Runtime 1.29 and later tell their maker of each session unless this is set before they are loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from enhance.runtime.denoiser import Denoiser, denoise
    from enhance.runtime.metadata import ModelInfo
    from enhance.runtime.registry import ModelEntry, find_model, list_models
    from enhance.runtime.stream import Stream
    from enhance.utils.errors import ModelError

__all__ = ["Denoiser", "ModelEntry", "ModelError", "ModelInfo", "Stream", "denoise", "find_model", "list_models"]

_HOME = {
    "Denoiser": "enhance.runtime.denoiser",
    "ModelEntry": "enhance.runtime.registry",
    "ModelError": "enhance.runtime.registry",
    "ModelInfo": "enhance.runtime.denoiser",
    "Stream": "enhance.runtime.stream",
    "denoise": "enhance.runtime.denoiser",
    "find_model": "enhance.runtime.registry",
    "list_models": "enhance.runtime.registry",
}


def __getattr__(name: str) -> Any:
    """Load a public name on first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'enhance' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
