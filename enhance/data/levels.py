"""Levels of signals in a batch: power of the active part of speech, and scaling to an RMS."""

import math

from torch import Tensor

LEVEL_DBFS = -25.0  # RMS at which further losses compare: the middle of what the emulators are trained on
FRAME = 960  # samples (20 ms) in which active speech is found
ACTIVE_RANGE = 1e-4  # power of the weakest active frame, relative to the loudest (-40 dB)
SILENT_CROP_POWER = 1e-8  # power (-80 dBFS) under which a crop counts as silent


def active_power(speech: Tensor) -> Tensor:
    """Return the mean power `[batch, 1]` of the 20 ms frames of `[batch, time]` within 40 dB of the loudest one.

    Example:
        >>> import torch
        >>> active_power(torch.cat([torch.zeros(1, 9600), torch.full((1, 9600), 0.5)], dim=1))
        tensor([[0.2500]])
    """
    usable = speech.shape[1] // FRAME * FRAME
    frames = speech[:, :usable].unflatten(1, (-1, FRAME)).square().mean(dim=-1)
    is_active = frames > ACTIVE_RANGE * frames.amax(dim=1, keepdim=True)
    return (frames * is_active).sum(dim=1, keepdim=True) / is_active.sum(dim=1, keepdim=True).clamp_min(1)


def scale_to(audio: Tensor, level: Tensor) -> Tensor:
    """Bring `audio` `[batch, time]` in place to an RMS of a tenth of `level` `[batch]`; leave silence alone.

    Example:
        >>> import torch
        >>> scale_to(torch.full((1, 4), 0.5), torch.tensor([2.0]))
        tensor([[0.2000, 0.2000, 0.2000, 0.2000]])
    """
    rms = audio.square().mean(dim=1, keepdim=True).sqrt().clamp_min(math.sqrt(SILENT_CROP_POWER))
    return audio.mul_(0.1 * level[:, None] / rms)
