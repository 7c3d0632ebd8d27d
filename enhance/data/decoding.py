"""Audio files to mono 16-bit recordings at 48 kHz: decoding on all cores, pauses, room responses, bandwidth.

Any format and rate that soundfile reads. Rates are changed by soxr (https://sourceforge.net/p/soxr). A file that cannot
be used comes back as the error that says why, so that one bad file does not stop the others.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
import soxr

from enhance.dsp.int16 import LARGEST
from enhance.dsp.rate import SAMPLE_RATE
from enhance.utils.file_names import native_name
from enhance.utils.parallel import map_ahead

Kind = Literal["speech", "noise", "rooms"]

CLIP_PEAK = 0.5  # a recording whose peak exceeds full scale is scaled to this
PIECE_SECONDS = 600  # longer files are stored as several recordings, which bounds the memory of decoding
CONTENT_DB = -75.0  # a band this far below the strongest one counts as empty
BAND_BINS = 21  # bins of 11.7 Hz that are averaged before the bandwidth is read off (246 Hz)
PAUSE_SECONDS = 0.6  # longer silences within speech are shortened to this
PAUSE_FRAME = 480  # samples (10 ms) in which silence is found
PAUSE_DB = -60.0  # level of silence, relative to the loudest frame
ROOM_SECONDS = 1.0  # longest impulse response that is kept
ROOM_FADE_SECONDS = 0.05  # its end is faded over this when it was cut
DIRECT_SECONDS = 0.001  # where the direct sound of a stored response stands
SUFFIXES = {f".{name.lower()}" for name in soundfile.available_formats() if name != "RAW"} | {
    ".aif", ".aifc", ".oga", ".opus", ".mp2", ".mp3", ".wave", ".sph",
}  # fmt: skip

Pieces = list[tuple[np.ndarray, float]]  # int16 samples and bandwidth of each piece of a file


def decode_all(files: Sequence[tuple[str, Path]], kind: Kind) -> Iterator[tuple[str, Pieces | Exception]]:
    """Decode on all cores, in the order of the files, a few files ahead of the writer."""
    for (name, _), pieces in map_ahead(lambda file: decode(file[1], kind), files):
        yield name, pieces


def decode(path: Path, kind: Kind) -> Pieces | Exception:
    """Return one file as 16-bit recordings of at most ten minutes, or what is wrong with it."""
    try:
        with soundfile.SoundFile(native_name(path)) as file:
            rate, frames, pieces = file.samplerate, file.frames, []
            while (audio := file.read(PIECE_SECONDS * rate, dtype="float32", always_2d=True)).size:
                mono = audio[:, 0] if kind == "rooms" else audio.mean(axis=1)
                if not np.isfinite(mono).all():
                    raise ValueError("holds NaN or infinite samples")
                mono = soxr.resample(mono, rate, SAMPLE_RATE, quality="HQ") if rate != SAMPLE_RATE else mono
                if not mono.any():
                    continue
                mono = trim_room(mono) if kind == "rooms" else shorten_pauses(mono) if kind == "speech" else mono
                pieces.append((_to_int16(mono), min(rate / 2, measure_bandwidth(mono))))
                if kind == "rooms":
                    break
        return pieces or ValueError("holds no samples" if frames == 0 else "holds nothing but zeros")
    except (soundfile.SoundFileError, OSError, TypeError, ValueError, RuntimeError) as error:
        return error


def _to_int16(audio: np.ndarray) -> np.ndarray:
    peak = float(np.abs(audio).max())
    scale = CLIP_PEAK / peak if peak > 1.0 else 1.0
    return np.clip(np.rint(audio * (scale * LARGEST)), -LARGEST, LARGEST).astype("<i2")


def measure_bandwidth(audio: np.ndarray, sample_rate: int = SAMPLE_RATE) -> float:
    """Return the highest frequency (Hz) of `[time]` whose long-term level is within 75 dB of the strongest band's.

    It is read off whole windows of 4096 samples; a signal that is silent in all of them counts as one of the full band.

    Example:
        >>> noise = np.random.default_rng(0).standard_normal(24_000)
        >>> narrow = soxr.resample(noise, 16_000, 48_000)
        >>> 7_500 < measure_bandwidth(narrow) < 8_600
        True
    """
    window = 4096
    padded = np.pad(audio, (0, max(window - audio.size, 0)))
    padded = padded[: padded.size // window * window].reshape(-1, window)
    power = np.zeros(window // 2 + 1)
    for first in range(0, len(padded), 64):
        frames = padded[first : first + 64] * np.hanning(window).astype(np.float32)
        power += np.square(np.abs(np.fft.rfft(frames, axis=-1))).sum(axis=0)
    usable = len(power) // BAND_BINS * BAND_BINS
    bands = power[:usable].reshape(-1, BAND_BINS).mean(axis=1)
    loud = np.flatnonzero(bands > bands.max() * 10 ** (CONTENT_DB / 10))
    if not loud.size:
        return sample_rate / 2
    return min((int(loud[-1]) + 1) * BAND_BINS * sample_rate / window, sample_rate / 2)


def shorten_pauses(speech: np.ndarray) -> np.ndarray:
    """Return speech `[time]` at 48 kHz without what lies over 0.6 s inside a silence (60 dB under the loudest 10 ms).

    Example:
        >>> speech = np.concatenate([np.ones(9_600), np.zeros(96_000), np.ones(9_600)])
        >>> shorten_pauses(speech).size / 48_000
        1.0
    """
    whole = speech.size // PAUSE_FRAME * PAUSE_FRAME
    level = np.square(speech[:whole].reshape(-1, PAUSE_FRAME)).mean(axis=1)
    if not level.any():
        return speech
    number = np.arange(level.size)
    loud = level > level.max() * 10 ** (PAUSE_DB / 10)
    since = number - np.maximum.accumulate(np.where(loud, number, -1))  # frames since the last loud one
    kept = loud | (since <= PAUSE_SECONDS * SAMPLE_RATE / PAUSE_FRAME)
    return np.concatenate([speech[:whole][np.repeat(kept, PAUSE_FRAME)], speech[whole:]])


def trim_room(response: np.ndarray) -> np.ndarray:
    """Return an impulse response `[time]` at 48 kHz, direct sound 1 ms after its start, peak 0.5, at most 1 s long.

    The direct sound is the first sample within 10 dB of the peak.
    """
    peak = float(np.abs(response).max())
    direct = int(np.flatnonzero(np.abs(response) > peak * 10 ** (-10 / 20))[0])
    lead = round(DIRECT_SECONDS * SAMPLE_RATE)
    trimmed = response[direct - lead :] if direct >= lead else np.pad(response, (lead - direct, 0))
    longest, fade = round(ROOM_SECONDS * SAMPLE_RATE), round(ROOM_FADE_SECONDS * SAMPLE_RATE)
    if trimmed.size > longest:
        trimmed = trimmed[:longest].copy()
        trimmed[-fade:] *= np.linspace(1, 0, fade, dtype=trimmed.dtype)
    return (trimmed * (CLIP_PEAK / peak)).astype(np.float32)
