"""The sound of a video or M4A file cleaned and put back; picture, subtitles, chapters and tags copied untouched.

All packets pass through once: those of sound tracks are decoded, cleaned and encoded with the codec and about the
bitrate that they had; those of pictures and subtitles are written as they came. Chapters, attachments and the time
code are written anew. Other data (the places that a camera noted) is left out, and a note tells of it.

The encoder's own delay (AAC: 1024 samples) goes into the edit list or the codec delay of the container, as FFmpeg's
muxers write it, so sound and picture stay together to the sample. Raw AAC (ADTS) has no place for it: there the packet
that holds nothing but the delay is left out.
"""

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
from av.codec.codec import Codec, UnknownCodecError
from av.error import FFmpegError
from av.stream import Disposition

from enhance.io.media_decoder import TrackDecoder, muxer_of, open_media
from enhance.io.options import DenoiseOptions
from enhance.io.tags import carry_atoms
from enhance.io.task import OnProgress, Outcome, Task
from enhance.io.track_pipeline import Chain
from enhance.utils.errors import FileError, problem_on_oserror
from enhance.utils.interrupt import Stopper

if TYPE_CHECKING:
    from av import Packet
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.stream import Stream

    from enhance.runtime.denoiser import Denoiser

_ENCODERS = {"opus": "libopus", "mp3": "libmp3lame", "mp3float": "libmp3lame"}  # by the name of the decoder
_SUBSTITUTES = {"webm": "libopus", "matroska": "libopus"}  # where a codec has no good encoder: Vorbis, DTS, ...
_NO_ENCODER = frozenset({"vorbis"})  # FFmpeg's own is experimental
_LEAST_BITS = 64_000  # per second and channel: FFmpeg's AAC encoder sounds poor below, whatever made the input
_ATOMS = frozenset({"ipod", "mp4"})  # muxers whose tags and cover mutagen copies whole


class _Track:
    """One sound track on its way from decoder to encoder."""

    def __init__(
        self,
        stream: "AudioStream",
        out: "OutputContainer",
        muxer: str,
        denoiser: "Denoiser",
        settings: DenoiseOptions,
        gain: float,
    ) -> None:
        self.decoder = TrackDecoder(stream, settings.salvage)
        self._out = out
        self._drop_delay = muxer == "adts"
        encoder, rate = _choose_encoder(stream, muxer, settings.sample_rate or self.decoder.sample_rate)
        self.note = "" if encoder == _same_encoder(stream) else f"{stream.codec_context.name} became {encoder}"
        settings = DenoiseOptions(**{**vars(settings), "sample_rate": rate})
        self.chain = Chain(denoiser, self.decoder.sample_rate, self.decoder.channels, settings, False, gain)
        self.stream: AudioStream = out.add_stream(encoder, rate=rate, layout=self.decoder.layout)  # type: ignore[assignment]
        context = self.stream.codec_context
        formats = [form.name for form in context.codec.audio_formats or []]
        if stream.codec_context.format.name in formats:
            context.format = stream.codec_context.format.name
        if not encoder.startswith("pcm") and encoder not in ("flac", "alac"):
            bits = max(stream.codec_context.bit_rate or 0, _LEAST_BITS * self.decoder.channels)
            self.stream.bit_rate = bits  # type: ignore[attr-defined]
        _copy_description(stream, self.stream)
        self._written = 0

    def push(self, packet: "Packet") -> None:
        """Decode, clean, encode and write one packet; an empty one ends the track."""
        for block in self.decoder.push(packet):
            self._encode(self.chain.process(block))
        if packet.size == 0:
            self._encode(self.chain.flush())
            for coded in self.stream.encode(None):
                self._mux(coded)
            self.decoder.check_length()

    def _encode(self, samples: np.ndarray) -> None:
        if samples.shape[1] == 0:
            return
        packed = np.ascontiguousarray(samples.T, np.float32).reshape(1, -1)  # PyAV fails on eight planes
        frame = av.AudioFrame.from_ndarray(packed, "flt", self.decoder.layout)
        frame.sample_rate = self.chain.output_rate
        frame.time_base = Fraction(1, self.chain.output_rate)
        frame.pts = self._written + round((self.decoder.start or 0) * self.chain.output_rate)
        self._written += samples.shape[1]
        for coded in self.stream.encode(frame):
            self._mux(coded)

    def _mux(self, packet: "Packet") -> None:
        if not (self._drop_delay and packet.pts is not None and packet.pts < 0):
            self._out.mux(packet)


class _Copy:
    """One track that is copied as it is.

    Matroska stores no decoding times, and FFmpeg cannot tell those of the first packets when frames are reordered: they
    wait here for the first time that is known, and get times that count up to it.
    """

    def __init__(self, stream: "Stream", out: "OutputContainer") -> None:
        self._out = out
        self._stream = out.add_stream_from_template(stream)
        _copy_description(stream, self._stream)
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
        packet.stream = self._stream
        self._out.mux(packet)


