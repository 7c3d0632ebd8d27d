#!/usr/bin/env bash
# Expected: the channels of 5.1 come in one order from every format, as in FFmpeg: FL FR FC LFE BL BR. Read from FLAC or
# WAV and written to Ogg, each stays the channel of its speaker.
# Seen (soundfile 0.14.0 with libsndfile 1.2.2): Opus (and Vorbis) is read and written in its own order, FL FC FR BL BR
# LFE, and nothing says so. What is copied from FLAC to Ogg has centre and right exchanged, and the low-frequency channel
# on a rear speaker.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet av==18.1.0 numpy==2.4.6 soundfile==0.14.0
"$folder/bin/python" - "$folder" <<'PYTHON'
import sys

import av
import numpy as np
import soundfile

times = np.arange(24_000) / 48_000
pitches = [300, 400, 500, 100, 600, 700]  # of FL FR FC LFE BL BR; the codecs keep no more than 120 Hz of the fourth
tones = np.stack([0.1 * np.sin(2 * np.pi * pitch * times) for pitch in pitches])


def heard(samples):
    window = np.hanning(19_200)
    return [round(np.argmax(np.abs(np.fft.rfft(channel[:19_200] * window))) * 2.5, -2) for channel in samples]


print("libsndfile", soundfile.__libsndfile_version__)
path = f"{sys.argv[1]}/opus.ogg"
with av.open(path, "w", format="ogg") as out:
    stream = out.add_stream("libopus", rate=48_000, layout="5.1")
    frame = av.AudioFrame.from_ndarray(tones.astype(np.float32), "fltp", "5.1")
    frame.sample_rate = 48_000
    resampler = av.AudioResampler(stream.codec_context.format.name, "5.1", 48_000)
    packets = [packet for plain in resampler.resample(frame) for packet in stream.encode(plain)]
    out.mux([*packets, *stream.encode(None)])
with av.open(path) as container:
    resampler = av.AudioResampler("flt", "5.1", 48_000)
    frames = [plain.to_ndarray() for frame in container.decode(audio=0) for plain in resampler.resample(frame)]
by_ffmpeg = [int(pitch) for pitch in heard(np.concatenate(frames, axis=1).reshape(-1, 6).T)]
by_libsndfile = [int(pitch) for pitch in heard(soundfile.read(path)[0].T)]
print(f"written {pitches}, read by FFmpeg {by_ffmpeg}, by libsndfile {by_libsndfile}")
if by_ffmpeg != pitches or by_libsndfile != [300, 500, 400, 600, 700, 100]:
    sys.exit("the behaviour has changed")
PYTHON
