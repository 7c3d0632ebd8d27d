"""By how many samples a voice reaches each channel later than the first: microphones at different places.

The delay is where the cross-correlation of the two channels has its peak. It is taken of the estimates of the voice,
over seconds, with all frequencies weighted alike, since the low ones of speech would blur it.

Reference: Knapp and Carter 1976, "The generalized correlation method for estimation of time delay" (PHAT).
"""

import numpy as np

from enhance.dsp.exponential_means import exponential_means

_SECONDS = 1.5  # time constant of the mean
_LONGEST_SECONDS = 0.003  # a metre of air
_CLEAR = 0.2  # least height of a peak; 1 is a pure delay, .12 what unlike channels reach by chance
_CLEARER = 1.3  # times as high as what the present delay reaches


class ChannelDelays:
    """Follows the delays of the channels of a signal.

    Args:
        sample_rate: Hz.
        hop: samples from one spectrum to the next; a spectrum covers two hops.
        channels: at least 2.
    """

    def __init__(self, sample_rate: int, hop: int, channels: int) -> None:
        self._size, self._channels = 2 * hop, channels
        self._most = min(hop // 2, round(_LONGEST_SECONDS * sample_rate))
        self._gain = 1 - np.exp(-hop / (_SECONDS * sample_rate))
        self.reset()

    def reset(self) -> None:
        """Begin a new signal."""
        self._mean = np.zeros((self._channels - 1, self._size // 2 + 1), complex)
        self._delays = np.zeros(self._channels, int)

    def follow(self, spectra: np.ndarray) -> np.ndarray:
        """Take spectra of the voice, complex [hops, channels, bins]; return delays in samples, int [hops, channels]."""
        products = np.conj(spectra[:, :1]) * spectra[:, 1:]
        means = exponential_means(products, self._mean, self._gain)
        self._mean = means[-1]
        phases = means / np.maximum(np.abs(means), 1e-20) * (np.abs(means) > 0)
        height = np.fft.irfft(phases, self._size) * (self._size / (2 * phases.shape[-1]))
        near = np.concatenate([height[..., -self._most :], height[..., : self._most + 1]], axis=-1)
        best = near.argmax(-1)
        found = np.empty((len(spectra), self._channels), int)
        for hop, row in enumerate(near):
            for channel, peak in enumerate(best[hop], start=1):
                heights = row[channel - 1]
                now = heights[self._delays[channel] + self._most]
                if heights[peak] > max(_CLEAR, _CLEARER * now):
                    self._delays[channel] = peak - self._most
            found[hop] = self._delays
        return found
