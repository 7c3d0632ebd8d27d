#!/usr/bin/env bash
# Expected: MP2 in MPEG-TS opens as MP2 in PyAV, as in FFmpeg's own programs.
# Seen (PyAV 18.1.0, FFmpeg 8.1.2): a stream without a picture opens as MP3 (decoder mp3float). With the reader's option
# scan_all_pmts=1, which FFmpeg's programs set unasked, it opens as MP2.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet av==18.1.0 numpy==2.4.6
"$folder/bin/python" - "$folder/a.ts" <<'PYTHON'
import sys
from fractions import Fraction

import av
import numpy as np

with av.open(sys.argv[1], "w", format="mpegts") as out:
    stream = out.add_stream("mp2", rate=48_000, layout="mono")
    sound = (8_000 * np.sin(np.arange(48_000) / 20)).astype(np.int16)[np.newaxis]
    frame = av.AudioFrame.from_ndarray(sound, "s16", "mono")
    frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
    out.mux([*stream.encode(frame), *stream.encode(None)])
seen = []
for options in ({}, {"scan_all_pmts": "1"}):
    with av.open(sys.argv[1], container_options=options) as container:
        seen.append(container.streams.audio[0].codec_context.codec.canonical_name)
    print(options, seen[-1])
print("PyAV", av.__version__)
if seen != ["mp3", "mp2"]:
    sys.exit("the behaviour has changed")
PYTHON
