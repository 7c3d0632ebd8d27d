"""Blocks of samples, and floats that become integers."""

import numpy as np

from enhance.io.pcm import block_length, to_integers


def test_rounding_is_to_the_nearest_and_over_full_scale_is_clamped() -> None:
    samples = np.array([0.49, 0.51, -0.49, -0.51, 32767.4, 40_000, -40_000]) / 32_768
    assert (to_integers(samples, 16) >> 16).tolist() == [0, 1, 0, -1, 32_767, 32_767, -32_768]


def test_every_integer_comes_back_as_it_was() -> None:
    for bits in (8, 16):
        scale = 2 ** (bits - 1)
        integers = np.arange(-scale, scale)
        np.testing.assert_array_equal(to_integers(integers / scale, bits) >> (32 - bits), integers)


def test_a_block_has_at_least_a_sample_and_no_more_with_more_channels() -> None:
    lengths = [block_length(48_000, channels) for channels in (1, 2, 8, 1000)]
    assert lengths == sorted(lengths, reverse=True)
    assert block_length(1, 64) == 1
