"""From the samples of an input to the samples of its output: check, denoise, convert the rate, keep within full scale.

One `Chain` serves one sound track from its first sample to its last, in blocks of any size. It counts, so that what
came out can be held against what went in.
"""

from typing import TYPE_CHECKING

import numpy as np

from enhance.dsp.rate import check_sample_rate, resampled_length
from enhance.dsp.resampling import Resampler
from enhance.io.channel_choice import ChosenChannels, choose_channels
from enhance.io.options import Clip, DenoiseOptions
from enhance.runtime.link import Link
from enhance.runtime.low_delay import LowDelayStream
from enhance.runtime.speech_segments import SegmentFinder, SpeechSegment
from enhance.runtime.stream import Stream
from enhance.utils.errors import FileError

if TYPE_CHECKING:
    from enhance.runtime.denoiser import Denoiser

LEFT_APART = "two channels are denoised each on its own, as they come; --link on links them, and waits 2 seconds"


def open_stream(
    denoiser: "Denoiser", sample_rate: int, channels: int, settings: DenoiseOptions, low_delay: bool
) -> Stream | LowDelayStream:
    """Return the stream that denoises a sound track.

    Args:
        denoiser: the model.
        sample_rate: Hz.
        channels: number of channels.
        settings: strength and link.
        low_delay: give each sample as soon as it is known; at other rates than the model's, the top of the band is cut
            for that. A model that hears seconds ahead has no such stream, and waits; so do channels that are linked,
            which they are here where that is asked for (`Link.ON`) only.
    """
    limit, mix = settings.attenuation_limit_db, settings.mix
    waits = denoiser.info.block or (settings.link is Link.ON and settings.link.joins(channels))
    if low_delay and not waits:
        return LowDelayStream(denoiser, sample_rate, channels, attenuation_limit_db=limit, mix=mix)
    return denoiser.stream(sample_rate, channels, attenuation_limit_db=limit, mix=mix, link=settings.link)


def is_left_apart(stream: Stream | LowDelayStream, channels: int, settings: DenoiseOptions) -> bool:
    """Return whether channels that `Link.AUTO` would link are denoised each on its own, so that none has to wait."""
    return isinstance(stream, LowDelayStream) and settings.link.joins(channels)


