"""What the codec loss refuses, in one line that says what came and what was expected."""

import math
from typing import Any

import pytest
import torch
from codecloss import ALL, RATE, SAMPLES, only, signals
from torch import Tensor

from emulator.losses.codec_loss import CodecLoss
from emulator.model.network import Emulator
from emulator.model.presets import random_emulator
from enhance.utils.errors import ModelError


@pytest.fixture(scope="module")
def emulator() -> Emulator:
    return random_emulator("mp3-v9-16k", seed=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sample_rate": 0}, "sample_rate must be a positive whole number of Hz; got 0"),
        ({"sample_rate": -16_000}, "positive whole number of Hz; got -16000"),
        ({"sample_rate": 16_000.0}, r"positive whole number of Hz; got 16000\.0"),
        ({"sample_rate": 47_999}, "47999 Hz and 16000 Hz have too small a common divisor, 1"),
        ({"output": -1.0}, "weights must be finite, 0 or more, and one of them more than 0; got .*'output': -1.0"),
        ({"layers": math.nan}, "weights must be finite"),
        ({"missing": -1.0}, r"missing must be finite and 0 or more; got -1\.0"),
        ({"missing": math.inf}, "missing must be finite and 0 or more; got inf"),
        ({"noise_to_mask": 0.0, "output": 0.0, "layers": 0.0}, "one of them more than 0"),
        ({"layer_names": "deep"}, "unknown layers 'deep'; known are 'encoder', 'masking', or a tuple from encoder1, "),
        ({"layer_names": ("encoder1", "encoder9")}, "unknown layers 'encoder9'; known are"),
        ({"layer_names": ()}, r"unknown layers \(\); known are"),
    ],
)
def test_settings_that_make_no_sense_are_refused(emulator: Emulator, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        CodecLoss(emulator, **{"sample_rate": RATE, **options})
    assert "\n" not in str(raised.value)


def test_an_unknown_preset_and_a_damaged_file_are_refused(tmp_path: Any) -> None:
    with pytest.raises(ModelError, match="'mp3-v7'"):
        CodecLoss("mp3-v7", sample_rate=RATE)
    damaged = tmp_path / "emulator.safetensors"
    damaged.write_bytes(b"nothing of the kind")
    with pytest.raises(ModelError, match=r"emulator\.safetensors cannot be read") as raised:
        CodecLoss(damaged, sample_rate=RATE)
    assert "\n" not in str(raised.value)


AUDIO = torch.full((2, SAMPLES), 0.1)


@pytest.mark.parametrize(
    ("estimate", "target", "message"),
    [
        (AUDIO[:, 1:], AUDIO, r"must have one shape; got \(2, 3999\) and \(2, 4000\)"),
        (AUDIO, AUDIO[0], r"must have one shape; got \(2, 4000\) and \(4000,\)"),
        (AUDIO, AUDIO * math.nan, "the target must be finite; got NaN, infinite or huge samples"),
        (AUDIO * math.inf, AUDIO, "the estimate must be finite; got NaN, infinite or huge samples"),
        (AUDIO * 1e20, AUDIO, "the estimate must be finite; got NaN, infinite or huge samples"),
        (AUDIO[:, :0], AUDIO[:, :0], r"must hold samples, \[\.\.\., time\]; got the shape \(2, 0\)"),
        (AUDIO[:0], AUDIO[:0], r"must hold samples, \[\.\.\., time\]; got the shape \(0, 4000\)"),
        (AUDIO[0, 0], AUDIO[0, 0], r"must hold samples, \[\.\.\., time\]; got the shape \(\)"),
        (AUDIO[:, :1023], AUDIO[:, :1023], "one window of the emulator or longer, 1024 samples at 16000 Hz; got 1023"),
        (AUDIO.int(), AUDIO.int(), r"floating-point waveform, full scale 1\.0; got torch\.int32"),
    ],
)
def test_signals_that_make_no_sense_are_refused(
    emulator: Emulator, estimate: Tensor, target: Tensor, message: str
) -> None:
    loss = CodecLoss(emulator, sample_rate=RATE, **ALL)
    with pytest.raises(ValueError, match=message) as raised:
        loss(estimate, target)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 44_100, 48_000])
def test_the_shortest_length_is_one_window_at_any_rate(emulator: Emulator, rate: int) -> None:
    loss = only("noise_to_mask", emulator, sample_rate=rate)
    with pytest.raises(ValueError, match="one window of the emulator or longer") as raised:
        loss(torch.zeros(10), torch.zeros(10))
    least = int(str(raised.value).split(", ")[1].split()[0])
    assert float(loss(torch.zeros(least), torch.zeros(least))) == 0
    with pytest.raises(ValueError, match=f"got {least - 1}"):
        loss(torch.zeros(least - 1), torch.zeros(least - 1))


def test_a_reference_that_was_made_for_something_else_is_refused(emulator: Emulator) -> None:
    loss = CodecLoss(emulator, sample_rate=RATE, **ALL)
    estimate, target = signals(1)
    with pytest.raises(ValueError, match=r"must have one shape; got \(1, 4000\) and \(1, 3999\)"):
        loss(estimate, loss.reference(target[:, 1:]))
    for other in (only("output", emulator), CodecLoss(emulator, sample_rate=48_000)):
        with pytest.raises(ValueError, match="the reference must be made for v9 at 16000 Hz from 16000 Hz"):
            loss(estimate, other.reference(target))
