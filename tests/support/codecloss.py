"""Signals and settings for the tests of the codec loss."""

import math
from typing import Any

import torch
from helpers import speech_like
from torch import Tensor

from emulator.losses.codec_loss import CodecLoss
from emulator.losses.terms import LEVEL
from emulator.model.network import Emulator

RATE = 16_000
SAMPLES = 4_000
TERMS = ("noise_to_mask", "loudness", "output", "layers")
ALL: dict[str, Any] = {"loudness": 1.0, "output": 1.0, "layers": 1.0}  # beside the term that is on by default


def only(name: str, emulator: Emulator, **options: Any) -> CodecLoss:
    """A loss of one term of weight 1."""
    return CodecLoss(emulator, **{"sample_rate": RATE, **dict.fromkeys(TERMS, 0.0), name: 1.0, **options})


def signals(*axes: int, samples: int = SAMPLES, rate: int = RATE, snr_db: float = 15.0) -> tuple[Tensor, Tensor]:
    """Estimate and target, `[*axes, samples]` at LEVEL in each signal."""
    generator = torch.Generator().manual_seed(0)
    target = torch.from_numpy(speech_like(samples / rate, rate, channels=math.prod(axes))).reshape(*axes, samples)
    target = LEVEL * target / target.square().mean(dim=-1, keepdim=True).sqrt()
    noise = LEVEL * 10 ** (-snr_db / 20) * torch.randn(target.shape, generator=generator)
    return target + noise, target
