#!/usr/bin/env bash
# Expected: where a container cannot hold a sample rate, the error says so: MXF by FFmpeg holds 48 kHz alone.
# Seen (PyAV 18.1.0 with FFmpeg 8): writing PCM at 44.1 kHz raises PermissionError, "Operation not permitted", as if the
# file might not be written; the muxer answers -1, which is the number of that error (EPERM). The same at 48 kHz works.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet av==18.1.0 numpy==2.4.6
"$folder/bin/python" - "$folder" <<'PYTHON'
import sys

import av
import numpy as np


def written(rate):
    """What comes of a tenth of a second of silence, with the picture that MXF wants first."""
    try:
        with av.open(f"{sys.argv[1]}/a.mxf", "w") as out:
            picture = out.add_stream("mpeg2video", rate=25)
            picture.width = picture.height = 64
            picture.pix_fmt = "yuv420p"
            sound = out.add_stream("pcm_s16le", rate=rate, layout="mono")
            out.mux(picture.encode(av.VideoFrame(64, 64, "yuv420p")))
            frame = av.AudioFrame.from_ndarray(np.zeros((1, rate // 25), np.int16), "s16", "mono")
            frame.sample_rate, frame.pts = rate, 0
            out.mux(sound.encode(frame))
            out.mux([*picture.encode(None), *sound.encode(None)])
        return "written"
    except OSError as error:
        return f"{type(error).__name__}: {error.strerror}, number {error.errno}"


found = {rate: written(rate) for rate in (48_000, 44_100)}
print("PyAV", av.__version__, "FFmpeg", av.ffmpeg_version_info)
for rate, said in found.items():
    print(f"MXF at {rate} Hz: {said}")
if found != {48_000: "written", 44_100: "PermissionError: Operation not permitted, number 1"}:
    sys.exit("the behaviour has changed")
PYTHON
