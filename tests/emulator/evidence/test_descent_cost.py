"""`emulator.evidence.descent` and `.cost`: gradients lead to clean speech, and costs are those of what ran."""

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from emulator.evidence import cost, descent
from emulator.losses.distances import BASELINE, plain_distances
from emulator.model.config import EmulatorConfig
from emulator.model.network import Emulator
from emulator.model.presets import save_emulator
from enhance.evaluation.metrics import si_sdr

RATE = 16_000
DATA = Path(__file__).parents[2] / "data"


@pytest.fixture(scope="module")
def small_emulator(tmp_path_factory) -> Path:
    """A checkpoint of an untrained emulator."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("emulators") / "small.safetensors"
    save_emulator(Emulator(EmulatorConfig("v9", RATE)).eval(), path, {})
    return path


@pytest.fixture(scope="module")
def mixtures(tmp_path_factory) -> Path:
    """Two evaluation mixtures: a recording, and the same with white noise."""
    folder = tmp_path_factory.mktemp("mixtures")
    audio, rate = soundfile.read(DATA / "noisy.flac", always_2d=True)
    for index in range(2):
        noise = 0.02 * np.random.default_rng(index).standard_normal(len(audio))
        for kind, signal in (("clean", audio[:, 0]), ("noisy", audio[:, 0] + noise)):
            (folder / kind).mkdir(exist_ok=True)
            soundfile.write(folder / kind / f"{index}.flac", 0.5 * signal, rate)
    return folder


def test_descent_with_a_waveform_distance_arrives(mixtures):
    (_, clean, noise), *_ = descent.excerpts(mixtures, 1, 1.0)
    target, noisy = (torch.from_numpy(x)[None].float() for x in descent.mix(clean, noise, 5.0))
    l1, baseline = (next(d for d in plain_distances(RATE) if d.name == name) for name in ("l1", BASELINE))
    for beside in (None, baseline):
        estimate = descent.descend(noisy, target, l1, beside, steps=20)
        assert not estimate.requires_grad
        assert si_sdr(estimate[0], target[0], RATE) > si_sdr(noisy[0], target[0], RATE) + 3


@pytest.mark.parametrize("snr_db", descent.SNRS_DB)
def test_mixtures_have_their_snr_and_level(mixtures, snr_db):
    for _, clean, noise in descent.excerpts(mixtures, 2, 1.0):
        assert clean.size == RATE
        speech, noisy = descent.mix(clean, noise, snr_db)
        assert 10 * np.log10(np.mean(speech**2)) == pytest.approx(descent.LEVEL_DB)
        assert 10 * np.log10(np.sum(speech**2) / np.sum((noisy - speech) ** 2)) == pytest.approx(snr_db)


def test_every_loss_has_a_row_alone_and_beside_the_baseline(mixtures, small_emulator, tmp_path, monkeypatch):
    monkeypatch.setattr(descent, "QUICK_STEPS", 2)
    monkeypatch.setattr(descent, "QUICK_SECONDS", 0.6)
    arguments = ["--quick", "--eval", str(mixtures), "--emulators", str(small_emulator), "--out", str(tmp_path)]
    assert descent.main(arguments) == 0
    with (tmp_path / "descent.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    seen = {(float(row["snr_db"]), row["loss"], row["baseline"] == "True") for row in rows}
    losses = {loss for _, loss, _ in seen}
    assert {descent.START, "l1", descent.BASELINE, "small noise-to-mask", "small encoder layers"} <= losses
    for snr in descent.SNRS_DB:
        assert {loss for s, loss, beside in seen if s == snr and not beside} == losses
        assert {loss for s, loss, beside in seen if s == snr and beside} == losses - {descent.START, descent.BASELINE}
    text = (tmp_path / "descent.md").read_text()
    assert all(f"| {loss} |" in text for loss in losses)
    assert (tmp_path / "descent.png").stat().st_size > 10_000


def test_a_folder_without_mixtures_is_refused_in_one_line(tmp_path, capsys):
    assert descent.main(["--eval", str(tmp_path), "--emulators", "--out", str(tmp_path / "out")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"emulator.evidence.descent: expected {descent.EXCERPTS} clean files")


def test_costs_cover_every_configuration_and_a_cached_target_saves_its_analysis(small_emulator, tmp_path, monkeypatch):
    monkeypatch.setattr(cost, "SECONDS", 1.0)
    monkeypatch.setattr(cost, "QUICK_REPEATS", 2)
    assert cost.main(["--quick", "--emulators", str(small_emulator), "--out", str(tmp_path)]) == 0
    with (tmp_path / "cost.csv").open(newline="") as file:
        rows = {(row["loss"], row["cached"] == "True"): row for row in csv.DictReader(file) if row["device"] == "cpu"}
    names = [f"small: {name}" for name in cost.CONFIGURATIONS]
    assert set(rows) == {*((n, c) for n in names for c in (True, False)), *((n, True) for n in cost.YARDSTICKS)}
    assert float(rows[BASELINE, True]["times_mr_stft"]) == 1
    assert float(rows["l1", True]["times_l1"]) == 1
    # The noise-to-mask ratio needs the network for its target only: a tenth of the time. Half leaves room for noise.
    cached, whole = (float(rows[names[0], kind]["milliseconds"]) for kind in (True, False))
    assert cached < whole / 2
    kept = {name: float(rows[name, True]["kept_megabytes"]) for name in (*names, *cost.YARDSTICKS)}
    assert kept["l1"] == pytest.approx(4 * RATE / 1e6)  # the difference, float32
    assert kept["l1"] < kept[names[0]] < kept[names[1]]
    text = (tmp_path / "cost.md").read_text()
    assert all(f"| {name} |" in text for name in names)
