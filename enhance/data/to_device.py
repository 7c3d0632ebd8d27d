"""Small arrays from NumPy to a device without waiting for it."""

import numpy as np
import torch
from torch import Tensor


def send(values: np.ndarray, device: torch.device | str) -> Tensor:
    """Return a tensor on `device` with the `values`, for use in the order of its stream; on the CPU it may share them.

    A GPU that several processes share answers late, and a batch of mixtures needs a hundred such arrays. From ordinary
    memory CUDA stages the values before it returns, so the array may be changed at once
    (https://docs.nvidia.com/cuda/cuda-runtime-api/api-sync-behavior.html).
    """
    return torch.from_numpy(np.ascontiguousarray(values)).to(device, non_blocking=True)
