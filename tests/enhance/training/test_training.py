"""The training loop: schedule, exact resumption, refusals, clean stops, averaging, logs."""

import math
import re
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import full_disk
from lightning.fabric import Fabric
from recordings import SHORT, SMALLEST, build
from safetensors.torch import save_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn

from enhance.average import main as average_main
from enhance.data.mixing import Mixer
from enhance.model.checkpoint import load_checkpoint, save_atomically
from enhance.model.config import NetworkConfig
from enhance.model.network import Enhancer
from enhance.training.ema import Average
from enhance.training.launch import in_bfloat16
from enhance.training.loop import LAST, fit, make_optimizers
from enhance.training.loss import LossConfig
from enhance.training.objective import Objective, ObjectiveConfig, Terms
from enhance.training.schedule import TrainConfig
from enhance.training.task import EnhancementTask, load_weights

CONFIG = TrainConfig(steps=4, batch=8, warmup=1, decay=0.5, log_every=1, validate_every=100, average=0.5)

Data = tuple[Mixer, Mixer]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    """Mixers for training and for validation."""
    caches = build(tmp_path_factory.mktemp("caches"))
    config = replace(SHORT, segment_seconds=0.25)
    return Mixer(*caches, replace(config, reuse=2), 0), Mixer(*caches, config, 1)


class Stopping(EnhancementTask):
    """The real task; sends SIGINT to this process while it computes step `stop`."""

    stop = -1

    def terms(self, network: nn.Module, step: int, first: int, count: int, progress: float) -> Terms:
        if step == self.stop:
            signal.raise_signal(signal.SIGINT)
        return super().terms(network, step, first, count, progress)


def make_task(data: Data, dimensions: NetworkConfig = SMALLEST, stop: int = -1, valid: bool = False) -> Stopping:
    torch.manual_seed(0)
    objective = Objective(ObjectiveConfig(), LossConfig(), data[0])
    task = Stopping(Enhancer(dimensions), objective, data[0], data[1] if valid else None, True)
    task.stop = stop
    return task


def train(task: EnhancementTask, config: TrainConfig, directory: Path) -> nn.Module:
    fabric = Fabric(accelerator="cpu", devices=1)
    fabric.launch()
    return fit(fabric, task, config, directory)


def flat(value: Any, name: str = "") -> dict[str, Any]:
    """Nested dictionaries and lists as one dictionary."""
    if isinstance(value, dict | list | tuple):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {k: v for key, part in items for k, v in flat(part, f"{name}/{key}").items()}
    return {name: value}


def assert_identical(ours: Path, theirs: Path, but: Sequence[str] = ()) -> None:
    """Two checkpoints agree bit for bit in all but the time: weights, average, memory of the optimisers, settings."""
    one, other = flat(load_checkpoint(ours)), flat(load_checkpoint(theirs))
    assert one.keys() == other.keys()
    assert sum(isinstance(value, Tensor) for value in one.values()) > 100
    for name in one.keys() - {"/seconds", *but}:
        if isinstance(one[name], Tensor):
            torch.testing.assert_close(one[name], other[name], rtol=0, atol=0, msg=name)
        else:
            assert one[name] == other[name], name


