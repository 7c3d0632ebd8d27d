"""The study of networks: one command, resumed from its rows, with means and paired differences that are right."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import speech_like
from recordings import white, write

from enhance import study
from enhance.model.checkpoint import FORMAT, save_atomically
from enhance.model.network import Enhancer
from enhance.runtime.registry import find_model
from enhance.study import SCORES, VARIANTS, VARIANTS_AHEAD, main, read_rows, tables
from enhance.train import settings as train_settings
from enhance.training import training_process
from enhance.training.run_state import LAST
from enhance.training.task import load_weights

SECONDS = 0.25  # of each pair
FIRST, SECOND = list(VARIANTS_AHEAD)[:2]


@pytest.fixture
def trained(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Two pairs, and the arguments of each training, whose network is the tiny model."""
    for number in range(2):
        clean = speech_like(SECONDS, 48_000, seed=20 + number)[0]
        write(tmp_path / "pairs" / "clean" / f"{number}.flac", clean, subtype="PCM_16")
        write(tmp_path / "pairs" / "noisy" / f"{number}.flac", clean + 0.1 * white(SECONDS), subtype="PCM_16")
    calls: list[list[str]] = []

    def train(settings: list[str], steps: int, folder: Path, arguments: list[str]) -> float:
        folder.mkdir(parents=True)
        calls.append([*settings, *arguments])
        return 1.5

    monkeypatch.setattr(study, "train", train)
    monkeypatch.setattr(study, "export", lambda _, model, __: shutil.copy(tiny_model, model))
    monkeypatch.setattr(study, "score", lambda *pair: dict.fromkeys(SCORES, float(np.abs(pair[0]).max())))
    return calls


def command(folder: Path, *more: str) -> list[str]:
    paths = {"out": "out", "cache": "cache", "set": "pairs"}
    return [
        *(part for name, path in paths.items() for part in (f"--{name}", str(folder / path))),
        *("--start", "tiny", "--steps", "2", *more, "--arguments", "--speech", "s", "--noise", "n"),
        *("--accelerator", "cpu"),
    ]


def test_each_variant_has_a_row_for_each_file_and_finished_ones_are_kept(
    tmp_path: Path, trained: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(tmp_path, "--variants", SECOND)) == 0
    assert main(command(tmp_path, "--variants", FIRST, SECOND)) == 0
    assert len(trained) == 2
    assert "lookahead=2" in trained[0]
    assert "lookahead=2" not in trained[1]
    assert all(call[call.index("--size") + 1] == "tiny" for call in trained)
    assert all("--start" in call and "--accelerator" in call for call in trained)
    rows = read_rows(tmp_path / "out" / "study.csv")
    assert [(row["variant"], row["file"]) for row in rows] == [(v, f) for v in (FIRST, SECOND) for f in ("0", "1")]
    shown = capsys.readouterr().out
    assert (tmp_path / "out" / "study.md").read_text() in shown
    assert f"| {SECOND} |" in shown.split(f"Difference from '{FIRST}'")[1]


def test_two_files_that_differ_in_their_suffix_are_two(tmp_path: Path, trained: list[list[str]]) -> None:
    for part in ("clean", "noisy"):
        write(tmp_path / "pairs" / part / "0.wav", white(SECONDS), subtype="PCM_16")
    assert main(command(tmp_path, "--variants", FIRST)) == 0
    rows = read_rows(tmp_path / "out" / "study.csv")
    assert [row["file"] for row in rows] == ["0.flac", "0.wav", "1.flac"]


def test_a_set_that_has_other_files_now_is_one_line_before_any_training(
    tmp_path: Path, trained: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(tmp_path, "--variants", FIRST)) == 0
    for part in ("clean", "noisy"):
        write(tmp_path / "pairs" / part / "2.flac", white(SECONDS), subtype="PCM_16")
    assert main(command(tmp_path)) == 1
    assert "were scored on other files than the set has now ('2' is in one of them alone)" in capsys.readouterr().err
    assert len(trained) == 1


