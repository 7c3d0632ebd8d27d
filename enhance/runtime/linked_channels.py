"""Channels that carry the same voice get one estimate of it, so that the voice stays where it is between them.

The network sees each channel alone. With noise on one side its masks differ, and a voice in the middle wanders. Here
the estimates e[c] of all channels become one estimate of the voice, v, which is put back at its own level a[c]:

    a[c] = <x[c] e[r]> / <x[r] e[r]>,    v = sum of w[c] e[c],    w[c] ~ a[c] / noise[c],  sum of w[c] a[c] = 1

x are the inputs, r is the channel with the best estimate, <> a mean over two seconds in which bands with little noise
count most, and moments in which the estimates of c and r agree: what is left of other voices is another in each
channel. a is unbiased whatever the masks removed, as noise and voice are not correlated; v is the combination with
the least noise of what the channels agree on. The weights w and the noise, x - e, are those of ERB bands. Where the
voice reaches the channels at different times (`channel_delays`), they are aligned first, and put back afterwards.

Channels are linked where their estimates are as alike as the noise lets them be, and where the voice explains what is
in each of them, but for as much as the noise may have left there: channels with different voices are left as the
network made them. Two people at different places are separated within a tenth of a second: an estimate that is much
louder than a[c] v, and than the noise of that moment, is not linked.

Short-time spectra with square-root Hann windows of two hops. The means look a second ahead, and the delays are
those that the second after it shows, so this is for files.
"""

import numpy as np

from enhance.dsp.audio_fifo import AudioFifo
from enhance.dsp.erb import wide_band_matrix
from enhance.dsp.exponential_means import exponential_means
from enhance.runtime.channel_delays import ChannelDelays

BANDS = 20
_SLOW_SECONDS, _FAST_SECONDS = 1.0, 0.1  # time constants of the means
_LEVEL_SECONDS = 2.0  # of those that give the level of the voice in each channel
_AHEAD_SECONDS, _FAST_AHEAD_SECONDS = 1.0, 0.05
_DELAY_AHEAD_SECONDS = 1.0  # by which the delays between the channels are known before a voice begins
_ALIKE = (0.15, 0.25)  # squared correlation with the best estimate, per `_clearness`: not linked below, wholly above
_CLEARNESS = (0.1, 3.0)  # least and most: estimates of one voice are the more alike the less noise there is
_OPPOSITE = 4.0  # times as alike as others must estimates be of which one has the other sign: mostly it is an error
_SAME_VOICE = (0.1, 0.45)  # share of an estimate that the voice explains, as far as it is no noise
_LEAST_REST = 0.05  # of what the voice does not explain, however loud the noise is
_PARTS = 2  # of the band, in each of which the estimates of a moment must agree
_SAME_PLACE = (0.25, 0.6)  # power of the linked voice over that of the estimate, as far as they agree
_LOUD = (0.1, 0.4)  # power of an estimate now over its slow mean: below it is no voice, and may be anywhere
_CLEAR = (2.0, 4.0)  # power of an estimate over that of the noise now: below, noise was taken for a voice
_HOPS_AT_ONCE = 100  # more take more memory
_MARGIN = 3  # hops: a frame, which may be taken half a hop earlier or later, and put back there
_LARGEST_RATIO = 10.0  # between the levels of the voice in two channels
_SILENCE = 1e-9  # of the power of the loudest band: less counts as nothing, at whatever level the recording is
_FLOOR = 1e-9  # of numbers without a unit, so that what is divided by them stays finite
_TINY = 1e-30  # the same of powers and what is made of them, where there is digital silence


