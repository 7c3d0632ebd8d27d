#!/usr/bin/env bash
# Expected: pulsectl's `connect(timeout=T)` raises when there is no connection within T seconds, and returns as soon as
# there is one; without a timeout it returns after milliseconds.
# Seen (pulsectl 24.12.0, with PulseAudio 16.1 and PipeWire 0.3.65): it always takes the whole T seconds, also when the
# server has answered at once. A program that asks with a timeout of 5 s takes 5 s for each question.
# Needs a sound server; starts Debian's `pulseaudio` without devices, in a folder of its own.
set -euo pipefail
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pulsectl==24.12.0
export HOME=$folder XDG_RUNTIME_DIR=$folder PULSE_RUNTIME_PATH=$folder/pulse
unset PULSE_SERVER
pulseaudio -n --daemonize=no --exit-idle-time=-1 --use-pid-file=no --log-level=error \
  --load="module-native-protocol-unix auth-anonymous=1" &
server=$!
"$folder/venv/bin/python" <<'PYTHON'
import sys
import time

import pulsectl


def seconds(**options: float) -> float:
    with pulsectl.Pulse("finding", connect=False) as pulse:
        begun = time.monotonic()
        pulse.connect(**options)
        return time.monotonic() - begun


with pulsectl.Pulse("finding", connect=False) as pulse:
    pulse.connect(wait=True)
    information = pulse.server_info()
    print(f"{information.server_name} {information.server_version}")
plain, bounded = (min(seconds(**options) for _ in range(3)) for options in ({}, {"timeout": 3.0}))
print(f"connect() took {plain:.3f} s, connect(timeout=3.0) {bounded:.3f} s")
if not (plain < 1 and bounded >= 2.9):
    sys.exit("the behaviour has changed")
PYTHON
