"""An AAC encoder as a loss: outputs of torch-aac compared, a package that nothing here depends on.

The question is a researcher's first: why learn an encoder by a network, where there is one that gradients pass through?
torch-aac rounds coefficients with a straight-through gradient (https://github.com/VerdaAI/torch-aac, Elastic licence).
Outputs are compared as the codec loss compares those of the emulator.
"""

from collections.abc import Callable
from importlib import import_module

import torch
from torch import Tensor

from emulator.losses.distances import Distance
from emulator.losses.terms import LEVEL, compress, output_distance
from emulator.model.spectrum import stft, unit_window

WINDOW, HOP = 1024, 256  # samples, as the emulators at 16 kHz


def aac_distance(sample_rate: int, bitrate: int) -> Distance:
    """Return the distance of what the encoder leaves of estimate and target.

    Args:
        sample_rate: of the signals, Hz.
        bitrate: bit/s.

    Raises:
        ValueError: torch-aac is not installed.
    """
    try:
        make = import_module("torch_aac").DifferentiableAAC
    except ImportError as error:
        raise ValueError(f"AAC needs a package: pip install torch-aac ({error})") from None
    codec = make(sample_rate=sample_rate, bitrate=bitrate, device="cpu")
    window = unit_window(WINDOW)

    def coded(audio: Tensor) -> Tensor:
        alone = torch.cat([codec(row[None]) for row in audio])  # in a batch, signals share one rate control
        return compress(stft(alone, window, HOP, "reflect"), LEVEL)

    def to(target: Tensor) -> Callable[[Tensor], Tensor]:
        with torch.no_grad():
            reference = coded(target)
        return lambda estimate: output_distance(coded(estimate), reference)

    return Distance(f"AAC {bitrate // 1000} kbit/s output (torch-aac)", 2, to)
