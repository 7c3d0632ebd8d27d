#!/usr/bin/env bash
# Expected: ALAC is lossless, so that what soundfile writes as 20, 24 or 32 bits it reads back to half a step.
# Seen (soundfile 0.14.0 with libsndfile 1.2.2): loud noise in stereo comes back as other sound at all three, with errors
# of over half of full scale, and no error is raised. At 32 bits mono noise does too. Soft noise, tones and 16 bits are
# right: the frames that are wrong are those that could not be made smaller.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet numpy==2.4.6 soundfile==0.14.0
"$folder/bin/python" - "$folder/a.caf" 2>/dev/null <<'PYTHON'
import sys

import numpy as np
import soundfile

generator = np.random.default_rng(0)
NOISE = 0.3 * generator.standard_normal((48_000, 2)).clip(-3, 3)
print("libsndfile", soundfile.__libsndfile_version__)
wrong = set()
for bits in (16, 20, 24, 32):
    for channels in (1, 2):
        for kind, sound in (("loud", NOISE), ("soft", NOISE / 100)):
            soundfile.write(sys.argv[1], sound[:, :channels], 48_000, format="CAF", subtype=f"ALAC_{bits}")
            error = np.abs(soundfile.read(sys.argv[1], always_2d=True)[0] - sound[:, :channels]).max()
            print(f"{bits} bits, {channels} channels, {kind} noise: largest error {error:.1e}")
            if error > 0.5:
                wrong.add((bits, channels, kind))
if wrong != {(20, 2, "loud"), (24, 2, "loud"), (32, 1, "loud"), (32, 2, "loud")}:
    print("the behaviour has changed")
    sys.exit(1)
PYTHON
