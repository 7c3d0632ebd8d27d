"""Tracks on their way into a media file: sound that is decoded, cleaned and encoded, and what is copied as it is.

An encoder adds a delay of its own in front (AAC: 1024 samples). It goes into the edit list or the codec delay of the
container, as FFmpeg's muxers write it, so sound and picture stay together to the sample. Raw AAC (ADTS) has no place
for it, nor have AVI and FLV: there the packets that hold nothing but the delay are left out, with as much silence
behind it as makes them whole. Encoders that do not flush (AC-3, MP2) get as
much silence behind the sound as they put in front of it, or they would keep the last samples for themselves.
"""

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np
from av.bitstream import BitStreamFilterContext
from av.error import FFmpegError

from enhance.io.media.decoder import TrackDecoder
from enhance.io.media.encoders import EncoderChoice, choose_encoder, options_of, short_of_packets
from enhance.io.media.mp4_movie import NewSound
from enhance.io.options import DenoiseOptions
from enhance.io.track_pipeline import Chain
from enhance.utils.errors import FileError

if TYPE_CHECKING:
    from av import Packet
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.stream import Stream

    from enhance.runtime.denoiser import Denoiser

_OLD_SOUND = ("BPS", "NUMBER_OF_", "_STATISTICS_", "ENCODER", "REPLAYGAIN_", "R128_")  # begin tags of the old samples
_UNTOLD_TAGS = ("ENCODER", "_STATISTICS_")  # of these, which say who made the others
_WRITTEN_ANEW = frozenset({"DURATION", "DURATION-ENG"})

_NO_DELAY = frozenset({"adts", "avi", "flv"})  # have no place for the delay of an encoder
_NO_TIME = frozenset({"adts", "avi"})  # nor for the time at which the sound begins
_UNTOLD = {  # held, though FFmpeg does not say so
    "mpegts": {"aac", "ac3", "eac3", "libmp3lame"},
    "ogg": {"libopus"},
    "vob": {"ac3", "mp2"},
    "mxf": {"pcm_s24le"},
}


class SoundTrack:
    """One sound track on its way from decoder to encoder.

    Args:
        decoder: of the input's track.
        out: the output.
        muxer: that writes it.
        denoiser: the model.
        settings: how to denoise.
        gain: factor on the result.
        bits: bits per second of the input's track, 0 when nobody knows.

    Raises:
        FileError: when no encoder takes it.
    """

    def __init__(
        self,
        decoder: TrackDecoder,
        out: "OutputContainer",
        muxer: str,
        denoiser: "Denoiser",
        settings: DenoiseOptions,
        gain: float,
        bits: float,
    ) -> None:
        self.decoder = decoder
        self._out = out
        rate = settings.sample_rate or decoder.sample_rate
        self.choice: EncoderChoice = choose_encoder(
            decoder.stream, decoder.layout, rate, muxer, out.supported_codecs | _UNTOLD.get(muxer, set()), bits
        )
        settings = DenoiseOptions(**{**vars(settings), "sample_rate": self.choice.sample_rate})
        holds_over = self.choice.name.startswith("pcm_f")
        self.chain = Chain(denoiser, decoder.sample_rate, decoder.channels, settings, holds_over, gain)
        self.stream: AudioStream = out.add_stream(  # type: ignore[assignment]
            self.choice.name, rate=self.choice.sample_rate, layout=self.choice.layout
        )
        self.stream.codec_context.format = self.choice.format
        self.stream.codec_context.options = options_of(self.choice.name, self.choice.layout)
        if self.choice.bit_rate:
            self.stream.codec_context.bit_rate = self.choice.bit_rate
        self.dropped = copy_description(decoder.stream, self.stream, new_sound=True)
        self._drop_delay = muxer in _NO_DELAY
        self._waits = muxer in _NO_TIME
        self._lead = short_of_packets(self.choice) if self._drop_delay else 0  # samples of silence before the sound
        self._written = -self._lead
        self._begin: int | None = None
        self._delay: int | None = None

    def push(self, packet: "Packet", after_block: Callable[[], object]) -> None:
        """Decode, clean, encode and write one packet; an empty one ends the track.

        `after_block` is called after each block, since a packet behind a hole may bring hours of silence.
        """
        for block in self.decoder.push(packet):
            self._encode(self.chain.process(block))
            after_block()
        if packet.size == 0:
            self._encode(self.chain.flush())
            if self._delay and not self.stream.codec_context.codec.delay:
                self._encode(np.zeros((self.decoder.channels, self._delay - self._lead), np.float32))
            self._mux(self.stream.encode(None))
            self.decoder.check_whole()

    def new_sound(self) -> NewSound:
        """Return facts of the sound that was written, for the movie header of an MP4."""
        same_order = self.choice.name.startswith("pcm_")
        return NewSound(self.chain.samples_out, self.chain.output_rate, self._begin or 0, self._delay or 0, same_order)

    def _encode(self, samples: np.ndarray) -> None:
        if samples.shape[1] == 0:
            return
        if self._begin is None:
            self._begin = round((self.decoder.start or 0) * self.chain.output_rate)
            late = max(0, self._begin) if self._waits else 0  # is filled with silence
            self._begin -= late
            samples = np.pad(samples, ((0, 0), (self._lead + late, 0)))
        packed = np.ascontiguousarray(samples.T).reshape(1, -1)  # planar frames of FFmpeg's end at eight channels
        frame = av.AudioFrame.from_ndarray(packed, "flt", self.choice.layout)
        frame.sample_rate = self.chain.output_rate
        frame.time_base = Fraction(1, self.chain.output_rate)
        frame.pts = self._written + self._begin
        self._written += samples.shape[1]
        self._mux(self.stream.encode(frame))

    def _mux(self, packets: "list[Packet]") -> None:
        for packet in packets:
            if self._delay is None and packet.pts is not None and packet.time_base:
                first = packet.pts * packet.time_base * self.chain.output_rate
                self._delay = max(0, round((self._begin or 0) - first))
            if not (self._drop_delay and packet.pts is not None and packet.pts < 0):
                self._out.mux(packet)


