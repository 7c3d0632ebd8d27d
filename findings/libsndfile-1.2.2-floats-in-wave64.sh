#!/usr/bin/env bash
# Expected: floats in Wave64 with the extended format (WAVE_FORMAT_EXTENSIBLE), as FFmpeg writes at 96 kHz, are floats.
# Seen (soundfile 0.14.0 with libsndfile 1.2.2): 32-bit floats are read as 32-bit integers without a word: noise at full
# scale in place of the sound. The same floats behind the plain format are read right, and so is WAV with either.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet numpy==2.4.6 soundfile==0.14.0 av==18.1.0
"$folder/bin/python" - "$folder" <<'PYTHON'
import sys

import av
import numpy as np
import soundfile

SOUND = (0.1 * np.sin(np.arange(48_000) / 10)).astype(np.float32)
read = {}
for suffix in ("w64", "wav"):
    path = f"{sys.argv[1]}/a.{suffix}"
    with av.open(path, "w") as out:
        track = out.add_stream("pcm_f32le", rate=96_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(SOUND[np.newaxis], "flt", "mono")
        frame.sample_rate = 96_000
        out.mux([*track.encode(frame), *track.encode(None)])
    samples = soundfile.read(path, dtype="float32")[0]
    read[suffix] = soundfile.info(path).subtype
    print(suffix, read[suffix], "peak", round(float(np.abs(samples).max()), 2), "of", round(float(SOUND.max()), 2))
print("libsndfile", soundfile.__libsndfile_version__)
if read != {"w64": "PCM_32", "wav": "FLOAT"}:
    sys.exit("the behaviour has changed")
PYTHON
