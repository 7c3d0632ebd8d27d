#!/usr/bin/env bash
# Expected: Opus of six channels at 320 kbit/s holds the whole band, as that of two channels at 126 does.
# Seen (soundfile 0.14.0 with libsndfile 1.2.2): with three channels or more, written without a compression level, nearly
# nothing is left above 8 kHz and a few dB are missing above 3 kHz, though the file takes as many bits as it should. With
# a level (.768 here, 64 kbit/s a channel) the band is whole, as it is for one and two channels without one.
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

SECONDS, RATE = 2, 48_000


def written(channels, **options):
    """Level of the band from 10 to 16 kHz, dB of what it was, and the bitrate, kbit/s."""
    noise = 0.1 * np.random.default_rng(0).standard_normal((SECONDS * RATE, channels))
    path = f"{sys.argv[1]}/a.opus"
    soundfile.write(path, noise, RATE, format="OGG", subtype="OPUS", **options)
    powers = [np.abs(np.fft.rfft(sound, axis=0)) ** 2 for sound in (soundfile.read(path)[0], noise)]
    ours, theirs = (power[10_000 * SECONDS : 16_000 * SECONDS].sum() for power in powers)
    return round(10 * np.log10(ours / theirs)), round(os.path.getsize(path) * 8 / SECONDS / 1000)


print("libsndfile", soundfile.__libsndfile_version__)
found = {channels: written(channels) for channels in (1, 2, 3, 6)}
chosen = written(6, compression_level=0.768)
for channels, (level, rate) in found.items():
    print(f"{channels} channels: {level} dB from 10 to 16 kHz, {rate} kbit/s")
print(f"6 channels with a compression level: {chosen[0]} dB, {chosen[1]} kbit/s")
if not (min(found[1][0], found[2][0], chosen[0]) > -3 and max(found[3][0], found[6][0]) < -40):
    sys.exit("the behaviour has changed")
PYTHON
