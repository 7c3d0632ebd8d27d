#!/usr/bin/env bash
# Expected: a stream that is added from a template keeps the code of its codec, as `ffmpeg -c copy` keeps it.
# Seen (PyAV 18.1.0): add_stream_from_template sets it to 0, the muxer picks hev1 for HEVC, and Apple's players, which
# want hvc1, do not show the picture. The code can be set on stream.codec_context.codec_tag before the first packet.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet av==18.1.0 numpy==2.4.6
"$folder/bin/python" - "$folder" <<'PYTHON'
import sys

import av
import numpy as np

before, after = f"{sys.argv[1]}/a.mp4", f"{sys.argv[1]}/b.mp4"
with av.open(before, "w") as out:
    stream = out.add_stream("libx265", rate=25, width=64, height=48, options={"x265-params": "log-level=none"})
    stream.codec_context.codec_tag = "hvc1"
    for number in range(5):
        frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24")
        frame.pts = number
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))
with av.open(before) as source, av.open(after, "w") as out:
    copy = out.add_stream_from_template(source.streams.video[0])
    for packet in source.demux(video=0):
        if packet.dts is not None:
            packet.stream = copy
            out.mux(packet)
tags = []
for path in (before, after):
    with av.open(path) as container:
        tags.append(container.streams.video[0].codec_context.codec_tag)
print(f"the code was {tags[0]} and is {tags[1]}")
if tags != ["hvc1", "hev1"]:
    sys.exit("the behaviour has changed")
PYTHON
