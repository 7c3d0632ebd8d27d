"""Weights of a loss's terms as shares of its gradient, calibrated once.

As the balancer of Défossez et al., "High Fidelity Neural Audio Compression" (arXiv:2210.13438), a term's weight is the
share that it has in the gradient with respect to the estimate, whatever the scale of its values. That balancer measures
the gradients, and goes backward once for each term, in every step. This one measures them in the first steps and keeps
the factors that it found: afterwards it costs a weighted sum, the loss no longer changes while it is
minimised, and a term that has been learned fades instead of being amplified.
"""

import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import torch
import torch.distributed
from torch import Tensor, nn


class NamedTerms(Protocol):
    """A NamedTuple of terms."""

    def _asdict(self) -> dict[str, Any]: ...


class Calibration(NamedTuple):
    """State of a term."""

    norms: float  # sum of the norms of its gradient
    calls: int  # in how many calls


class Balancer(nn.Module):
    r"""Sum of terms, each with a share of the gradient.

    With ``l_i`` the terms, ``w_i`` their weights and ``x`` the estimate::

        loss = total_norm * sum_i (w_i / sum_j w_j) * l_i / m_i
        m_i = mean over the first `warmup` calls of sum_b |d l_i / d x_b|

    where ``x_b`` are the items of the estimate's first axis (the whole, when it has only one) and ``|.|`` is the
    Euclidean norm. Terms are means over items, so ``m_i`` is the norm of one item's own gradient on average, whatever
    the size of the batch; times its factor it is ``total_norm * w_i / sum_j w_j``. During the calibration, ``m_i`` is
    the mean so far, with the present call; afterwards it is frozen, and saved in the ``state_dict``. A call does not
    count for a term whose gradient is zero or not finite; it goes on until `warmup` calls have counted for each.

    A call calibrates in training mode, while gradients are computed. Others, in validation, use the factors as they
    are; before the first calibration ``m_i`` is 1. In distributed training, norms are averaged over the processes, so
    all of them must calibrate in the same calls, and have the same factors.

    Args:
        weights: share of each term, above 0; they need not add up to 1.
        warmup: calls that calibrate.
        total_norm: norm of the sum's gradient for one item, were the gradients of all terms parallel.

    Raises:
        ValueError: there are no weights, or one of the arguments is not above 0.

    Example:
        >>> from emulator.losses.codec_loss import CodecLoss
        >>> codec = CodecLoss("mp3-v9-16k", sample_rate=16_000, layers=1.0)
        >>> balancer = Balancer({"noise_to_mask": 2, "layers": 1, "waveform": 1}, warmup=2)
        >>> target = 0.1 * torch.randn(3, 4_000)
        >>> estimate = (target + 0.01 * torch.randn(3, 4_000)).requires_grad_()
        >>> for step in range(3):
        ...     terms = codec.terms(estimate, target)._asdict()
        ...     terms["waveform"] = (estimate - target).abs().mean()
        ...     loss = balancer(terms, estimate)
        >>> loss.backward()
        >>> sorted(balancer.factors), balancer.calibrated
        (['layers', 'noise_to_mask', 'waveform'], True)
    """

    made = False  # whether this process has made one; `CodecLoss` warns when it is used without

    def __init__(self, weights: Mapping[str, float], *, warmup: int = 50, total_norm: float = 1.0) -> None:
        super().__init__()
        if not weights or not all(0 < weight < math.inf for weight in weights.values()):
            raise ValueError(f"weights must name one term or more, each finite and above 0; got {dict(weights)}")
        if warmup < 1 or not 0 < total_norm < math.inf:
            raise ValueError(f"warmup must be 1 or more and total_norm above 0; got {warmup} and {total_norm}")
        Balancer.made = True
        total = sum(weights.values())
        self.shares = {name: weight / total for name, weight in weights.items()}
        self.warmup = warmup
        self.total_norm = total_norm
        self._known = {name: Calibration(0.0, 0) for name in weights}

    @property
    def calibrated(self) -> bool:
        """True when the factors are frozen."""
        return all(known.calls >= self.warmup for known in self._known.values())

    @property
    def factors(self) -> dict[str, float]:
        """Factor of each term."""
        means = {name: known.norms / known.calls if known.calls else 1.0 for name, known in self._known.items()}
        return {name: self.total_norm * share / means[name] for name, share in self.shares.items()}

    def forward(self, terms: Mapping[str, Tensor] | NamedTerms, estimate: Tensor) -> Tensor:
        """Return the balanced sum.

        Args:
            terms: a number for each name in `weights`; others, such as a total, are left out.
            estimate: what the terms were computed from. The loss may be differentiated with respect to anything.

        Raises:
            ValueError: a term is missing, is not a single number, or does not depend on the estimate.
        """
        values = terms if isinstance(terms, Mapping) else terms._asdict()
        for name in self.shares:
            if name not in values:
                raise ValueError(f"no term {name!r} to balance; got {', '.join(values)}")
            if values[name].numel() != 1:
                raise ValueError(f"the term {name!r} must be a single number; got {tuple(values[name].shape)}")
        if self.training and torch.is_grad_enabled() and not self.calibrated:
            self._calibrate([values[name] for name in self.shares], estimate)
        return torch.stack([factor * values[name].reshape(()) for name, factor in self.factors.items()]).sum()

    def _calibrate(self, terms: list[Tensor], estimate: Tensor) -> None:
        norms = torch.stack([self._norm(name, term, estimate) for name, term in zip(self.shares, terms, strict=True)])
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(norms)
            norms = norms / torch.distributed.get_world_size()
        for (name, known), norm in zip(self._known.items(), norms.tolist(), strict=True):
            if 0 < norm < math.inf and known.calls < self.warmup:
                self._known[name] = Calibration(known.norms + norm, known.calls + 1)

    @staticmethod
    def _norm(name: str, term: Tensor, estimate: Tensor) -> Tensor:
        gradient = None
        if term.requires_grad and estimate.requires_grad:
            (gradient,) = torch.autograd.grad(term, estimate, retain_graph=True, allow_unused=True)
        if gradient is None:
            raise ValueError(
                f"the term {name!r} does not depend on the estimate; was it computed, and from this tensor?"
            )
        items = gradient.float().flatten(1) if gradient.dim() > 1 else gradient.float()[None]
        return items.norm(dim=1).sum()

    def get_extra_state(self) -> Tensor:
        """Return the calibration for the ``state_dict``: JSON in bytes, as safetensors keeps tensors alone."""
        text = json.dumps({name: list(known) for name, known in self._known.items()})
        return torch.tensor(list(text.encode()), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        """Restore the calibration.

        Raises:
            ValueError: it is that of other terms.
        """
        saved = json.loads(bytes(state.tolist()))
        if set(saved) != set(self._known):
            raise ValueError(
                f"the saved calibration is of {', '.join(saved)}; this balancer has {', '.join(self._known)}"
            )
        self._known.update({name: Calibration(float(norms), int(calls)) for name, (norms, calls) in saved.items()})
