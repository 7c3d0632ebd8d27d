"""A GRU with the parameters and results of `torch.nn.GRU`, for training: faster, and safe in bfloat16 on a CPU.

On a CPU, PyTorch's kernel records each step for autograd and multiplies each step's weight gradient on its own. Here
the scan is one autograd function: input gates and weight gradients are single matrix products over all steps, and only
the product with the hidden state stays sequential. A training step of `small` took 11 % less time for it in bfloat16
and 3 % less in float32 (one thread). The carry stays in float32, where PyTorch's would be rounded at each step.

On a GPU, cuDNN's backward pass is slow for narrow layers with many rows: its kernel `GRU_elementWise_bp2` took 55 % of
the time of a training step of `small` (H200, torch 2.11, 64 examples of 3 s). Here the forward pass is cuDNN's. The
backward pass computes the gates of all steps at once from the hidden states, which are known by then; what is left in
sequence is linear in the gradient of the state, two elementwise operations and a matrix product a step. It has trained
on a GPU; what it gains over cuDNN's backward pass was not measured, for want of a GPU since. It stays until it is: the
trainings so far went through it, and without it that kernel would be back.

When no gradient is needed, this is `torch.nn.GRU` itself. Equations: Cho et al., EMNLP 2014, in cuDNN's form (reset
gate after the product).
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


class _Replay(torch.autograd.Function):
    """Outputs ``[T, N, directions H]`` of input ``[T, N, I]``, first states ``[directions, N, H]`` and weights."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, first: Tensor, *weights: Tensor) -> Tensor:
        output, _ = torch.gru(input, first, weights, True, 1, 0.0, False, len(first) == 2, False)
        ctx.save_for_backward(input, first, output, *weights)
        return output

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, ...]:
        input, first, output, *weights = ctx.saved_tensors
        width = first.shape[2]
        d_input, d_first, d_weights = torch.zeros_like(input), [], []
        for direction, start in enumerate(first):
            own = slice(direction * width, (direction + 1) * width)
            by_input, by_state, *biases = weights[4 * direction : 4 * direction + 4]
            hidden, d_hidden = output[..., own], grads[0][..., own]
            before = torch.cat([hidden[1:], start[None]] if direction else [start[None], hidden[:-1]])
            from_input = nn.functional.linear(input, by_input, biases[0])
            from_state = nn.functional.linear(before, by_state, biases[1])
            reset, update = (from_input + from_state)[..., : 2 * width].sigmoid().chunk(2, dim=-1)
            recalled = from_state[..., 2 * width :]
            candidate = torch.addcmul(from_input[..., 2 * width :], reset, recalled).tanh()
            # derivatives of a state: by its candidate before the tanh, and by the three products with the state before
            to_candidate = (1 - update) * (1 - candidate.square())
            to_reset = to_candidate * recalled * reset * (1 - reset)
            to_update = (before - candidate) * update * (1 - update)
            factors = torch.stack([to_reset, to_update, to_candidate * reset], dim=2)
            d_state = d_hidden.clone(memory_format=torch.contiguous_format)
            d_products = torch.empty_like(factors)
            states, updates, scales = d_state.unbind(), update.unbind(), factors.unbind()
            spread, products = d_products.unbind(), d_products.flatten(2).unbind()
            order = list(range(len(input))) if direction else list(range(len(input) - 1, -1, -1))
            for now, then in zip(order, [*order[1:], None], strict=True):
                torch.mul(states[now][:, None], scales[now], out=spread[now])
                if then is None:
                    d_first.append(torch.addmm(states[now] * updates[now], products[now], by_state))
                else:
                    states[then].addcmul_(states[now], updates[now]).addmm_(products[now], by_state)
            by_gate = d_products.clone()
            by_gate[:, :, 2] = d_state * to_candidate
            by_gate, by_product = by_gate.flatten(2).flatten(0, 1), d_products.flatten(2).flatten(0, 1)
            d_input += (by_gate @ by_input).view_as(input)
            d_weights += [by_gate.t() @ input.flatten(0, 1), by_product.t() @ before.flatten(0, 1)]
            d_weights += [by_gate.sum(dim=0), by_product.sum(dim=0)]
        return d_input, torch.stack(d_first), *d_weights


class GRU(nn.GRU):
    """One layer of `torch.nn.GRU` (time first), with a faster gradient."""

    def __init__(self, input_size: int, hidden_size: int, bidirectional: bool = False) -> None:
        super().__init__(input_size, hidden_size, bidirectional=bidirectional)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """``[time, batch, input]`` and ``[directions, batch, hidden]`` to the outputs and the last state."""
        if not torch.is_grad_enabled():
            with torch.autocast(input.device.type, enabled=False):  # cuDNN's GRU would take float16, not bfloat16
                return super().forward(input.float(), None if hx is None else hx.float())
        if input.device.type != "cpu":
            with torch.autocast(input.device.type, enabled=False):
                return self.replayed(input.float(), None if hx is None else hx.float())
        outputs, last = [], []
        for direction, suffix in enumerate(["", "_reverse"][: 1 + self.bidirectional]):
            weights = [getattr(self, f"{name}_l0{suffix}") for name in ("weight_ih", "bias_ih", "weight_hh", "bias_hh")]
            gates = nn.functional.linear(input, weights[0], weights[1])
            first = input.new_zeros(input.shape[1], self.hidden_size) if hx is None else hx[direction]
            outputs.append(_Scan.apply(gates, weights[2], weights[3], first, bool(direction)))
            last.append(outputs[-1][0 if direction else -1])
        return torch.cat(outputs, dim=-1) if self.bidirectional else outputs[0], torch.stack(last)

    def replayed(self, input: Tensor, hx: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The same with PyTorch's own forward pass."""
        if hx is None:
            hx = input.new_zeros(1 + self.bidirectional, input.shape[1], self.hidden_size)
        output = _Replay.apply(input, hx, *self._flat_weights)
        ends = [output[-1, :, : self.hidden_size], output[0, :, self.hidden_size :]]
        return output, torch.stack(ends[: 1 + self.bidirectional])
