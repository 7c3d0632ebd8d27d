#!/usr/bin/env bash
# Expected: what goes into the centre of a 5.0 or 6.1 track comes out of the centre.
# Seen (PyAV 18.1.0, FFmpeg 8.1.2, libopus): with the encoder's defaults, the channels of 5.0 and 6.1 change their places,
# 5.0 from left, right, centre, back left, back right to left, right, back left, back right, centre. 3.0, quad, 5.1 and
# 7.1 stay, and with mapping_family=1 all do. So a voice in the centre is heard from behind, after Matroska or WebM.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet av==18.1.0 numpy==2.4.6
"$folder/bin/python" - "$folder/a.mka" <<'PYTHON'
import sys

import av
import numpy as np

MOVED = {"5.0": [0, 1, 3, 4, 2], "6.1": [0, 1, 5, 3, 2, 4, 6]}


def order(layout: str, options: dict[str, str]) -> list[int]:
    """Which of the input's channels is heard in each of the output's."""
    channels = av.AudioLayout(layout).nb_channels
    hertz = 60 + 10 * np.arange(channels)  # low enough for a subwoofer
    tones = 0.2 * np.sin(2 * np.pi * hertz[:, None] * np.arange(48_000) / 48_000).astype(np.float32)
    with av.open(sys.argv[1], "w") as out:
        stream = out.add_stream("libopus", rate=48_000, layout=layout)
        stream.codec_context.bit_rate = 128_000 * channels
        stream.codec_context.options = options
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(tones.T).reshape(1, -1), "flt", layout)
        frame.sample_rate, frame.pts = 48_000, 0
        out.mux([*stream.encode(frame), *stream.encode(None)])
    with av.open(sys.argv[1]) as container:
        heard = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)
    if heard.shape[0] == 1:
        heard = heard.reshape(-1, channels).T
    peaks = np.abs(np.fft.rfft(heard[:, :48_000] * np.hanning(48_000))).argmax(axis=1)
    return [int(place) for place in np.rint((peaks - 60) / 10)]


for layout, moved in MOVED.items():
    default, family_1 = order(layout, {}), order(layout, {"mapping_family": "1"})
    print(f"{layout}: {default} by default, {family_1} with mapping_family=1")
    if default != moved or family_1 != sorted(moved):
        sys.exit("the behaviour has changed")
PYTHON
