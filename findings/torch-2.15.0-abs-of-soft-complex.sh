#!/usr/bin/env bash
# Expected: the gradient of the magnitude of a complex number has a magnitude of 1, or 0 at 0; torch.sgn gives a number on
# the unit circle. A loss of STFT magnitudes has a finite gradient for a sound that fades out.
# Seen (torch 2.15.0, complex64 on a CPU): below about 1e-38, where float32 is subnormal, `abs` itself is right, but its
# gradient and `sgn` may be infinite or NaN. It depends on the place in the tensor: what a vector instruction takes can be
# right while the odd element behind it is not. sqrt(re^2 + im^2) with a floor has no such gradient.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet numpy==2.4.6 torch==2.15.0
"$folder/bin/python" - <<'PYTHON'
import sys

import torch

print("torch", torch.__version__)
turned = torch.polar(torch.ones(9), torch.linspace(0, 3, 9))
finite = {}
for exponent in (-30, -37, -39, -41):
    soft = (turned * 10.0**exponent).requires_grad_()
    magnitude = soft.abs()
    magnitude.sum().backward()
    right = bool((magnitude > 0).all())
    finite[exponent] = int(soft.grad.isfinite().sum()), int(torch.sgn(soft.detach()).isfinite().sum())
    print(f"1e{exponent}: abs above 0: {right}; finite of 9: gradient {finite[exponent][0]}, sgn {finite[exponent][1]}")
times = torch.arange(16_000) / 16_000
sound = (0.1 * torch.randn(16_000, generator=torch.Generator().manual_seed(0)) * torch.exp(-100 * times)).requires_grad_()
spectrum = torch.stft(sound, 512, 256, window=torch.hann_window(512), return_complex=True)
spectrum.abs().mean().backward()
lost = int((~sound.grad.isfinite()).sum())
print(f"a sound that fades out by 870 dB in a second: {lost} of 16000 samples have a gradient that is not finite")
if finite[-30] != (9, 9) or finite[-37] != (9, 9) or min(finite[-41]) == 9 or not lost:
    sys.exit("the behaviour has changed")
PYTHON
