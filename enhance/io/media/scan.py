"""What a media file is read for before it is written again: bitrates of its sound, its cover, its language tags.

Matroska and its like do not say how many bits a track takes, or in statistics which a program may have copied from
another track. So the packets are counted, as far as two minutes of sound: enough for a mean, little to read twice.
An attached picture is a packet too, and must be known before the output begins.
"""

from dataclasses import dataclass, field
from pathlib import Path

from av.stream import Disposition

from enhance.io.media.matroska_tracks import TrackExtras, read_extras
from enhance.io.media.opening import is_mp4, open_media, packets_of

_COUNTED = 120.0  # seconds of sound


@dataclass
class FirstLook:
    """Findings of a scan of the packets.

    Attributes:
        bits: bits per second of each sound track, by the number of its stream.
        covers: attached pictures, by the number of their stream.
        extras: what FFmpeg does not hand on of the tracks of Matroska, in their order.
    """

    bits: dict[int, float] = field(default_factory=dict)
    covers: dict[int, bytes] = field(default_factory=dict)
    extras: list[TrackExtras] = field(default_factory=list)


def look_at(path: Path) -> FirstLook:
    """Read the first packets of a file. What cannot be read is left to whoever reads all of it.

    Raises:
        FileError: when the file cannot be opened.
        OSError: when the system refuses.
    """
    found = FirstLook()
    with open_media(path) as container:
        if "matroska" in container.format.name:
            found.extras = read_extras(path)
        has_sizes = is_mp4(container)  # its tables have the size of every packet
        sizes: dict[int, int] = {}
        ends: dict[int, float] = {}
        starts: dict[int, float] = {}
        for stream in container.streams.audio:
            if has_sizes and stream.codec_context is not None and stream.codec_context.bit_rate:
                found.bits[stream.index] = stream.codec_context.bit_rate
            elif stream.codec_context is not None:
                sizes[stream.index] = 0
        pictures = {stream.index for stream in container.streams.video if stream.disposition & Disposition.attached_pic}
        waiting = set(sizes)
        if not waiting and not pictures:
            return found
        for packet in packets_of(container, salvage=True):  # the next reading reports damage
            index = packet.stream_index
            if index in pictures and packet.size:
                found.covers.setdefault(index, bytes(packet))
            elif index in waiting and packet.size and packet.pts is not None:
                begin = float(packet.pts * packet.time_base)
                starts.setdefault(index, begin)
                if begin - starts[index] > _COUNTED:
                    waiting.discard(index)
                    continue
                sizes[index] += packet.size
                length = float((packet.duration or 0) * packet.time_base)
                ends[index] = max(ends.get(index, begin), begin + length)
            if not waiting and pictures <= set(found.covers):
                break
        for index, size in sizes.items():
            seconds = ends.get(index, 0.0) - starts.get(index, 0.0)
            if size and seconds > 0:
                found.bits[index] = 8 * size / seconds
    return found
