#!/usr/bin/env bash
# Expected: PyTorch ships py.typed, so the three lines of any training pass `mypy --strict`.
# Seen with torch 2.15.0: `loss.backward()` is an "untyped function"; torch.autograd.grad and torch.autograd.backward
# are annotated and pass. A library that promises strict types must show its users one of those.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet mypy==2.4.1 numpy==2.4.6
"$folder/bin/pip" install --quiet --no-deps torch==2.15.0 # it is only read
cd "$folder"
printf 'import torch\n\nx = torch.ones(3, requires_grad=True)\n%s\n' 'x.square().sum().backward()' >method.py
printf 'import torch\n\nx = torch.ones(3, requires_grad=True)\n%s\n' 'torch.autograd.backward(x.square().sum())' >function.py
bin/mypy --version
bin/mypy --strict function.py
if bin/mypy --strict method.py >method.log; then
  echo "torch 2.15.0: Tensor.backward passes mypy --strict: the behaviour has changed"
  exit 1
fi
cat method.log
grep -q 'Call to untyped function "backward" in typed context' method.log
