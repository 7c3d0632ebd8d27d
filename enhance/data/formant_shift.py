"""Other vocal tracts: the spectral envelope of speech moved along frequency, its pitch and timing left alone.

The envelope is the cepstrally smoothed log spectrum (Oppenheim and Schafer, "Discrete-Time Signal Processing", ch. 13).
Each frame is multiplied by the moved envelope over its own; phases stay, so nothing is smeared. Together with a change
of speed, which moves pitch and formants alike, this makes voices of any pitch with formants of any size.
"""

import math

import torch
from torch import Tensor

from enhance.dsp.rate import SAMPLE_RATE

WINDOW, HOP = 1024, 512  # samples (21 ms, 11 ms)
LIFTER_SECONDS = 0.0015  # the envelope keeps cepstral coefficients up to here: below the periods of all voices
LARGEST_GAIN_DB = 20.0  # where an envelope falls off a cliff, as at the end of a recording's band
FLOOR = 1e-9  # power of a bin that the logarithm starts from, that of dither at 16 bits


def move_formants(audio: Tensor, factor: Tensor) -> Tensor:
    """Return speech whose formants lie at `factor` times their frequencies.

    Args:
        audio: ``[batch, time]`` at 48 kHz.
        factor: ``[batch]``, above 0; 1.1 stands for a vocal tract that is 10 % shorter.

    Returns:
        ``[batch, time]``.

    Example:
        >>> speech = torch.randn(2, 9600)
        >>> torch.allclose(move_formants(speech, torch.ones(2)), speech, atol=1e-5)
        True
    """
    window = torch.hann_window(WINDOW, device=audio.device).sqrt()
    spectrum = torch.stft(audio, WINDOW, HOP, window=window, return_complex=True)  # [batch, bins, frames]
    envelope = log_envelope(spectrum)
    bins = envelope.shape[1]
    place = (torch.arange(bins, device=audio.device) / factor[:, None]).clamp(max=bins - 1)  # [batch, bins]
    below = place.long().clamp(max=bins - 2)
    shape = (-1, -1, envelope.shape[2])
    lower = envelope.gather(1, below[..., None].expand(shape))
    upper = envelope.gather(1, (below + 1)[..., None].expand(shape))
    limit = LARGEST_GAIN_DB * math.log(10) / 20
    gain = (torch.lerp(lower, upper, (place - below)[..., None]) - envelope).clamp(-limit, limit).exp()
    return torch.istft(spectrum * gain, WINDOW, HOP, window=window, length=audio.shape[1])


def log_envelope(spectrum: Tensor) -> Tensor:
    """Return the natural logarithm of the smoothed magnitudes of ``[batch, bins, frames]``."""
    power = spectrum.real.square() + spectrum.imag.square() + FLOOR
    cepstrum = torch.fft.irfft(0.5 * power.log(), dim=1)  # [batch, WINDOW, frames], even
    kept = round(LIFTER_SECONDS * SAMPLE_RATE)
    cepstrum[:, kept + 1 : WINDOW - kept] = 0
    return torch.fft.rfft(cepstrum, dim=1).real