class Chain:
    """Denoises one sound track.

    Args:
        denoiser: the model.
        sample_rate: of the input in Hz.
        channels: number of channels.
        settings: strength, output rate and clipping policy.
        holds_over: whether the output can hold samples over full scale (float): then none is touched.
        gain: factor on the result, to make it fit (`Clip.RESCALE`).
        low_delay: as for `open_stream`.

    Attributes:
        samples_in, samples_out: samples per channel so far.
        clamped: samples, of all channels, that were over full scale and clamped.
        peak: highest absolute sample of the result before clamping.
        energy_in, energy_out: sums of the squares of all samples of all channels.
        left_apart: as `is_left_apart` says.

    Raises:
        FileError: when the rate is out of range, or a channel that was named is not there.
    """

    def __init__(
        self,
        denoiser: "Denoiser",
        sample_rate: int,
        channels: int,
        settings: DenoiseOptions,
        holds_over: bool,
        gain: float = 1.0,
        low_delay: bool = False,
    ) -> None:
        try:
            self.sample_rate = check_sample_rate(sample_rate)
            self.output_rate = check_sample_rate(settings.sample_rate or sample_rate)
        except ValueError as error:
            raise FileError(str(error)) from None
        self.samples_in = self.samples_out = self.clamped = 0
        self.peak = self.energy_in = self.energy_out = 0.0
        chosen = choose_channels(settings.channels, channels)
        self._stream = open_stream(denoiser, self.sample_rate, len(chosen), settings, low_delay)
        self.left_apart = is_left_apart(self._stream, len(chosen), settings)
        self._finder = None
        self._denoising = self._stream
        if settings.speech_threshold is not None:
            info = denoiser.info
            begins = -info.latency / info.sample_rate
            self._finder = SegmentFinder(info.hop / info.sample_rate, begins, settings.speech_threshold)
        if len(chosen) < channels:
            self._stream = ChosenChannels(self._stream, chosen, channels)
        self._resampler = None
        if self.output_rate != self.sample_rate:
            self._resampler = Resampler(self.sample_rate, self.output_rate, channels)
        self._policy = settings.clip
        self._holds_over = holds_over
        self._gain = np.float32(gain)

    def process(self, block: np.ndarray) -> np.ndarray:
        """Take float32 [channels, samples], give what is ready, float32 [channels, any].

        Raises:
            FileError: on NaN and infinite samples, with the place of the first; on clipping if that is the policy.
        """
        self._check(block)
        try:
            denoised = self._stream.process(block)
        except ValueError as error:
            raise FileError(str(error)) from None
        self._listen()
        self.samples_in += block.shape[1]
        self.energy_in += float(np.square(block).sum())
        return self._count(self._finish(denoised if self._resampler is None else self._resampler.process(denoised)))

    def flush(self) -> np.ndarray:
        """Return the rest, float32 [channels, any]. Afterwards the whole output is as long as the whole input.

        Raises:
            FileError: when it is not: a fault of this program that must not pass unseen.
        """
        rest = self._stream.flush()
        self._listen()
        if self._resampler is not None:
            rest = np.concatenate([self._resampler.process(rest), self._resampler.flush()], axis=1)
        rest = self._count(self._finish(rest))
        expected = self.output_length(self.samples_in)
        if self.samples_out != expected:
            raise FileError(f"{self.samples_out} samples came out, {expected} were expected: please report this")
        return rest

    @property
    def speech(self) -> list[SpeechSegment] | None:
        """Segments of speech in all that came; None where they are not looked for."""
        return None if self._finder is None else self._finder.finish(self.samples_in / self.sample_rate)

    def output_length(self, samples: int) -> int:
        """Return samples per channel that so many samples of input become."""
        return resampled_length(samples, self.sample_rate, self.output_rate)

    def gain_to_fit(self) -> float | None:
        """Return the gain to start again with so that the peak fits; None when it does, or the output holds it."""
        if self._holds_over or self._policy is not Clip.RESCALE or self.peak * float(self._gain) <= 1:
            return None
        return (1 - 2.0**-20) / self.peak  # a hair below full scale: rounding must not reach over it

    def _listen(self) -> None:
        if self._finder is not None:
            self._finder.push(self._denoising.take_speech())

    def _check(self, block: np.ndarray) -> None:
        if np.isfinite(block).all():
            return
        channel, place = min(np.argwhere(~np.isfinite(block)).tolist(), key=lambda where: where[1])
        what = "NaN" if np.isnan(block[channel, place]) else "infinite"
        sample = self.samples_in + place
        seconds = sample / self.sample_rate
        raise FileError(
            f"sample {sample} ({seconds:.3f} s) of channel {channel + 1} is {what}; expected finite samples"
        )

    def _count(self, samples: np.ndarray) -> np.ndarray:
        self.energy_out += float(np.square(samples).sum())
        return samples

    def _finish(self, samples: np.ndarray) -> np.ndarray:
        self.samples_out += samples.shape[1]
        if samples.size == 0:
            return samples
        self.peak = max(self.peak, float(np.abs(samples).max()))
        if self._gain != 1:
            samples = samples * self._gain
        if self._holds_over or self.peak * float(self._gain) <= 1:
            return samples
        over = int(np.count_nonzero(np.abs(samples) > 1))
        if over and self._policy is Clip.FAIL:
            raise FileError(f"the result reaches {self.peak:.3f} of full scale (--clip clamp or rescale writes it)")
        self.clamped += over
        return np.clip(samples, -1, 1)
