"""Spectra with a window of unit energy."""

import torch

from emulator.model.spectrum import log_spectral_distance, power, stft, unit_window


def test_white_noise_of_a_power_has_that_power_in_each_cell() -> None:
    noise = 0.1 * torch.randn(4, 160_000, generator=torch.Generator().manual_seed(0))
    cells = power(stft(noise, unit_window(1024), 256))
    torch.testing.assert_close(cells[:, 2:-2, 4:-4].mean(), torch.tensor(0.01), rtol=0.02, atol=0)


def test_frames_are_centred_on_their_samples() -> None:
    pulse = torch.zeros(1, 4096)
    pulse[0, 2048] = 1.0
    energy = power(stft(pulse, unit_window(1024), 256)).sum(dim=1)[0]
    assert energy.shape == (17,)
    assert int(energy.argmax()) == 2048 // 256


def test_power_has_no_gradient_at_0() -> None:
    spectrum = torch.zeros(3, dtype=torch.complex64, requires_grad=True)
    power(spectrum).sum().backward()
    assert spectrum.grad is not None
    assert not spectrum.grad.any()


def test_a_spectrum_ten_times_as_strong_is_10_db_away() -> None:
    cells = torch.rand(2, 5, 7) + 0.1
    torch.testing.assert_close(log_spectral_distance(10 * cells, cells), torch.tensor(10.0), rtol=1e-4, atol=0)
