#!/usr/bin/env bash
# Expected: how much a stream of soxr has put out depends on how much it has been given, not on the blocks it came in;
# the delay of a stream can then be told beforehand.
# Seen: with soxr 1.1.0 (Python), 48 kHz to 11.025 kHz, 20 s given in blocks of 0.4 s leave up to 121 ms held back,
# in blocks of 10 ms at most 76 ms; empty blocks do not bring it out. Values and length are the same in the end.
# It matters to live sound: who counts the delay with short blocks waits longer with long ones.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet soxr==1.1.0 numpy==2.4.6
"$folder/bin/python" - <<'END'
import sys

import numpy as np
import soxr

RATE, TARGET = 48_000, 11_025
print("soxr", soxr.__version__)
audio = np.random.default_rng(0).standard_normal(20 * RATE).astype(np.float32)
held, outputs = {}, {}
for block in (480, 19_200):
    stream = soxr.ResampleStream(RATE, TARGET, 1, dtype="float32", quality="HQ")
    most, made, parts = 0.0, 0, []
    for start in range(0, audio.size, block):
        parts.append(stream.resample_chunk(audio[start : start + block]))
        parts.append(stream.resample_chunk(audio[:0]))
        made += parts[-2].size + parts[-1].size
        most = max(most, (start + block) / RATE - made / TARGET)
    parts.append(stream.resample_chunk(audio[:0], last=True))
    held[block], outputs[block] = 1000 * most, np.concatenate(parts)
    print(f"blocks of {block} samples: at most {held[block]:.1f} ms held back after a block")
same = np.array_equal(outputs[480], outputs[19_200])
print(f"the whole outputs are {'equal' if same else 'not equal'}")
if not same or held[19_200] < 1.3 * held[480]:
    sys.exit("long blocks hold back no more than short ones: the behaviour has changed")
END
