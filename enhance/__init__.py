"""Speech denoising: the network, its training, and the runtime that needs neither.

`denoise_file` takes a file to a file, and `Denoiser` arrays of samples: they run an exported ONNX file with numpy,
onnxruntime, soundfile and soxr, without PyTorch. Names are loaded on first use, so that `import enhance` costs nothing
and `enhance.train` never pulls in the runtime (nor the runtime PyTorch).

Example:
    >>> import numpy as np
    >>> from enhance import Denoiser
    >>> noisy = np.random.default_rng(0).normal(0, 0.01, (2, 44100))  # stereo, one second
    >>> Denoiser().denoise(noisy, sample_rate=44100).shape
    (2, 44100)
"""

import os
import sys
from typing import TYPE_CHECKING

from enhance.utils.lazy import lazy_names

# ONNX Runtime 1.29 and later tell their maker of each session unless this is set before they are loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if sys.argv[:1] == ["-m"]:  # Python is about to run a command, as `python -m enhance.train`, or a program of others
    from enhance.utils.extras import end_commands_in_one_line

    end_commands_in_one_line()

if TYPE_CHECKING:
    from enhance.io.python_call import DenoisedFile, denoise_file
    from enhance.runtime.denoiser import Denoiser, denoise
    from enhance.runtime.metadata import ModelInfo
    from enhance.runtime.registry import ModelEntry, find_model, list_models, model_for_files
    from enhance.runtime.stream import Stream
    from enhance.utils.errors import FileError, ModelError, MpeaceError

    __version__: str

__all__ = [
    "DenoisedFile", "Denoiser", "FileError", "ModelEntry", "ModelError", "ModelInfo", "MpeaceError", "Stream",
    "denoise", "denoise_file", "find_model", "list_models", "model_for_files",
]  # fmt: skip

_HOME = {
    "DenoisedFile": "enhance.io.python_call",
    "Denoiser": "enhance.runtime.denoiser",
    "FileError": "enhance.utils.errors",
    "ModelEntry": "enhance.runtime.registry",
    "ModelError": "enhance.utils.errors",
    "ModelInfo": "enhance.runtime.metadata",
    "MpeaceError": "enhance.utils.errors",
    "Stream": "enhance.runtime.stream",
    "denoise": "enhance.runtime.denoiser",
    "denoise_file": "enhance.io.python_call",
    "find_model": "enhance.runtime.registry",
    "list_models": "enhance.runtime.registry",
    "model_for_files": "enhance.runtime.registry",
}

__getattr__, __dir__ = lazy_names(__name__, _HOME)
