"""Containers and sample encodings: which file name means which container, and what is kept when it changes.

libsndfile (through soundfile) reads and writes the sound files; the containers of PyAV, M4A and video, are listed
here by suffix only, so that folders can be searched without importing it.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from enhance.utils.errors import FileError, UsageError

# Sample encodings without loss of their own, which move from one container to another; the rest is tied to a codec.
_PLAIN = ("PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW")
FLOATING = frozenset({"FLOAT", "DOUBLE"})  # hold samples over full scale
PCM_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
SAMPLE_BITS = {**PCM_BITS, "FLOAT": 32, "DOUBLE": 64, "ULAW": 8, "ALAW": 8}  # of the others less than 8

# Not kept, though lossless: libsndfile's encoder writes other sound where more than 16 bits cannot be compressed.
_AS_PLAIN = {"ALAC_16": "PCM_16", "ALAC_20": "PCM_24", "ALAC_24": "PCM_24", "ALAC_32": "PCM_32"}
_FINE = {"DWVW_24": "PCM_24"}  # the same of a subtype that is kept, in containers that lack it

BYTES = frozenset({"PCM_S8", "PCM_U8", "ULAW", "ALAW"})  # a sample each: an odd number of them is padded
IN_BLOCKS = frozenset({"IMA_ADPCM", "MS_ADPCM", "GSM610"})  # of which the last is filled up

SIZE_LIMIT = 2**32 - 2**26  # bytes of sound that a 32-bit chunk size surely holds beside the header and the tags
LIMITED = frozenset({"WAV", "WAVEX", "AIFF", "AU"})  # containers with 32-bit sizes


@dataclass(frozen=True)
class Container:
    """One kind of sound file.

    Attributes:
        name: as `--format` takes it.
        major: as libsndfile calls the container.
        suffixes: of file names, the usual one first.
        subtype: encoding when the input's own does not fit.
        coded: always written with `subtype`, whatever the input has (Vorbis, Opus, MP3).
    """

    name: str
    major: str
    suffixes: tuple[str, ...]
    subtype: str = "PCM_16"
    coded: bool = False


CONTAINERS = {
    container.name: container
    for container in (
        Container("wav", "WAV", (".wav", ".wave", ".bwf")),
        Container("flac", "FLAC", (".flac",)),
        Container("ogg", "OGG", (".ogg", ".oga"), "VORBIS", coded=True),
        Container("opus", "OGG", (".opus",), "OPUS", coded=True),
        Container("mp3", "MP3", (".mp3",), "MPEG_LAYER_III", coded=True),
        Container("aiff", "AIFF", (".aiff", ".aif", ".aifc")),
        Container("caf", "CAF", (".caf",)),
        Container("w64", "W64", (".w64",)),
        Container("rf64", "RF64", (".rf64",)),
        Container("au", "AU", (".au", ".snd")),
    )
}
_BY_SUFFIX = {suffix: container for container in CONTAINERS.values() for suffix in container.suffixes}

# Suffix -> the muxer of FFmpeg's libraries that writes it.
MUXERS = {
    ".m4a": "ipod",
    ".m4b": "ipod",
    ".aac": "adts",
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    ".mka": "matroska",
    ".webm": "webm",
    ".weba": "webm",
    ".m4r": "ipod",
    ".mp4a": "ipod",
    ".qt": "mov",
    ".3gp": "3gp",
    ".3g2": "3g2",
    ".avi": "avi",
    ".ts": "mpegts",
    ".mts": "mpegts",
    ".m2ts": "mpegts",
    ".flv": "flv",
    ".mxf": "mxf",
    ".wmv": "asf",
    ".asf": "asf",
    ".mpg": "vob",
    ".mpeg": "vob",
    ".vob": "vob",
    ".ogv": "ogg",
    ".mk3d": "matroska",
    ".divx": "avi",
}

# Suffixes of rare sound files that libsndfile reads and writes; none is made of an input of another kind.
RARE = frozenset(
    (".8svx", ".svx", ".avr", ".htk", ".ircam", ".nist", ".paf", ".fap", ".pvf", ".sds", ".sph", ".voc", ".wve")
)

# Suffixes of recordings that are read, mostly through PyAV, and not written: their outputs are WAV, NAME.SUFFIX.wav.
# fmt: off
READ_ONLY = frozenset((
    ".mp2", ".mp1", ".mpa", ".m2a", ".amr", ".awb", ".3ga", ".wma", ".ogx", ".f4v", ".rm", ".ra", ".rmvb", ".spx",
    ".ac3", ".eac3", ".ec3", ".dts", ".mlp", ".thd", ".wv", ".tta", ".ape", ".mpc", ".dsf", ".dff", ".shn", ".oma",
    ".aa3", ".at3", ".g722", ".g726", ".g729", ".sln", ".vox", ".gsm", ".dss", ".ds2", ".adts", ".raw", ".pcm",
    ".nut", ".aptx", ".aptxhd", ".sbc", ".loas",
))
# fmt: on


def container_of(path: Path) -> Container | None:
    """Return the container that a file name stands for, or None.

    Example:
        >>> container_of(Path("Talk.OPUS")).subtype
        'OPUS'
    """
    return _BY_SUFFIX.get(path.suffix.lower())


def is_written(suffix: str) -> bool:
    """Return whether files with this suffix are written, by libsndfile or by PyAV."""
    return suffix.lower() in MUXERS or suffix.lower() in _BY_SUFFIX


def container_between(source: Path | str, target: Path | str, named: str | None = None) -> str | None:
    """Return the container for an output: the one that was named, or that its suffix stands for; None as the input's.

    Raises:
        UsageError: M4A or video is asked for, and the input is something else; or what is not written at all.
    """
    if named is not None:
        return named
    before, after = (os.path.splitext(path)[1] for path in (source, target))  # noqa: PTH122 - quick, for many files
    if after.lower() in READ_ONLY:
        raise UsageError(f"{target}: {after} is not written; name an output like out.wav")
    if before.lower() == after.lower():
        return None
    if after.lower() in MUXERS:
        raise UsageError(f"{target}: {after} is written only from {after}, not from {before}")
    if after.lower() in RARE:
        raise UsageError(
            f"{target}: {after} is not written from {before or 'such a file'}; name an output like out.wav"
        )
    container = _BY_SUFFIX.get(after.lower())
    return container.name if container else None


@dataclass(frozen=True)
class Encoding:
    """Container, sample encoding and byte order of a file, in libsndfile's names."""

    major: str
    subtype: str
    endian: str = "FILE"


