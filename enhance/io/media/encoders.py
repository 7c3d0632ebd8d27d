"""Which encoder writes a sound track again: that of its own codec, or, where there is none, the best that fits.

A track keeps its codec when FFmpeg has a good encoder for it, the container may hold it, and the encoder takes its
channels. Vorbis, DTS, WMA, ADPCM, G.711 in Matroska, or FLAC, Opus and MP3 in M4A cannot be kept: lossy tracks then get
the usual lossy codec of the container, lossless ones a lossless codec, and a note says so.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.layout import AudioLayout
from av.codec.codec import Codec, UnknownCodecError
from av.codec.context import CodecContext
from av.error import FFmpegError

from enhance.io.codec_limits import encoder_takes
from enhance.utils.errors import FileError

if TYPE_CHECKING:
    from av.audio.codeccontext import AudioCodecContext
    from av.audio.stream import AudioStream

_ENCODERS = {
    "opus": "libopus",
    "mp3": "libmp3lame",
    "mp3float": "libmp3lame",
    "amrnb": "libopencore_amrnb",
}  # by the name of the decoder
_UNFIT = frozenset({"vorbis", "wmav1", "wmav2", "truehd", "mlp"})  # FFmpeg's own are experimental or sound poor
# By muxer: what lossless tracks become, then what lossy ones become, each in the order in which they are tried.
_SUBSTITUTES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "matroska": (("flac", "pcm_s24le"), ("libopus", "aac", "flac", "pcm_s24le")),
    "webm": (("libopus",), ("libopus",)),
    "mov": (("alac", "pcm_s24le"), ("aac", "pcm_s24le")),
    "mp4": (("alac", "flac", "aac"), ("aac", "flac")),
    "ipod": (("alac", "aac"), ("aac", "alac")),
    "adts": (("aac",), ("aac",)),
    "3gp": (("aac",), ("aac",)),
    "3g2": (("aac",), ("aac",)),
    "avi": (("pcm_s24le", "pcm_s16le"), ("libmp3lame", "ac3", "pcm_s16le")),
    "mpegts": (("aac",), ("aac", "ac3")),
    "flv": (("aac",), ("aac",)),
    "mxf": (("pcm_s24le", "pcm_s16le"), ("pcm_s16le",)),
    "ogg": (("flac",), ("libopus", "flac")),
    "asf": (("pcm_s16le",), ("libmp3lame", "aac", "pcm_s16le")),
    "vob": (("ac3", "mp2"), ("ac3", "mp2")),
}
_TWINS = {"5.1(side)": "5.1", "5.0(side)": "5.0", "quad(side)": "quad"}  # the same speakers in the living room
_USUAL = {1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1", 16: "hexadecagonal"}
_STEPS = frozenset({"mp2", "ac3", "eac3"})  # encoders that take certain bitrates only: those that a header names
# Bits per second of MP2 up to 24 kHz and above, in thousands.
_MP2_LOW = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_MP2_HIGH = (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384)
_FLASH = (11_025, 22_050, 44_100)
_HELD_RATES = {  # where a muxer holds fewer sample rates than the encoder has
    ("mxf", "pcm_s16le"): (48_000,),
    ("mxf", "pcm_s24le"): (48_000,),
    ("flv", "libmp3lame"): (*_FLASH, 48_000),
    ("flv", "pcm_s16le"): _FLASH,
    ("flv", "pcm_u8"): _FLASH,
}
_OPUS_BITS = (6_000, 256_000)  # per second: the least in all, the most of a channel
_LEAST_BITS = 64_000  # per second and channel: FFmpeg's AAC encoder (AAC-LC) sounds poor below
_LEAST_BITS_PER_SAMPLE = 1.5  # the same at low sample rates
_LEAST_SHARE = 0.375  # of those, for a track that was AAC-LC itself and is not expected to sound better


@dataclass(frozen=True)
class EncoderChoice:
    """Encoder of a track, with its rate, layout and bitrate.

    Attributes:
        name: of the encoder.
        sample_rate: in Hz.
        layout: name of the channel layout that the encoder takes; the order of the channels is that of the input.
        format: of the samples in FFmpeg's name.
        bit_rate: bits per second, None for lossless codecs.
        note: what changes, in a few words; empty when nothing does.
    """

    name: str
    sample_rate: int
    layout: str
    format: str
    bit_rate: int | None
    note: str = ""


def choose_encoder(
    stream: "AudioStream", layout: str, rate: int, muxer: str, known: set[str], bits: float
) -> EncoderChoice:
    """Choose the encoder for a track.

    Args:
        stream: the track as it was.
        layout: name of its channel layout.
        rate: sample rate that is wanted, in Hz.
        muxer: of the output.
        known: codecs that the output can hold (`OutputContainer.supported_codecs`).
        bits: bits per second of the track, 0 when nobody knows.

    Raises:
        FileError: when no encoder takes the track.
    """
    own = stream.codec_context.name
    same = _ENCODERS.get(own, own)
    substitutes = _SUBSTITUTES[muxer][0 if _is_lossless(stream) else 1]
    wanted = stream.codec_context.format.name
    channels = AudioLayout(layout).nb_channels
    for name in dict.fromkeys(([] if same in _UNFIT else [same]) + list(substitutes)):
        if name not in known or not encoder_takes(name, channels):
            continue
        candidates = list(_layouts(layout, channels))
        if name == "aac" and layout in _TWINS:  # AAC has a number for the twin; others are spelt out, which few read
            candidates.reverse()
        for candidate in candidates:
            opened = _ask(name, candidate, rate, wanted, _HELD_RATES.get((muxer, name), ()))
            if opened is None:
                continue
            taken = opened.sample_rate
            changes = (
                []
                if name == same
                else [f"{stream.codec_context.codec.canonical_name} became {Codec(name, 'w').canonical_name}"]
            )
            if taken != rate:
                changes.append(f"{rate} Hz became {taken} Hz")
            if candidate != layout and not layout.endswith("channels"):
                changes.append(f"{layout} became {candidate}")
            declared = stream.codec_context.bit_rate or 0
            share = _LEAST_SHARE if own == "aac" and stream.profile == "LC" else 1
            bit_rate = _bit_rate(name, declared if name in _STEPS and declared else bits, taken, channels, share)
            return EncoderChoice(name, taken, candidate, opened.format.name, bit_rate, ", ".join(changes))
    raise FileError(f"its sound track {stream.index} ({own}, {channels} channels) cannot be written to {muxer} again")


def _bit_rate(name: str, bits: float, rate: int, channels: int, share: float) -> int | None:
    """Return bits per second for an encoder, near those of the input (0: unknown); None for lossless ones.

    `share` is the share of what AAC-LC needs to sound good that it gets at the least.
    """
    codec = Codec(name, "w")
    if codec.lossless and not codec.lossy:
        return None
    bits = bits or _LEAST_BITS * channels
    if name == "aac":
        bits = max(bits, share * min(_LEAST_BITS, _LEAST_BITS_PER_SAMPLE * rate) * channels)
    if name == "mp2":
        bits = 1000 * min(_MP2_LOW if rate <= 24_000 else _MP2_HIGH, key=lambda step: abs(1000 * step - bits))
    if name == "libopus":
        bits = min(max(bits, _OPUS_BITS[0]), _OPUS_BITS[1] * channels)
    return round(bits)


def short_of_packets(choice: EncoderChoice) -> int:
    """Return samples that the delay of an encoder lacks to fill whole packets (AAC: 0, MP3: 47)."""
    encoder: AudioCodecContext = CodecContext.create(choice.name, "w")  # type: ignore[assignment]
    encoder.layout, encoder.format, encoder.sample_rate = choice.layout, choice.format, choice.sample_rate
    encoder.time_base = Fraction(1, choice.sample_rate)
    encoder.options = options_of(choice.name, choice.layout)
    encoder.open()
    size = encoder.frame_size
    if not size or size == 1:
        return 0
    silence = np.zeros((1, size * encoder.channels), np.float32)
    begin = 0
    while True:
        frame = AudioFrame.from_ndarray(silence, "flt", choice.layout)
        frame.sample_rate, frame.pts, frame.time_base = choice.sample_rate, begin, encoder.time_base
        for packet in encoder.encode(frame):
            return round((packet.pts or 0) * (packet.time_base or 0) * choice.sample_rate) % size
        begin += size


def options_of(name: str, layout: str) -> dict[str, str]:
    """Return the options with which an encoder keeps the channels of a layout as they are.

    By default FFmpeg writes those of Opus 5.0 and 6.1 in another order, and takes none that belong to no speaker.

    Example:
        >>> options_of("libopus", "6.1"), options_of("libopus", "7 channels"), options_of("aac", "6.1")
        ({'mapping_family': '1'}, {'mapping_family': '255'}, {})
    """
    if name == "libopus" and layout in ("5.0", "6.1"):
        return {"mapping_family": "1"}
    if name == "libopus" and layout.endswith("channels") and int(layout.split()[0]) > 2:
        return {"mapping_family": "255"}
    return {}


def _is_lossless(stream: "AudioStream") -> bool:
    codec = stream.codec_context.codec
    return bool(codec.lossless and (not codec.lossy or "MA" in (stream.profile or "").split()))


def _layouts(layout: str, channels: int) -> Iterator[str]:
    yield layout
    if layout in _TWINS:
        yield _TWINS[layout]
    elif layout.endswith("channels") and channels in _USUAL:
        yield _USUAL[channels]


def _ask(name: str, layout: str, rate: int, wanted: str, held: tuple[int, ...]) -> "AudioCodecContext | None":
    """Open an encoder with these settings, or with the nearest rate that it has; None when it refuses.

    `held` are the rates of its that the container holds; empty for all.
    """
    try:
        codec = Codec(name, "w")
    except UnknownCodecError:
        return None
    rates = held or codec.audio_rates
    if rates and rate not in rates:
        rate = min((candidate for candidate in rates if candidate >= rate), default=max(rates))
    formats = [form.name for form in codec.audio_formats or []]
    same = [form for form in formats if form.removesuffix("p") == wanted.removesuffix("p")]
    context: AudioCodecContext = CodecContext.create(name, "w")  # type: ignore[assignment]
    try:
        context.layout = layout
        context.sample_rate = rate
        context.format = (wanted if wanted in formats else next(iter(same), "")) or (formats[0] if formats else wanted)
        context.time_base = Fraction(1, rate)
        context.options = options_of(name, layout)
        context.open()
    except (FFmpegError, ValueError):
        return None
    return context
