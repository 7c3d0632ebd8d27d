#!/usr/bin/env bash
# Expected: a file that is written without an error can be opened, also if no sample was written.
# Seen (soundfile 0.14.0 with libsndfile 1.2.2): WAV, AIFF and Ogg Vorbis of no samples are opened, and have none. FLAC
# and MP3 are files of 0 bytes, without a header; Ogg Opus has its headers, and opening it fails: "Supported file format
# but file is malformed.".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet numpy==2.4.6 soundfile==0.14.0
"$folder/bin/python" - "$folder" <<'PYTHON'
import os
import sys

import numpy as np
import soundfile

KINDS = {
    "WAV": "PCM_16", "AIFF": "PCM_16", "OGG": "VORBIS", "FLAC": "PCM_16", "MP3": "MPEG_LAYER_III", "Opus": "OPUS",
}  # fmt: skip
seen = {}
for name, subtype in KINDS.items():
    path = f"{sys.argv[1]}/{name}"
    soundfile.write(path, np.zeros(0), 48_000, format="OGG" if name == "Opus" else name, subtype=subtype)
    size = os.path.getsize(path)
    try:
        opened = soundfile.info(path).frames
    except soundfile.LibsndfileError as error:
        opened = error.error_string
    seen[name] = size, opened
    print(f"{name} of no samples: {size} bytes; samples when opened: {opened}")
right = all(seen[name][1] == 0 for name in ("WAV", "AIFF", "OGG")) and seen["FLAC"][0] == seen["MP3"][0] == 0
opus = seen["Opus"][0] > 0 and seen["Opus"][1] == "Supported file format but file is malformed."
sys.exit(0 if right and opus else "this changed")
PYTHON
