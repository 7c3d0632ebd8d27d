"""PyTorch and torchaudio load together: a release of one of them has broken the other before."""

import subprocess
import sys

from emulator.losses.distances import PAIRS


def test_torch_and_torchaudio_fit() -> None:
    program = "import torch, torchaudio.functional as f; f.resample(torch.zeros(8), 2, 1)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    reason = (loaded.stderr.strip().splitlines() or [""])[-1]
    assert loaded.returncode == 0, f"torchaudio does not load beside this torch; wanted: {PAIRS} ({reason})"
