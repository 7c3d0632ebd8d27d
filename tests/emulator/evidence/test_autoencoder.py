"""`python -m emulator.evidence.autoencoder`: only the loss differs, what is finished stays, and scores point the right
way. Small networks, few steps; needs no recordings and no trained emulator."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from helpers import AtOnce

from emulator.evidence.autoencoder import __main__ as autoencoder
from emulator.evidence.autoencoder import report as autoencoder_report
from emulator.evidence.autoencoder.data import CROP, DOMAINS, SAMPLE_RATE, Domain, find_files, load_domain
from emulator.evidence.autoencoder.losses import KINDS, LOSSES, START, make_loss
from emulator.evidence.autoencoder.network import HOP
from emulator.evidence.autoencoder.report import Interval, bootstrap, verdict
from emulator.evidence.autoencoder.runs import (
    AutoencoderSettings,
    Result,
    Run,
    batch_order,
    load_result,
    start,
    train,
    work,
)
from emulator.evidence.perceptual_scores import SCORES, Judge

RECORDING = Path(__file__).parents[2] / "data" / "noisy.flac"
TINY = {"batches": 3, "crops": 1, "epochs": 1, "hidden": 8, "items": 2, "item_seconds": 1.0}
SETTINGS = AutoencoderSettings(str(RECORDING), **TINY)  # type: ignore[arg-type]
CHOSEN = ("l1", "random")  # a plain loss, and one with an emulator that needs no training


@pytest.fixture(scope="module")
def domain() -> Domain:
    return load_domain("speech", RECORDING, batches=3, crops=2, items=2, item_seconds=1.0)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the command leaves; what two processes would do, this one does."""
    out = tmp_path_factory.mktemp("autoencoder")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(autoencoder, "QUICK", TINY)
        patch.setattr(autoencoder, "InterruptiblePool", lambda *_, **__: AtOnce())
        assert autoencoder.main([*arguments(out), "--jobs", "2"]) == 0
    return out


def arguments(out: Path) -> list[str]:
    return ["--quick", "--out", str(out), "--data", str(RECORDING), "--losses", *CHOSEN]


def result(run: Run, scores: dict[str, dict[str, float]], files: dict[str, str]) -> Result:
    return Result(run, SETTINGS, "", "", 0, 0.0, scores, files)


def test_only_the_loss_differs(finished):
    """All losses of a domain, width and seed start from the same weights and see the same batches."""
    for name in DOMAINS:
        runs = [json.loads((finished / "runs" / f"{name}-32-{loss}-0.json").read_text()) for loss in CHOSEN]
        for key in ("start", "order", "steps", "settings"):
            assert runs[0][key] == runs[1][key]
        assert runs[0]["scores"] != runs[1]["scores"]


