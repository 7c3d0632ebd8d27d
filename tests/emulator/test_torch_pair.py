"""PyTorch and torchaudio load together: a release of one of them has broken the other before."""

import pytest
import torch

from emulator.losses.distances import PAIRS


def test_torch_and_torchaudio_fit() -> None:
    try:
        from torchaudio.functional import resample

        assert resample(torch.zeros(8), 2, 1).shape == (4,)
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        pytest.fail(f"torchaudio does not load beside this torch; wanted: {PAIRS} ({error})")
