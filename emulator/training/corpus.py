"""What an emulator learns from: pieces of sound before and after the codec, stored once, cropped at random.

A corpus is three caches of the same recordings (`enhance.data.cache`): the originals at the emulator's sample rate,
what LAME leaves of them, and the noise that it allows itself (`emulator.training.threshold_noise`). Long pieces are
coded and crops are taken anywhere in them, so the codec's grid of 576 samples falls at random and the encoder has
settled. The pieces are speech, noise, music, noisy speech, noisy speech cleaned by a trained enhancer (what the loss
will see most), and synthetic maskers with probes (`emulator.training.masking_stimuli`).
"""

import hashlib
import json
import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import soxr

from emulator.lame import Setting, round_trip
from emulator.training.masking_stimuli import masker_and_probe
from emulator.training.threshold_noise import threshold_noise
from enhance import Denoiser
from enhance.data.cache import AudioCache, Entry, write_cache
from enhance.data.counter_random import LARGEST_SEED
from enhance.data.mixing import MixConfig, Mixer
from enhance.dsp.int16 import FULL_SCALE, LARGEST
from enhance.utils.parallel import map_ahead
from enhance.utils.ranges import check_ordered, check_ranges

Kind = Literal["speech", "noise", "music", "noisy", "enhanced", "probes"]
KINDS: tuple[Kind, ...] = get_args(Kind)

PEAK = 0.98  # highest sample of a piece
STIMULUS_SECONDS = (0.4, 3.0)  # length of each masker within a piece
STIMULUS_DB = 8.0  # each masker's level varies by +- this within a piece
ATTENUATION_DB = (6.0, 40.0)  # limit of the enhancer that cleans a piece
MUSIC_HELD_OUT = 5  # every fifth file of music is held out
WORKERS = 2  # threads that encode; LAME runs outside of Python's lock


@dataclass(frozen=True)
class CorpusConfig:
    """Minutes of each kind of sound in a corpus."""

    speech_minutes: float = 110.0
    noise_minutes: float = 40.0
    music_minutes: float = 60.0
    noisy_minutes: float = 60.0
    enhanced_minutes: float = 40.0
    probes_minutes: float = 170.0
    piece_seconds: float = 20.0  # length of what is coded at once
    level_db: tuple[float, float] = (-40.0, -14.0)  # RMS of a piece, dB relative to full scale
    corpus_seed: int = 0

    def __post_init__(self) -> None:
        check_ranges(self, [f"{kind}_minutes" for kind in KINDS], 0)
        check_ranges(self, ("corpus_seed",), 0, LARGEST_SEED)
        check_ordered(self, ("level_db",))
        if self.piece_seconds < 0.1:
            raise ValueError(f"piece_seconds must be 0.1 s or more; got {self.piece_seconds}")

    def minutes(self, kind: Kind) -> float:
        """Return minutes of a kind."""
        return getattr(self, f"{kind}_minutes")

    def pieces(self, kind: Kind) -> int:
        """Return pieces of a kind; at least one unless there are to be none."""
        return math.ceil(60 * self.minutes(kind) / self.piece_seconds)

    def scaled(self, factor: float) -> "CorpusConfig":
        """Return the same mixture with other lengths."""
        return replace(self, **{f"{kind}_minutes": self.minutes(kind) * factor for kind in KINDS})


@dataclass(frozen=True)
class Sources:
    """Caches at 48 kHz that the pieces are taken from."""

    speech: AudioCache
    noise: AudioCache
    music: AudioCache
    rooms: AudioCache | None

    @property
    def fingerprint(self) -> str:
        """Digest of all four."""
        caches = (self.speech, self.noise, self.music, self.rooms)
        return " ".join(cache.fingerprint if cache else "none" for cache in caches)