@pytest.mark.long
def test_processes_share_the_runs(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(autoencoder, "QUICK", TINY)
    assert autoencoder.main([*arguments(tmp_path), "--jobs", "2"]) == 0
    names = [{path.name for path in (out / "runs").iterdir()} for out in (tmp_path, finished)]
    assert names[0] == names[1]


def test_seeds_differ_in_weights_and_order(domain):
    first, again, other = (start(domain, 16, seed, SETTINGS).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)
    settings = AutoencoderSettings("", batches=50, epochs=2)
    assert batch_order(0, settings) == batch_order(0, settings) != batch_order(1, settings)
    assert sorted(batch_order(0, settings)) == sorted([*range(50)] * 2)


def test_the_autoencoder_keeps_more_with_more_numbers(domain):
    errors = []
    for width in (8, 64, HOP):
        with torch.no_grad():
            audio = domain.batches.flatten(0, 1)
            errors.append(float((start(domain, width, 0, SETTINGS)(audio) - audio).square().mean()))
    assert errors[0] > errors[1] > 1e3 * errors[2]


@pytest.mark.parametrize("loss", [name for name, kind in LOSSES.items() if kind.plain or not kind.trained])
def test_every_loss_falls_in_training(domain, loss):
    network, fresh = start(domain, 16, 0, SETTINGS), make_loss(loss, domain.batches, SAMPLE_RATE)
    compare = fresh()

    def mean() -> float:
        with torch.no_grad():
            return sum(float(compare(network(batch), number)) for number, batch in enumerate(domain.batches))

    train(network, compare, domain.batches, [0, 1, 2] * 4, 1e-4)  # the balancer calibrates
    before = mean()
    train(network, compare, domain.batches, [0, 1, 2] * 10, 1e-3)
    assert mean() < before


def test_finished_runs_are_not_done_again(finished, monkeypatch):
    before = {path: path.stat().st_mtime_ns for path in (finished / "runs").iterdir()}
    assert len(before) == len(DOMAINS) * (len(CHOSEN) + 1)
    lost = finished / "runs" / "music-32-l1-0.json"
    content = json.loads(lost.read_text())
    lost.unlink()
    monkeypatch.setattr(autoencoder, "QUICK", TINY)
    assert autoencoder.main(arguments(finished)) == 0
    after = {path: path.stat().st_mtime_ns for path in (finished / "runs").iterdir()}
    assert [path for path in after if after[path] != before[path]] == [lost]
    repeated = json.loads(lost.read_text())
    assert (repeated["start"], repeated["order"]) == (content["start"], content["order"])
    for item, scores in content["scores"].items():
        assert repeated["scores"][item] == pytest.approx(scores, rel=1e-2)  # threads add up in another order


def test_runs_of_other_settings_are_not_mixed(finished, tmp_path):
    run = Run("speech", 32, "l1", 0)
    with pytest.raises(ValueError, match="made with other settings"):
        load_result(run, AutoencoderSettings(str(RECORDING)), finished)
    damaged = run.file(tmp_path)
    damaged.parent.mkdir()
    damaged.write_text("{")
    with pytest.raises(ValueError, match="is not the result of a run"):
        work("speech", "l1", [run], SETTINGS, tmp_path)


def test_the_report_has_a_row_for_each_run_and_item(finished):
    with (finished / "autoencoder.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert len(found) == len(DOMAINS) * (len(CHOSEN) + 1) * TINY["items"]
    assert {row["loss"] for row in found} == {*CHOSEN, START}
    assert all(np.isfinite(float(row[name])) for row in found for name in SCORES)
    content = json.loads((finished / "autoencoder.json").read_text())
    assert content["settings"]["seeds"] == [0]
    assert content["settings"]["steps"] == 3
    assert content["versions"].keys() >= {"visqol-python", "zimtohrli", "torch"}
    table = (finished / "autoencoder.md").read_text()
    for loss in (*CHOSEN, START):
        assert table.count(f"| 32, {KINDS[loss].label} |") == len(DOMAINS)
    assert table.count("against l1: ") == len(DOMAINS) * sum(score.judges for score in SCORES.values())
    assert (finished / "autoencoder.png").stat().st_size > 10_000


def test_the_audio_is_laid_out_for_a_blind_test(finished):
    manifest = json.loads((finished / "audio" / "manifest.json").read_text())
    assert set(manifest["sets"]) == {f"{name}-32" for name in DOMAINS}
    for name, about in manifest["sets"].items():
        assert set(about["systems"]) == {*CHOSEN, START}
        assert len(about["items"]) == TINY["items"]
        for item in about["items"]:
            paths = [finished / "audio" / name / system / f"{item}.flac" for system in (*about["systems"], "reference")]
            infos = [soundfile.info(path) for path in paths]
            assert {(info.samplerate, info.frames, info.format) for info in infos} == {(SAMPLE_RATE, 16_000, "FLAC")}
    files = list((finished / "audio").rglob("*.flac"))
    assert len(files) == len(DOMAINS) * (len(CHOSEN) + 2) * TINY["items"]


def test_scores_are_best_for_the_identity_and_fall_with_noise(domain):
    judge, target = Judge(SAMPLE_RATE), domain.items[0].audio
    noise = np.random.default_rng(0).standard_normal(target.size).astype(np.float32) * target.std()
    heard = [judge(target + gain * noise, target) for gain in (0.0, 0.03, 0.3)]
    for name, score in SCORES.items():
        same, little, much = (scores[name] * (1 if score.higher_is_better else -1) for scores in heard)
        assert same > little > much, name
    assert judge(0 * target, target)["visqol"] == 1.0
    with pytest.raises(ValueError, match="one shape"):
        judge(target[:-1], target)


def test_losses_are_compared_file_by_file_and_seed_by_seed():
    """A constant gain is certain however far the files differ; the sign of the verdict follows the score."""
    losses = {"l1": 0.0, "l2": -1.0, "ours": 0.5}
    spread = {"a": -3.0, "b": 5.0, "c": 9.0}
    results = [
        result(
            Run("speech", 16, loss, seed),
            {item: dict.fromkeys(SCORES, 20 + seed + offset + gain) for item, offset in spread.items()},
            {"a": "first", "b": "second", "c": "second"},
        )
        for loss, gain in losses.items()
        for seed in (0, 1, 2)
    ]
    values = autoencoder_report.matrix(results, "speech", 16, "l1", "visqol")
    np.testing.assert_allclose(values, [[17, 27], [18, 28], [19, 29]])
    by_score = {comparison.score: comparison for comparison in autoencoder_report.compare(results)}
    assert by_score["visqol"].difference == pytest.approx((0.5, 0.5, 0.5))
    assert (by_score["visqol"].opponent, by_score["visqol"].verdict) == ("l1", "wins")
    assert (by_score["lsd"].opponent, by_score["lsd"].verdict) == ("l2", "loses")
    assert by_score["lsd"].difference.mean == pytest.approx(1.5)
    assert "si_sdr" not in by_score
    table = autoencoder_report.tables(results)
    assert "wins 1 of 1 (speech at 16)" in table
    ours = KINDS["ours"].label
    assert f"| {ours} | l1 | 1 / 0 / 0 | 0 / 0 / 1 |" in table
    assert f"| {ours} | l2 | 1 / 0 / 0 | 0 / 0 / 1 |" in table


def test_the_interval_covers_files_and_seeds():
    rng = np.random.default_rng(1)
    files, seeds = rng.standard_normal((1, 40)), rng.standard_normal((3, 1))
    narrow, wide = bootstrap(files + 0 * seeds), bootstrap(files + 3 * seeds)
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low) > 0
    assert verdict(Interval(0.1, -0.1, 0.3), SCORES["visqol"]) == "ties"


def test_held_out_sound_is_not_trained_on(tmp_path):
    for folder in ("speech/train/a", "speech/valid/b", "music"):
        (tmp_path / folder).mkdir(parents=True)
        for number in range(6):
            (tmp_path / folder / f"{number}.flac").touch()
    for name in DOMAINS:
        train_files, held_out = find_files(name, tmp_path)
        assert train_files
        assert held_out
        assert not set(train_files) & set(held_out)
    assert [path.name for path in find_files("music", tmp_path)[1]] == ["0.flac", "5.flac"]


def test_recordings_are_cut_to_one_level(domain):
    assert domain.batches.shape == (3, 2, CROP)
    levels = 10 * torch.log10(domain.batches.square().mean(dim=-1))
    assert bool((levels < -24.9).all() and (levels > -35).all())
    again = load_domain("speech", RECORDING, batches=3, crops=2, items=2, item_seconds=1.0)
    assert torch.equal(domain.batches, again.batches)


def test_bad_arguments_are_refused_in_one_line(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    out = ["--out", str(tmp_path / "out")]
    assert autoencoder.main([*out, "--data", str(tmp_path / "none")]) == 1
    assert autoencoder.main([*out, "--data", str(tmp_path / "empty")]) == 1
    assert autoencoder.main([*out, "--data", str(RECORDING), "--jobs", "0"]) == 1
    assert autoencoder.main([*out, "--data", str(RECORDING), "--epochs", "0"]) == 1
    errors = capsys.readouterr().err.strip().splitlines()
    assert len(errors) == 4
    assert all(line.startswith("emulator.evidence.autoencoder: ") for line in errors)
