"""Denoising of a signal that comes in blocks of any size, at any sample rate.

    block -> resample to the model -> whole hops -> take DC away -> ONNX steps -> drop their delay
          -> link the channels -> resample back -> mix with the input

Every stage carries its state, so the result does not depend on how the signal was cut. The input waits in a queue of
its own, at its own rate and untouched by any resampler, until the denoised sample of the same time is ready: the mix
has no phase error, and `mix=0` returns the input bit for bit (as float32). An offset (DC) never reaches the network
(`enhance.runtime.model_input`). A signal above 48 kHz loses the band above 24 kHz, which the network does not see,
except for the share of the input that is mixed in.

Live streams resample with a shorter delay and a narrower pass-band (`enhance.dsp.polyphase`) than files
(`enhance.dsp.resampling`), and begin the first hop so much earlier that a block of the device ends with a hop also
behind the resampler.
"""

from __future__ import annotations

import math
from functools import cached_property
from numbers import Integral, Real

import numpy as np

from enhance.dsp.audio_fifo import AudioFifo
from enhance.dsp.polyphase import Polyphase
from enhance.dsp.rate import check_sample_rate
from enhance.dsp.resampling import Resampler, held_back_seconds
from enhance.dsp.underflow import may_vanish
from enhance.runtime.block_runner import BlockRunner, Model
from enhance.runtime.link import Link
from enhance.runtime.linked_channels import LinkedChannels
from enhance.runtime.model_input import ModelInput
from enhance.runtime.speech import SpeechDetector
from enhance.runtime.strength import Glide, Strength, blend

HOPS_PER_CALL = 100  # hops in one call of the model, over all channels: more is not faster and takes more memory
MOST_CHANNELS_UNASKED = 64  # more "channels" than samples and than this: the array is [time, channels]
LOUDEST = 2.0**31  # 187 dB above full scale: float samples beyond this are no audio and would overflow in the network


