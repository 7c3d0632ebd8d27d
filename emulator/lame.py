"""The real codec: audio through LAME and back, aligned to the sample.

`round_trip(audio, sample_rate, setting)` encodes with lameenc and decodes with libsndfile (constant rate) or miniaudio
(average and variable rate: libsndfile cuts such streams short when they carry no tag, and lameenc writes none). Encoder
and decoder together delay by 1105 samples at every rate, in every mode: 576 samples of LAME's own delay and 529 of the
decoder's hybrid filter bank (LAME, "tech FAQ", https://lame.sourceforge.io/tech-FAQ.txt).

LAME silently changes what the format does not allow, such as a bit rate that the MPEG version of the sample rate lacks.
Such settings are refused here, with the reason. What LAME does to every signal is kept, because it is the codec:

- Constant and average rates scale the signal before they code it: by 0.95 (-0.45 dB) up to 160 kbit/s, 0.97 at 192,
  0.98 at 224 and 1 from 256 on. Variable rates keep the level.
- A low-pass, whose frequency follows from the rate or quality; at constant and average rates it is about 1.5 times
  higher in mono than in stereo.
- 8 kbit/s in stereo, at 22,050 and 24,000 Hz, leaves next to nothing: 3 to 6 bytes of a frame are audio.

Calls from several threads at once are safe, and run in parallel: the encoder and both decoders let go of Python's lock.
"""

import io
import re
from dataclasses import dataclass
from typing import Literal

import lameenc
import miniaudio
import numpy as np
import soundfile

from enhance.dsp.int16 import FULL_SCALE, LARGEST

DELAY = 1105  # samples by which the decoded signal lags behind the input of the encoder
FRAME = 1152  # samples that are encoded past the end, so that the last ones come back

Mode = Literal["cbr", "abr", "vbr"]

