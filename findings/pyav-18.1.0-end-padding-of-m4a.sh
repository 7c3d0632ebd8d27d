#!/usr/bin/env bash
# Expected: an M4A of 48,000 samples decodes to 48,000: its edit list and its media header both say where the sound ends.
# Seen (PyAV 18.1.0, FFmpeg 8.1.2): 48,128 for AAC, 48,648 for Opus. FFmpeg leaves out the delay in front, not the
# padding behind; the duration of the stream is right, and is what to cut by.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet av==18.1.0 numpy==2.4.6
"$folder/bin/python" - "$folder" <<'PYTHON'
import sys
from fractions import Fraction

import av
import numpy as np

for codec, muxer, padded in (("aac", "ipod", 48_128), ("libopus", "mp4", 48_648)):
    path = f"{sys.argv[1]}/a.{muxer}"
    with av.open(path, "w", format=muxer) as out:
        stream = out.add_stream(codec, rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 48_000), np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
        out.mux([*stream.encode(frame), *stream.encode(None)])
    with av.open(path) as container:
        stream = container.streams.audio[0]
        declared = stream.duration * stream.time_base * 48_000
        decoded = sum(frame.samples for frame in container.decode(stream))
    print(f"{codec}: written 48000, duration of the stream {declared}, decoded {decoded}")
    if (declared, decoded) != (48_000, padded):
        sys.exit("the behaviour has changed")
PYTHON
