"""The real discrete Fourier transform as two small matrix products, for inference engines without a fast one.

A transform of length N = N1 N2 is N2 transforms of length N1, a rotation of each value, and N1 transforms of length N2
(Cooley and Tukey, "An algorithm for the machine calculation of complex Fourier series", 1965). For 960 = 30 * 32 that
takes an eighth of the multiplications of one matrix, and small constants in the file.
"""

import math

import torch
from torch import Tensor, nn


def factors(size: int) -> tuple[int, int]:
    """The two factors of ``size`` that are closest to each other, the smaller first.

    Example:
        >>> factors(960)
        (30, 32)
    """
    small = max(n for n in range(1, math.isqrt(size) + 1) if size % n == 0)
    return small, size // small


class FactoredDFT(nn.Module):
    """One-sided DFT of real frames and its inverse, as `torch.fft.rfft` and `irfft` compute them.

    Example:
        >>> dft, x = FactoredDFT(12), torch.randn(3, 12)
        >>> real, imag = dft(x)
        >>> torch.allclose(torch.complex(real, imag), torch.fft.rfft(x), atol=1e-5)
        True
        >>> torch.allclose(dft.inverse(real, imag), x, atol=1e-5)
        True
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.rows, self.columns = rows, columns = factors(size)  # sample n = columns * row + column
        self.groups = -(-(size // 2 + 1) // rows)  # bin k = k1 + rows * k2 with k2 below this

        def wave(a: int, b: int, period: int) -> tuple[Tensor, Tensor]:
            angle = (torch.outer(torch.arange(a), torch.arange(b)) % period).double() * (2 * math.pi / period)
            return angle.cos(), angle.sin()

        def keep(name: str, value: Tensor) -> None:
            self.register_buffer(name, value.float(), persistent=False)

        cos, sin = wave(rows, rows, rows)
        keep("first", torch.cat([cos, -sin], dim=1))
        keep("last_inverse", torch.cat([cos, -sin]) / size)
        cos, sin = wave(columns, rows, size)
        keep("turn_cos", cos)
        keep("turn_sin", sin)
        cos, sin = wave(columns, self.groups, columns)
        keep("second", torch.cat([torch.cat([cos, -sin], dim=1), torch.cat([sin, cos], dim=1)]))
        keep("first_inverse", torch.cat([torch.cat([cos.T, sin.T], dim=1), torch.cat([-sin.T, cos.T], dim=1)]))
        twice = torch.full((size // 2 + 1,), 2.0)
        twice[0] = 1.0
        if size % 2 == 0:
            twice[-1] = 1.0
        keep("twice", twice)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """``[..., size]`` to the real and imaginary part, ``[..., size // 2 + 1]`` each."""
        b = self.get_buffer
        x = frames.unflatten(-1, (self.rows, self.columns)).transpose(-1, -2) @ b("first")  # [..., n2, 2 k1]
        real, imag = x[..., : self.rows], x[..., self.rows :]
        cos, sin = b("turn_cos"), b("turn_sin")
        turned = torch.cat([real * cos + imag * sin, imag * cos - real * sin], dim=-2)  # [..., 2 n2, k1]
        y = (turned.transpose(-1, -2) @ b("second")).transpose(-1, -2)  # [..., 2 k2, k1]
        bins = self.size // 2 + 1
        return y[..., : self.groups, :].flatten(-2)[..., :bins], y[..., self.groups :, :].flatten(-2)[..., :bins]

    def inverse(self, real: Tensor, imag: Tensor) -> Tensor:
        """Real and imaginary part, ``[..., size // 2 + 1]``, to ``[..., size]``."""
        b = self.get_buffer
        missing = self.rows * self.groups - (self.size // 2 + 1)
        parts = [nn.functional.pad(part * b("twice"), (0, missing)) for part in (real, imag)]
        x = torch.cat([part.unflatten(-1, (self.groups, self.rows)) for part in parts], dim=-2)  # [..., 2 k2, k1]
        y = (x.transpose(-1, -2) @ b("first_inverse")).transpose(-1, -2)  # [..., 2 n2, k1]
        real, imag = y[..., : self.columns, :], y[..., self.columns :, :]
        cos, sin = b("turn_cos"), b("turn_sin")
        turned = torch.cat([real * cos - imag * sin, imag * cos + real * sin], dim=-1)  # [..., n2, 2 k1]
        return (turned @ b("last_inverse")).transpose(-1, -2).flatten(-2)
