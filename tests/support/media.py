"""M4A and video files, written and read back through PyAV."""

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

FRAMES_PER_SECOND = 25


@dataclass
class Media:
    """What is in a media file."""

    sound: list[np.ndarray] = field(default_factory=list)  # [channels, samples] of each track
    start: list[float] = field(default_factory=list)  # seconds, of each sound track
    codecs: list[str] = field(default_factory=list)
    rates: list[int] = field(default_factory=list)
    picture: list[tuple[bytes, float]] = field(default_factory=list)  # packets with their times in seconds
    subtitles: list[tuple[bytes, float]] = field(default_factory=list)
    languages: list[str | None] = field(default_factory=list)
    chapters: list[tuple[str, float]] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


def make(
    path: Path,
    muxer: str,
    codec: str,
    picture: str | None,
    rate: int,
    sound: list[np.ndarray],
    offset: float = 0.0,
    subtitle: bool = False,
    hole: bool = False,
) -> Path:
    """Write sound tracks with a picture; the sound starts at `offset` seconds, and may have a hole of half a second."""
    with av.open(str(path), "w", format=muxer) as opened:
        out: Any = opened  # its streams are of one of several types each
        out.metadata["title"] = "Tïtle"
        layouts = {1: "mono", 2: "stereo"}
        video = (
            out.add_stream(picture, rate=FRAMES_PER_SECOND, width=64, height=48, pix_fmt="yuv420p") if picture else None
        )
        tracks = [out.add_stream(codec, rate=rate, layout=layouts[len(audio)]) for audio in sound]
        text = out.add_mux_stream("mov_text" if muxer == "mp4" else "srt") if subtitle else None
        for number, track in enumerate(tracks):
            track.metadata["language"] = ("eng", "deu")[number]
        if muxer in ("mp4", "matroska"):
            chapter = {"id": 1, "start": 0, "end": 500, "time_base": Fraction(1, 1000), "metadata": {"title": "One"}}
            out.set_chapters([chapter])
        if video is not None:
            for number in range(int(sound[0].shape[1] / rate * FRAMES_PER_SECOND) + 1):
                image = np.full((48, 64, 3), number * 5 % 255, np.uint8)
                frame = av.VideoFrame.from_ndarray(image, "rgb24")
                frame.pts = number
                out.mux(video.encode(frame))
            out.mux(video.encode(None))
        for track, audio in zip(tracks, sound, strict=True):
            for begin in range(0, audio.shape[1], rate // 2):
                part = np.ascontiguousarray(audio[:, begin : begin + rate // 2])
                frame = av.AudioFrame.from_ndarray(part, "fltp", layouts[len(audio)])
                frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
                late = rate // 2 if hole and begin else 0
                frame.pts = begin + round(offset * rate) + late
                out.mux(track.encode(frame))
            out.mux(track.encode(None))
        if text is not None:
            packet = av.Packet(b"\0\x05Hello" if muxer == "mp4" else b"Hello")
            packet.stream, packet.time_base, packet.pts, packet.dts = text, Fraction(1, 1000), 100, 100
            packet.duration = 400
            out.mux(packet)
    return path


def look(path: Path) -> Media:
    """Read everything that is in a media file."""
    media = Media()
    with av.open(str(path)) as opened:
        container: Any = opened  # its streams are of one of several types each
        media.metadata = dict(container.metadata)
        media.seconds = float(container.duration or 0) / av.time_base
        for chapter in container.chapters():
            base = chapter["time_base"] or Fraction(1)
            media.chapters.append((chapter["metadata"].get("title", ""), float(chapter["start"] * base)))
        streams = list(container.streams)
        media.languages = [stream.metadata.get("language") for stream in streams if stream.type == "audio"]
        decoded: dict[int, list[np.ndarray]] = {}
        for packet in container.demux():
            kind = packet.stream.type
            if kind == "audio":
                for frame in packet.decode():
                    if packet.stream.index not in decoded:
                        decoded[packet.stream.index] = []
                        media.start.append(float(frame.pts * frame.time_base) if frame.pts is not None else 0.0)
                        media.codecs.append(packet.stream.codec_context.name)
                        media.rates.append(frame.sample_rate)
                    for plain in av.AudioResampler("fltp", frame.layout, frame.sample_rate).resample(frame):
                        decoded[packet.stream.index].append(plain.to_ndarray())
            elif packet.size and packet.pts is not None:
                where = media.picture if kind == "video" else media.subtitles
                where.append((bytes(packet), float(packet.pts * packet.time_base)))
        media.sound = [np.concatenate(frames, axis=1) for frames in decoded.values()]
    return media


def make_m4a(path: Path) -> Path:
    """Ten seconds of noise as AAC."""
    with av.open(str(path), "w", format="ipod") as container:
        stream = container.add_stream("aac", rate=48_000, layout="mono")
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 480_000)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(noise, "fltp", "mono")
        frame.sample_rate = 48_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