def clean_tracks(
    denoiser: "Denoiser",
    task: Task,
    partial: Path,
    settings: DenoiseOptions,
    stopper: Stopper,
    on_progress: OnProgress,
    outcome: Outcome,
) -> float | None:
    """Write `partial`: the input with all its sound tracks denoised. Fills in the outcome.

    Returns:
        A gain with which to do it again when the peak must fit, else None.

    Raises:
        FileError: when the input cannot be read, has no sound track, or its sound cannot be put back.
        OSError: when the file system refuses.
    """
    path, muxer = Path(task.source), muxer_of(Path(task.target))
    if settings.subtype is not None:
        raise FileError("--subtype is for sound files; the sound of M4A and video keeps its codec")
    with problem_on_oserror("cannot be read"):
        source = open_media(path)
    try:
        with source, av.open(str(partial), "w", format=muxer) as out:
            tracks = _pass_through(source, out, muxer, denoiser, settings, stopper, on_progress, outcome)
    except FFmpegError as error:
        if isinstance(error, OSError):
            raise
        raise FileError(f"{muxer} cannot hold its tracks as they are ({error.strerror})") from None
    if muxer in _ATOMS:
        try:
            carry_atoms(path, partial)
        except FileError as problem:
            outcome.notes.append(str(problem))
    chain = tracks[0].chain
    outcome.seconds = max(track.chain.samples_in / track.chain.sample_rate for track in tracks)
    outcome.sample_rate, outcome.channels = chain.output_rate, tracks[0].decoder.channels
    outcome.format, outcome.subtype = muxer, tracks[0].stream.codec_context.name
    outcome.clamped = sum(track.chain.clamped for track in tracks)
    outcome.notes += [note for track in tracks for note in (*track.decoder.notes, track.note) if note]
    gains = [gain for track in tracks if (gain := track.chain.gain_to_fit()) is not None]
    return min(gains, default=None)


def _pass_through(
    source: "InputContainer",
    out: "OutputContainer",
    muxer: str,
    denoiser: "Denoiser",
    settings: DenoiseOptions,
    stopper: Stopper,
    on_progress: OnProgress,
    outcome: Outcome,
) -> list[_Track]:
    if not source.streams.audio:
        raise FileError("it has no sound track")
    tracks: dict[int, _Track] = {}
    copies: dict[int, _Copy] = {}
    left_out: dict[int, str] = {}
    for stream in source.streams:
        if stream.type == "audio":
            tracks[stream.index] = _Track(stream, out, muxer, denoiser, settings, outcome.gain)  # type: ignore[arg-type]
        elif stream.type == "attachment":
            out.add_attachment(stream.metadata.get("filename", "attachment"), stream.mimetype or "", stream.data)  # type: ignore[attr-defined]
        elif stream.type in ("video", "subtitle") and not (muxer in _ATOMS and _is_cover(stream)):
            copies[stream.index] = _Copy(stream, out)
    out.metadata.update(source.metadata)
    out.set_chapters(source.chapters())
    total = float(source.duration / av.time_base) if source.duration else None
    for packet in source.demux():
        stopper.check()
        if packet.stream.index in tracks:
            track = tracks[packet.stream.index]
            track.push(packet)
            on_progress(track.chain.samples_in / track.chain.sample_rate, total)
        elif packet.stream.index in copies:
            copies[packet.stream.index].push(packet)
        elif packet.stream.type == "data" and packet.size and "timecode" not in packet.stream.metadata:
            left_out[packet.stream.index] = packet.stream.metadata.get("handler_name", "no name")
    outcome.notes += [f"its data track {index} ({name}) is left out" for index, name in left_out.items()]
    return list(tracks.values())


def _is_cover(stream: "Stream") -> bool:
    return bool(stream.disposition & Disposition.attached_pic)


def _copy_description(source: "Stream", target: "Stream") -> None:
    """Language, title and the like, and what the track is for."""
    target.metadata.update({key: text for key, text in source.metadata.items() if key != "DURATION"})
    target.disposition = source.disposition


def _same_encoder(stream: "AudioStream") -> str:
    name = stream.codec_context.name
    return _ENCODERS.get(name, name)


def _choose_encoder(stream: "AudioStream", muxer: str, rate: int) -> tuple[str, int]:
    """Encoder and sample rate for a track: its own codec if there is a good encoder, else the container's usual one."""
    name = _same_encoder(stream)
    try:
        known = name not in _NO_ENCODER and Codec(name, "w") is not None
    except UnknownCodecError:
        known = False
    if not known:
        name = _SUBSTITUTES.get(muxer, "aac")
    rates = Codec(name, "w").audio_rates
    if rates and rate not in rates:
        rate = min((candidate for candidate in rates if candidate >= rate), default=max(rates))
    return name, rate
