"""Noisy speech mixed on the fly from recorded, synthetic and babble noise, with filters, rooms, levels and clipping.

Every random number is addressed by seed, step and index of the example in the whole batch
(`enhance.data.counter_random`). So an example does not depend on which process makes it, nor on the examples beside it.

The signal work is batched torch on one device. A change of speed is a change of the number of spectral bins; it,
equalisers, band limits and rooms are products in one long FFT per signal. That makes every convolution circular: a
room's tail at the end of a segment returns at its start, as the tail of what was said before it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from enhance.data.cache import AudioCache
from enhance.data.counter_random import CounterRandom
from enhance.data.filters import EQ_KNOTS, Equaliser, band_shape, fast_length
from enhance.data.formant_shift import move_formants
from enhance.data.levels import SILENT_CROP_POWER, active_power, scale_to
from enhance.data.mix_config import MOST_NOISES, SUBGROUP, MixConfig
from enhance.data.noise_augmentation import Augmentation, NoiseAugmenter
from enhance.data.synthetic_noise import synthetic_noise
from enhance.data.to_device import send
from enhance.dsp.rate import SAMPLE_RATE

MARGIN_SECONDS = 0.02  # least length that is processed and dropped at either end, where filters ring
EDGE_SECONDS = 0.005  # fade at the ends of a crop, of a join and of an onset
EARLY_FADE_SECONDS = 0.01  # fade of the early reflections that the target keeps
MOST_BABBLERS = 8
PEAK = 0.999  # largest sample of an example
NYQUIST = SAMPLE_RATE / 2


class Mixture(NamedTuple):
    """A batch of examples."""

    noisy: Tensor  # [batch, time], peak at most 1
    target: Tensor  # [batch, time], aligned with noisy
    band_limit: Tensor  # [batch], Hz; above it the target has no content that could be learnt from
    source: Tensor  # [batch, time], the target at another level, also where it is silent; one tensor while it is reused


class _Material(NamedTuple):
    """Processed speech and noise, not yet combined."""

    speech: Tensor  # [batch, time], with its room
    target: Tensor  # [batch, time], with the early part of the room
    noise: Tensor  # [batch, time]
    band_limit: Tensor  # [batch], Hz
    active: Tensor  # [batch, 1], power of the target's active frames
    noise_power: Tensor  # [batch, 1]


class Mixer:
    """Makes training examples from caches of speech, noise and room responses.

    Args:
        speech: recordings of clean speech.
        noise: recordings of noise.
        rooms: impulse responses (`kind="rooms"`), or None for no reverberation.
        config: what is mixed.
        seed: with the step and the index of an example, all that the example depends on.
        device: where the signal work is done and the batch lies. Hold the caches there too (`AudioCache.to`) when it
            is a GPU; else crops are copied to it.
    """

    def __init__(
        self,
        speech: AudioCache,
        noise: AudioCache,
        rooms: AudioCache | None,
        config: MixConfig,
        seed: int,
        device: torch.device | str = "cpu",
    ) -> None:
        self.speech, self.noise, self.rooms = speech, noise, rooms
        self.config, self.seed, self.device = config, seed, torch.device(device)
        self._size = fast_length(config.samples + 2 * round(MARGIN_SECONDS * SAMPLE_RATE))
        self._head = (self._size - config.samples) // 2
        self._crop_sizes = [fast_length(round(self._size * speed)) for speed in config.speeds]
        generator = torch.Generator().manual_seed(seed)
        bank = synthetic_noise(config.synthetic_count, round(config.synthetic_seconds * SAMPLE_RATE), generator)
        self._bank = (bank * 32767).to(torch.int16).to(self.device)
        self._disguise = NoiseAugmenter(config, self._size, generator, self.device)
        self._frequency = torch.fft.rfftfreq(self._size, 1 / SAMPLE_RATE, device=self.device)
        self._equaliser = Equaliser(self._frequency)
        self._kept: dict[tuple[int, int, int], _Material] = {}

    @torch.no_grad()
    def batch(self, step: int, first: int, count: int) -> Mixture:
        """Return examples `first` to `first + count - 1` of a step; they do not depend on how a batch is split.

        Raises:
            ValueError: `reuse` is above 1 and `first` or `count` is not a multiple of 8.
        """
        config = self.config
        if config.reuse > 1 and (first % SUBGROUP or count % SUBGROUP):
            raise ValueError(f"with reuse, first and count must be multiples of {SUBGROUP}; got {first} and {count}")
        group, turn = divmod(step, config.reuse)
        material = self._kept.get((group, first, count))
        if material is None:
            material = self._make(group, first, count)
            if config.reuse > 1:
                self._kept = {key: kept for key, kept in self._kept.items() if key[0] == group}
                self._kept[group, first, count] = material
        return self._combine(material, CounterRandom(self.seed, 1, step, first, count), turn)

    def _tensor(self, values: np.ndarray) -> Tensor:
        return send(np.asarray(values, dtype=np.float32), self.device)

    def _rows(self, mask: np.ndarray) -> tuple[np.ndarray, Tensor]:
        """Return rows where the mask is true, for the caches and for tensors."""
        rows = np.flatnonzero(mask)
        return rows, send(rows, self.device)

    def _make(self, group: int, first: int, count: int) -> _Material:
        config, draws = self.config, CounterRandom(self.seed, 0, group, first, count)
        changes = CounterRandom(self.seed, 2, group, first, count)
        spectrum, band = self._speech_spectrum(draws, count)
        speech_eq, noise_eq = draws.curve(config.speech_eq_db, EQ_KNOTS), draws.curve(config.noise_eq_db, EQ_KNOTS)
        speech_gain, noise_gain = self._equaliser.gains(speech_eq), self._equaliser.gains(noise_eq)
        band = np.minimum(band, self._limit_band(draws, (speech_gain, noise_gain)))
        spectrum *= speech_gain
        speech, target, band = self._reverberate(draws, spectrum, band)
        noise_spectrum = torch.fft.rfft(self._noise(draws, changes, count))
        self._add_rooms(changes, noise_spectrum)
        noise = self._cut(torch.fft.irfft(noise_spectrum.mul_(noise_gain), n=self._size))

        rows, places = self._rows(draws.chance(config.late_onset))
        begin = draws.between(config.onset)[rows] * config.samples
        if rows.size:
            gate = self._ramp(begin, config.samples)
            shared = speech is target
            target[places] *= gate
            if not shared:
                speech[places] *= gate
        noise_power = noise.square().mean(dim=1, keepdim=True)
        return _Material(speech, target, noise, self._tensor(band), active_power(target), noise_power)

    def _ramp(self, begin: np.ndarray, time: int) -> Tensor:
        """Return `[len(begin), time]`: 0 before sample `begin`, 1 soon after it."""
        offset = torch.arange(time, device=self.device) - self._tensor(begin)[:, None]
        return (offset / (EDGE_SECONDS * SAMPLE_RATE)).clamp(0.0, 1.0)

    def _cut(self, audio: Tensor) -> Tensor:
        return audio[:, self._head : self._head + self.config.samples]

    def _crops(self, cache: AudioCache, recordings: np.ndarray, place: np.ndarray, length: int) -> Tensor:
        """Return crops `[batch, length]` from random places, whole if the recording is that long, with faded ends."""
        free = cache.lengths[recordings] - length
        starts = place * np.where(free > 0, free, cache.lengths[recordings])
        audio = cache.gather(recordings, starts.astype(np.int64), length).to(self.device)
        fade = round(EDGE_SECONDS * SAMPLE_RATE)
        ramp = torch.linspace(0.0, 1.0, fade, device=self.device)
        audio[:, :fade] *= ramp
        audio[:, -fade:] *= ramp.flip(0)
        return audio

    def _speech_spectrum(self, draws: CounterRandom, count: int) -> tuple[Tensor, np.ndarray]:
        """Return spectra `[count, bins]` of speech at a changed speed, and the band (Hz) that each one fills."""
        chosen = [self.speech.choose(draws.take()) for _ in range(2)]
        places = [draws.take() for _ in range(2)]
        joined, split = draws.chance(self.config.join), draws.between((0.25, 0.75))
        speed = draws.index(len(self._crop_sizes))
        moved, factor = draws.chance(self.config.formants), draws.between(self.config.formant_range)
        spectrum = torch.zeros(count, len(self._frequency), dtype=torch.complex64, device=self.device)
        for size in set(self._crop_sizes):
            rows, targets = self._rows(np.array(self._crop_sizes)[speed] == size)
            if not rows.size:
                continue
            audio = self._crops(self.speech, chosen[0][rows], places[0][rows], size)
            both, places_of_both = self._rows(joined[rows])
            if both.size:
                second = self._crops(self.speech, chosen[1][rows[both]], places[1][rows[both]], size)
                audio[places_of_both] = torch.lerp(
                    audio[places_of_both], second, self._ramp(split[rows[both]] * size, size)
                )
            shifted, places_of_shifted = self._rows(moved[rows])
            if shifted.size:
                voices = move_formants(audio[places_of_shifted], self._tensor(factor[rows[shifted]]))
                audio[places_of_shifted] = voices
            bins = min(size, self._size) // 2
            spectrum[targets, :bins] = torch.fft.rfft(audio)[:, :bins] * (self._size / size)
        band = self.speech.bandwidths[chosen[0]]
        band = np.where(joined, np.minimum(band, self.speech.bandwidths[chosen[1]]), band)
        band = np.where(moved, band * np.minimum(factor, 1.0), band)
        return spectrum, np.minimum(band * np.array(self._crop_sizes)[speed] / self._size, NYQUIST)

    def _limit_band(self, draws: CounterRandom, gains: Sequence[Tensor]) -> np.ndarray:
        """Limit some of the gains in place; return the upper edges `[batch]` in Hz."""
        config = self.config
        limited, telephone = draws.chance(config.band_limit), draws.chance(config.telephone)
        edge = np.where(telephone, 3400.0, np.array(config.low_pass_hz)[draws.index(len(config.low_pass_hz))])
        rows, places = self._rows(limited)
        if rows.size:
            high = self._tensor(edge[rows])[:, None]
            low = self._tensor(np.where(telephone[rows], 300.0, 1e-3))[:, None]
            shape = band_shape(self._frequency, low, high)
            for gain in gains:
                gain[places] *= shape
        return np.where(limited, edge, NYQUIST)

    def _reverberate(
        self, draws: CounterRandom, spectrum: Tensor, band: np.ndarray
    ) -> tuple[Tensor, Tensor, np.ndarray]:
        """Return speech `[batch, time]` in its room, with the early part of the room only, and the band that is left.

        The early part has unit energy, so that reverberation leaves the level of the target alone.
        """
        reverberant, place = draws.chance(self.config.room), draws.take()
        early, tail_db = draws.between(self.config.early_seconds), draws.between(self.config.tail_db)
        rows, places = self._rows(reverberant)
        full = None
        if self.rooms is not None and rows.size:
            chosen = (place[rows] * len(self.rooms)).astype(np.int64)
            longest = min(int(self.rooms.lengths[chosen].max()), self._size)
            response = self.rooms.gather(chosen, np.zeros_like(chosen), longest, wrap=False).to(self.device)
            offset = self._tensor(early[rows] * SAMPLE_RATE)[:, None] - torch.arange(longest, device=self.device)
            window = 0.5 - 0.5 * torch.cos(torch.pi * (offset / (EARLY_FADE_SECONDS * SAMPLE_RATE)).clamp(0.0, 1.0))
            kept = response * window
            scale = kept.square().sum(dim=1, keepdim=True).sqrt().clamp_min(1e-6)
            rest = (response - kept) * self._tensor(10 ** (tail_db[rows] / 20))[:, None]
            dry = spectrum[places]
            early_spectrum = dry * torch.fft.rfft(kept / scale, n=self._size)
            full = self._cut(torch.fft.irfft(early_spectrum + dry * torch.fft.rfft(rest / scale, n=self._size)))
            spectrum[places] = early_spectrum
            band[rows] = np.minimum(band[rows], self.rooms.bandwidths[chosen])
        target = self._cut(torch.fft.irfft(spectrum, n=self._size))
        speech = target
        if full is not None:
            speech = target.clone()
            speech[places] = full
        return speech, target, band

    def _add_rooms(self, changes: CounterRandom, spectrum: Tensor) -> None:
        """Multiply some spectra `[batch, bins]` of noise by those of whole room responses."""
        chance, place = changes.chance(self.config.disguise * self.config.noise_room), changes.take()
        rows, places = self._rows(chance)
        if self.rooms is not None and rows.size:
            chosen = (place[rows] * len(self.rooms)).astype(np.int64)
            longest = min(int(self.rooms.lengths[chosen].max()), self._size)
            response = self.rooms.gather(chosen, np.zeros_like(chosen), longest, wrap=False).to(self.device)
            spectrum[places] *= torch.fft.rfft(response, n=self._size)

    def _recorded(self, chance: np.ndarray, place: np.ndarray, changes: Augmentation) -> Tensor:
        """Return crops `[batch, size]` of recorded noises, changed."""
        recordings, crops = self.noise.choose(chance), torch.empty(len(chance), self._size, device=self.device)
        for length in set(changes.length.tolist()):
            rows, places = self._rows(changes.length == length)
            crop = self._crops(self.noise, recordings[rows], place[rows], length)
            crops[places] = self._disguise.apply(crop, changes.of(rows))
        return crops

    def _noise(self, draws: CounterRandom, changes: CounterRandom, count: int) -> Tensor:
        """Return the sum of each example's noises, `[count, size]`."""
        config = self.config
        audio = torch.zeros(count, self._size, device=self.device)
        number = 1 + np.searchsorted(np.cumsum(config.noises)[:-1], draws.take(), side="right")
        babble = draws.chance(config.babble)
        voices = 3 + draws.index(MOST_BABBLERS - 2)
        for voice in range(MOST_BABBLERS):
            chosen, place = self.speech.choose(draws.take()), draws.take()
            rows, places = self._rows(babble & (voice < voices))
            if rows.size:
                crop = self._crops(self.speech, chosen[rows], place[rows], self._size)
                audio[places] += scale_to(crop, self._tensor(1 / np.sqrt(voices[rows])))
        for slot in range(MOST_NOISES):
            chosen, place = draws.take(), draws.take()
            synthetic, level_db = draws.chance(config.synthetic), draws.between((-config.noise_level_db, 0.0))
            gain = np.ones(count) if slot == 0 else 10 ** (level_db / 20)
            used = ~babble if slot == 0 else slot < number
            change = self._disguise.draw(changes)
            rows, places = self._rows(used & ~synthetic)
            if rows.size:
                crop = self._recorded(chosen[rows], place[rows], change.of(rows))
                audio[places] += scale_to(crop, self._tensor(gain[rows]))
            rows, places = self._rows(used & synthetic)
            if rows.size:
                audio[places] += scale_to(self._synthetic(chosen[rows], place[rows]), self._tensor(gain[rows]))
        return audio

    def _synthetic(self, chosen: np.ndarray, place: np.ndarray) -> Tensor:
        """Return crops `[batch, size]` of the synthetic noises."""
        count, length = self._bank.shape
        row = send((chosen * count).astype(np.int64), self.device)[:, None]
        start = send((place * length).astype(np.int64), self.device)[:, None]
        position = (start + torch.arange(self._size, device=self.device)) % length
        return self._bank.view(-1)[row * length + position].float() / 32767

    def _combine(self, material: _Material, draws: CounterRandom, turn: int) -> Mixture:
        """Set SNR and level; `turn` counts the uses of this material and says whose noise an example gets."""
        config = self.config
        speech, target, noise, band_limit, active, noise_power = material
        if turn:
            order = torch.arange(len(noise), device=self.device).view(-1, SUBGROUP)
            order = order.roll(-3 * turn, dims=1).view(-1)  # 3 and 8 have no common factor: all turns differ
            noise, noise_power = noise[order], noise_power[order]
        snr = self._tensor(10 ** (draws.between(config.snr_db) / 10))[:, None]
        level = self._tensor(10 ** (draws.between(config.level_db) / 20))[:, None]
        mode = draws.take()
        noise_only = self._tensor(mode < config.noise_only)[:, None] > 0
        noise_only = noise_only | (active < SILENT_CROP_POWER)
        clean = (mode >= config.noise_only) & (mode < config.noise_only + config.clean_only)
        clean_rows, clean_places = self._rows(clean)
        speech_gain = torch.where(noise_only, 0.0, 1.0)
        noise_gain = torch.where(noise_only, 1.0, (active / (snr * noise_power.clamp_min(SILENT_CROP_POWER))).sqrt())
        noise_gain = noise_gain * self._tensor(~clean)[:, None]
        target = target * speech_gain
        noisy = torch.addcmul(speech * speech_gain, noise, noise_gain)
        if clean_rows.size:
            noisy[clean_places] = target[clean_places]
        rms = noisy.square().mean(dim=1, keepdim=True).sqrt()
        gain = level / rms.clamp_min(1e-5)
        noisy_peak = noisy.abs().amax(dim=1, keepdim=True)
        peak = gain * torch.maximum(noisy_peak, target.abs().amax(dim=1, keepdim=True))
        gain = gain / (peak / PEAK).clamp_min(1.0)
        noisy *= gain
        target *= gain
        clipped, depth = draws.chance(config.clip), draws.between(config.clip_db)
        ceiling = gain * noisy_peak * self._tensor(np.where(clipped, 10 ** (-depth / 20), 1.0))[:, None]
        noisy = torch.clamp(noisy, -ceiling, ceiling)
        return Mixture(noisy, target, torch.where(noise_only[:, 0], NYQUIST, band_limit), material.target)
