"""Training an emulator by its command: it resumes, exports and refuses wrong input; and the fidelity of the result."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from recordings import white, write, write_folders

from emulator.evidence import fidelity
from emulator.export import main as export_main
from emulator.model.config import PRESETS, EmulatorConfig
from emulator.model.network import Emulator
from emulator.model.presets import EMULATORS, describe, load_emulator, load_network, save_emulator
from emulator.model.presets import random_emulator as untrained
from emulator.train import get_parser, main
from emulator.training.sources import open_sources
from enhance.data import room_responses
from enhance.model.checkpoint import load_checkpoint
from enhance.runtime.registry import find_model, list_models
from enhance.training.loop import LAST

TINY = (
    "steps=4", "batch=2", "log_every=1", "validate_every=4", "warmup=1", "crop_frames=16", "piece_seconds=0.5",
    "speech_minutes=0.01", "noise_minutes=0.01", "music_minutes=0.01", "noisy_minutes=0.01", "enhanced_minutes=0.01",
    "probes_minutes=0.01", "channels=[4, 6, 8]", "window=256", "hop=64", "middle=1",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(few_noises: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of speech, noise, room responses and music, and caches that the runs share."""
    folder = tmp_path_factory.mktemp("emulator")
    write_folders(folder)
    for number in range(3):
        write(folder / "music" / f"{number}.wav", white(2.0, seed=20 + number))
    return folder