class Stream:
    """Denoises a signal block by block. Made by `Denoiser.stream`.

    By default output sample n belongs to input sample n: `process` returns what is ready, which is nothing at first,
    and `flush` returns the rest, so that the total out is the total in. After n samples in, at least
    `n - latency_samples` are out.

    With `live_block=B` every call of `process` takes k * B samples and returns as many at once, delayed by the constant
    `latency_samples`; `flush` then returns the last `latency_samples` samples. B is the block size of the sound device
    (1 for any size). A multiple of the model's hop (10 ms) saves the wait for a block to be filled. At other rates than
    the model's the result differs a little from that of a file: the resampling is another, and so is the grid of hops.

    Args:
        denoiser: the model.
        sample_rate: of input and output, Hz, whole number from 1 kHz to 768 kHz.
        channels: number of channels.
        attenuation_limit_db: the most that noise is lowered, dB >= 0; None for no limit.
        mix: share of the denoised signal from 0 (the input, delayed) to 1.
        live_block: None, or the unit of the block size for live use.
        link: whether channels with the same voice share one estimate of it (`enhance.runtime.linked_channels`), which
            takes two seconds more of delay; off: each is denoised on its own. Not for live use.

    Raises:
        ValueError: for a value outside its range.
    """

    def __init__(
        self,
        denoiser: Model,
        sample_rate: int,
        channels: int = 1,
        *,
        attenuation_limit_db: float | None = None,
        mix: float = 1.0,
        live_block: int | None = None,
        link: Link | str = Link.OFF,
    ) -> None:
        self.sample_rate = check_sample_rate(sample_rate)
        link = Link(link)
        if not _is_count(channels):
            raise ValueError(f"{channels} channels: expected a whole number from 1")
        if live_block is not None and not _is_count(live_block):
            raise ValueError(f"live_block {live_block}: expected a whole number of samples from 1, or None")
        if live_block is not None and link is not Link.OFF:
            raise ValueError(f"link {link.value} with live_block {live_block}: live channels cannot be linked")
        if live_block is not None and denoiser.info.block:
            raise ValueError(f"the model {denoiser.info.name} hears seconds ahead, for files; take another one live")
        self.channels = channels
        self.live_block = live_block
        self._denoiser = denoiser
        self._runner = BlockRunner(denoiser, channels)
        self._from_model: Resampler | Polyphase | None = None
        model_rate = denoiser.info.sample_rate
        if self.sample_rate != model_rate:
            kind = Resampler if live_block is None else Polyphase
            self._from_model = kind(model_rate, self.sample_rate, channels)
        self._input = ModelInput(self.sample_rate, model_rate, denoiser.info.hop, channels, live=live_block is not None)
        self._linked = None
        if link.joins(channels):
            self._linked = LinkedChannels(model_rate, denoiser.info.hop, channels, always=link is Link.ON)
        self._noisy = AudioFifo(channels)  # at the model's rate, waiting for its estimate, to be linked
        hops = max(1, HOPS_PER_CALL // channels)
        self._slice = max(1, hops * denoiser.info.hop * self.sample_rate // model_rate)
        self._speech = SpeechDetector(channels, denoiser.info.hop)
        self._wet = AudioFifo(channels)  # denoised, waiting for a whole live block
        self._dry = AudioFifo(channels)  # the input, waiting for its denoised samples
        self._weight = np.float32(0)
        self._glide = Glide(np.float32(0), np.float32(0), 0)
        self.adjust(attenuation_limit_db=attenuation_limit_db, mix=mix)
        self.reset()

    @cached_property
    def latency_samples(self) -> int:
        """Bound on the delay in samples of the stream: of the model, of filling its hop, and of both resamplers.

        960 at 48 kHz for a window of 960. Live, with blocks that are S samples at the model's rate, at most
        hop - gcd(hop, S) samples wait for the hop to be filled.
        """
        info = self._denoiser.info
        if self.live_block is not None:
            to_model, from_model = self._held_back
            behind = info.latency + info.hop - self._stride + from_model
            return to_model + behind * self.sample_rate // info.sample_rate
        behind = info.latency + info.hop + (self._linked.latency if self._linked is not None else 0)
        behind += (info.ahead + max(info.block - 1, 0)) * info.hop
        if self.sample_rate == info.sample_rate:
            return behind
        there = held_back_seconds(self.sample_rate, info.sample_rate)
        back = held_back_seconds(info.sample_rate, self.sample_rate)
        return math.ceil((behind / info.sample_rate + there + back) * self.sample_rate)

    @property
    def _held_back(self) -> tuple[int, int]:
        """Samples that wait in the resamplers of a live stream, each at the rate of its input."""
        return self._input.held_back, self._from_model.half if isinstance(self._from_model, Polyphase) else 0

    @property
    def _stride(self) -> int:
        """Unit of the fill of a hop at the ends of live blocks, samples at the model's rate."""
        info, block = self._denoiser.info, self.live_block or 1
        fits = block * info.sample_rate % self.sample_rate == 0
        return math.gcd(info.hop, block * info.sample_rate // self.sample_rate) if fits else 1

    @property
    def _head_start(self) -> int:
        """Zeros before a live signal, samples at the model's rate: what the resampler holds back, within a stride."""
        return self._held_back[0] * self._denoiser.info.sample_rate // self.sample_rate % self._stride

    def adjust(
        self, *, attenuation_limit_db: float | None = None, mix: float = 1.0, glide_seconds: float = 0.0
    ) -> None:
        """Set the strength (`enhance.runtime.strength`) from the next returned sample on.

        Both of it: where no limit is named there is none from then on, and the mix is 1 where none is named. With
        `glide_seconds` its weight moves there along a straight line of that length, so that a change while somebody
        listens makes no click.

        Raises:
            ValueError: when the limit or the time is negative, or the mix is not from 0 to 1; nothing changes then.
        """
        if not isinstance(glide_seconds, Real) or not 0 <= glide_seconds < math.inf:
            raise ValueError(f"glide_seconds {glide_seconds!r}: expected 0 or more seconds")
        target = np.float32(Strength(attenuation_limit_db, mix).weight)
        present = self._glide.take(1)[0] if self._glide.left else self._weight
        self._glide = Glide(present, target, round(glide_seconds * self.sample_rate))
        self._weight = target

    @property
    def speech_probability(self) -> float:
        """Probability that somebody speaks, from 0 to 1, in the latest hop that was denoised."""
        return self._speech.probability

    def take_speech(self) -> np.ndarray:
        """Return that probability for each hop since the last call, float32 [hops], of the last minute at most.

        The first hop of a signal begins `info.latency` samples of the model before it.
        """
        return self._speech.take()

    def process(self, block: np.ndarray) -> np.ndarray:
        """Denoise a block.

        Args:
            block: [channels, samples] with any number of samples (with `live_block`: a multiple of it); float16, 32 or
                64 with full scale 1.0, or int16 or int32 with the full scale of the type.

        Returns:
            float32 [channels, samples that are ready], full scale 1.0, not clipped.

        Raises:
            ValueError: for another shape or type, and for NaN or infinite samples (then the stream is as before).
            ModelError: the model gives NaN or infinite samples.
            RuntimeError: after `flush`, and after a call that was broken off by any other error, or by Ctrl-C.
        """
        self._check_open()
        block = float_samples(block)
        if block.ndim != 2 or block.shape[0] != self.channels:
            raise ValueError(f"block of shape {block.shape}: expected [channels = {self.channels}, samples]")
        samples = block.shape[1]
        if self.live_block is not None and samples % self.live_block:
            raise ValueError(f"block of {samples} samples: expected a multiple of live_block = {self.live_block}")
        self._ended = "was broken off in the middle of a block"  # until it is through: its queues are out of step
        with may_vanish():
            result = self._processed(block)
        self._ended = ""
        return result

    def _processed(self, block: np.ndarray) -> np.ndarray:
        samples = block.shape[1]
        if samples <= self._slice:
            self._dry.push(block)
            self._run(self._input.process(block))
            return self._take(samples if self.live_block else len(self._wet))
        parts = []
        for start in range(0, samples, self._slice):
            part = block[:, start : start + self._slice]
            self._dry.push(part)
            self._run(self._input.process(part))
            if not self.live_block:
                parts.append(self._take(len(self._wet)))
        return self._take(samples) if self.live_block else np.concatenate(parts, axis=1)

    def flush(self) -> np.ndarray:
        """End the signal and return the samples that are missing, float32 [channels, samples].

        Raises:
            ModelError: the model gives NaN or infinite samples.
            RuntimeError: when the stream was flushed or broken off before.
        """
        self._check_open()
        self._ended = "was flushed"
        if not len(self._dry):
            return self._take(0)
        # Silence pushes the last samples out of the model and of the resampler behind it, which may round down.
        padding = self._denoiser.info.latency + self._denoiser.info.hop
        with may_vanish():
            self._run(self._input.flush(padding))
            for noisy, estimate in self._runner.finish():
                self._denoised(noisy, estimate)
            if self._linked is not None:
                silence = np.zeros((self.channels, self._linked.latency + padding), np.float32)
                self._give(self._linked.process(silence, silence))
            if self._from_model is not None:
                self._wet.push(self._from_model.flush())
            return self._take(len(self._dry))

    def reset(self) -> None:
        """Forget everything but the strength, which is at its target: the next block begins a new signal."""
        self._ended = ""  # or how
        self._glide = Glide(self._weight, self._weight, 0)
        self._runner.reset()
        self._speech.reset()
        self._delay_left = self._denoiser.info.latency  # samples of the model's output that belong to no input
        for fifo in (self._noisy, self._wet, self._dry):
            fifo.clear()
        self._input.reset()
        if self._linked is not None:
            self._linked.reset()
        if self._from_model is not None:
            self._from_model.reset()
        if self.live_block is not None:
            head_start = self._head_start
            self._delay_left += head_start
            self._input.reset(head_start)
            silence = np.zeros((self.channels, self.latency_samples), np.float32)
            self._wet.push(silence)
            self._dry.push(silence)

    def _check_open(self) -> None:
        if self._ended:
            raise RuntimeError(f"the stream {self._ended}: call reset() before the next signal")

    def _run(self, noisy: np.ndarray) -> None:
        """Run the model over whole hops at its rate and push what that makes ready into the queue of the result."""
        for ready, estimate in self._runner.process(noisy):
            self._denoised(ready, estimate)

    def _denoised(self, noisy: np.ndarray, estimate: np.ndarray) -> None:
        """Give samples at the model's rate, whose estimate has come, to all that follows."""
        samples = noisy.shape[1]
        self._speech.update(noisy, estimate)
        late = min(self._delay_left, samples)
        self._delay_left -= late
        estimate = estimate[:, late:]
        if self._linked is not None:
            self._noisy.push(noisy)
            estimate = self._linked.process(self._noisy.pop(samples - late), estimate)
        self._give(estimate)

    def _give(self, estimate: np.ndarray) -> None:
        """Push a result at the model's rate into the queue of denoised samples."""
        self._wet.push(estimate if self._from_model is None else self._from_model.process(estimate))

    def _take(self, samples: int) -> np.ndarray:
        """Return the next samples of the result."""
        dry, wet = self._dry.pop(samples), self._wet.pop(samples)
        glide = self._glide  # another thread may set another one
        return blend(dry, wet, glide.take(samples) if glide.left else self._weight)


def _is_count(value: object) -> bool:
    return isinstance(value, Integral) and int(value) >= 1


def check_audio(audio: np.ndarray) -> np.ndarray:
    """Return float32 samples of an array [time] or [channels, time], in the same shape.

    Args:
        audio: float16, 32 or 64 with full scale 1.0, or int16 or int32 with the full scale of the type.

    Raises:
        ValueError: for another shape or type, and for NaN or infinite samples.

    Example:
        >>> check_audio(np.array([0, -32768], np.int16))
        array([ 0., -1.], dtype=float32)
    """
    audio = float_samples(audio)
    if audio.ndim not in (1, 2):
        raise ValueError(f"audio of shape {audio.shape}: expected [time] or [channels, time]")
    if audio.ndim == 2 and audio.shape[0] == 0:
        raise ValueError(f"audio of shape {audio.shape}: expected [channels, time] with at least one channel")
    if audio.ndim == 2 and audio.shape[0] > max(MOST_CHANNELS_UNASKED, audio.shape[1]):
        raise ValueError(
            f"audio of shape {audio.shape}: expected [channels, time]; transpose an array [time, channels]"
        )
    return audio


def float_samples(audio: np.ndarray) -> np.ndarray:
    """Return float32 samples of an array of any shape; types and errors as those of `check_audio`."""
    if isinstance(audio, np.ma.MaskedArray) and (masked := int(np.ma.count_masked(audio))):
        raise ValueError(f"{masked} of {audio.size} samples are masked: fill them first, as audio.filled(0) does")
    audio = np.asarray(audio)
    kind = audio.dtype.newbyteorder("=")  # bytes of another order are the same samples
    if kind in (np.int16, np.int32):
        return audio.astype(np.float32) / -np.float32(np.iinfo(kind).min)
    if kind not in (np.float32, np.float64, np.float16):
        raise ValueError(f"samples of type {audio.dtype}: expected float16, 32 or 64 (full scale 1.0), int16 or int32")
    if audio.size and not float(np.abs(audio).max()) <= LOUDEST:
        broken = int(audio.size - np.isfinite(audio).sum())
        if broken:
            raise ValueError(f"{broken} of {audio.size} samples are NaN or infinite: expected finite samples")
        raise ValueError(f"a sample is {np.abs(audio).max():.3g}: expected audio with full scale 1.0")
    with may_vanish():
        return audio.astype(np.float32, copy=False)