class LinkedChannels:
    """Links the channels of a signal in blocks of any size.

    Args:
        sample_rate: Hz.
        hop: samples from one spectrum to the next.
        channels: at least 2.
        always: where the channels differ, give them one common mask instead of leaving them as they are.

    Attributes:
        latency: samples by which the output comes after the input.
    """

    def __init__(self, sample_rate: int, hop: int, channels: int, *, always: bool = False) -> None:
        hops_per_second = sample_rate / hop
        self._hop, self._channels, self._always = hop, channels, always
        self._ahead = round(_AHEAD_SECONDS * hops_per_second)
        self._fast_ahead = round(_FAST_AHEAD_SECONDS * hops_per_second)
        self._before = _MARGIN + round(_DELAY_AHEAD_SECONDS * hops_per_second)
        self.latency = (self._ahead + self._before) * hop
        self._slow_gain = 1 - np.exp(-1 / (_SLOW_SECONDS * hops_per_second))
        self._level_gain = 1 - np.exp(-1 / (_LEVEL_SECONDS * hops_per_second))
        self._fast_gain = 1 - np.exp(-1 / (_FAST_SECONDS * hops_per_second))
        self._window = np.sqrt(0.5 - 0.5 * np.cos(np.pi * np.arange(2 * hop) / hop)).astype(np.float32)
        self._delays = ChannelDelays(sample_rate, hop, channels)
        self._bands = wide_band_matrix(hop + 1, 0, BANDS, sample_rate).astype(np.float32)
        self._waiting = AudioFifo(2 * channels)
        self.reset()

    def reset(self) -> None:
        """Begin a new signal."""
        channels, hop = self._channels, self._hop
        self._waiting.clear()
        self._past = np.zeros((2 * channels, self._before * hop), np.float32)  # the hops before
        self._tail = np.zeros((channels, _MARGIN * hop), np.float32)  # of frames that are not given out wholly
        self._delays.reset()
        self._late = np.zeros((0, channels), int)  # samples by which the channels of the following are late
        self._spectra = np.zeros((0, 2 * channels, hop + 1), np.complex64)  # aligned, not yet given out
        self._fast = np.zeros((0, channels, channels, BANDS))
        self._noise = np.zeros((0, channels))  # that of the moment
        self._levels_mean = np.zeros((2, channels, BANDS))
        self._cross_mean = np.zeros((channels, channels, BANDS))
        self._towards_mean = np.zeros((3, channels, channels))
        self._fast_mean = np.zeros((channels, channels, BANDS))
        self._noise_mean = np.zeros(channels)
        self._coming = np.zeros((self._before - _MARGIN, 2 * channels, hop + 1), np.complex64)  # not yet aligned
        self._skip = self._before * hop  # samples before the signal, still to be left out

    def process(self, noisy: np.ndarray, estimate: np.ndarray) -> np.ndarray:
        """Take the input and its estimate, aligned, float32 [channels, samples]; return what is ready, whole hops."""
        self._waiting.push(np.concatenate([noisy, estimate]))
        given = [np.zeros((self._channels, 0), np.float32)]
        while hops := min(len(self._waiting) // self._hop, _HOPS_AT_ONCE):
            given.append(self._process(hops))
        return np.concatenate(given, axis=1)

    def _process(self, hops: int) -> np.ndarray:
        audio = np.concatenate([self._past, self._waiting.pop(hops * self._hop)], axis=1)
        self._past = audio[:, -self._before * self._hop :]
        latest = audio[:, -(_MARGIN + hops) * self._hop :]
        coming = self._spectra_of(latest, np.zeros((hops, self._channels), int))
        late = self._delays.follow(coming[:, self._channels :])
        self._coming = np.concatenate([self._coming, coming])
        spectra, self._coming = self._coming[:hops], self._coming[hops:]
        if late.any():
            spectra = self._spectra_of(audio, late)
        self._late = np.concatenate([self._late, late])
        self._spectra = np.concatenate([self._spectra, spectra])
        levels, cross, towards = self._means(spectra)
        ready = max(0, len(self._spectra) - self._ahead)
        if not ready:
            return np.zeros((self._channels, 0), np.float32)
        linked = self._linked(self._spectra[:ready], levels[-ready:], cross[-ready:], towards[-ready:])
        late = self._late[:ready]
        self._spectra, self._fast, self._late = self._spectra[ready:], self._fast[ready:], self._late[ready:]
        self._noise = self._noise[ready:]
        return self._overlapped(np.fft.irfft(linked, 2 * self._hop).astype(np.float32) * self._window, late)

    def _spectra_of(self, audio: np.ndarray, late: np.ndarray) -> np.ndarray:
        """Return the spectra, [hops, 2 channels, bins], of frames taken as many samples later as `late` says."""
        begin = self._hop * np.arange(1, len(late) + 1)[:, np.newaxis] + np.concatenate([late, late], axis=1)
        windows = np.lib.stride_tricks.sliding_window_view(audio, 2 * self._hop, axis=1)
        return np.fft.rfft(windows[np.arange(len(audio)), begin] * self._window).astype(np.complex64)

    def _means(self, spectra: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Slow means up to each hop: powers of estimates and noise [hops, 2, channels, bands], and weighted products.

        The products are those of estimates with estimates [hops, channels, channels, bands], whose fast means are kept
        (and those of the noise), and those of the inputs of both channels of each pair with the estimate of the second,
        as far as the two estimates agree, and of that of the first as it is [hops, 3, channels, channels].
        """
        channels, real, imaginary = self._channels, np.real(spectra).copy(), np.imag(spectra).copy()
        products = real[:, :, np.newaxis] * real[:, np.newaxis, channels:]
        products += imaginary[:, :, np.newaxis] * imaginary[:, np.newaxis, channels:]
        own = real[:, :channels] ** 2 + imaginary[:, :channels] ** 2
        products = (products @ self._bands).reshape(-1, 2, channels, channels, BANDS)
        with_estimate, voice = np.einsum("tsccb->stcb", products)
        noise = np.maximum(own @ self._bands - 2 * with_estimate + voice, 0)
        levels = exponential_means(np.stack([voice, noise], axis=1), self._levels_mean, self._slow_gain)
        weight = _weight(levels)[:, np.newaxis]
        with_input, alone = np.moveaxis(products * weight[:, np.newaxis, np.newaxis], 1, 0)
        cross = exponential_means(alone, self._cross_mean, self._slow_gain)
        fast = exponential_means(alone, self._fast_mean, self._fast_gain)
        fast_noise = exponential_means((noise * weight).sum(-1), self._noise_mean, self._fast_gain)
        agreement = _agreement_now(fast)
        own_input = np.einsum("trrb->trb", with_input)[:, np.newaxis]
        pairs = [(agreement * with_input).sum(-1), (agreement * own_input).sum(-1), with_input.sum(-1)]
        towards = exponential_means(np.stack(pairs, axis=1), self._towards_mean, self._level_gain)
        self._levels_mean, self._cross_mean, self._fast_mean = levels[-1], cross[-1], fast[-1]
        self._towards_mean, self._noise_mean = towards[-1], fast_noise[-1]
        self._fast, self._noise = np.concatenate([self._fast, fast]), np.concatenate([self._noise, fast_noise])
        return levels, cross, towards

    def _linked(self, spectra: np.ndarray, levels: np.ndarray, cross: np.ndarray, towards: np.ndarray) -> np.ndarray:
        """Return the spectra of the result, [hops, channels, bins]."""
        noisy, estimate = spectra[:, : self._channels], spectra[:, self._channels :]
        best = _best_channel(levels)
        level = _voice_levels(towards, best)
        silence = _silence(levels)
        weights = level[..., np.newaxis] / (levels[:, 1] + 0.01 * levels[:, 0] + silence[:, np.newaxis, np.newaxis])
        weights /= np.einsum("tc,tcb->tb", level, weights)[:, np.newaxis] + _TINY
        soon = np.minimum(np.arange(len(spectra)) + self._fast_ahead, len(self._fast) - 1)
        share = self._share(level, weights, levels, cross, self._fast[soon], self._noise[soon])
        likeness = _likeness(cross, towards[:, 2], levels, best) / _clearness(levels)
        likeness[(level < 0).any(1)] /= _OPPOSITE
        share *= _ramp(likeness, *_ALIKE)[:, np.newaxis, np.newaxis].astype(np.float32)
        if not self._always and not share.any():
            return estimate
        voice = np.sum((weights.astype(np.float32) @ self._bands.T) * estimate, axis=1)
        alone = estimate
        if self._always:
            power = np.square(np.abs(estimate)).sum(1) / (np.square(np.abs(noisy)).sum(1) + silence[:, np.newaxis])
            alone = np.sqrt(np.minimum(power, 1))[:, np.newaxis] * noisy
        return alone + share * (level[..., np.newaxis].astype(np.float32) * voice[:, np.newaxis] - alone)

    def _share(
        self,
        level: np.ndarray,
        weights: np.ndarray,
        levels: np.ndarray,
        slow: np.ndarray,
        fast: np.ndarray,
        noise_now: np.ndarray,
    ) -> np.ndarray:
        """Return how far the voice is all that is in the channels, [hops, 1, 1], from 0 to 1."""
        noise = levels[:, 1] * _weight(levels)[:, np.newaxis]
        power, own, with_voice = _agreement(weights, slow)
        explained = level**2 * power
        rest = np.maximum(own - with_voice**2 / power, 0)
        rest = np.maximum(rest - noise.sum(-1), _LEAST_REST * rest)
        same_voice = (explained / (explained + rest + _FLOOR)).min(1)
        power, now, with_voice = _agreement(weights, fast)
        with_voice = np.maximum(np.abs(with_voice) - (noise * weights).sum(-1), _FLOOR)
        place = np.clip(level * power / with_voice, -1, 1) ** 2
        loud = _ramp(now / (own + _FLOOR), *_LOUD) * _ramp(now / (noise_now + _FLOOR), *_CLEAR)
        elsewhere = ((1 - _ramp(place, *_SAME_PLACE)) * loud).max(1)
        share = _ramp(same_voice, *_SAME_VOICE) * (1 - elsewhere)
        return share[:, np.newaxis, np.newaxis].astype(np.float32)

    def _overlapped(self, frames: np.ndarray, late: np.ndarray) -> np.ndarray:
        """Put frames where they were taken, overlap and add, [channels, whole hops]; without what is no signal."""
        hop, count = self._hop, len(frames)
        audio = np.concatenate([self._tail, np.zeros((self._channels, count * hop), np.float32)], axis=1)
        if late.any():
            for number, frame in enumerate(frames):
                for channel, samples in enumerate(frame):
                    begin = (number + 1) * hop + late[number, channel]
                    audio[channel, begin : begin + 2 * hop] += samples
        else:
            parts = np.moveaxis(frames, 0, 1)
            audio[:, hop : (count + 1) * hop] += parts[..., :hop].reshape(self._channels, -1)
            audio[:, 2 * hop : (count + 2) * hop] += parts[..., hop:].reshape(self._channels, -1)
        self._tail = audio[:, count * hop :]
        skipped = min(self._skip, count * hop)
        self._skip -= skipped
        return audio[:, skipped : count * hop]


def _weight(levels: np.ndarray) -> np.ndarray:
    """Return the weight of each band, [hops, bands]: what lies in it over its noise."""
    return 1 / (levels[:, 1].sum(1) + 0.1 * levels[:, 0].sum(1) + _silence(levels)[:, np.newaxis])


def _silence(levels: np.ndarray) -> np.ndarray:
    """Return the power of a band that counts as nothing, [hops]."""
    return _SILENCE * levels.sum((1, 2)).max(-1) + _TINY


def _best_channel(levels: np.ndarray) -> np.ndarray:
    """Return the channel with the best estimate, [hops]."""
    voice, noise = np.einsum("tscb,tb->stc", levels, _weight(levels))
    return np.argmax(voice**2 / (noise + 0.01 * voice + _FLOOR), axis=1)


def _voice_levels(towards: np.ndarray, best: np.ndarray) -> np.ndarray:
    """Return the level of the voice in each channel against the one with the best estimate, [hops, channels]."""
    pairs = np.take_along_axis(towards, best[:, np.newaxis, np.newaxis, np.newaxis], axis=3)[..., 0]
    return np.clip(pairs[:, 0] / (pairs[:, 1] + _FLOOR), -_LARGEST_RATIO, _LARGEST_RATIO)


def _likeness(products: np.ndarray, with_input: np.ndarray, levels: np.ndarray, best: np.ndarray) -> np.ndarray:
    """Return the squared correlation with the best estimate, of the channel that has the least, [hops].

    It is that of the estimate of a channel, or a third of that of its input: the estimate may be silent where there is
    much noise.
    """
    products, column = products.sum(-1), best[:, np.newaxis, np.newaxis]
    own = np.einsum("tcc->tc", products)
    whole = (levels.sum(1) * _weight(levels)[:, np.newaxis]).sum(-1)
    among, across = (np.take_along_axis(pairs, column, axis=2)[..., 0] ** 2 for pairs in (products, with_input))
    alike = np.maximum(among / (own + _FLOOR), across / (3 * whole + _FLOOR))
    return (alike / (np.take_along_axis(own, best[:, np.newaxis], axis=1) + _FLOOR)).min(1)


def _clearness(levels: np.ndarray) -> np.ndarray:
    """Return the power of the estimate over that of the noise, of the channel that has the least, [hops]."""
    voice, noise = np.einsum("tscb,tb->stc", levels, _weight(levels))
    return np.clip((voice / (noise + _FLOOR)).min(1), *_CLEARNESS)


def _agreement_now(fast: np.ndarray) -> np.ndarray:
    """Return how far the estimates of two channels agree at a time, [hops, channels, channels, bands], 0 to 1."""
    parts = fast.reshape(*fast.shape[:3], _PARTS, -1).sum(-1)
    own = np.einsum("tccp->tcp", parts)
    squared = parts**2 / (own[:, :, np.newaxis] * own[:, np.newaxis] + _FLOOR**2)
    return np.repeat(np.minimum(squared, 1) ** 2, BANDS // _PARTS, axis=-1)


def _agreement(weights: np.ndarray, products: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the power of the voice [hops, 1], of the estimates, of their product with the voice [hops, channels]."""
    with_voice = np.einsum("tcrb,trb->tcb", products, weights)
    power = np.einsum("tcb,tcb->t", with_voice, weights)[:, np.newaxis]
    return np.maximum(power, _FLOOR), np.einsum("tccb->tc", products), with_voice.sum(-1)


def _ramp(value: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return 0 below `low`, 1 above `high`, smooth between."""
    place = np.clip((value - low) / (high - low), 0, 1)
    return place * place * (3 - 2 * place)
