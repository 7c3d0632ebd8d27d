#!/usr/bin/env bash
# Expected: a chunk of an odd number of bytes is followed by one that pads it, in RF64 (EBU Tech 3306) as in WAV, and what
# lies behind it is found.
# Seen (soundfile 0.14.0 with libsndfile 1.2.2): in WAV it is. In RF64 a bext chunk of odd length before the sound makes
# the file unreadable ("No 'data' chunk marker"); one byte more, and it is read. FFmpeg 8 (PyAV 18.1.0) reads both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet av==18.1.0 numpy==2.4.6 soundfile==0.14.0
"$folder/bin/python" - "$folder" <<'PYTHON'
import struct
import sys

import av
import soundfile

COUNT = 4800  # samples of silence, 16 bits, mono


def chunk(name, content):
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def file_of(kind, history):
    """A broadcast WAV whose coding history has so many bytes."""
    bext = bytes(346) + struct.pack("<H", 1) + bytes(254) + b"A" * history
    fmt = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 48_000, 96_000, 2, 16))
    sound = bytes(2 * COUNT)
    before = chunk(b"bext", bext) + fmt
    if kind == b"RIFF":
        body = b"WAVE" + before + chunk(b"data", sound)
        return kind + struct.pack("<I", len(body)) + body
    length = 4 + 36 + len(before) + 8 + len(sound)
    sizes = chunk(b"ds64", struct.pack("<QQQI", length, len(sound), COUNT, 0))
    return kind + b"\xff" * 4 + b"WAVE" + sizes + before + b"data" + b"\xff" * 4 + sound


def by_libsndfile(path):
    try:
        return soundfile.info(path).frames
    except soundfile.LibsndfileError as error:
        return error.error_string


def by_ffmpeg(path):
    with av.open(path) as container:
        return sum(frame.samples for frame in container.decode(audio=0))


found = {}
for kind in (b"RIFF", b"RF64"):
    for history in (2, 3):
        path = f"{sys.argv[1]}/{kind.decode()}-{history}.wav"
        with open(path, "wb") as file:
            file.write(file_of(kind, history))
        found[kind, history] = by_libsndfile(path), by_ffmpeg(path)
        print(f"{kind.decode()}, bext of {602 + history} bytes: libsndfile, FFmpeg:", *found[kind, history])
print("libsndfile", soundfile.__libsndfile_version__)
refused = found.pop((b"RF64", 3))
if set(found.values()) != {(COUNT, COUNT)} or "data" not in str(refused[0]) or refused[1] != COUNT:
    sys.exit("the behaviour has changed")
PYTHON
