"""The DFT as matrix products: the values of NumPy's, for every window that a network may have."""

import numpy as np
import pytest

from enhance.model.config import SIZES
from enhance.model.onnx_dft import FactoredDFT, factors

WINDOWS = sorted({config.window for config in SIZES.values()} | {12, 320, 882, 1024})


@pytest.mark.parametrize("size", WINDOWS)
def test_it_computes_what_numpy_does_and_its_inverse_undoes_it(size: int) -> None:
    dft, frames = FactoredDFT(size), np.random.default_rng(0).standard_normal((3, 2, size))
    expected = np.fft.rfft(frames)
    spectra = dft.forward(frames)
    assert spectra.shape == (3, 2, 2, size // 2 + 1)
    tolerance = 1e-6 * np.abs(expected).max()  # its matrices are float32
    np.testing.assert_allclose(spectra[..., 0, :] + 1j * spectra[..., 1, :], expected, atol=tolerance)
    np.testing.assert_allclose(dft.inverse(spectra), frames, atol=1e-5)


def test_a_window_takes_less_than_three_tenths_of_the_multiplications_of_one_matrix() -> None:
    dft = FactoredDFT(960)
    whole = 2 * 960 * 2 * 481  # both directions, real and imaginary parts
    assert dft.products < 0.3 * whole


@pytest.mark.parametrize(("size", "expected"), [(960, (30, 32)), (882, (42, 21)), (2, (2, 1)), (1024, (32, 32))])
def test_factors_are_close_and_the_first_is_even(size: int, expected: tuple[int, int]) -> None:
    assert factors(size) == expected
