"""What a file is, by its first bytes and not by its name.

Phones, browsers and people give files names that do not fit: a recording of a browser is called .wav and is WebM. The
signatures below say which library reads a file first; a kind that is not listed is tried by both.

References: the specifications of the containers; RFC 3533 (Ogg), RFC 8794 (EBML), RFC 4867 (AMR), ISO/IEC 14496-12
(MP4), ISO/IEC 13818-1 (MPEG-TS), SMPTE 377 (MXF), the Advanced Systems Format (ASF).
"""

from dataclasses import dataclass
from pathlib import Path

from enhance.io.formats import RARE, READ_ONLY, is_written
from enhance.io.sound.mp3_frames import is_mp3

_HEAD = 4096  # bytes


@dataclass(frozen=True)
class Content:
    """One kind of file.

    Attributes:
        name: as people call it; empty when it is not known.
        suffixes: of names that fit it.
        ffmpeg: whether FFmpeg's libraries read it, and libsndfile does not.
    """

    name: str
    suffixes: tuple[str, ...] = ()
    ffmpeg: bool = False

    def fits(self, path: Path) -> bool:
        """Return whether a file may have this name; unknown contents go with any, and names without suffix too."""
        return not self.suffixes or not path.suffix or path.suffix.lower() in self.suffixes


UNKNOWN = Content("")
_WAVE = Content("WAV", (".wav", ".wave", ".bwf", ".rf64", ".bw64", ".amb"))
_AIFF = Content("AIFF", (".aiff", ".aif", ".aifc", ".afc"))
MP3 = Content("MP3", (".mp3", ".mp2", ".mp1", ".mpa", ".m2a"))
_MP4 = (".mp4", ".m4a", ".m4b", ".m4v", ".m4r", ".mp4a", ".mov", ".qt", ".3gp", ".3g2", ".3gpp", ".3ga", ".f4v")
_TS = Content("MPEG-TS", (".ts", ".mts", ".m2ts", ".m2t"), ffmpeg=True)
_BRANDS = {b"M4A": ".m4a", b"M4B": ".m4b", b"M4V": ".m4v", b"qt ": ".mov", b"3gp": ".3gp", b"3g2": ".3g2"}  # else MP4
_DOC_TYPE = b"\x42\x82"  # id of the element of EBML by which WebM says that it is
_VOC, _VOC_HEADER_SIZE = b"Creative Voice File", 20  # and the place of the size of its header
_VOC_SOUND, _VOC_BLOCKS = (1, 2, 9), 100  # kinds of blocks with sound; so many are looked at
_OGG = {  # by the first bytes of the first packet
    b"\x01vorbis": Content("Ogg Vorbis", (".ogg", ".oga", ".ogv")),
    b"OpusHead": Content("Ogg Opus", (".opus", ".ogg", ".oga")),
    b"\x7fFLAC": Content("Ogg FLAC", (".oga", ".ogg", ".flac"), ffmpeg=True),
    b"Speex": Content("Speex", (".spx", ".ogg", ".oga"), ffmpeg=True),
    b"\x80theora": Content("Ogg Theora", (".ogv", ".ogg", ".ogx"), ffmpeg=True),
    b"fishead\0": Content("Ogg", (".ogv", ".ogg", ".oga", ".ogx"), ffmpeg=True),
}
OPUS_WITHOUT_SPEAKERS = Content("Ogg Opus without speakers", (".opus", ".ogg", ".oga"), ffmpeg=True)
_BEGINNINGS = {
    b"fLaC": Content("FLAC", (".flac",)),
    b"caff": Content("CAF", (".caf",)),
    b".snd": Content("AU", (".au", ".snd")),
    b"riff\x2e\x91\xcf\x11": Content("Wave64", (".w64",)),
    b"NIST_1A": Content("NIST SPHERE", (".sph", ".nist", ".wav")),
    b"\x1aE\xdf\xa3": Content("Matroska or WebM", (".mkv", ".mka", ".webm", ".weba", ".mk3d", ".mks"), ffmpeg=True),
    b"FLV\x01": Content("FLV", (".flv", ".f4v"), ffmpeg=True),
    b"#!AMR": Content("AMR", (".amr", ".awb", ".3ga"), ffmpeg=True),
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11": Content("WMA or WMV", (".wma", ".wmv", ".asf"), ffmpeg=True),
    b"\x06\x0e\x2b\x34": Content("MXF", (".mxf",), ffmpeg=True),
    b"\0\0\x01\xba": Content("MPEG", (".mpg", ".mpeg", ".vob"), ffmpeg=True),
    b"\x0b\x77": Content("AC-3", (".ac3", ".eac3", ".ec3"), ffmpeg=True),
    b"\x7f\xfe\x80\x01": Content("DTS", (".dts",), ffmpeg=True),
    b"wvpk": Content("WavPack", (".wv",), ffmpeg=True),
    b"TTA1": Content("TTA", (".tta",), ffmpeg=True),
    b"MAC ": Content("Monkey's Audio", (".ape",), ffmpeg=True),
    b"MPCK": Content("Musepack", (".mpc",), ffmpeg=True),
    b"MP+": Content("Musepack", (".mpc",), ffmpeg=True),
    b"ADIF": Content("AAC", (".aac",), ffmpeg=True),
    b".RMF": Content("RealMedia", (".rm", ".ra", ".rmvb"), ffmpeg=True),
    b".ra\xfd": Content("RealAudio", (".ra", ".rm"), ffmpeg=True),
    b"DSD ": Content("DSF", (".dsf",), ffmpeg=True),
    b"FRM8": Content("DSDIFF", (".dff",), ffmpeg=True),
    b"ajkg": Content("Shorten", (".shn",), ffmpeg=True),
}


