"""A GRU with the parameters and results of `torch.nn.GRU`, for training on a CPU: faster, and safe in bfloat16.

On a CPU, PyTorch's kernel records each step for autograd and multiplies each step's weight gradient on its own. Here
the scan is one autograd function: input gates and weight gradients are single matrix products over all steps, and only
the product with the hidden state stays sequential. A training step of `small` took 11 % less time for it in bfloat16
and 3 % less in float32 (one thread). The carry stays in float32, where PyTorch's would be rounded at each step.

On a GPU, and when no gradient is needed, this is `torch.nn.GRU` itself, in float32. Its backward pass on a GPU is slow
for narrow layers with many rows: one kernel of cuDNN's, `GRU_elementWise_bp2`, took 55 % of the time of a training step
of `small` (H200, torch 2.11, 64 examples of 3 s). A backward pass of our own stood here until commit 41b7afb, and the
shipped networks were trained through it, but what it gained was never measured.

Equations: Cho et al., EMNLP 2014, in cuDNN's form (reset gate after the product).
"""

from typing import Any

import torch
from torch import Tensor, nn


class _Scan(torch.autograd.Function):
    """Hidden states ``[T, N, H]`` of input gates ``[T, N, 3 H]``, weight ``[3 H, H]``, bias, first state ``[N, H]``."""

    @staticmethod
    def forward(ctx: Any, gates: Tensor, weight: Tensor, bias: Tensor, first: Tensor, reverse: bool) -> Tensor:
        steps, rows, width = gates.shape[0], gates.shape[1], weight.shape[1]
        order = range(steps - 1, -1, -1) if reverse else range(steps)
        hidden = gates.new_empty(steps, rows, width)
        opened = gates.new_empty(steps, rows, 2 * width)  # reset and update gates
        candidate = gates.new_empty(steps, rows, width)
        recalled = gates.new_empty(steps, rows, width)  # the hidden state's part of the candidate, before its reset
        parameter_dtype = weight.dtype
        weight, bias = weight.to(gates.dtype), bias.to(gates.dtype)
        transposed = weight.t().contiguous()
        state = first.float() if gates.dtype == torch.bfloat16 else first  # the carry keeps full precision
        for t in order:
            product = torch.addmm(bias, state.to(gates.dtype), transposed)
            gate = torch.add(gates[t, :, : 2 * width], product[:, : 2 * width], out=opened[t]).sigmoid_()
            recalled[t] = product[:, 2 * width :]
            new = torch.addcmul(gates[t, :, 2 * width :], gate[:, :width], recalled[t], out=candidate[t]).tanh_()
            state = torch.lerp(new.to(state.dtype), state, gate[:, width:].to(state.dtype))
            hidden[t] = state
        ctx.save_for_backward(weight, first, hidden, opened, candidate, recalled)
        ctx.order, ctx.parameter_dtype = order, parameter_dtype
        return hidden

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, None]:
        weight, first, hidden, opened, candidate, recalled = ctx.saved_tensors
        steps, rows, width = hidden.shape
        order = list(ctx.order)
        before = torch.empty_like(hidden)
        before[order[0]] = first
        if steps > 1:
            shift = order[1] - order[0]
            before[max(shift, 0) : steps + min(shift, 0)] = hidden[max(-shift, 0) : steps - max(shift, 0)]
        reset, update = opened[..., :width], opened[..., width:]
        # factors that do not depend on the gradient, for all steps at once
        to_candidate = (1 - update) * (1 - candidate.square())
        to_update = (before - candidate) * update * (1 - update)
        to_reset = recalled * reset * (1 - reset)
        d_gates = torch.empty(steps, rows, 3 * width, dtype=hidden.dtype)
        d_product = torch.empty_like(d_gates)
        d_state = torch.zeros_like(first)
        for t in reversed(order):
            d_state = (d_state + grads[0][t]).to(hidden.dtype)
            d_candidate = torch.mul(d_state, to_candidate[t], out=d_gates[t, :, 2 * width :])
            torch.mul(d_candidate, to_reset[t], out=d_gates[t, :, :width])
            torch.mul(d_state, to_update[t], out=d_gates[t, :, width : 2 * width])
            d_product[t, :, : 2 * width] = d_gates[t, :, : 2 * width]
            torch.mul(d_candidate, reset[t], out=d_product[t, :, 2 * width :])
            d_state = torch.addmm(d_state * update[t], d_product[t], weight)
        flat = d_product.flatten(0, 1)
        d_weight = (flat.t() @ before.flatten(0, 1)).to(ctx.parameter_dtype)
        return d_gates, d_weight, flat.sum(dim=0, dtype=ctx.parameter_dtype), d_state.to(first.dtype), None


class GRU(nn.GRU):
    """One layer of `torch.nn.GRU` (time first), with a faster gradient on a CPU."""

    def __init__(self, input_size: int, hidden_size: int, bidirectional: bool = False) -> None:
        super().__init__(input_size, hidden_size, bidirectional=bidirectional)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """``[time, batch, input]`` and ``[directions, batch, hidden]`` to the outputs and the last state."""
        if not torch.is_grad_enabled() or input.device.type != "cpu":
            with torch.autocast(input.device.type, enabled=False):  # cuDNN's GRU would take float16, not bfloat16
                return super().forward(input.float(), None if hx is None else hx.float())
        outputs, last = [], []
        for direction, suffix in enumerate(["", "_reverse"][: 1 + self.bidirectional]):
            weights = [getattr(self, f"{name}_l0{suffix}") for name in ("weight_ih", "bias_ih", "weight_hh", "bias_hh")]
            gates = nn.functional.linear(input, weights[0], weights[1])
            first = input.new_zeros(input.shape[1], self.hidden_size) if hx is None else hx[direction]
            outputs.append(_Scan.apply(gates, weights[2], weights[3], first, bool(direction)))
            last.append(outputs[-1][0 if direction else -1])
        return torch.cat(outputs, dim=-1) if self.bidirectional else outputs[0], torch.stack(last)
