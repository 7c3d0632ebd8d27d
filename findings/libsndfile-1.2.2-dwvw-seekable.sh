#!/usr/bin/env bash
# Expected: soundfile reads what it has written, and a file that says it is seekable can be sought in.
# Seen (soundfile 0.14.0 with libsndfile 1.2.2): AIFF-C with DWVW of 16 or 24 bits says that it is seekable, and no place
# in it can be sought. So soundfile.read, SoundFile.read and SoundFile.blocks, which seek after each read of a seekable
# file, raise "Internal psf_fseek() failed.". The sound is whole: sf_readf_double of libsndfile gives all samples.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet numpy==2.4.6 soundfile==0.14.0
"$folder/bin/python" - "$folder" <<'PYTHON'
import sys

import numpy as np
import soundfile

SOUND = np.arange(1000) / 2000
for subtype in ("DWVW_16", "DWVW_24"):
    path = f"{sys.argv[1]}/{subtype}.aiff"
    soundfile.write(path, SOUND, 48_000, subtype=subtype)
    errors = []
    for read in (soundfile.read, lambda name: list(soundfile.blocks(name, 100))):
        try:
            read(path)
            errors.append("none")
        except soundfile.LibsndfileError as error:
            errors.append(str(error))
    with soundfile.SoundFile(path) as file:
        seekable, samples = file.seekable(), np.zeros(len(SOUND))
        buffer = soundfile._ffi.cast("double*", samples.ctypes.data)
        count = soundfile._snd.sf_readf_double(file._file, buffer, len(samples))
    worst = np.abs(samples - SOUND).max()
    print(f"{subtype}: seekable {seekable}; errors of read and blocks {errors}; read without seeking: {count} samples,")
    print(f"largest error {worst:.1e}")
    if not (seekable and errors == ["Internal psf_fseek() failed."] * 2 and count == len(SOUND) and worst < 1e-4):
        sys.exit("this changed")
PYTHON