class CopiedTrack:
    """One track that is copied as it is.

    Matroska stores no decoding times, and FFmpeg cannot tell those of the first packets when frames are reordered: they
    wait here for the first time that is known, and get times that count up to it.

    Args:
        stream: of the input.
        out: the output.
        muxer: that writes it.
        same_family: input and output are of the same kind, so that the code of the codec stays as it was (`hvc1`).
        earlier: seconds that are taken off its times.

    Raises:
        FileError: when the output cannot hold it.
    """

    def __init__(
        self, stream: "Stream", out: "OutputContainer", muxer: str, same_family: bool, earlier: float = 0.0
    ) -> None:
        self._out = out
        self._earlier = round(earlier / stream.time_base) if stream.time_base else 0
        name = stream.codec_context.name if stream.codec_context is not None else "an unknown codec"
        try:
            self.stream = _add_copy(stream, out) if same_family else out.add_stream_from_template(stream)
        except (ValueError, FFmpegError):
            raise FileError(
                f"its {stream.type} track {stream.index} ({name}) cannot be written to {muxer} again"
            ) from None
        copy_description(stream, self.stream)
        self._waiting: list[Packet] = []

    def push(self, packet: "Packet") -> None:
        """Write one packet; an empty one ends the track."""
        if packet.dts is None and packet.size:
            self._waiting.append(packet)
            return
        time = packet.dts if packet.dts is not None else max((held.pts or 0 for held in self._waiting), default=0)
        for before, held in zip(range(len(self._waiting), 0, -1), self._waiting, strict=True):
            held.dts = time - before * max(held.duration or 1, 1)
            self._mux(held)
        self._waiting = []
        if packet.size:
            self._mux(packet)

    def _mux(self, packet: "Packet") -> None:
        packet.stream = self.stream
        packet.pts = None if packet.pts is None else packet.pts - self._earlier
        packet.dts = None if packet.dts is None else packet.dts - self._earlier
        self._out.mux(packet)


def copy_description(source: "Stream", target: "Stream", new_sound: bool = False) -> list[str]:
    """Copy language, title and the like, and what the track is for; with new sound, not what described the old.

    Returns:
        The names of what is left out, without those that the muxer writes anew.
    """
    dropped: list[str] = []
    for key, text in source.metadata.items():
        name = key.upper()
        if name in _WRITTEN_ANEW:
            continue
        if new_sound and name.startswith(_OLD_SOUND):
            dropped += [] if name.startswith(_UNTOLD_TAGS) else [key]
        else:
            target.metadata[key] = text
    target.disposition = source.disposition
    return dropped


def _add_copy(stream: "Stream", out: "OutputContainer") -> "Stream":
    """Add a track with all that the muxer gets from the old one: the code of its codec, colours, frame rate.

    `add_stream_from_template` drops the code and the frame rate. A filter that does nothing hands all else on.
    """
    rate = getattr(stream, "average_rate", None) if stream.type == "video" else None
    if stream.codec_context is None:
        return out.add_stream_from_template(stream)
    copy = out.add_mux_stream(stream.codec_context.codec.canonical_name, rate=rate, time_base=stream.time_base)
    BitStreamFilterContext("null", in_stream=stream, out_stream=copy)
    return copy
