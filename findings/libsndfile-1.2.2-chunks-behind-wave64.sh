#!/usr/bin/env bash
# Expected: chunks behind the sound of a Wave64 file are no sound: the size of the `data` chunk says where it ends.
# Seen (soundfile 0.14.0 with libsndfile 1.2.2): all bytes up to the end of the file are read as samples. 608 bytes of
# broadcast data (`bext`) at the end of a 16-bit file come out as 316 samples at full scale. WAV and RF64 are read right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet numpy==2.4.6 soundfile==0.14.0
"$folder/bin/python" - "$folder" <<'PYTHON'
import struct
import sys

import numpy as np
import soundfile

GUID = bytes.fromhex("f3acd3118cd100c04f8edb8a")  # ends the identifier of each Wave64 chunk but `riff`
CHUNKS = {"w64": b"bext" + GUID + struct.pack("<Q", 24 + 608), "wav": b"bext" + struct.pack("<I", 608)}
read = {}
for suffix, header in CHUNKS.items():
    path = f"{sys.argv[1]}/a.{suffix}"
    soundfile.write(path, np.zeros(24_000), 48_000, subtype="PCM_16")
    content = bytearray(open(path, "rb").read())
    content += bytes(-len(content) % 8) + header + b"\x7f" * 608
    place, form, less = (16, "<Q", 0) if suffix == "w64" else (4, "<I", 8)
    content[place : place + struct.calcsize(form)] = struct.pack(form, len(content) - less)
    open(path, "wb").write(content)
    samples = soundfile.read(path)[0]
    read[suffix] = len(samples)
    print(suffix, "24000 samples written,", len(samples), "read, peak", round(float(np.abs(samples).max()), 2))
print("libsndfile", soundfile.__libsndfile_version__)
if read != {"w64": 24_316, "wav": 24_000}:
    sys.exit("the behaviour has changed")
PYTHON
