"""Files for the browser to play: input and network output as 16-bit WAV with one common gain.

One gain, since louder sounds better: a gain of its own for each would decide the comparison. 16 bits, since Gradio
brings floats to the same peak. Every mix of the two is made in the browser, so a new strength needs no new sound.
"""

from pathlib import Path

import numpy as np

from apps.demo.remix import Track
from enhance.dsp.resampling import Resampler
from enhance.io.bitrate import Compression
from enhance.io.formats import Encoding
from enhance.io.sound.sound_file import SoundWriter

PEAK = 0.9  # of full scale, of the loudest of noisy, cleaned and removed
MOST_GAIN = 10.0  # 20 dB: silence shall not become a storm
LOWEST_RATE, HIGHEST_RATE = 8_000, 48_000  # Hz, that every browser plays
MONO_BEYOND = 120.0  # seconds: the browser holds all of it as float
_BLOCK = 2**18  # samples


def write_previews(track: Track, noisy: Path, wet: Path) -> float:
    """Write both files. More than two channels, and stereo of a long sound, become mono.

    Returns:
        The common gain.
    """
    sounds = track.sound()
    mono = track.channels > 2 or track.seconds > MONO_BEYOND
    gain = common_gain(*sounds)
    for path, samples in zip((noisy, wet), sounds, strict=True):
        _write(path, samples, track.sample_rate, mono, np.float32(gain))
    return gain


def common_gain(dry: np.ndarray, wet: np.ndarray) -> float:
    """Return the gain that brings the loudest of dry, wet and their difference, [samples, channels], to `PEAK`.

    Example:
        >>> quiet = np.full((10, 1), 0.3)
        >>> round(common_gain(quiet, -quiet), 3), common_gain(quiet / 1000, quiet / 1000)
        (1.5, 10.0)
    """
    peak = 0.0
    for start in range(0, len(dry), _BLOCK):
        a, b = dry[start : start + _BLOCK], wet[start : start + _BLOCK]
        peak = max(peak, *(float(np.abs(samples).max()) for samples in (a, b, a - b)))
    return min(MOST_GAIN, PEAK / peak) if peak > 0 else 1.0


def _write(path: Path, samples: np.ndarray, sample_rate: int, mono: bool, gain: np.float32) -> None:
    channels = 1 if mono else samples.shape[1]
    rate = int(np.clip(sample_rate, LOWEST_RATE, HIGHEST_RATE))
    resampler = Resampler(sample_rate, rate, channels) if rate != sample_rate else None
    writer = SoundWriter(path, Encoding("WAV", "PCM_16"), rate, channels, Compression(), {})
    for start in range(0, len(samples), _BLOCK):
        block = np.array(samples[start : start + _BLOCK].T) * gain
        block = block.mean(axis=0, keepdims=True) if mono else block
        writer.write(block if resampler is None else resampler.process(block))
    if resampler is not None:
        writer.write(resampler.flush())
    writer.close()