def arguments(folder: Path, out: Path, *settings: str, preset: str = "mp3-v9-16k", extra: tuple[str, ...] = ()) -> list:
    """A command line for a run of seconds."""
    sources = [
        f"--{name}={folder / kind}"
        for name, kind in (("speech", "speech"), ("noise", "noise"), ("music", "music"), ("rooms", "rooms"),
                           ("valid-speech", "speech"), ("valid-noise", "noise"))
    ]  # fmt: skip
    return [
        *sources, "--preset", preset, "--simulated-rooms", "0", "--cache", str(folder / "cache"), "--out", str(out),
        "--accelerator", "cpu", *extra, "--set", *TINY, *settings,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def trained(folder: Path) -> Path:
    """A finished run."""
    assert main(arguments(folder, folder / "run")) == 0
    return folder / "run"


def test_a_run_leaves_a_checkpoint_with_all_that_it_depends_on(trained: Path) -> None:
    checkpoint = load_checkpoint(trained / LAST)
    assert checkpoint["step"] == 4
    assert checkpoint["task"]["architecture"] == "Emulator"
    assert checkpoint["task"]["dimensions"]["channels"] == [4, 6, 8]
    assert checkpoint["task"]["corpus"]["probes_minutes"] == 0.01
    assert all(torch.isfinite(value).all() for value in checkpoint["average"].values())


def test_the_same_command_goes_on_from_the_checkpoint(
    folder: Path, trained: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The loop is that of `enhance.training.loop`, whose tests stop it at any step; here that the task fits it."""
    capfd.readouterr()
    assert main(arguments(folder, trained, "batch=4")) == 1
    assert "trained with other values of batch" in capfd.readouterr().err
    capfd.readouterr()
    assert main(arguments(folder, trained)) == 0
    said = capfd.readouterr().out
    assert "is finished: 4 steps" in said
    assert "--start" not in said  # an option of `enhance.train`
    assert load_checkpoint(trained / LAST)["step"] == 4


def test_simulated_rooms_are_those_of_the_seed_and_as_many_as_asked_for(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room_responses, "simulate_room", lambda *_: np.eye(1, 480, dtype=np.float32)[0])
    for seed, count in ((0, 3), (1, 2), (0, 1)):
        options = ["--simulated-rooms", str(count), "--cache", str(tmp_path), "--out", str(tmp_path)]
        rooms = open_sources(get_parser().parse_args([*arguments(folder, tmp_path), *options]), seed)[0].rooms
        assert rooms is not None
        names = [recording.name for recording in rooms.recordings]
        assert [name for name in names if "room-" in name] == [f"room-{seed}-{n:05d}.wav" for n in range(count)]


def test_the_papers_network_is_trained_by_the_same_command(folder: Path) -> None:
    run = folder / "paper"
    assert main(arguments(folder, run, preset="mp3-cbr16-16k", extra=("--paper", "--precision", "32"))) == 0
    assert load_checkpoint(run / LAST)["task"]["architecture"] == "PaperUNet"
    assert export_main([str(run / LAST), str(folder / "out" / "theirs.safetensors"), "--describe", "d"]) == 0
    assert type(load_network(folder / "out" / "theirs.safetensors")).__name__ == "PaperUNet"


def test_another_setting_of_the_codec_is_the_one_that_is_learnt(folder: Path, tmp_path: Path) -> None:
    """The recordings are coded as the checkpoint will say, not as the preset does."""
    assert main(arguments(folder, tmp_path, 'setting="cbr32"', "steps=1")) == 0
    assert load_checkpoint(tmp_path / LAST)["task"]["dimensions"]["setting"] == "cbr32"
    assert (folder / "cache" / "train" / "coded-16000-cbr32").is_dir()
    assert (folder / "cache" / "valid" / "coded-16000-cbr32").is_dir()


def test_an_exported_emulator_is_listed_verified_and_describes_itself(trained: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine.safetensors"
    command = [str(trained / LAST), str(target), "--licence", "CC0-1.0", "--describe", "four steps"]
    assert export_main(command) == 0
    assert [entry.name for entry in list_models(tmp_path, EMULATORS)] == ["mine"]
    assert find_model("mine", tmp_path, EMULATORS) == target
    about = describe(target)
    assert about["licence"] == "CC0-1.0"
    assert about["step"] == 4
    assert about["parameters"] == sum(p.numel() for p in load_emulator(target).parameters())
    weights = load_checkpoint(trained / LAST)["average"]
    assert all(torch.equal(weights[name], value) for name, value in load_emulator(target).state_dict().items())


def test_wrong_input_is_one_line_and_status_1(
    folder: Path, trained: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    nowhere = [f"--music={tmp_path / 'none'}" if c.startswith("--music=") else c for c in arguments(folder, tmp_path)]
    write(tmp_path / "one" / "a.wav", white(0.1))
    one_music = [f"--music={tmp_path / 'one'}" if c.startswith("--music=") else c for c in arguments(folder, tmp_path)]
    for command, message in (
        (arguments(folder, tmp_path, "probs_minutes=1"), "unknown setting 'probs_minutes'"),
        (arguments(folder, tmp_path, 'setting="cbr20"'), "LAME would change 20 kbit/s"),
        (arguments(folder, tmp_path, "piece_seconds=0"), "piece_seconds must be 0.1 s or more; got 0.0"),
        (arguments(folder, tmp_path, "noise_minutes=-1"), "noise_minutes must be 0 or more; got -1.0"),
        (arguments(folder, tmp_path, "level_db=[-14,-40]"), "level_db must be two numbers, the lower one first"),
        (arguments(folder, tmp_path, "seed=-1"), "seed must be 0 to 9223372036854775807; got -1"),
        (arguments(folder, tmp_path, "crop_frames=1"), "crop_frames must be 2 or more; got 1"),
        (nowhere, "no such folder of recordings"),
        (one_music, "--music: expected two recordings or more"),
    ):
        assert main(command) == 1
        error = capfd.readouterr().err.strip().splitlines()
        assert len(error) == 1
        assert error[0].startswith("emulator.train: ")
        assert message in error[0]
    (tmp_path / "text.pt").write_text("no checkpoint")
    for command, message in (
        ([str(tmp_path / "text.pt"), str(tmp_path / "a.safetensors")], "is no readable checkpoint"),
        ([str(trained / LAST), str(tmp_path / "a.onnx")], "must end in .safetensors"),
    ):
        assert export_main([*command, "--describe", "d"]) == 1
        assert message in capfd.readouterr().err


def test_settings_are_listed(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command = arguments(folder, folder / "none")
    at = command.index("--set")
    assert main([*command[:at], "--list"]) == 0
    listed = capfd.readouterr().out
    assert 'setting="v9"' in listed
    assert "probes_minutes=170.0" in listed
    assert "batch=8" in listed


def test_fidelity_has_a_row_for_each_system_and_kind_of_sound(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "mine.safetensors"
    dimensions = EmulatorConfig("abr32", 24_000, window=256, hop=64, channels=(4, 6), middle=1)
    save_emulator(Emulator(dimensions).eval(), own, {})
    monkeypatch.setattr(fidelity, "QUICK", (1, 1.0))
    command = [c for c in arguments(folder, tmp_path) if c not in ("--preset", "mp3-v9-16k", "--accelerator", "cpu")]
    command = [*command[: command.index("--set")], "--presets", "mp3-v9-16k", str(own), "--quick"]
    assert fidelity.main(command) == 0
    with (tmp_path / "fidelity.csv").open() as file:
        rows = list(csv.DictReader(file))
    controls = ["identity", "low-pass only", "LAME, other grid phase"]
    assert [(row["preset"], row["kind"], row["system"]) for row in rows] == [
        (name, kind, system)
        for name in ("mp3-v9-16k", "mine")
        for kind in fidelity.KINDS
        for system in (*controls, name)
    ]
    assert all(float(row["f1"]) == 0 for row in rows if row["system"] == "identity")
    assert json.loads((tmp_path / "fidelity.json").read_text())["settings"]["quick"] is True
    assert (tmp_path / "fidelity.png").is_file()


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda config: config.setting)
def test_the_low_pass_of_other_settings_is_found_as_that_of_the_presets(
    preset: EmulatorConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = fidelity.LOW_PASS_HZ[preset.setting, preset.sample_rate]
    monkeypatch.setattr(fidelity, "LOW_PASS_HZ", {})
    monkeypatch.setattr(fidelity, "LOW_PASS_SECONDS", 2.0)
    assert fidelity.low_pass_hz.__wrapped__(preset) == pytest.approx(known, rel=0.03)
    assert fidelity.low_pass_hz.__wrapped__(EmulatorConfig("v0", 48_000)) < 24_000  # it has none


def test_the_codec_agrees_with_itself_at_the_same_phase(folder: Path) -> None:
    """Scores of the truth: no distance, every removed cell found, the noise level right."""
    config = PRESETS["mp3-v9-16k"]
    emulator = untrained("mp3-v9-16k", 0)
    torch.manual_seed(0)
    before = emulator.spectrum(0.05 * torch.randn(1, 16_000))
    after = emulator.spectrum(0.05 * torch.randn(1, 16_000))
    figures = fidelity.scores(fidelity.Guess(after, (after - before).abs().square()), before, after, config)
    assert figures["lsd"] == pytest.approx(0, abs=2e-3)
    assert figures["f1"] == 1
    assert figures["noise_error"] == pytest.approx(0, abs=1e-4)
    assert figures["noise_correlation"] == pytest.approx(1)


@pytest.mark.parametrize("preset", ["mp3-cbr16-16k", "mp3-v9-16k", "mp3-v6-48k"])
def test_the_shipped_presets_know_the_low_pass_and_the_noise_of_their_codec(preset: str) -> None:
    """Of white noise nothing is left above the low-pass, most is below; the noise is softer than the signal."""
    emulator = load_emulator(preset)
    config = emulator.config
    torch.manual_seed(0)
    emulation = emulator(10 ** (-25 / 20) * torch.randn(1, config.sample_rate))
    edge = fidelity.low_pass_hz(config) / config.sample_rate * config.window
    above, below = round(1.06 * edge), round(0.5 * edge)
    assert float(emulation.mask[:, above:-1].mean()) < 0.02
    assert float(emulation.mask[:, 20:below].mean()) > 0.5
    level = 10 * emulation.log_variance[:, 20:below].mean() / torch.log(torch.tensor(10.0)) + 25
    assert -25 < float(level) < -2
    assert describe(preset)["parameters"] < 1_000_000