def content_of(path: Path) -> Content:
    """Return what a file is; `UNKNOWN` when its first bytes do not say.

    Raises:
        OSError: when it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
        if head[:3] == b"ID3" and len(head) > 10:  # a tag before something else, such as FLAC
            file.seek(10 + sum(byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True)))
            head = file.read(_HEAD)
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64"):
        return Content("AVI", (".avi", ".divx"), ffmpeg=True) if head[8:12] == b"AVI " else _WAVE
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _AIFF
    if head[:4] == b"OggS" and len(head) > 27:
        packet = head[27 + head[26] :]
        if packet.startswith(b"OpusHead") and packet[18:19] not in (b"\0", b"\1"):
            return OPUS_WITHOUT_SPEAKERS
        return next((content for mark, content in _OGG.items() if packet.startswith(mark)), UNKNOWN)
    if head.startswith(_VOC):
        return Content("VOC", (".voc",), ffmpeg=_has_more_blocks(path))
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"skip", b"pnot"):
        return Content("MP4 or QuickTime", _MP4, ffmpeg=True)
    for mark, content in _BEGINNINGS.items():
        if head.startswith(mark):
            return content
    if any(len(head) > 3 * step and head[start::step][:3] == b"GGG" for start, step in ((0, 188), (4, 192), (0, 204))):
        return _TS
    if head and is_mp3(path):
        return MP3
    if head[:1] == b"\xff" and len(head) > 7 and head[1] & 0xF6 == 0xF0:
        return Content("AAC", (".aac", ".adts"), ffmpeg=True)
    return UNKNOWN


def suffix_of(path: Path) -> str:
    """Return the usual suffix of a file with this content, whatever its name is; empty when the content is not known.

    Raises:
        OSError: when it cannot be read.
    """
    content = content_of(path)
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if content.suffixes == _MP4:
        return _BRANDS.get(head[8:11], ".mp4") if head[4:8] == b"ftyp" else ".mov"
    if content.name.startswith("Matroska"):
        return ".webm" if b"webm" in head[(place := head.find(_DOC_TYPE)) : place + 14] else ".mkv"
    return next(iter(content.suffixes), "")


def _has_more_blocks(path: Path) -> bool:
    """Return whether a VOC has its sound in more than one block: libsndfile reads the headers of the others as sound.

    What stands before the sound (the block of stereo with 8 bits, a text) and sound behind the end of its block, as SoX
    leaves it, are no blocks of sound.
    """
    size, sounds = path.stat().st_size, 0
    with path.open("rb") as file:
        file.seek(_VOC_HEADER_SIZE)
        place = int.from_bytes(file.read(2), "little")
        for _ in range(_VOC_BLOCKS):
            file.seek(place)
            header = file.read(4)
            place += 4 + int.from_bytes(header[1:], "little")
            if len(header) < 4 or place > size:
                return False
            sounds += header[0] in _VOC_SOUND
            if sounds > 1:
                return True
    return False


def is_recording(path: Path) -> bool:
    """Return whether a file in a folder is meant to be sound or video: by its name, or by its content."""
    return names_recording(path.suffix) or _sniffed(path) is not UNKNOWN


def names_recording(suffix: str) -> bool:
    """Return whether a suffix is one of sound or video.

    Example:
        >>> names_recording(".WAV"), names_recording(".amr"), names_recording(".txt"), names_recording("")
        (True, True, False, False)
    """
    return is_written(suffix) or suffix.lower() in READ_ONLY | RARE


def is_read_only(path: Path) -> bool:
    """Return whether a file like this one can be read and not written again, by its name, or else by its content."""
    return path.suffix.lower() in READ_ONLY or (not is_written(path.suffix) and _sniffed(path).ffmpeg)


def _sniffed(path: Path) -> Content:
    try:
        return content_of(path)
    except (OSError, ValueError):  # it is shut, or a file of 0 bytes: whoever opens it will say so
        return UNKNOWN