_KBPS = {
    "MPEG-1": (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    "MPEG-2": (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    "MPEG-2.5": (8, 16, 24, 32, 40, 48, 56, 64),
}
_VERSIONS = {
    48_000: "MPEG-1", 44_100: "MPEG-1", 32_000: "MPEG-1",
    24_000: "MPEG-2", 22_050: "MPEG-2", 16_000: "MPEG-2",
    12_000: "MPEG-2.5", 11_025: "MPEG-2.5", 8_000: "MPEG-2.5",
}  # fmt: skip
SAMPLE_RATES = tuple(sorted(_VERSIONS))
"""Sample rates (Hz) that the format knows."""


@dataclass(frozen=True)
class Setting:
    """Settings of LAME.

    Args:
        mode: constant (`cbr`), average (`abr`) or variable (`vbr`) bit rate.
        value: kbit/s, or for `vbr` the quality from 0 (best) to 9, as in `lame -V`.
        quality: effort of the encoder, 0 (most) to 9; from 7 on LAME shapes no noise. LAME knows seven efforts: 6 is
            the same as 5, and 8 and 9 are the same as 7; for `vbr`, 1 to 4 are also the same as 0.

    Raises:
        ValueError: another mode, a quality or an effort outside 0 to 9, a value that is not a whole number.

    Example:
        >>> Setting.parse("cbr16"), str(Setting("vbr", 9))
        (Setting(mode='cbr', value=16, quality=2), 'v9')
    """

    mode: Mode
    value: int
    quality: int = 2

    def __post_init__(self) -> None:
        if self.mode not in ("cbr", "abr", "vbr"):
            raise ValueError(f"the mode is cbr, abr or vbr; got {self.mode!r}")
        if not isinstance(self.value, int):
            unit = "quality" if self.mode == "vbr" else "bit rate in kbit/s"
            raise ValueError(f"the {unit} is a whole number; got {self.value!r}")
        if self.mode == "vbr" and not 0 <= self.value <= 9:
            raise ValueError(f"the quality of a variable bit rate is 0 to 9; got {self.value}")
        if not isinstance(self.quality, int) or not 0 <= self.quality <= 9:
            raise ValueError(f"the effort of the encoder is a whole number from 0 to 9; got {self.quality!r}")

    @classmethod
    def parse(cls, text: str) -> "Setting":
        """Return a setting from `cbr64`, `abr96`, `v4` or `vbr4`.

        Raises:
            ValueError: the text has another form.
        """
        match = re.fullmatch("(cbr|abr|vbr|v)([0-9]{1,3})", str(text).lower())
        if match is None:
            raise ValueError(f"a setting looks like cbr64, abr96 or v4; got {text!r}")
        modes: dict[str, Mode] = {"cbr": "cbr", "abr": "abr", "vbr": "vbr", "v": "vbr"}
        return cls(modes[match[1]], int(match[2]))

    def __str__(self) -> str:
        """Return the text that `parse` reads; the effort is not in it."""
        return f"v{self.value}" if self.mode == "vbr" else f"{self.mode}{self.value}"


def check_setting(setting: Setting, sample_rate: int) -> None:
    """Refuse what LAME would change by itself.

    Raises:
        ValueError: the format has no such sample rate, or its MPEG version no such bit rate.
    """
    if not isinstance(setting, Setting):
        raise ValueError(f"expected a Setting, such as Setting.parse('cbr16') gives; got {setting!r}")
    if not isinstance(sample_rate, int | np.integer):
        raise ValueError(f"the sample rate is a whole number of Hz; got {sample_rate!r}")
    version = _VERSIONS.get(int(sample_rate))
    if version is None:
        known = ", ".join(map(str, SAMPLE_RATES))
        raise ValueError(f"MP3 has no sample rate of {sample_rate} Hz; it has {known}: resample first")
    rates = _KBPS[version]
    if setting.mode == "cbr" and setting.value not in rates:
        raise ValueError(
            f"LAME would change {setting.value} kbit/s at {sample_rate} Hz by itself: {version} has constant bit rates "
            f"of {', '.join(map(str, rates))}"
        )
    if setting.mode == "abr" and not rates[0] <= setting.value <= rates[-1]:
        raise ValueError(
            f"LAME would change an average of {setting.value} kbit/s at {sample_rate} Hz by itself: {version} has "
            f"{rates[0]} to {rates[-1]}"
        )


def _check_audio(audio: np.ndarray) -> None:
    if not np.issubdtype(audio.dtype, np.floating):
        raise ValueError(f"the codec takes floats from -1 to 1; got {audio.dtype}: divide integers by their full scale")
    if audio.ndim not in (1, 2) or (audio.ndim == 2 and audio.shape[0] not in (1, 2)):
        raise ValueError(f"the codec takes [time] or [channels, time] with 1 or 2 channels; got {list(audio.shape)}")
    if not np.isfinite(audio).all():
        bad = int(np.count_nonzero(~np.isfinite(audio)))
        raise ValueError(f"the codec takes finite samples; {bad} of {audio.size} are NaN or infinite")
    peak = float(np.abs(audio).max(initial=0.0))
    if peak > 1.0:
        raise ValueError(f"the codec takes samples from -1 to 1; the peak is {peak:.9g}: scale the audio down first")


def encode(audio: np.ndarray, sample_rate: int, setting: Setting) -> bytes:
    """Return the MP3 stream of `[time]` or `[channels, time]`, floats in [-1, 1].

    Raises:
        ValueError: the shape, the type, a sample or the setting is not one that can be encoded.
    """
    check_setting(setting, sample_rate)
    audio = np.asarray(audio)
    _check_audio(audio)
    audio = np.atleast_2d(audio)
    encoder = lameenc.Encoder()
    encoder.silence()  # no reports of LAME on stdout
    encoder.set_channels(audio.shape[0])
    encoder.set_in_sample_rate(sample_rate)
    encoder.set_out_sample_rate(sample_rate)  # LAME would choose a lower one for a low bit rate
    encoder.set_quality(setting.quality)
    if setting.mode == "cbr":
        encoder.set_bit_rate(setting.value)
    elif setting.mode == "abr":
        encoder.set_vbr(3)
        encoder.set_vbr_mean_bitrate_kbps(setting.value)
    else:
        encoder.set_vbr(4)
        encoder.set_vbr_quality(setting.value)
    padded = np.pad(audio, ((0, 0), (0, FRAME + DELAY)))
    samples = np.rint(padded.T.astype(np.float64) * FULL_SCALE)
    samples = np.minimum(samples, LARGEST).astype("<i2")
    return bytes(encoder.encode(samples.tobytes()) + encoder.flush())


def decode(stream: bytes, sample_rate: int, channels: int, setting: Setting) -> np.ndarray:
    """Return the samples `[channels, time]`, float32, of an MP3 stream that `encode` made; the delay is still in them.

    Constant rates come back in full precision, with the codec's overshoots beyond 1; average and variable rates as
    miniaudio gives them: rounded to 16 bits and clipped to [-1, 1].
    """
    if setting.mode == "cbr":
        audio, _ = soundfile.read(io.BytesIO(stream), dtype="float32", always_2d=True)
        return audio.T
    decoded = miniaudio.decode(stream, miniaudio.SampleFormat.FLOAT32, channels, sample_rate)
    return np.asarray(decoded.samples, dtype=np.float32).reshape(-1, channels).T


def round_trip(audio: np.ndarray, sample_rate: int, setting: Setting) -> np.ndarray:
    """Encode and decode audio with LAME, and align the result with it.

    Args:
        audio: `[time]` or `[channels, time]` with one or two channels, floats in [-1, 1], rounded to 16 bits.
        sample_rate: Hz, one of `SAMPLE_RATES`.
        setting: how to encode.

    Returns:
        float32 of the input's shape, for any length from 0 on.

    Raises:
        ValueError: as `encode`.

    Example:
        >>> tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
        >>> coded = round_trip(tone, 16_000, Setting("cbr", 32))
        >>> coded.shape, bool(np.abs(coded - tone).mean() < 0.02)
        ((16000,), True)
    """
    audio = np.asarray(audio)
    stream = encode(audio, sample_rate, setting)
    channels = audio.shape[0] if audio.ndim == 2 else 1
    length = audio.shape[-1]
    coded = decode(stream, sample_rate, channels, setting)[:, DELAY : DELAY + length]
    if coded.shape[1] < length:
        raise RuntimeError(f"the decoder gave {coded.shape[1]} of {length} samples of an MP3 stream")
    return coded.reshape(audio.shape)
