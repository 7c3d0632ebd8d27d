"""Pairs of target and noisy recording for what a set of ordinary mixtures leaves out, made from held-out recordings.

All at 48 kHz. Where nothing else is said, speech at -26 dBFS has noise at 5 dB SNR beside it. Each pair depends on the
names of the recordings, the case and its number alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
from numpy.typing import NDArray
from scipy import signal

from enhance.data.formant_shift import HOP, WINDOW, log_envelope
from enhance.data.levels import active_power
from enhance.data.room_responses import simulate_room
from enhance.dsp.rate import SAMPLE_RATE
from enhance.utils.file_names import native_name, printable

Audio = NDArray[np.float64]

SECONDS = 6.0
SNR_DB = 5.0
SPEECH_DB = -26.0  # dBFS, of active speech
PEAK = 0.99
TELEPHONE_HZ = (300.0, 3400.0)
LOUD_DB, SOFT_DB = -6.0, -55.0  # dBFS, of active speech that is shouted (clipped at full scale) and whispered
EARLY_SECONDS = 0.05  # of a room's response that the target keeps, as in training
ROOM_SEED = 1000  # rooms that no training has seen
NOTES = (220.0, 247.0, 262.0, 294.0, 330.0, 294.0, 262.0, 247.0)  # Hz, half a second each
VIBRATO_HZ, VIBRATO_DEPTH = 5.5, 0.015


@dataclass(frozen=True)
class Recordings:
    """Held-out files.

    Args:
        speech, noise, music: in any format that soundfile reads.
        known_languages: codes of the languages that were trained on.
    """

    speech: Sequence[Path]
    noise: Sequence[Path]
    music: Sequence[Path]
    known_languages: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Pair:
    """``target`` and ``noisy`` are ``[time]``; ``name`` says of what they are made."""

    name: str
    target: Audio
    noisy: Audio


Draw = np.random.Generator
SAME_LANGUAGE = {"gr": "el", "pt_br": "pt"}  # codes by which some collections call what others call otherwise


def language(path: Path) -> str:
    """Return the code in a name such as `gcompris-nl-003`, one for each language; empty where there is none.

    Example:
        >>> [language(Path(name)) for name in ("gcompris-nl-003.opus", "artikulate-gr-001.opus", "ljspeech-000.opus")]
        ['nl', 'el', '']
    """
    parts = path.stem.split("-")
    return SAME_LANGUAGE.get(parts[1], parts[1]) if len(parts) == 3 else ""


def crop(files: Sequence[Path], draw: Draw) -> tuple[str, Audio]:
    """Return a random piece of a random file, its loudest of eight; short files are repeated.

    Raises:
        ValueError: the file holds no samples, or some that are not finite.
    """
    path = files[int(draw.integers(len(files)))]
    audio, rate = soundfile.read(native_name(path), dtype="float64", always_2d=True)
    mono = audio.mean(axis=1)
    mono = mono if rate == SAMPLE_RATE else soxr.resample(mono, rate, SAMPLE_RATE)
    if not mono.size or not np.isfinite(mono).all():
        raise ValueError(f"'{path}' {'holds NaN or infinite samples' if mono.size else 'holds no samples'}")
    length = round(SECONDS * SAMPLE_RATE)
    mono = np.tile(mono, -(-length // mono.size))
    starts = draw.integers(0, mono.size - length + 1, 8)
    pieces = [mono[start : start + length] for start in starts]
    return printable(path.stem), max(pieces, key=lambda piece: float(piece @ piece))


def at_level(speech: Audio, level_db: float = SPEECH_DB) -> Audio:
    """Return active speech at a level, dBFS."""
    power = float(active_power(torch.from_numpy(speech)[None])[0, 0])
    return speech * 10 ** (level_db / 20) / np.sqrt(max(power, 1e-12))


def mixed(speech: tuple[str, Audio], noise: tuple[str, Audio], snr_db: float = SNR_DB) -> Pair:
    """Return speech with noise beside it; both are lowered together where their sum would clip."""
    target = at_level(speech[1])
    level = np.sqrt(max(float(noise[1] @ noise[1]) / noise[1].size, 1e-12))
    noisy = target + noise[1] / level * 10 ** ((SPEECH_DB - snr_db) / 20)
    gain = min(1.0, PEAK / np.abs(noisy).max())
    return Pair(f"{speech[0]} with {noise[0]}", gain * target, gain * noisy)


def ordinary(recordings: Recordings, draw: Draw) -> Pair:
    return mixed(crop(recordings.speech, draw), crop(recordings.noise, draw))


def foreign(recordings: Recordings) -> list[Path]:
    known = recordings.known_languages
    return [path for path in recordings.speech if language(path) and language(path) not in known]


def unknown_language(recordings: Recordings, draw: Draw) -> Pair:
    return mixed(crop(foreign(recordings), draw), crop(recordings.noise, draw))


def telephone(recordings: Recordings, draw: Draw) -> Pair:
    pair = ordinary(recordings, draw)
    taps = signal.firwin(1001, TELEPHONE_HZ, fs=SAMPLE_RATE, pass_zero=False)
    target, noisy = (signal.fftconvolve(audio, taps, mode="same") for audio in (pair.target, pair.noisy))
    return Pair(pair.name, target, noisy)


def background_music(recordings: Recordings, draw: Draw) -> Pair:
    return mixed(crop(recordings.speech, draw), crop(recordings.music, draw))


def two_speakers(recordings: Recordings, draw: Draw) -> Pair:
    first, second = crop(recordings.speech, draw), crop(recordings.speech, draw)
    both = at_level(first[1]) + at_level(second[1], SPEECH_DB - 3.0)
    return mixed((f"{first[0]} and {second[0]}", both), crop(recordings.noise, draw))


def shouted(recordings: Recordings, draw: Draw) -> Pair:
    pair = ordinary(recordings, draw)
    gain = 10 ** ((LOUD_DB - SPEECH_DB) / 20)
    return Pair(pair.name, gain * pair.target, np.clip(gain * pair.noisy, -1.0, 1.0))


def whispered(recordings: Recordings, draw: Draw) -> Pair:
    pair = ordinary(recordings, draw)
    gain = 10 ** ((SOFT_DB - SPEECH_DB) / 20)
    noisy = np.round(gain * pair.noisy * 32768) / 32768  # as a recorder with 16 bits stores it
    return Pair(pair.name, gain * pair.target, noisy)


def in_a_room(recordings: Recordings, draw: Draw) -> tuple[str, Audio, Audio, tuple[str, Audio]]:
    """Return name, early part and whole of speech in a room; and noise."""
    speech, noise = crop(recordings.speech, draw), crop(recordings.noise, draw)
    response = simulate_room(ROOM_SEED, int(draw.integers(1 << 20))).astype(np.float64)
    early = response[: round(EARLY_SECONDS * SAMPLE_RATE)]
    wet, target = (signal.fftconvolve(speech[1], part)[: speech[1].size] for part in (response, early))
    return speech[0], target, wet, noise


def reverberant(recordings: Recordings, draw: Draw) -> Pair:
    """Return a pair whose target is without the later part of the room."""
    name, target, wet, noise = in_a_room(recordings, draw)
    pair = mixed((name, target), noise, SNR_DB + 10.0)
    gain = float(np.sqrt((pair.target @ pair.target) / max(float(target @ target), 1e-12)))
    noisy = pair.noisy - pair.target + gain * wet
    lower = min(1.0, PEAK / np.abs(noisy).max())
    return Pair(pair.name, lower * pair.target, lower * noisy)


def with_its_room(snr_db: float) -> Callable[[Recordings, Draw], Pair]:
    """Return what makes pairs whose target has the room as well."""

    def pair(recordings: Recordings, draw: Draw) -> Pair:
        name, _, wet, noise = in_a_room(recordings, draw)
        return mixed((name, wet), noise, snr_db)

    return pair


def clicking(recordings: Recordings) -> list[Path]:
    return [path for path in recordings.noise if "type" in path.stem or "key" in path.stem]


def clicks(recordings: Recordings, draw: Draw) -> Pair:
    return mixed(crop(recordings.speech, draw), crop(clicking(recordings), draw))


def clean(recordings: Recordings, draw: Draw) -> Pair:
    name, speech = crop(recordings.speech, draw)
    target = at_level(speech)
    target = target * min(1.0, PEAK / np.abs(target).max())
    return Pair(name, target, target)


def sung(recordings: Recordings, draw: Draw) -> Pair:
    """Return a voice that sings: the moving envelope of speech on a harmonic tone with notes and vibrato."""
    name, speech = crop(recordings.speech, draw)
    time = np.arange(speech.size) / SAMPLE_RATE
    notes = np.roll(NOTES, int(draw.integers(len(NOTES))))
    pitch = notes[(2 * time).astype(int) % len(notes)] * (1 + VIBRATO_DEPTH * np.sin(2 * np.pi * VIBRATO_HZ * time))
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    tone = sum(np.cos(k * phase) for k in range(1, int(SAMPLE_RATE / 2 / (max(NOTES) * 1.02))))
    breath = 0.3 * draw.standard_normal(speech.size)
    window = torch.hann_window(WINDOW).sqrt()
    spectra = torch.stft(
        torch.from_numpy(np.stack([speech, tone + breath])).float(), WINDOW, HOP, window=window, return_complex=True
    )
    envelope = log_envelope(spectra)
    voice = spectra[1] * (envelope[0] - envelope[1]).exp()
    audio = torch.istft(voice[None], WINDOW, HOP, window=window, length=speech.size)[0].double().numpy()
    return mixed((f"{name} sung", audio), crop(recordings.noise, draw))


CASES: dict[str, Callable[[Recordings, Draw], Pair]] = {
    "ordinary mixtures": ordinary,
    "languages not in training": unknown_language,
    "telephone band": telephone,
    "music in the background": background_music,
    "two speakers": two_speakers,
    "shouting (-6 dBFS, clipped)": shouted,
    "whispering level (-55 dBFS)": whispered,
    "reverberation, 15 dB SNR": reverberant,
    "room in the target, 5 dB SNR": with_its_room(5.0),
    "room in the target, 25 dB SNR": with_its_room(25.0),
    "keyboard clicks": clicks,
    "clean input": clean,
    "sung voice (synthesised)": sung,
}

NEEDS: dict[str, tuple[Callable[[Recordings], Sequence[Path]], str]] = {
    "languages not in training": (
        foreign,
        "no held-out speech has a language in its name that was not trained on, as nl in gcompris-nl-003",
    ),
    "keyboard clicks": (clicking, "no held-out noise has 'type' or 'key' in its name"),
}
"""Recordings that a case is made of, where not all will do, and what to say where there are none."""


def missing(case: str, recordings: Recordings) -> str:
    """Return what the recordings lack for a case; empty where it can be made."""
    if case not in NEEDS:
        return ""
    chosen, text = NEEDS[case]
    return "" if chosen(recordings) else text


def make_pair(case: str, recordings: Recordings, number: int) -> Pair:
    """Return pair `number` of a case.

    Raises:
        ValueError: the recordings do not hold what it takes.
    """
    if not (recordings.speech and recordings.noise and recordings.music):
        raise ValueError("expected recordings of speech, noise and music")
    if lack := missing(case, recordings):
        raise ValueError(lack)
    return CASES[case](recordings, np.random.default_rng([list(CASES).index(case), number]))