def split_music(files: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return files of music for training and held out: of the sorted list, every fifth from the first on is held out.

    Example:
        >>> split_music([Path(name) for name in "fedcba"])
        ([PosixPath('b'), PosixPath('c'), PosixPath('d'), PosixPath('e')], [PosixPath('a'), PosixPath('f')])
    """
    ordered = sorted(files)
    held_out = ordered[::MUSIC_HELD_OUT]
    return [file for file in ordered if file not in held_out], held_out


class PieceMaker:
    """Makes the pieces, each from its own random numbers.

    Args:
        sources: where recordings come from.
        sample_rate: Hz of the pieces.
        config: their length and level.
    """

    def __init__(self, sources: Sources, sample_rate: int, config: CorpusConfig) -> None:
        self.sources, self.sample_rate, self.config = sources, sample_rate, config
        level = (-25.0, -25.0)
        mix = MixConfig(
            segment_seconds=config.piece_seconds, level_db=level, noise_only=0.0, clean_only=0.0, disguise=0.0
        )
        self._mixer = Mixer(sources.speech, sources.noise, sources.rooms, mix, config.corpus_seed)
        self._denoiser = Denoiser() if config.enhanced_minutes else None

    def piece(self, kind: Kind, number: int) -> np.ndarray:
        """Return one piece, int16 `[time]` at the corpus' sample rate."""
        rng = np.random.default_rng([self.config.corpus_seed, KINDS.index(kind), number])
        if kind == "probes":
            audio = self._stimuli(rng)
        else:
            audio = self._recorded(kind, number, rng)
            if self.sample_rate != self.sources.speech.sample_rate:
                audio = soxr.resample(audio, self.sources.speech.sample_rate, self.sample_rate)
        level = 10 ** (rng.uniform(*self.config.level_db) / 20)
        rms = float(np.sqrt(np.mean(np.square(audio, dtype=np.float64))))
        gain = min(level / max(rms, 1e-4), PEAK / max(float(np.abs(audio).max()), 1e-4))
        return np.rint(audio * (gain * FULL_SCALE)).astype("<i2")

    def _recorded(self, kind: Kind, number: int, rng: np.random.Generator) -> np.ndarray:
        if kind in ("noisy", "enhanced"):
            index = 2 * number + (kind == "enhanced")
            noisy = self._mixer.batch(index, 0, 1).noisy[0].numpy()
            if kind == "noisy" or self._denoiser is None:
                return noisy
            limit = rng.uniform(*ATTENUATION_DB)
            return self._denoiser.denoise(noisy, self.sources.speech.sample_rate, attenuation_limit_db=limit)
        cache: AudioCache = getattr(self.sources, kind)
        recording = int(cache.choose(rng.random(1))[0])
        samples = round(self.config.piece_seconds * cache.sample_rate)
        free = int(cache.lengths[recording]) - samples
        start = int(rng.random() * (free if free > 0 else cache.lengths[recording]))
        return cache.crop(recording, start, samples)

    def _stimuli(self, rng: np.random.Generator) -> np.ndarray:
        out = np.zeros(round(self.config.piece_seconds * self.sample_rate))
        at = 0
        while at < out.size:
            samples = round(rng.uniform(*STIMULUS_SECONDS) * self.sample_rate)
            gain = 10 ** (rng.uniform(-STIMULUS_DB, STIMULUS_DB) / 20)
            stimulus = gain * masker_and_probe(samples, self.sample_rate, rng)
            out[at : at + samples] = stimulus[: out.size - at]
            at += samples
        return out


def build_originals(sources: Sources, sample_rate: int, config: CorpusConfig, directory: Path) -> AudioCache:
    """Build the originals of a corpus in `directory`, or open them."""

    def entries() -> Iterator[Entry]:
        maker = PieceMaker(sources, sample_rate, config)
        for kind in KINDS:
            for number in range(config.pieces(kind)):
                yield f"{kind}/{number}", maker.piece(kind, number), sample_rate / 2

    described = json.dumps([asdict(config), sample_rate, sources.fingerprint], sort_keys=True)
    digest = hashlib.sha256(described.encode()).hexdigest()
    return write_cache(directory, entries, kind="pieces", sample_rate=sample_rate, fingerprint=digest)


def coded(audio: np.ndarray, sample_rate: int, setting: Setting) -> np.ndarray:
    """Return what the codec leaves of `[time]`, aligned with it."""
    return round_trip(audio, sample_rate, setting)


def allowed_noise(audio: np.ndarray, sample_rate: int, setting: Setting) -> np.ndarray:
    """Return the codec's error for `[time]`; where its threshold drives it, a faint noise is added that reveals it."""
    if setting.mode == "vbr":
        seed = zlib.crc32(audio.tobytes())
        audio = audio + threshold_noise(audio, sample_rate, np.random.default_rng(seed))
        audio = audio / max(1.0, float(np.abs(audio).max()))
    return round_trip(audio, sample_rate, setting) - audio


Change = Callable[[np.ndarray, int, Setting], np.ndarray]


def build_changed(originals: AudioCache, change: Change, setting: Setting, directory: Path) -> AudioCache:
    """Build what `coded` or `allowed_noise` makes of each original in `directory`, or open it."""

    def changed(recording: int) -> np.ndarray:
        audio = originals.crop(recording, 0, int(originals.lengths[recording]), wrap=False)
        result = change(audio, originals.sample_rate, setting)
        return np.clip(np.rint(result * FULL_SCALE), -FULL_SCALE, LARGEST).astype("<i2")

    def entries() -> Iterator[Entry]:
        for number, samples in map_ahead(changed, range(len(originals)), WORKERS):
            recording = originals.recordings[number]
            yield recording.name, samples, recording.bandwidth

    digest = hashlib.sha256(f"{change.__name__} {setting!r} {originals.fingerprint}".encode()).hexdigest()
    return write_cache(directory, entries, kind=change.__name__, sample_rate=originals.sample_rate, fingerprint=digest)
