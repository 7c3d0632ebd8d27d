"""What a codec can hold, asked before its library is: sample rates and channels; and what an input may have at all.

A library may do anything with a rate or a number of channels that its format has no room for, from an error to a file
that nobody can read. The table below is ours; what it lets through, the library may still refuse.

References: Vorbis I, 4.2.2; RFC 7845 (Opus in Ogg) and RFC 6716; ISO/IEC 11172-3 and 13818-3 (MP3); RFC 9639 (FLAC);
Apple Lossless Format, "Magic Cookie"; ISO/IEC 14496-3 (AAC); Microsoft, ADPCM and GSM 6.10 in WAV; ITU-T G.721, G.723.
"""

from dataclasses import dataclass

from enhance.dsp.rate import HIGHEST_RATE, LOWEST_RATE
from enhance.io.formats import CONTAINERS
from enhance.utils.errors import FileError, UsageError

MOST_CHANNELS = 256  # of an input: ambisonics of the 15th order; each takes memory of its own in the network

_MPEG_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)


@dataclass(frozen=True)
class CodecLimits:
    """Room of one codec.

    Attributes:
        name: as people call it.
        channels: the most that it holds.
        rates: all that it holds in Hz, or when there are two, the lowest and the highest.
    """

    name: str
    channels: int
    rates: tuple[int, ...] = (LOWEST_RATE, HIGHEST_RATE)

    def takes_rate(self, sample_rate: int) -> bool:
        """Return whether the codec has this sample rate."""
        if len(self.rates) == 2:
            return self.rates[0] <= sample_rate <= self.rates[1]
        return sample_rate in self.rates


_VORBIS = CodecLimits("Vorbis", 255, (LOWEST_RATE, 200_000))
_OPUS = CodecLimits("Opus", 255, (8_000, 12_000, 16_000, 24_000, 48_000))
_MP3 = CodecLimits("MP3", 2, _MPEG_RATES)
_FLAC = CodecLimits("FLAC", 8, (LOWEST_RATE, 655_350))
_ALAC = CodecLimits("ALAC", 8, (LOWEST_RATE, 384_000))
_ADPCM = CodecLimits("ADPCM", 2)
_LIMITS = {
    ("OGG", "VORBIS"): _VORBIS,
    ("OGG", "OPUS"): _OPUS,
    ("MP3", "MPEG_LAYER_III"): _MP3,
    **{("FLAC", subtype): _FLAC for subtype in ("PCM_S8", "PCM_16", "PCM_24")},
    ("CAF", "ALAC_16"): _ALAC,
    **{("WAV", subtype): _ADPCM for subtype in ("IMA_ADPCM", "MS_ADPCM")},
    **{("W64", subtype): _ADPCM for subtype in ("IMA_ADPCM", "MS_ADPCM")},
    ("AIFF", "IMA_ADPCM"): _ADPCM,
    **{(major, "GSM610"): CodecLimits("GSM 6.10", 1) for major in ("WAV", "W64", "AIFF", "RAW")},
    **{("WAV", f"NMS_ADPCM_{bits}"): CodecLimits("NMS ADPCM", 1) for bits in (16, 24, 32)},
    **{(major, "G721_32"): CodecLimits("G.721", 1) for major in ("WAV", "AU")},
    **{("AU", subtype): CodecLimits("G.723", 1) for subtype in ("G723_24", "G723_40")},
    **{("AIFF", f"DWVW_{bits}"): CodecLimits("DWVW", 1) for bits in (12, 16, 24)},
}
_DAMAGED = frozenset(("CAF", f"ALAC_{bits}") for bits in (20, 24, 32))  # by libsndfile 1.2.2, where it is loud noise
_MOST_PLAIN = CodecLimits("", 1024)  # channels of PCM in any container of libsndfile
_MEDIA = {  # by the names of FFmpeg's encoders, whose nearest rate is taken: here only channels count
    "aac": 16,
    "libopus": 255,
    "libmp3lame": 2,
    "mp2": 2,
    "flac": 8,
    "alac": 8,
    "ac3": 6,
    "eac3": 6,
    "libopencore_amrnb": 1,
    "libvorbis": 255,
}


def check_codec(major: str, subtype: str, sample_rate: int | None, channels: int | None = None) -> None:
    """Check that an encoding has room for such sound.

    Args:
        major, subtype: as libsndfile calls container and codec.
        sample_rate: in Hz; None when it is not known yet.
        channels: number of channels; None when it is not known yet.

    Raises:
        FileError: that says what the codec holds.

    Example:
        >>> check_codec("OGG", "OPUS", 44_100, 2)
        Traceback (most recent call last):
            ...
        enhance.utils.errors.FileError: Opus holds 8000, 12000, 16000, 24000 or 48000 Hz, not 44100 Hz; name another
        --sample-rate or --format
    """
    if (major, subtype) in _DAMAGED:
        raise FileError(f"{subtype} is not written, as its encoder damages loud sound; name PCM_24, or --format flac")
    limits = _LIMITS.get((major, subtype), _MOST_PLAIN)
    name = limits.name or f"{major} {subtype}"
    if sample_rate is not None and not limits.takes_rate(sample_rate):
        *most, last = map(str, limits.rates)
        rates = f"{most[0]} to {last}" if len(limits.rates) == 2 else f"{', '.join(most)} or {last}"
        raise FileError(f"{name} holds {rates} Hz, not {sample_rate} Hz; name another --sample-rate or --format")
    if channels is not None and channels > limits.channels:
        most_channels = "1 channel" if limits.channels == 1 else f"{limits.channels} channels"
        raise FileError(f"{name} holds {most_channels}, not {channels}; name another --format or --subtype")


def check_settings(container: str | None, subtype: str | None, sample_rate: int | None) -> None:
    """Check what a person asks of all outputs, before any file is touched.

    Args:
        container: name in `enhance.io.formats.CONTAINERS`; None keeps the input's.
        subtype: as libsndfile names it; None keeps the input's.
        sample_rate: of the outputs in Hz; None keeps the input's.

    Raises:
        UsageError: when no such output can be.
    """
    if container is None:
        return
    kind = CONTAINERS[container]
    if not (kind.coded or subtype):
        return
    try:
        check_codec(kind.major, (subtype or kind.subtype).upper(), sample_rate)
    except FileError as error:
        raise UsageError(f"--format {container}: {error}") from None


def encoder_takes(name: str, channels: int) -> bool:
    """Return whether an encoder of FFmpeg has room for so many channels; true for those without a limit here.

    Example:
        >>> encoder_takes("libmp3lame", 6), encoder_takes("pcm_s16le", 16)
        (False, True)
    """
    return channels <= _MEDIA.get(name, channels)


def check_input(sample_rate: int, channels: int) -> None:
    """Check what the header of an input declares, before memory is taken for it.

    Raises:
        FileError: when no recording is like that.

    Example:
        >>> check_input(4_000_000_000, 2)
        Traceback (most recent call last):
            ...
        enhance.utils.errors.FileError: its header says 4000000000 Hz and 2 channels; expected 1000 to 768000 Hz
        and 1 to 256 channels
    """
    if LOWEST_RATE <= sample_rate <= HIGHEST_RATE and 1 <= channels <= MOST_CHANNELS:
        return
    raise FileError(
        f"its header says {sample_rate} Hz and {channels} channels; "
        f"expected {LOWEST_RATE} to {HIGHEST_RATE} Hz and 1 to {MOST_CHANNELS} channels"
    )
