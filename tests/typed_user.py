"""A program of a user who checks types: `.ci/run` puts it beside the wheel and runs `mypy --strict` on it."""

from pathlib import Path
from typing import assert_type

import numpy as np
import torch
from numpy.typing import NDArray

from emulator import CodecLoss, CodecTerms, Reference
from enhance import Denoiser, ModelError, Stream, list_models


def clean(noisy: NDArray[np.float32], sample_rate: int, model: str | Path | None = None) -> NDArray[np.float32]:
    """Denoise `[channels, time]`, whole and as a stream."""
    denoiser = Denoiser() if model is None else Denoiser(model)
    whole = denoiser.denoise(noisy, sample_rate)
    stream = denoiser.stream(sample_rate=sample_rate, channels=noisy.shape[0], attenuation_limit_db=20)
    assert_type(stream, Stream)
    pieces = [stream.process(noisy[:, :1000]), stream.process(noisy[:, 1000:]), stream.flush()]
    assert np.concatenate(pieces, axis=1).shape == whole.shape
    return whole


def distance(estimate: torch.Tensor, target: torch.Tensor) -> float:
    """Norm of the gradient of the codec loss."""
    loss = CodecLoss("mp3-v9-16k", sample_rate=16_000)
    reference = loss.reference(target)
    terms = loss.terms(estimate, reference)
    assert_type(reference, Reference)
    assert_type(terms, CodecTerms)
    (gradient,) = torch.autograd.grad(terms.total, estimate)
    return float(gradient.norm())


def main() -> None:
    print([entry.name for entry in list_models()])
    noisy = np.random.default_rng(0).normal(0, 0.01, (2, 44_100)).astype(np.float32)
    print(clean(noisy, 44_100).shape)
    try:
        clean(noisy, 44_100, "no-such-model")
    except ModelError as error:
        print(error)
    print(distance(torch.randn(1, 16_000, requires_grad=True), torch.randn(1, 16_000)))


if __name__ == "__main__":
    main()
