"""Resampling of the losses: that of torchaudio, that of the SoX resampler within its band, and loads without either."""

import subprocess
import sys

import numpy as np
import pytest
import soxr
import torch

from enhance.data.sinc_resampling import WIDTH, SincResample

RATES = [(48_000, 16_000), (16_000, 48_000), (44_100, 16_000), (22_050, 16_000), (16_000, 16_000), (3, 7)]
ROUNDING = 1e-5  # the kernels are the same; sums in float32 are taken in another order
OTHER_FILTER = 1e-3  # -60 dB: a sinc of 32 zero crossings is 50 dB down at 1.06 of half the rate, and flatter below


@pytest.mark.parametrize(("old", "new"), RATES)
@pytest.mark.parametrize("width", [WIDTH, 32])
def test_it_is_what_torchaudio_computes(old: int, new: int, width: int) -> None:
    """In float64: in float32 it rounds the positions of its kernels, and is off by 2e-5 from 44.1 kHz to 16 kHz."""
    from torchaudio.functional import resample

    generator = torch.Generator().manual_seed(0)
    for length in (1, 160, 10_007):
        audio = torch.randn(2, 3, length, generator=generator).requires_grad_()
        theirs = resample(audio.double(), old, new, lowpass_filter_width=width).float()
        ours = SincResample(old, new, width)(audio)
        torch.testing.assert_close(ours, theirs, rtol=0, atol=ROUNDING)
        weights = torch.randn(theirs.shape, generator=generator)
        gradients = [torch.autograd.grad((weights * y).sum(), audio)[0] for y in (ours, theirs)]
        torch.testing.assert_close(*gradients, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize(("old", "new"), [(48_000, 16_000), (44_100, 16_000), (16_000, 48_000)])
def test_it_agrees_with_the_sox_resampler_within_the_band(old: int, new: int) -> None:
    """Tones up to 0.85 of half the lower rate, away from the ends, where the signals are cut."""
    time = np.arange(old) / old
    tones = sum(np.sin(2 * np.pi * part * min(old, new) / 2 * time + part) for part in (0.01, 0.2, 0.5, 0.85))
    ours = SincResample(old, new, 32)(torch.from_numpy(np.asarray(tones)).float()).numpy()
    theirs = soxr.resample(tones, old, new, "VHQ")
    inner = slice(new // 10, -new // 10)
    np.testing.assert_allclose(ours[inner], theirs[inner], atol=OTHER_FILTER)


def test_it_computes_in_double_after_a_move_there() -> None:
    assert SincResample(3, 2).double()(torch.ones(9, dtype=torch.float64)).dtype == torch.float64


@pytest.mark.parametrize("wrong", [(0, 16_000, 6), (16_000, -1, 6), (16_000, 8_000, 0)])
def test_rates_and_width_must_be_positive(wrong: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="must be positive; got"):
        SincResample(*wrong)


def test_losses_and_training_load_without_torchaudio() -> None:
    """So that the codec loss works beside any PyTorch: a torchaudio loads beside one release of it only."""
    program = (
        "import sys; sys.modules['torchaudio'] = None\n"
        "import torch, enhance.training.objective\n"
        "from emulator import CodecLoss\n"
        "from emulator.losses.distances import plain_distances\n"
        "audio = torch.randn(1, 48_000, requires_grad=True)\n"
        "CodecLoss('mp3-v9-16k', sample_rate=48_000)(audio, torch.randn(1, 48_000)).backward()\n"
        "assert audio.grad.abs().sum() > 0\n"
        "for distance in plain_distances(16_000):\n"
        "    try: distance(audio, audio)\n"
        "    except ValueError as error: print(distance.name, '|', error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=120)
    assert done.stdout.startswith("log mel | log mel needs a torchaudio that loads beside torch ")
    assert done.stdout.count("\n") == 1
