"""The noisy recording of the repository at any rate."""

from pathlib import Path

import numpy as np
import soundfile

from enhance.dsp.resampling import resample

NOISY = Path(__file__).parents[1] / "data" / "noisy.flac"


def noisy_speech(seconds: float, sample_rate: int, channels: int = 1) -> np.ndarray:
    """Its beginning, the same in each channel, float32 [channels, time]."""
    with soundfile.SoundFile(NOISY) as file:
        rate, audio = file.samplerate, file.read(round(seconds * file.samplerate), dtype="float32")
    return np.repeat(resample(audio[None], rate, sample_rate), channels, axis=0)