def test_the_rate_rises_stays_and_falls_to_zero_as_a_square_root() -> None:
    config = TrainConfig(steps=1000, warmup=100, decay=0.4)
    assert config.decay_from == 600
    assert config.rate_factor(0) == pytest.approx(0.01)
    assert config.rate_factor(49) == pytest.approx(0.5)
    assert [config.rate_factor(step) for step in (99, 300, 600)] == pytest.approx([1.0, 1.0, 1.0])
    assert config.rate_factor(700) == pytest.approx(1 - math.sqrt(100 / 400))
    assert config.rate_factor(1000) == 0
    assert all(config.rate_factor(step) >= config.rate_factor(step + 1) for step in range(99, 1000))
    assert [config.progress(step) for step in (0, 599, 600, 700, 1000)] == pytest.approx([0, 0, 0, 0.5, 1])
    assert TrainConfig(warmup=0).rate_factor(0) == 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"steps": 0}, "steps must be 1 or more; got 0"),
        ({"batch": 0}, "batch must be 1 or more; got 0"),
        ({"decay": 0.0}, "decay must be above 0 and at most 1; got 0.0"),
        ({"decay": 1.5}, "decay must be above 0 and at most 1; got 1.5"),
        ({"minutes": -1.0}, "minutes must be 0 or more; got -1.0"),
        ({"rate": -0.001}, "rate must be 0 or more; got -0.001"),
        ({"weight_decay": -0.01}, "weight_decay must be 0 or more"),
        ({"gradient_limit": -1.0}, "gradient_limit must be 0 or more"),
        ({"warmup": -1}, "warmup must be 0 or more"),
        ({"average": 1.0}, "average must be 0 or more and below 1; got 1.0"),
        ({"seed": -1}, "seed must be 0 to .*; got -1"),
        ({"seed": 1 << 63}, "seed must be 0 to "),
    ],
)
def test_absurd_schedules_are_refused(wrong: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(TrainConfig(), **wrong)


def test_bfloat16_is_chosen_where_the_hardware_multiplies_it(monkeypatch: pytest.MonkeyPatch) -> None:
    processor, gpu = torch.device("cpu"), torch.device("cuda")
    assert in_bfloat16("auto", gpu)
    for known, expected in (({}, False), ({"avx512_bf16": True}, True), ({"amx_bf16": True}, True)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda known=known: known)
        assert in_bfloat16("auto", processor) is expected
        assert in_bfloat16("bf16", processor)
        assert not in_bfloat16("32", gpu)


def test_the_clock_may_stand_for_the_steps(data: Data, tmp_path: Path) -> None:
    config = TrainConfig(steps=10**6, minutes=2.0, warmup=0, decay=0.5)
    assert [config.rate_factor(9, seconds) for seconds in (0.0, 60.0, 75.0, 120.0)] == pytest.approx([1, 1, 0.5, 0])
    assert config.progress(9, 75.0) == pytest.approx(0.5)
    config = replace(CONFIG, steps=10**6, minutes=0.02)
    train(make_task(data), config, tmp_path)
    checkpoint = load_checkpoint(tmp_path / LAST)
    assert 0 < checkpoint["step"] < 10**4
    assert checkpoint["seconds"] >= 1.2
    train(make_task(data), config, tmp_path)
    assert load_checkpoint(tmp_path / LAST)["step"] == checkpoint["step"], "a finished run is not trained on"


@pytest.mark.parametrize("muon", [True, False])
def test_a_stopped_run_goes_on_exactly_where_it_was(data: Data, tmp_path: Path, muon: bool) -> None:
    """Stopped in the middle of a step's reused material and of the schedule, the weights are the same bit for bit."""
    config = replace(CONFIG, muon=muon)
    train(make_task(data), config, tmp_path / "straight")
    with pytest.raises(KeyboardInterrupt):
        train(make_task(data, stop=2), config, tmp_path / "stopped")
    assert load_checkpoint(tmp_path / "stopped" / LAST)["step"] == 3
    fresh = (Mixer(data[0].speech, data[0].noise, data[0].rooms, data[0].config, 0), data[1])
    final = train(make_task(fresh), config, tmp_path / "stopped")
    assert_identical(tmp_path / "stopped" / LAST, tmp_path / "straight" / LAST)
    for name, value in load_checkpoint(tmp_path / "straight" / LAST)["average"].items():
        torch.testing.assert_close(final.state_dict()[name], value, rtol=0, atol=0)
    assert sorted(path.name for path in (tmp_path / "stopped").glob("*last*")) == [LAST]


def test_a_run_that_goes_on_with_other_recordings_says_so(
    data: Data, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They may be more than before; what was trained on other ones is not the same training, so it is told."""
    with pytest.raises(KeyboardInterrupt):
        train(make_task(data, stop=1), CONFIG, tmp_path)
    assert "note:" not in capsys.readouterr().out
    with pytest.raises(KeyboardInterrupt):
        train(make_task(data, stop=2), CONFIG, tmp_path)
    assert "note:" not in capsys.readouterr().out
    fewer = Mixer(data[0].noise, data[0].noise, None, data[0].config, 0)
    train(make_task((fewer, data[1])), CONFIG, tmp_path)
    notes = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note:")]
    assert [re.sub(r"\w{8}\)", "DIGEST)", note) for note in notes] == [
        "note: speech: 4 recordings of 0.00 h (DIGEST) up to step 3, 3 recordings of 0.00 h (DIGEST) from here on",
        "note: rooms: 2 recordings of 0.00 h (DIGEST) up to step 3, none from here on",
    ]


def test_a_run_may_be_made_longer_until_its_rates_fall(data: Data, tmp_path: Path) -> None:
    longer = replace(CONFIG, steps=6)  # rates fall from step 3, before from step 2
    train(make_task(data), longer, tmp_path / "straight")
    with pytest.raises(KeyboardInterrupt):
        train(make_task(data, stop=1), CONFIG, tmp_path / "early")
    train(make_task(data), longer, tmp_path / "early")
    assert_identical(tmp_path / "early" / LAST, tmp_path / "straight" / LAST)
    with pytest.raises(KeyboardInterrupt):
        train(make_task(data, stop=2), CONFIG, tmp_path / "late")
    with pytest.raises(ValueError, match=r"only steps and minutes may change.*falls \(step 2; this is step 3"):
        train(make_task(data), longer, tmp_path / "late")


def test_a_run_by_the_clock_may_get_more_minutes_until_its_rates_fall(data: Data, tmp_path: Path) -> None:
    short = replace(CONFIG, steps=10**6, minutes=2.0)
    assert not short.falls(10, 60.0)
    assert short.falls(10, 119.0)
    with pytest.raises(KeyboardInterrupt):
        train(make_task(data, stop=1), short, tmp_path / "early")
    checkpoint = load_checkpoint(tmp_path / "early" / LAST)
    torch.save(checkpoint | {"seconds": 119.9}, tmp_path / "early" / LAST)
    with pytest.raises(ValueError, match="only steps and minutes may change"):
        train(make_task(data), replace(short, minutes=4.0), tmp_path / "early")
    torch.save(checkpoint | {"seconds": 1.0}, tmp_path / "early" / LAST)
    with pytest.raises(KeyboardInterrupt):
        train(make_task(data, stop=2), replace(short, minutes=4.0), tmp_path / "early")
    assert load_checkpoint(tmp_path / "early" / LAST)["step"] == 3


def test_a_finished_run_says_so(data: Data, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(make_task(data), replace(CONFIG, steps=1), finished)
    assert re.search(
        r"last\.pt is finished: 1 steps in \d+\.\d min, nothing is left to train$", capsys.readouterr().out, re.M
    )


@pytest.fixture(scope="module")
def finished(data: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of one step."""
    folder = tmp_path_factory.mktemp("finished")
    train(make_task(data), replace(CONFIG, steps=1), folder)
    return folder


@pytest.mark.parametrize("setting", [{"rate": 1e-3}, {"batch": 16}, {"seed": 1}, {"muon": False}, {"average": 0.9}])
def test_a_checkpoint_of_other_settings_is_refused(data: Data, finished: Path, setting: dict[str, Any]) -> None:
    before = (finished / LAST).read_bytes()
    with pytest.raises(ValueError, match=f"trained with other values of {next(iter(setting))};"):
        train(make_task(data), replace(CONFIG, steps=1, **setting), finished)
    assert (finished / LAST).read_bytes() == before


def test_a_checkpoint_of_another_network_or_data_is_refused(data: Data, finished: Path) -> None:
    with pytest.raises(ValueError, match="choose another folder"):
        train(make_task(data, replace(SMALLEST, channels=16)), replace(CONFIG, steps=1), finished)
    other = Mixer(data[0].speech, data[0].noise, data[0].rooms, replace(data[0].config, room=0.1), 0)
    with pytest.raises(ValueError, match="choose another folder"):
        train(make_task((other, data[1])), replace(CONFIG, steps=1), finished)
    train(make_task(data), replace(CONFIG, steps=1, log_every=7, validate_every=9, save_minutes=1.0), finished)


@pytest.mark.parametrize("group", ["config", "mix", "dimensions"])
@pytest.mark.parametrize("newer", [True, False])
def test_a_checkpoint_of_another_version_says_so(
    data: Data, finished: Path, tmp_path: Path, group: str, newer: bool
) -> None:
    checkpoint = load_checkpoint(finished / LAST)
    settings = checkpoint["config"] if group == "config" else checkpoint["task"][group]
    if newer:
        settings["fog"] = 0.5
    else:
        del settings[{"config": "decay", "mix": "room", "dimensions": "taps"}[group]]
    save_atomically(checkpoint, tmp_path / LAST)
    if group == "config" and not newer:  # what a schedule lacks is as it was before it could be set
        train(make_task(data), replace(CONFIG, steps=1, decay=TrainConfig.decay), tmp_path)
        return
    with pytest.raises(
        ValueError, match=r"is of another version of mpeace, whose settings differ \((fog|room|taps)\);"
    ):
        train(make_task(data), replace(CONFIG, steps=1), tmp_path)


def test_an_average_cannot_be_trained_on_and_says_so(data: Data, finished: Path, tmp_path: Path) -> None:
    files = [str(finished / LAST), str(finished / LAST)]
    assert average_main([*files, "--out", str(tmp_path / LAST)]) == 0
    with pytest.raises(ValueError, match=r"is of enhance\.average: export it, and go on from its weights by --start"):
        train(make_task(data), replace(CONFIG, steps=2), tmp_path)


def test_a_damaged_or_foreign_checkpoint_is_an_error_with_its_name(data: Data, finished: Path, tmp_path: Path) -> None:
    whole = (finished / LAST).read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"no checkpoint at all"):
        (tmp_path / LAST).write_bytes(content)
        with pytest.raises(ValueError, match=f"'{re.escape(str(tmp_path / LAST))}' is no readable checkpoint"):
            train(make_task(data), replace(CONFIG, steps=1), tmp_path)
    for foreign in ({"format": 0}, {"weights": torch.zeros(1)}, [1, 2]):
        torch.save(foreign, tmp_path / LAST)
        with pytest.raises(ValueError, match="no checkpoint of format 1"):
            load_checkpoint(tmp_path / LAST)


def test_a_failed_save_leaves_the_checkpoint_before_it(tmp_path: Path) -> None:
    save_atomically({"format": 1, "value": 1}, tmp_path / LAST)
    with pytest.raises(Exception, match=r"lambda|local"):
        save_atomically({"format": 1, "value": lambda: 2}, tmp_path / LAST)  # cannot be pickled
    assert load_checkpoint(tmp_path / LAST)["value"] == 1


def test_a_full_disk_is_an_error_of_the_system_and_leaves_the_checkpoint_before_it(tmp_path: Path) -> None:
    save_atomically({"format": 1, "value": 1}, tmp_path / LAST)
    with full_disk(), pytest.raises(OSError, match="File too large"):
        save_atomically({"format": 1, "value": torch.zeros(10_000)}, tmp_path / LAST)
    assert [path.name for path in tmp_path.iterdir()] == [LAST]
    assert load_checkpoint(tmp_path / LAST)["value"] == 1


def test_a_checkpoint_is_enough_to_build_the_network_again(finished: Path) -> None:
    checkpoint = load_checkpoint(finished / LAST)
    network = Enhancer(NetworkConfig.from_dict(checkpoint["task"]["dimensions"]))
    network.load_state_dict(checkpoint["average"])
    assert network.config == SMALLEST
    assert TrainConfig(**checkpoint["config"]).steps == checkpoint["step"] == 1


def test_averaged_weights_are_the_running_mean_of_the_weights() -> None:
    """In the first steps over few of them: decays of 1/10, 2/11, 3/12 ... up to the one that was asked for."""
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 5.0)
    average, expected = Average(network, 0.2), 5.0
    for step, weight in enumerate((1.0, 2.0, 3.0, 4.0)):
        nn.init.constant_(network.weight, weight)
        average.update(network, step)
        decay = min(0.2, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * weight
        assert next(average.network.parameters()).item() == pytest.approx(expected, rel=1e-6)


def test_muon_gets_the_matrices_and_adamw_the_rest() -> None:
    network = Enhancer(SMALLEST)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    adamw, muon = make_optimizers(network, TrainConfig())
    owned = [[names[id(p)] for group in optimizer.param_groups for p in group["params"]] for optimizer in (adamw, muon)]
    assert sorted(owned[0] + owned[1]) == sorted(names.values())
    assert {"stem.weight", "paths.0.time.weight_hh_l0", "head.weight"} <= set(owned[1])
    assert {"stem.bias", "position", "stem_position", "paths.0.time_norm.weight"} <= set(owned[0])
    assert [type(optimizer).__name__ for optimizer in make_optimizers(network, TrainConfig(muon=False))] == ["AdamW"]


def test_a_gradient_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(data: Data, tmp_path: Path) -> None:
    task = make_task(data, stop=0)
    with pytest.raises(KeyboardInterrupt):
        train(task, CONFIG, tmp_path)
    before = (tmp_path / LAST).read_bytes()

    class Broken(Stopping):
        def terms(self, network: nn.Module, step: int, first: int, count: int, progress: float) -> Terms:
            terms = super().terms(network, step, first, count, progress)
            return terms._replace(total=terms.total * (math.nan if step == 1 else 1.0))

    broken = make_task(data)
    broken.__class__ = Broken
    with pytest.raises(FloatingPointError, match="the gradient is nan at step 1; the last checkpoint is kept"):
        train(broken, CONFIG, tmp_path)
    assert (tmp_path / LAST).read_bytes() == before


def test_large_gradients_are_clipped(data: Data, tmp_path: Path) -> None:
    """With a clip of zero no gradient is left, and only the decay of the weights is: rate x 0.01 of each."""
    config = replace(CONFIG, steps=1, gradient_limit=0.0, muon=False)
    task = make_task(data)
    before = {name: value.clone() for name, value in task.network.state_dict().items()}
    train(task, config, tmp_path)
    factor = 1 - config.rate * config.rate_factor(0) * config.weight_decay
    for name, value in task.network.state_dict().items():
        torch.testing.assert_close(value, before[name] * factor, rtol=1e-6, atol=1e-9)


def test_logs_hold_figures_sounds_and_pictures(data: Data, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(make_task(data, valid=True), replace(CONFIG, steps=2, validate_every=1), tmp_path)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    tags = events.Tags()
    expected = {f"{part}/{name}" for part in ("train", "valid") for name in Terms._fields}
    assert expected | {"train/gradient_norm", "train/rate_factor"} <= set(tags["scalars"])
    assert [event.step for event in events.Scalars("valid/total")] == [1, 2]
    assert all(math.isfinite(event.value) for tag in expected for event in events.Scalars(tag))
    assert {"noisy", "target", "estimate"} <= set(tags["audio"]) & set(tags["images"])
    printed = capsys.readouterr().out
    assert re.search(r"step 2/2 \d+\.\d\d s/step, 0 min left: total -?\d+\.\d+", printed)
    assert re.search(r"step 2 valid total -?\d+\.\d+ magnitude .* snr_db -?\d+", printed)


def test_without_held_out_data_no_validation_is_logged(
    data: Data, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(make_task(data), replace(CONFIG, steps=1, validate_every=1), tmp_path)
    assert "valid" not in capsys.readouterr().out


def test_what_was_logged_before_a_stop_stays(data: Data, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(make_task(data, stop=1, valid=True), replace(CONFIG, validate_every=2), tmp_path)
    train(make_task(data, valid=True), replace(CONFIG, validate_every=2), tmp_path)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [event.step for event in events.Scalars("train/total")] == [1, 2, 3, 4]
    assert [event.step for event in events.Scalars("valid/total")] == [2, 4]


@pytest.mark.parametrize("length", [9600, 9601, 10_079])
@pytest.mark.parametrize("lookahead", [0, 1])
def test_estimates_are_aligned_with_their_input_for_any_length(data: Data, length: int, lookahead: int) -> None:
    task = make_task(data, replace(SMALLEST, lookahead=lookahead))
    task.fast = False
    with torch.no_grad():
        task.network.head.weight.zero_()
        task.network.head.bias.zero_()
        task.network.head.bias[0] = 30.0  # gains open: nothing but the delay is left
        noisy = 0.1 * torch.randn(2, length)
        torch.testing.assert_close(task.estimate(task.network, noisy), noisy, rtol=0, atol=1e-6)


def test_a_run_may_begin_with_the_weights_of_an_exported_network(data: Data, tmp_path: Path) -> None:
    """What `enhance.export` writes is taken up exactly; a damaged file or other dimensions are one clear line."""
    first = make_task(data).network
    save_file(dict(first.state_dict()), tmp_path / "start.safetensors")
    torch.manual_seed(1)
    other = Enhancer(SMALLEST)
    assert not torch.equal(other.stem.weight, first.stem.weight)
    load_weights(other, tmp_path / "start.safetensors")
    for name, value in first.state_dict().items():
        assert torch.equal(other.state_dict()[name], value), name
    with pytest.raises(ValueError, match="holds a network of other dimensions; name its --size"):
        load_weights(Enhancer(replace(SMALLEST, channels=16)), tmp_path / "start.safetensors")
    (tmp_path / "damaged.safetensors").write_bytes(b"no weights")
    for name in ("damaged", "missing"):
        with pytest.raises(ValueError, match=f"{name}.safetensors' cannot be read as safetensors"):
            load_weights(other, tmp_path / f"{name}.safetensors")