def choose_encoding(source: Encoding | None, container: Container | None, subtype: str | None) -> Encoding:
    """Return the encoding of the output: what was asked for, else what the input has, else the container's usual one.

    Args:
        source: of the input; None when it is no sound file of libsndfile (video).
        container: named for the output, None to keep the input's.
        subtype: named for the output, None to keep the input's where it fits.

    Raises:
        FileError: when the container does not have that subtype.

    Example:
        >>> choose_encoding(Encoding("WAV", "FLOAT"), CONTAINERS["flac"], None)
        Encoding(major='FLAC', subtype='PCM_24', endian='FILE')
    """
    import soundfile

    if source is not None:
        source = Encoding(source.major, _AS_PLAIN.get(source.subtype, source.subtype), source.endian)
    if container is None:
        if source is None:
            raise ValueError("neither an input nor a container to choose the encoding by")
        keeps = soundfile.check_format(source.major, source.subtype, source.endian)
        mpeg = source.major == "MP3" or source.subtype.startswith("MPEG")
        keeps = keeps and (
            not mpeg or source == Encoding("MP3", "MPEG_LAYER_III", source.endian)
        )  # the rest: read only
        usual = "MPEG_LAYER_III" if source.major == "MP3" else "PCM_16"
        container = Container(source.major.lower(), source.major, (), source.subtype if keeps else usual)
    else:
        if source is not None and source.subtype in _FINE:
            source = Encoding(source.major, _FINE[source.subtype], source.endian)
        keeps = source is not None and not container.coded and source.subtype in _PLAIN
    endian = source.endian if source is not None and source.major == container.major else "FILE"
    if subtype is None and keeps and source is not None:
        subtype = source.subtype
        if not soundfile.check_format(container.major, subtype, endian):
            fine = subtype in FLOATING or subtype in ("PCM_32",)
            subtype = "PCM_24" if fine else container.subtype
    subtype = (subtype or container.subtype).upper()
    if not soundfile.check_format(container.major, subtype, endian):
        known = ", ".join(soundfile.available_subtypes(container.major))
        raise FileError(f"{container.name} has no subtype {subtype}; it has {known}")
    return Encoding(container.major, subtype, endian)


def has_floats(container: Container) -> bool:
    """Return whether a container holds samples as floats.

    Example:
        >>> has_floats(CONTAINERS["wav"]), has_floats(CONTAINERS["flac"])
        (True, False)
    """
    import soundfile

    return soundfile.check_format(container.major, "FLOAT")


def fit_size(encoding: Encoding, frames: int | None, channels: int) -> Encoding:
    """Make a WAV beyond 4 GB an RF64, which players of WAV read; other containers with 32-bit sizes cannot hold it.

    Args:
        encoding: chosen for the output.
        frames: samples per channel that will be written; None when nobody knows (`SoundWriter` then keeps watch).
        channels: number of channels.

    Raises:
        FileError: when a container that is not WAV cannot hold so much.

    Example:
        >>> fit_size(Encoding("WAV", "FLOAT"), 2**30, 2).major
        'RF64'
    """
    size = (frames or 0) * channels * SAMPLE_BITS.get(encoding.subtype, 8) // 8
    if size <= SIZE_LIMIT or encoding.major not in LIMITED:
        return encoding
    if encoding.major in ("WAV", "WAVEX"):
        return Encoding("RF64", encoding.subtype)
    raise FileError(f"{encoding.major} cannot hold more than 4 GB; name --format rf64, w64, caf or flac")
