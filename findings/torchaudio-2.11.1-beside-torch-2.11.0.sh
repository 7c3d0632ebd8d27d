#!/usr/bin/env bash
# Expected: torchaudio 2.11.1 declares torch>=2.11, so it loads beside torch 2.11.0.
# Seen: it does not (OSError: Could not load this library); nor beside torch 2.12.1. It loads beside 2.13.0, 2.14.1 and
# 2.15.0. torchaudio 2.11.0 loads beside 2.11.0 and 2.12.1, and refuses 2.15.0 for its version of CUDA.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet torch==2.11.0 torchaudio==2.11.1 numpy==2.4.6
echo "torchaudio 2.11.1 declares: $("$folder/bin/pip" show --verbose torchaudio | grep '^Requires:')"
if "$folder/bin/pip" check; then echo "pip check finds nothing wrong"; else exit 1; fi
if "$folder/bin/python" -c "import torchaudio" 2>"$folder/error"; then
  echo "torchaudio 2.11.1 loads beside torch 2.11.0: the behaviour has changed"
  exit 1
fi
tail -n 1 "$folder/error" | sed "s|$folder||"
grep -q 'OSError: Could not load this library' "$folder/error"
echo "torchaudio 2.11.1 does not load beside torch 2.11.0, which it declares to be enough"
