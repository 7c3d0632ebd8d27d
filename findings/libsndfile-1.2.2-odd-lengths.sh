#!/usr/bin/env bash
# Expected: a file has as many samples as were written into it, and as its blocks hold.
# Seen (soundfile 0.14.0 with libsndfile 1.2.2): mono AIFF of one byte a sample (8 bits, u-law, A-law) counts the byte
# that pads an odd number: 4801 samples written, 4802 in its header and read. VOC of many blocks, as FFmpeg writes it
# with a block for each packet, is read as one: the four bytes before each further block come out as samples, clicks in
# the sound; with 16 bits a sample two in each place.
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

COUNT = 4801
SOUND = (0.1 * np.sin(np.arange(COUNT) / 10)).astype(np.float32)
aiff = {}
for subtype in ("PCM_S8", "ULAW", "ALAW", "PCM_16"):
    path = f"{sys.argv[1]}/{subtype}.aiff"
    soundfile.write(path, SOUND, 48_000, subtype=subtype)
    aiff[subtype] = soundfile.info(path).frames
print("AIFF:", COUNT, "samples written; read:", aiff)

path = f"{sys.argv[1]}/a.voc"
with av.open(path, "w") as out:
    track = out.add_stream("pcm_s16le", rate=48_000, layout="mono")
    for start in range(0, COUNT, 960):
        frame = av.AudioFrame.from_ndarray(SOUND[np.newaxis, start : start + 960], "flt", "mono")
        frame.sample_rate, frame.pts = 48_000, start
        out.mux(track.encode(frame))
    out.mux(track.encode(None))
with av.open(path) as container:
    ffmpeg = sum(frame.samples for frame in container.decode(audio=0))
voc = soundfile.info(path).frames
print("VOC:", COUNT, "samples written in 6 blocks; read by FFmpeg:", ffmpeg, "by libsndfile:", voc)
print("libsndfile", soundfile.__libsndfile_version__)
if aiff != {"PCM_S8": COUNT + 1, "ULAW": COUNT + 1, "ALAW": COUNT + 1, "PCM_16": COUNT} or (ffmpeg, voc) != (
    COUNT,
    COUNT + 10,
):
    sys.exit("the behaviour has changed")
PYTHON
