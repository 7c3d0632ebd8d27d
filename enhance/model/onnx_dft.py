"""The real discrete Fourier transform as small matrix products, for inference engines without a fast one.

A transform of length N = N1 N2 is N2 transforms of length N1, a rotation of each value, and N1 transforms of length N2
(Cooley and Tukey, "An algorithm for the machine calculation of complex Fourier series", 1965). For 960 = 30 * 32 that
takes a quarter of the multiplications of one matrix, and small constants in the file.

Why it is kept: at N = 960 ONNX's own operator DFT takes 274 us a frame on one core and errs by 6e-3, one matrix takes
128 us, and this 61 us at 3e-5.

Each rotation takes four products of real numbers. The matrix before it yields the four factors, each where it is
needed, and the matrix after it adds the products up: a direction is a product, a reshape, a factor and a product.
"""

import math

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]


def factors(size: int) -> tuple[int, int]:
    """Return the two factors of the even number ``size`` that are closest to each other, an even one first.

    Example:
        >>> factors(960), factors(882)
        ((30, 32), (42, 21))
    """
    pairs = [(n, size // n) for n in range(2, size + 1, 2) if size % n == 0]
    return min(pairs, key=lambda pair: (abs(pair[0] - pair[1]), pair))


class FactoredDFT:
    """One-sided DFT of real frames and its inverse, as `numpy.fft.rfft` and `irfft` compute them.

    Spectra are pairs of rows, real and imaginary part: ``[..., 2, bins]``.

    Example:
        >>> dft, x = FactoredDFT(12), np.random.default_rng(0).standard_normal((3, 12))
        >>> spectra, expected = dft.forward(x), np.fft.rfft(x)
        >>> np.allclose(spectra[:, 0] + 1j * spectra[:, 1], expected, atol=1e-5)
        True
        >>> np.allclose(dft.inverse(spectra), x, atol=1e-5)
        True
    """

    def __init__(self, size: int) -> None:
        self.size, self.bins = size, size // 2 + 1
        self.rows, self.columns = rows, columns = factors(size)  # sample n = columns * row + column
        self.groups = -(-self.bins // rows)  # bin k = k1 + rows * k2 with k2 below this

        def wave(a: int, b: int, period: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            angle = np.outer(np.arange(a), np.arange(b)) % period * (2 * math.pi / period)
            return np.cos(angle), np.sin(angle)

        def joined(parts: list[NDArray[np.float64]], axis: int) -> Matrix:
            """Return matrices side by side, or with ``axis`` 2 interleaved column by column."""
            return np.stack(parts, axis).reshape(len(parts[0]), -1).astype(np.float32)

        cos, sin = wave(rows, rows, rows)
        self.first = joined([cos, -sin, -sin, cos], 1)  # [row, (4, k1)]
        self.last_inverse = joined([cos / size, -cos / size, -sin / size, -sin / size], 2)  # [row, (k1, 4)]
        cos, sin = wave(columns, rows, size)
        self.turn = joined([cos, sin, cos, sin], 1)  # [column, (4, k1)]
        self.turn_inverse = np.stack([cos, sin, sin, cos]).transpose(2, 0, 1).reshape(-1, columns).astype(np.float32)
        cos, sin = wave(self.groups, columns, columns)
        self.second = np.concatenate([joined([cos, cos, sin, -sin], 2), joined([-sin, -sin, cos, -cos], 2)])
        self.first_inverse = np.concatenate([joined([cos, sin, cos, sin], 1), joined([-sin, cos, -sin, cos], 1)])
        self.twice = np.full(self.bins, 2, np.float32)  # bins that stand for a second, negative one
        self.twice[[0, -1]] = 1

    @property
    def products(self) -> int:
        """Multiplications of both directions, those by a window and by ``twice`` left out."""
        around = 4 * self.rows * self.rows * self.columns  # first or last matrix
        between = 4 * self.rows * self.columns * (2 * self.groups + 1)
        return 2 * (around + between)

    def forward(self, frames: NDArray[np.floating]) -> NDArray[np.floating]:
        """``[..., size]`` to ``[..., 2, bins]``: the operations that `enhance.model.onnx_graph` exports."""
        lead = frames.shape[:-1]
        x = frames.reshape(*lead, self.rows, self.columns).swapaxes(-1, -2) @ self.first * self.turn
        y = self.second @ x.reshape(*lead, 4 * self.columns, self.rows)
        return y.reshape(*lead, 2, self.groups * self.rows)[..., : self.bins]

    def inverse(self, spectra: NDArray[np.floating]) -> NDArray[np.floating]:
        """Turn ``[..., 2, bins]`` into ``[..., size]``."""
        lead, missing = spectra.shape[:-2], self.groups * self.rows - self.bins
        padded = np.concatenate([spectra * self.twice, np.zeros((*lead, 2, missing))], axis=-1)
        x = padded.reshape(*lead, 2 * self.groups, self.rows).swapaxes(-1, -2) @ self.first_inverse
        y = x.reshape(*lead, 4 * self.rows, self.columns) * self.turn_inverse
        return (self.last_inverse @ y).reshape(*lead, self.size)
