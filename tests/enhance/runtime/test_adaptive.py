"""Models of `mpeace live` that are too slow, or become so."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from command import ROOT, read
from helpers import speech_like
from livepath import BLOCK, RATE, make_path, through
from onnx import TensorProto, helper, numpy_helper
from tiny_model import TINY_HOP, TINY_METADATA, without_offset, write_tiny_model

from apps.live.engine.block_processor import BlockProcessor, Controls
from enhance import Denoiser
from enhance.runtime import adaptive as fallback
from enhance.runtime.adaptive import AdaptiveModel, Load


def slow_model(path: Path, work: int) -> Denoiser:
    """A real model that is slow: the tiny one of `conftest` and some products of large matrices on its way."""
    nodes = [
        helper.make_node("Concat", ["state", "audio"], ["line"], axis=1),
        helper.make_node("Slice", ["line", "zero", "last", "time"], ["delayed"]),
        helper.make_node("Slice", ["line", "last", "end", "time"], ["next_state"]),
        helper.make_node("ReduceMean", ["audio"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["matrix", "mean"], ["product0"]),
    ]
    nodes += [helper.make_node("MatMul", [f"product{n}", "matrix"], [f"product{n + 1}"]) for n in range(work)]
    nodes += [
        helper.make_node("ReduceMean", [f"product{work}"], ["number"], keepdims=0),
        helper.make_node("Mul", ["number", "nothing"], ["zeroed"]),
        helper.make_node("Add", ["delayed", "zeroed"], ["estimate"]),
    ]
    constants = {"zero": [0], "last": [-TINY_HOP], "end": [2**31], "time": [1]}
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    weights.append(numpy_helper.from_array(np.full((512, 512), 1e-3, np.float32), "matrix"))
    weights.append(numpy_helper.from_array(np.asarray(0, np.float32), "nothing"))

    def value(name: str, width: int | str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", width])

    inputs = [value("audio", "samples"), value("state", TINY_HOP)]
    outputs = [value("estimate", "samples"), value("next_state", TINY_HOP)]
    model = helper.make_model(
        helper.make_graph(nodes, "slow", inputs, outputs, weights),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    helper.set_model_props(model, {**TINY_METADATA, "name": "slow"})
    path.write_bytes(model.SerializeToString())
    return Denoiser(path)


def test_a_model_that_gives_nan_is_given_up_for_good_and_named(tmp_path: Path, tiny_denoiser: Denoiser) -> None:
    broken = Denoiser(write_tiny_model(tmp_path / "overflow.onnx", gain=3e38))
    model = AdaptiveModel([broken, tiny_denoiser], allowance=60)
    state, loud = model.initial_state(1), np.full((1, TINY_HOP), 4.0, np.float32)
    heard = []
    for _ in range(3):
        hop, state = model.step(loud, state)
        heard.append(hop)
    assert np.isfinite(heard).all()
    assert model.name == tiny_denoiser.info.name
    assert model.messages == [
        f"the file {tmp_path / 'overflow.onnx'} returns NaN or infinite samples; use another model; tiny-delay instead"
    ]


def centred(audio: np.ndarray) -> np.ndarray:
    """Without its offset, as every model hears it."""
    return without_offset(audio[None])[0]


def test_promise_20_the_message_says_by_how_much_a_machine_is_too_slow(tmp_path: Path, tiny_denoiser: Denoiser) -> None:
    slow = slow_model(tmp_path / "slow.onnx", 40)
    model = AdaptiveModel([slow, tiny_denoiser])
    model.warm_up()
    assert model.name == tiny_denoiser.info.name
    assert len(model.messages) == 1
    assert "too slow: slow takes" in model.messages[0]
    alone = AdaptiveModel([slow])
    alone.warm_up()
    assert alone.level == 1
    assert "the sound passes as it comes" in alone.messages[0]
    path = BlockProcessor(alone, slow.info.sample_rate, 1, TINY_HOP, Controls())
    audio = speech_like(1, slow.info.sample_rate)[0]
    out = through(path, audio)
    delay = path.latency_samples
    np.testing.assert_allclose(out[delay:], centred(audio)[: len(out) - delay], atol=1e-6)  # the same delay, and dry


def test_promise_20_a_model_that_becomes_too_slow_gives_way_without_a_click(shipped_denoiser: Denoiser) -> None:
    """The hops that are left out are dry; each change is faded, so no step is larger than those of the signals."""
    noisy = read(ROOT / "tests" / "data" / "noisy.flac")[0]
    plain = through(make_path(shipped_denoiser), noisy)
    model = AdaptiveModel([shipped_denoiser], allowance=1.0)
    path = BlockProcessor(model, RATE, 1, BLOCK, Controls())
    out = []
    for number in range(len(noisy) // BLOCK):
        if 150 <= number < 400:  # as if another program had the core
            model.load.note(3.0, 0.01, skipped=False)
        out.append(path.process(noisy[number * BLOCK : (number + 1) * BLOCK, None])[:, 0].copy())
    switched = np.concatenate(out)
    assert model.skipped > 100
    assert model.level == 1
    assert any("too slow" in message for message in model.messages)
    largest = max(np.abs(np.diff(noisy)).max(), np.abs(np.diff(plain)).max())
    assert np.abs(np.diff(switched)).max() <= largest
    delay = path.latency_samples
    dry = centred(noisy)[420 * BLOCK - delay : len(switched) - delay]
    np.testing.assert_allclose(switched[420 * BLOCK :], dry, atol=1e-6)


def test_a_model_that_gave_way_to_a_smaller_one_is_tried_again(
    shipped_denoiser: Denoiser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fallback, "_FIRST_RETRY", 100)
    noisy = read(ROOT / "tests" / "data" / "noisy.flac")[0]
    plain = through(make_path(shipped_denoiser), noisy)
    model = AdaptiveModel([shipped_denoiser, shipped_denoiser], allowance=1.0)
    path, out, levels = BlockProcessor(model, RATE, 1, BLOCK, Controls()), [], []
    for number in range(len(noisy) // BLOCK):
        if number >= 50 and 1 not in levels:  # as if another program had the core
            model.load.note(3.0, 0.01, skipped=False)
        out.append(path.process(noisy[number * BLOCK : (number + 1) * BLOCK, None])[:, 0].copy())
        levels.append(model.level)
    assert levels[-1] == 0
    assert 95 <= levels.count(1) <= 105
    assert model.messages[-1] == f"trying {shipped_denoiser.info.name} again"
    largest = max(np.abs(np.diff(noisy)).max(), np.abs(np.diff(plain)).max())
    assert np.abs(np.diff(np.concatenate(out))).max() <= largest


def test_load_forgives_a_single_stall() -> None:
    load = Load(allowance=0.02)
    load.note(5.0, 0.01, skipped=False)
    skipped = 0
    for _ in range(200):
        skipped += load.late
        load.note(0.0 if load.late else 0.001, 0.01, skipped=load.late)
    assert 0 < skipped < 10
    assert not load.hopeless


def test_why_a_model_gives_way_is_said_as_it_is(tiny_denoiser: Denoiser) -> None:
    """A model that takes less than it may is not called too slow: something else held it up."""
    slow = "too slow: tiny-delay takes 9.0 ms for 10 ms of sound and may take 8; "
    busy = "too busy: tiny-delay takes 3.8 ms for 10 ms of sound, but other programs hold it up"
    for ratio, reason in ((0.9, slow), (0.38, busy)):
        model = AdaptiveModel([tiny_denoiser])
        model._give_way(ratio)
        assert model.messages[0].startswith(reason)
