#!/usr/bin/env bash
# Expected: Ogg files that are joined (`cat a.opus b.opus > c.opus`) are one file with two recordings, and both are read:
# RFC 3533 calls it chaining, and internet radio is made of it.
# Seen (soundfile 0.14.0 with libsndfile 1.2.2): of joined Opus or Vorbis files the first is read, and the rest is lost
# without an error.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet numpy==2.4.6 soundfile==0.14.0
"$folder/bin/python" - "$folder" <<'PYTHON'
import sys

import numpy as np
import soundfile

noise = 0.1 * np.random.default_rng(0).standard_normal(48_000)
read = {}
for codec in ("OPUS", "VORBIS"):
    parts = []
    for number in range(2):
        path = f"{sys.argv[1]}/{number}.ogg"
        soundfile.write(path, noise, 48_000, format="OGG", subtype=codec)
        parts.append(open(path, "rb").read())
    joined = f"{sys.argv[1]}/joined.ogg"
    open(joined, "wb").write(b"".join(parts))
    read[codec] = len(soundfile.read(joined)[0])
    print(codec, "96000 samples joined,", read[codec], "read")
print("libsndfile", soundfile.__libsndfile_version__)
if read != {"OPUS": 48_000, "VORBIS": 48_000}:
    sys.exit("the behaviour has changed")
PYTHON