def test_rows_of_other_settings_or_weights_are_not_mixed(
    tmp_path: Path, trained: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(tmp_path, "--variants", FIRST)) == 0
    report = tmp_path / "out" / "study.json"
    for wrong, made in (
        ([*command(tmp_path), "--set", "room=0.1"], "were made with options "),
        (command(tmp_path, "--batch", "16"), "were made with batch 8;"),
    ):
        assert main(wrong) == 1
        assert made in capsys.readouterr().err
    noted = json.loads(report.read_text())
    changed = noted["settings"] | {"start_sha256": "0123"}
    report.write_text(json.dumps(noted | {"settings": changed}))  # as if the network had been another one then
    assert main(command(tmp_path)) == 1
    assert 'were made with start_sha256 "0123";' in capsys.readouterr().err
    del changed["start_sha256"], changed["options"]
    report.write_text(json.dumps(noted | {"settings": changed}))  # as reports were before these were noted
    assert main(command(tmp_path, "--variants", SECOND)) == 0
    assert len(trained) == 2


def test_minutes_are_those_of_the_training_before_and_after_a_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_atomically({"format": FORMAT, "seconds": 90.0}, tmp_path / LAST)
    monkeypatch.setattr(training_process, "wait_out", lambda _: 0)
    assert training_process.train([], 2, tmp_path, []) == 1.5


def test_differences_are_paired_and_marked_where_their_interval_leaves_out_zero() -> None:
    cost = {"parameters": 1000, "mmacs": 2.0, "milliseconds": 3.0, "minutes": 4.0}
    same = {"estoi": 0.5, "si_sdr": 10.0, "lsd": 1.0, "ovrl": 2.5}
    pesq = {"a": (1.0, 2.0, 3.0), "b": (1.1, 2.1, 3.1)}
    rows = [
        {"variant": variant, **cost, "file": str(number), "pesq": value, **same}
        for variant, values in pesq.items()
        for number, value in enumerate(values)
    ]
    table = tables(rows)
    assert "| a | 1,000 | 2 | 3.0 | 4 | 2.000 | 0.500 | 10.00 | 1.000 | 2.500 |" in table
    assert "| b | **+0.100** (+0.100 to +0.100) | +0.000 (+0.000 to +0.000) |" in table


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--variants", "bigger"), "no variant 'bigger'; there are: nothing of what follows"),
        (("--set", "nowhere"), "expected the folders clean/ and noisy/"),
        (("--steps", "0"), "--steps: expected 1 or more, got 0"),
        (("--batch", "0"), "--batch: expected 1 or more, got 0"),
    ],
)
def test_what_cannot_be_compared_is_one_line_before_any_training(
    tmp_path: Path, trained: list[list[str]], capsys: pytest.CaptureFixture[str], more: tuple[str, ...], said: str
) -> None:
    assert main(command(tmp_path, *more)) == 1
    message = capsys.readouterr().err
    assert message.startswith("enhance.study: ")
    assert said in message
    assert message.count("\n") == 1
    assert not trained


def test_the_rows_of_another_program_are_one_line_before_any_training(
    tmp_path: Path, trained: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "study.csv").write_text("variant,loss\na,1\n")
    assert main(command(tmp_path)) == 1
    message = capsys.readouterr().err
    assert "study.csv: expected the rows of finished runs (it has no column file); name another --out" in message
    assert message.count("\n") == 1
    assert not trained


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_variant_is_one_that_training_knows(variant: str) -> None:
    Enhancer(train_settings("small", VARIANTS[variant])[0])


@pytest.mark.parametrize("variant", VARIANTS_AHEAD)
def test_each_variant_that_hears_ahead_begins_with_the_weights_of_the_causal_network(variant: str) -> None:
    network = Enhancer(train_settings("small", VARIANTS_AHEAD[variant])[0])
    load_weights(network, find_model("small").with_suffix(".safetensors"))
    seconds = 1 + network.config.ahead / 100
    with torch.no_grad():
        estimate = network(torch.zeros(1, int(100 * seconds) * network.config.hop), network.initial_state(1))[0]
    assert np.isfinite(estimate.numpy()).all()
