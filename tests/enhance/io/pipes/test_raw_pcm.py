"""Samples in a pipe are read as they come, and written at once."""

import io

import numpy as np
import pytest

from enhance.io.pipes.raw_pcm import WIDTH, RawReader, RawWriter, to_bytes, to_floats
from enhance.utils.errors import FileError
from enhance.utils.interrupt import Stopper


@pytest.mark.parametrize("subtype", WIDTH)
def test_samples_come_back_as_they_were(subtype: str) -> None:
    samples = np.array([[0.0, -1.0], [0.5, -0.25], [0.25, 0.125]], np.float32)
    data = to_bytes(samples, subtype)
    assert len(data) == samples.size * WIDTH[subtype]
    np.testing.assert_array_equal(to_floats(data, subtype).reshape(-1, 2), samples)


def test_what_is_there_is_given_at_once_and_half_a_sample_waits() -> None:
    class Slow(io.BytesIO):
        """Gives three bytes at a time, as a pipe may."""

        def read1(self, size: int | None = -1) -> bytes:
            return self.read(3)

    reader = RawReader(
        Slow(to_bytes(np.array([[0.5], [-0.5], [0.25], [0.75]]), "PCM_16")), Stopper(), "PCM_16", 8000, 1
    )
    assert [block.tolist() for block in reader.blocks()] == [[[0.5]], [[-0.5, 0.25]], [[0.75]]]
    assert not reader.notes


def test_a_pipe_that_ends_early_is_refused_where_the_length_is_known_and_reported_where_not() -> None:
    with pytest.raises(FileError, match="its header promises 3 samples, there are 2"):
        list(RawReader(io.BytesIO(bytes(4)), Stopper(), "PCM_16", 8000, 1, frames=3).blocks())
    reader = RawReader(io.BytesIO(bytes(5)), Stopper(), "PCM_16", 8000, 1)
    assert sum(block.shape[1] for block in reader.blocks()) == 2
    assert reader.notes == ["it ends inside a sample of 2 bytes: the last 1 are left out"]


def test_integers_are_clamped_and_floats_are_not() -> None:
    for subtype, most in (("PCM_16", 32_767 / 32_768), ("FLOAT", 3.0)):
        pipe = io.BytesIO()
        RawWriter(pipe, Stopper(), subtype).write(np.array([[3.0, -0.5]], np.float32))
        np.testing.assert_allclose(to_floats(pipe.getvalue(), subtype), [most, -0.5])
