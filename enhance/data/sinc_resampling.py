"""Differentiable resampling by a windowed sinc, in PyTorch alone.

A band-limited signal is the sum of sincs through its samples, so each output sample is an inner product of the input
with a sinc that is centred on it, cut to `width` zero crossings by a Hann window. After reduction of the two rates the
position of the sinc repeats every `new_rate` output samples: that many kernels, moved by `old_rate` input samples at a
time, are one strided convolution. These are the kernels of `torchaudio.functional.resample`, whose compiled library
loads beside some releases of PyTorch only.
Reference: J. O. Smith, "Digital Audio Resampling Home Page", https://ccrma.stanford.edu/~jos/resample.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ROLL_OFF = 0.99  # of half the lower rate: middle of the transition band
LARGEST = 2**25  # taps of all kernels together: 256 MiB while they are made
WIDTH = 6  # zero crossings on either side, for `SincResample` without another wish


class SincResample(nn.Module):
    """Resamples the last axis; gradients pass.

    Shape:
        Input ``[..., T]``, output ``[..., ceil(new_rate T / old_rate)]``.

    Args:
        old_rate: Hz, a whole number.
        new_rate: Hz, a whole number.
        width: zero crossings of the kernel on either side of its centre; more are steeper and slower.

    Raises:
        ValueError: a rate or the width is not positive, or the rates have too small a common divisor.

    Example:
        >>> resample = SincResample(48_000, 16_000)
        >>> resample(torch.zeros(2, 100)).shape
        torch.Size([2, 34])
        >>> resample.state_dict()
        OrderedDict()
    """

    kernels: Tensor  # [new_rate, 1, taps], both rates reduced

    def __init__(self, old_rate: int, new_rate: int, width: int = WIDTH) -> None:
        super().__init__()
        if min(old_rate, new_rate, width) <= 0:
            raise ValueError(f"rates and width must be positive; got {old_rate} Hz, {new_rate} Hz and {width}")
        divisor = math.gcd(old_rate, new_rate)
        self.old_rate, self.new_rate = old_rate // divisor, new_rate // divisor
        cutoff = ROLL_OFF * min(self.old_rate, self.new_rate)
        self.reach = math.ceil(width * self.old_rate / cutoff)  # input samples on either side
        if self.new_rate * (2 * self.reach + self.old_rate) > LARGEST:
            raise ValueError(
                f"{old_rate} Hz and {new_rate} Hz have too small a common divisor, {divisor}: the kernels would fill "
                "the memory; resample by another package to an ordinary rate first"
            )
        taps = torch.arange(-self.reach, self.reach + self.old_rate, dtype=torch.float64) / self.old_rate
        phases = torch.arange(self.new_rate, dtype=torch.float64)[:, None, None] / self.new_rate
        time = cutoff * (taps - phases)  # in zero crossings
        window = torch.cos(math.pi / 2 * (time / width).clamp(-1, 1)).square()
        kernels = torch.sinc(time) * window * (cutoff / self.old_rate)
        self.register_buffer("kernels", kernels.to(torch.get_default_dtype()), persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        if self.old_rate == self.new_rate:
            return audio
        length = audio.shape[-1]
        padded = F.pad(audio.reshape(-1, 1, length), (self.reach, self.reach + self.old_rate))
        frames = F.conv1d(padded, self.kernels, stride=self.old_rate)  # [signals, new_rate, frames]
        resampled = frames.transpose(1, 2).reshape(*audio.shape[:-1], -1)
        return resampled[..., : -(-self.new_rate * length // self.old_rate)]
