#!/usr/bin/env bash
# Expected: what goes into an encoder comes out of a decoder, after its delay, as with AAC and Opus.
# Seen (PyAV 18.1.0, FFmpeg 8.1.2): AC-3 and E-AC-3 give back 256 samples less than they got, MP2 481, when whole frames
# go in. These encoders have a delay and no flush; the end stays in them unless as much silence follows.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet av==18.1.0 numpy==2.4.6
"$folder/bin/python" - "$folder/a.mkv" <<'PYTHON'
import sys
from fractions import Fraction

import av
import numpy as np

for codec, size, lost in (("ac3", 1536, 256), ("eac3", 1536, 256), ("mp2", 1152, 481)):
    with av.open(sys.argv[1], "w", format="matroska") as out:
        stream = out.add_stream(codec, rate=48_000, layout="mono")
        sound = np.zeros((1, 20 * size), np.int16 if codec == "mp2" else np.float32)
        frame = av.AudioFrame.from_ndarray(sound, "s16" if codec == "mp2" else "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
        out.mux([*stream.encode(frame), *stream.encode(None)])
    with av.open(sys.argv[1]) as container:
        decoded = sum(frame.samples for frame in container.decode(audio=0))
    print(f"{codec}: encoded {20 * size}, decoded {decoded}")
    if 20 * size - decoded != lost:
        sys.exit("the behaviour has changed")
PYTHON
