#!/usr/bin/env bash
# Expected: an encoder keeps the level; what comes out of the decoder is as loud as what went in.
# Seen (LAME 4.0 of lameenc 1.9.0; LAME 3.100 of PyAV 18.1.0 and of soundfile 0.14.0, libsndfile 1.2.2): at constant and
# average bitrates LAME scales the signal before it encodes it: by .95 (-.45 dB) up to 160 kbit/s, .97 at 192, .98 at 224,
# and by 1 from 256 on. Variable bitrates keep the level but for what they leave out (under .1 dB here). So a recording and
# its MP3 that are compared sample by sample, or two settings that are compared by ear, differ by that much.
# The noise lies from 100 to 4000 Hz, under every low-pass of the encoder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet lameenc==1.9.0 av==18.1.0 soundfile==0.14.0 numpy==2.4.6
"$folder/bin/python" - <<'PYTHON'
import io
import re
import sys
from fractions import Fraction

import av
import lameenc
import numpy as np
import soundfile

RATE = 44_100
spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(4 * RATE))
hertz = np.fft.rfftfreq(4 * RATE, 1 / RATE)
noise = np.fft.irfft(spectrum * ((hertz > 100) & (hertz < 4000)), 4 * RATE)
samples = np.rint(3277 * noise / noise.std()).astype(np.int16)  # -20 dBFS


def by_lameenc(kbps):
    encoder = lameenc.Encoder()
    encoder.silence()
    encoder.set_in_sample_rate(RATE)
    encoder.set_out_sample_rate(RATE)
    encoder.set_channels(1)
    encoder.set_bit_rate(kbps)
    return bytes(encoder.encode(samples.tobytes()) + encoder.flush())


def by_pyav(kbps, **options):
    file = io.BytesIO()
    with av.open(file, "w", format="mp3") as out:
        stream = out.add_stream("libmp3lame", rate=RATE, layout="mono", options=options)
        stream.bit_rate = 1000 * kbps
        frame = av.AudioFrame.from_ndarray(samples[np.newaxis], "s16p", "mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        out.mux([*stream.encode(frame), *stream.encode(None)])
    return file.getvalue()


def by_soundfile(mode, level):
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, "MPEG_LAYER_III", format="MP3", bitrate_mode=mode, compression_level=level)
    return file.getvalue()


def tag(mp3):
    """Return the name that LAME leaves in a file."""
    found = re.search(rb"LAME[0-9.]+|Lavc[0-9.]*", mp3)
    return found[0].decode() if found else "none"


def gain(mp3):
    """Return the factor between what went in and what comes out, at the delay where they are most alike."""
    with av.open(io.BytesIO(mp3)) as container:
        out = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)]).astype(float)
    size = 2**19
    likeness = np.fft.irfft(np.fft.rfft(out, size) * np.conj(np.fft.rfft(samples / 32768, size)))
    delayed = np.roll(samples / 32768, int(likeness.argmax()))[: len(out)]
    middle = slice(RATE, 3 * RATE)
    return out[middle] @ delayed[middle] / (delayed[middle] @ delayed[middle])


RATES = {64: 0.95, 128: 0.95, 160: 0.95, 192: 0.97, 224: 0.98, 256: 1.0, 320: 1.0}
found = [(f"lameenc, {kbps} kbit/s", gain(by_lameenc(kbps)), told) for kbps, told in RATES.items()]
found += [(f"PyAV, {kbps} kbit/s", gain(by_pyav(kbps)), told) for kbps, told in RATES.items()]
found += [(f"PyAV, average of {kbps} kbit/s", gain(by_pyav(kbps, abr="1")), told) for kbps, told in RATES.items()]
variable = [by_pyav(128, global_quality=str(118 * quality), flags="+qscale") for quality in (0, 4)]
found += [("PyAV, variable, V0", gain(variable[0]), 1.0), ("PyAV, variable, V4", gain(variable[1]), 1.0)]
found += [("soundfile, constant, 128 kbit/s", gain(by_soundfile("CONSTANT", 2 / 3)), 0.95)]
found += [("soundfile, variable", gain(by_soundfile("VARIABLE", 0.5)), 1.0)]
for name, factor, _ in found:
    print(f"{name}: {factor:.3f} times, {20 * np.log10(factor):+.2f} dB")
print(f"tags of the encoders: {tag(by_lameenc(128))}, {tag(by_pyav(128))}, {tag(by_soundfile('CONSTANT', 2 / 3))}")
if any(abs(factor - told) > (0.01 if "variable" in name else 0.002) for name, factor, told in found):
    sys.exit("the behaviour has changed")
PYTHON
