"""`python -m enhance.evaluate`, and what is made of its results: comparison table, pictures and model card."""

import json
import math
import os
import shutil
import sys
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers import full_disk
from tiny_model import tiny_result

from enhance import card, comparison, evaluate, figures
from enhance.evaluation import results, scoring
from enhance.evaluation.metrics import si_sdr
from enhance.evaluation.pairs import find_pairs, read_pair
from enhance.evaluation.speed import HOP_BY_HOP, WHOLE_FILE, Speed, speech_like

HALF_DB = 20 * math.log10(0.5)  # what the tiny model does to everything


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of two files of a second and a quarter at 48 kHz: doubled three times they are what DNSMOS rates once."""
    folder = tmp_path_factory.mktemp("set") / "made"
    for seed in range(2):
        write_pair(folder, f"{seed}.wav", speech_like(1.25, seed))
    return folder


@pytest.fixture(scope="module")
def evaluated(pairs: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that two evaluations of the set were written to: of the tiny model and of the noisy input."""
    out = tmp_path_factory.mktemp("evaluations")
    for model in (str(tiny_model), results.NOISY):
        assert evaluate.main(["--model", model, "--set", str(pairs), "--out", str(out)]) == 0
    return out


def write_pair(folder: Path, name: str, clean: np.ndarray, rate: int = 48000) -> None:
    noise = 0.02 * np.random.default_rng(len(name)).standard_normal(clean.shape)
    for part, audio in (("clean", clean), ("noisy", clean + noise)):
        (folder / part).mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / part / name, audio, rate)


def made_up(mean: float) -> results.Summary:
    return results.Summary(mean, mean - 0.1, mean + 0.1, 32, 0)


def test_evaluation_measures_the_model_and_both_probes(evaluated, pairs):
    """The tiny model halves everything but the offset, which is taken away before it: the figures are known."""
    evaluation = results.load(evaluated / "tiny_made.json")
    for name in ("speech_gain", "clean_level", "noise_level"):
        assert evaluation.metrics[name].mean == pytest.approx(HALF_DB, abs=0.05), name
    clean = [soundfile.read(path, dtype="float32")[0] for path in sorted((pairs / "clean").iterdir())]
    expected = np.mean([si_sdr(tiny_result(audio[None])[0], audio, 48_000) for audio in clean])
    assert evaluation.metrics["clean_si_sdr"].mean == pytest.approx(expected, abs=0.1)
    assert (evaluation.model, evaluation.set, evaluation.files) == ("tiny", "made", 2)
    assert (evaluation.latency_ms, evaluation.sample_rate, evaluation.parameters) == (20, 48000, 1)
    unprocessed = results.load(evaluated / "noisy_made.json")
    assert unprocessed.metrics["si_sdr"].mean == pytest.approx(evaluation.metrics["si_sdr"].mean, abs=0.01)
    assert not unprocessed.metrics.keys() & {"clean_si_sdr", "noise_level"}


def test_evaluation_writes_a_row_for_each_file_and_names_versions_and_machine(evaluated):
    scores = results.load_scores(evaluated / "tiny_made.csv")
    evaluation = results.load(evaluated / "tiny_made.json")
    assert list(scores) == ["0.wav", "1.wav"]
    for name, value in evaluation.metrics.items():
        assert np.mean([row[name] for row in scores.values()]) == pytest.approx(value.mean, rel=1e-4, nan_ok=True)
    assert {"python", "pesq", "pystoi", "speechmos", "onnxruntime"} <= evaluation.versions.keys()
    table = (evaluated / "tiny_made.md").read_text()
    assert "| SI-SDR (dB) |" in table
    assert evaluation.machine in table


@pytest.mark.parametrize("content", ["name,pesq\na.wav,1\n", "file,pesq\na.wav,good\n", "file,pesq\na.wav\n"])
def test_another_table_to_compare_with_is_refused_in_one_line(tmp_path, pairs, capsys, content):
    (tmp_path / "other.csv").write_text(content)
    assert evaluate.main(["--model", "noisy", "--set", str(pairs), "--against", str(tmp_path / "other.csv")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "other.csv: expected the CSV of an evaluation" in line


def test_a_process_that_is_killed_is_an_error_in_words():
    """As the system kills for want of memory: each of two processes ends without a word."""
    with pytest.raises(OSError, match="one of the processes was killed, perhaps for want of memory; try again with"):
        scoring.of_each(os._exit, [9, 9], 2, "evaluating")


def test_two_jobs_give_the_figures_of_one(pairs, tiny_model, evaluated):
    """To 1e-9, not exactly: pystoi adds random numbers of the size of a rounding error."""
    evaluation, scores = evaluate.evaluate(str(tiny_model), pairs, jobs=2)
    expected = results.load(evaluated / "tiny_made.json")
    assert list(scores) == ["0.wav", "1.wav"]
    assert evaluation.metrics.keys() == expected.metrics.keys()
    for name, summary in evaluation.metrics.items():
        np.testing.assert_allclose(astuple(summary), astuple(expected.metrics[name]), atol=1e-9)  # nan equals nan


def test_finished_files_get_the_scores_of_the_model_that_made_them(pairs, tiny_denoiser, evaluated, tmp_path):
    for path in (pairs / "noisy").iterdir():
        noisy, rate = soundfile.read(path, dtype="float32")
        (tmp_path / "other").mkdir(exist_ok=True)
        soundfile.write(tmp_path / "other" / path.name, tiny_denoiser.denoise(noisy, rate), rate, subtype="FLOAT")
    arguments = ["--estimates", str(tmp_path / "other"), "--set", str(pairs), "--out", str(tmp_path)]
    assert evaluate.main([*arguments, "--against", str(evaluated / "tiny_made.csv")]) == 0
    expected, found = results.load(evaluated / "tiny_made.json"), results.load(tmp_path / "other_made.json")
    assert found.model == "other"
    assert expected.metrics.keys() - found.metrics.keys() == {"clean_si_sdr", "clean_level", "noise_level"}
    for name, summary in found.metrics.items():
        np.testing.assert_allclose(astuple(summary), astuple(expected.metrics[name]), atol=1e-4, err_msg=name)


def test_estimates_that_do_not_fit_the_set_are_refused_before_the_work(pairs, tmp_path, capsys):
    def message(folder: Path) -> str:
        assert evaluate.main(["--estimates", str(folder), "--set", str(pairs)]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        return line

    assert "none: expected a folder of estimates, found none" in message(tmp_path / "none")
    assert "0.wav and 1 more: no estimate of this file of the set" in message(tmp_path)
    shutil.copy(pairs / "noisy" / "0.wav", tmp_path)
    assert "1.wav: no estimate of this file of the set" in message(tmp_path)
    soundfile.write(tmp_path / "1.wav", np.zeros(100), 48_000)
    assert "1.wav: expected what its clean file has" in message(tmp_path)


def test_a_set_at_16_khz_has_no_lsd(tmp_path, tiny_model):
    write_pair(tmp_path, "a.wav", speech_like(1.25)[::3], 16000)
    evaluation, scores = evaluate.evaluate(str(tiny_model), tmp_path)
    assert math.isnan(scores["a.wav"]["lsd"])
    assert evaluation.metrics["clean_level"].mean == pytest.approx(HALF_DB, abs=0.1)
    assert "| LSD at 48 kHz (decades) | - | - | 0 |" in results.report(evaluation)


def test_a_set_with_missing_partners_is_refused_by_name(pairs, tmp_path, capsys):
    def message(folder: Path) -> str:
        assert evaluate.main(["--model", "noisy", "--set", str(folder)]) == 1
        return capsys.readouterr().err

    assert "found no clean/" in message(tmp_path)
    (tmp_path / "clean").mkdir()
    assert "found no noisy/" in message(tmp_path)
    (tmp_path / "noisy").mkdir()
    assert "found none" in message(tmp_path)
    (tmp_path / "noisy" / "b.wav").write_bytes(b"")
    assert "b.wav: no file of the same name in clean/" in message(tmp_path)
    (tmp_path / "noisy" / "b.wav").unlink()
    (tmp_path / "clean" / "a.wav").write_bytes(b"")
    (tmp_path / "clean" / "c.wav").write_bytes(b"")
    assert "a.wav and 1 more: no file of the same name in noisy/" in message(tmp_path)
    assert evaluate.main(["--model", str(tmp_path / "none.onnx"), "--set", str(pairs)]) == 1
    assert "none.onnx" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("noisy", "rate", "expected"),
    [
        (np.zeros((4800, 2)), 48000, "expected one channel, got 2"),
        (
            np.zeros(4800),
            44100,
            "expected what its clean file has, 4800 samples at 48000 Hz, got 4800 samples at 44100",
        ),
        (np.zeros(4799), 48000, "expected what its clean file has, 4800 samples at 48000 Hz, got 4799 samples"),
        (None, 48000, "noisy.wav: cannot be read"),
        (np.zeros(0), 48000, "noisy.wav: expected a recording, got an empty one"),
        (np.full(4800, np.nan), 48000, "noisy.wav: 4800 samples are NaN or infinite"),
    ],
)
def test_a_pair_that_does_not_fit_is_refused(tmp_path, noisy, rate, expected):
    soundfile.write(tmp_path / "clean.wav", np.zeros(4800), 48000)
    if noisy is None:
        (tmp_path / "noisy.wav").write_text("no sound")
    else:
        soundfile.write(tmp_path / "noisy.wav", noisy, rate, subtype="FLOAT")
    with pytest.raises(evaluate.DatasetError, match=expected):
        read_pair(tmp_path / "clean.wav", tmp_path / "noisy.wav")


def test_bootstrap_interval_is_that_of_the_normal_approximation():
    """For 400 normal values the interval is mean +- 1.96 s / 20; 6 % covers the noise of the bootstrap and of s."""
    values = np.random.default_rng(1).normal(5, 2, 400)
    interval = results.bootstrap(values)
    half = 1.96 * values.std(ddof=1) / 20
    assert interval.mean == values.mean()
    assert interval.low == pytest.approx(values.mean() - half, abs=0.06 * half)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.06 * half)
    assert results.bootstrap(values) == interval
    assert results.bootstrap(values, seed=1) != interval


def test_a_model_is_called_by_its_file_whatever_the_case_of_its_suffix():
    assert [results.model_name(model) for model in ("runs/a.onnx", "runs/B.ONNX", "small")] == ["a", "B", "small"]


def test_failed_files_are_counted_and_said(evaluated):
    evaluation = results.load(evaluated / "tiny_made.json")
    failed = results.bootstrap([1.5, math.nan])
    assert (failed.mean, failed.count, failed.failed) == (1.5, 1, 1)
    text = results.report(replace(evaluation, metrics={**evaluation.metrics, "pesq": failed, "stoi": failed}))
    assert "PESQ found no speech in 1 files" in text
    assert "STOI found under 0.4 s of speech in 1 files" in text
    nothing = results.bootstrap([math.nan])
    assert (nothing.count, nothing.failed) == (0, 1)
    assert math.isnan(nothing.mean)


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux alone")
def test_a_pair_whose_name_is_not_utf_8_is_one_like_others(pairs, tmp_path):
    for clean, noisy in find_pairs(pairs)[:1]:
        for path in (clean, noisy):
            (tmp_path / path.parent.name).mkdir()
            shutil.copy(path, tmp_path / path.parent.name / os.fsdecode(b"caf\xe9.wav"))
        assert np.array_equal(read_pair(*find_pairs(tmp_path)[0])[1], read_pair(clean, noisy)[1])


def test_scores_of_a_file_whose_name_is_not_utf_8_are_kept_too(evaluated, tmp_path):
    evaluation, name = results.load(evaluated / "tiny_made.json"), os.fsdecode(b"caf\xe9.wav")
    scores = {name: dict.fromkeys(evaluation.metrics, 1.5)}
    assert results.load_scores(results.save(evaluation, scores, tmp_path).with_suffix(".csv")) == scores


def test_paired_differences_cancel_what_files_have_in_common():
    """One file is easy, one is hard, and the model is 0.1 better on both: the interval says so."""
    before = {"a": {"pesq": 1.0}, "b": {"pesq": 4.0}}
    after = {"a": {"pesq": 1.1}, "b": {"pesq": 4.1}}
    assert "| PESQ-WB | +0.100 | +0.100 to +0.100 |" in results.differences(after, before)
    without = {name: {"lsd": math.nan} for name in before}  # as at 16 kHz
    assert "| LSD at 48 kHz | - | - |" in results.differences(without, without)
    with pytest.raises(ValueError, match="same files"):
        results.differences(after, {"a": before["a"]})


def test_a_file_that_is_no_evaluation_is_refused(tmp_path):
    for content in ("no JSON", "[]", '{"metrics": {}}', '{"metrics": {"pesq": {"mean": 1}}}'):
        (tmp_path / "a.json").write_text(content)
        with pytest.raises(ValueError, match=r"a\.json: expected the JSON of an evaluation"):
            results.load(tmp_path / "a.json")


def test_the_table_goes_into_a_document_between_markers_again_and_again(evaluated, tmp_path):
    document = tmp_path / "README.md"
    document.write_text("before\n<!-- evaluation:begin -->\n<!-- evaluation:end -->\nafter\n")
    arguments = [str(document), "--evaluation", str(evaluated / "noisy_made.json"), str(evaluated / "tiny_made.json")]
    assert comparison.main(arguments) == 0
    once = document.read_text()
    assert once.startswith("before\n<!-- evaluation:begin -->\n| system |")
    assert once.endswith("|\n<!-- evaluation:end -->\nafter\n")
    assert "| **tiny** | 48 kHz | 0 k | 20 ms |" in once
    assert len({line.count("|") for line in once.splitlines() if line.startswith("|")}) == 1  # a table, not broken rows
    assert comparison.main(arguments) == 0
    assert document.read_text() == once
    document.write_text("no markers")
    assert comparison.main(arguments) == 1
    assert document.read_text() == "no markers"


def test_a_document_keeps_its_ends_of_lines_and_is_whole_after_a_full_disk(evaluated, tmp_path):
    document = tmp_path / "README.md"
    document.write_bytes(b"text\r\n<!-- evaluation:begin --><!-- evaluation:end -->\r\n" + 50 * b"more text\r\n")
    arguments = [str(document), "--evaluation", str(evaluated / "tiny_made.json")]
    assert comparison.main(arguments) == 0
    content = document.read_bytes()
    assert content.count(b"\r\n") == content.count(b"\n") > 52
    with full_disk(100):
        assert comparison.main(arguments) == 1
    assert document.read_bytes() == content


def test_a_document_with_nothing_to_put_in_is_one_line(tmp_path, capsys):
    (tmp_path / "README.md").write_text("page")
    assert comparison.main([str(tmp_path / "README.md")]) == 1
    assert "name what to put in: --evaluation, --benchmark or both" in capsys.readouterr().err


def test_published_systems_stand_only_beside_their_own_set(evaluated):
    made = results.load(evaluated / "tiny_made.json")
    assert "DeepFilterNet3" not in comparison.comparison([made])
    assert "| DeepFilterNet3 (whole file) | 48 kHz | 2.13 M | 40 ms | 2.019 |" in comparison.comparison(
        [replace(made, set=comparison.ANCHOR_SET, files=comparison.ANCHOR_FILES)]
    )
    with pytest.raises(ValueError, match="one set, got eval, made"):
        comparison.comparison([made, replace(made, set="eval")])


def test_spectrograms_share_one_scale_and_are_written(pairs, tmp_path):
    noisy, clean = pairs / "noisy" / "0.wav", pairs / "clean" / "0.wav"
    assert figures.main(["spectrogram", str(noisy), str(clean), str(tmp_path / "out" / "s.png")]) == 0
    assert (tmp_path / "out" / "s.png").read_bytes().startswith(b"\x89PNG")
    level = figures.level_db(np.sin(2 * np.pi * 3000 * np.arange(48000) / 48000))  # on a bin: 128 of 2048
    assert level[128].max() == pytest.approx(0, abs=0.01)
    assert level[1000].max() < -100
    soundfile.write(tmp_path / "other.wav", np.zeros(100), 48000)
    assert figures.main(["spectrogram", str(noisy), str(tmp_path / "other.wav"), str(tmp_path / "t.png")]) == 1
    assert not (tmp_path / "t.png").exists()


def test_quality_against_cost_needs_figures_that_compare(evaluated, tmp_path):
    evaluation = replace(results.load(evaluated / "tiny_made.json"), set=comparison.ANCHOR_SET)
    evaluation = replace(evaluation, metrics={**evaluation.metrics, "pesq": made_up(1.6), "ovrl": made_up(2.4)})
    own = Speed("mpeace tiny", HOP_BY_HOP, 0.02, 1.0, 200.0, 220.0, 250.0)
    peer = Speed("RNNoise (pyrnnoise 0.4.5)", HOP_BY_HOP, 0.08, 4.0, 800.0, 820.0, 850.0)
    speeds = [own, peer]
    assert figures.relative_cost(speeds) == (HOP_BY_HOP, pytest.approx(0.25))
    assert figures.relative_cost([replace(own, mode=WHOLE_FILE, rtf=0.01), peer]) == (WHOLE_FILE, pytest.approx(0.125))
    figures.quality([(evaluation, speeds)], tmp_path / "q.png")
    assert (tmp_path / "q.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="expected an evaluation of a model on eval, got one on made"):
        figures.quality([(replace(evaluation, set="made"), speeds)], tmp_path / "r.png")
    for lacking in ([], [own], [peer]):
        with pytest.raises(ValueError, match="hop by hop of the model and of RNNoise"):
            figures.quality([(evaluation, lacking)], tmp_path / "r.png")


def test_model_card_names_dimensions_data_commands_figures_and_limits(evaluated, tiny_model, tmp_path, capsys):
    training = {"commands": ["python -m enhance.train --speech voices"], "seed": 7, "machine": {"gpu": "none"}}
    (tmp_path / "run.json").write_text(json.dumps(training))
    (tmp_path / "data.md").write_text("| a | b |\n| --- | --- |\n\n| files | licence |\n| --- | --- |\n| x | CC0 |\n")
    command = [str(tiny_model), "--evaluation", str(evaluated), "--data", str(tmp_path / "data.md")]
    command += ["--training", str(tmp_path / "run.json"), "--limit", "Made for a test.", "--out"]
    (tmp_path / "cases.md").write_text("| case | PESQ |\n| --- | --- |\n| song | 1 to 2 |\n")
    command[1:1] = ["--conditions", str(tmp_path / "cases.md")]
    assert card.main([*command, str(tmp_path / "tiny.md")]) == 0
    text = (tmp_path / "tiny.md").read_text()
    for part in (
        "# tiny-delay",
        f"Use: `mpeace denoise --model {tiny_model.name} INPUT`.",
        "| window, hop | 960, 480 samples |",
        "20 ms",
        "python -m enhance.train --speech voices",
    ):
        assert part in text
    for part in (
        "| seed | 7 |",
        "| machine.gpu | none |",
        "| x | CC0 |",
        "### tiny on made",
        "- Made for a test.",
        "## Hard cases",
    ):
        assert part in text
    assert "noisy input |" in text
    assert "| song | 1 to 2 |" in text
    assert "| a | b |" not in text  # a table without licences
    assert "## int8" not in text  # which was not measured
    (tmp_path / "data.md").write_text("nothing")
    assert card.main([*command, str(tmp_path / "other.md")]) == 1
    assert not (tmp_path / "other.md").exists()


@pytest.mark.parametrize("content", ["[1]", "{", '{"commands": "python -m enhance.train"}', '{"commands": [1]}'])
def test_another_account_of_the_training_is_one_line_that_names_the_file(
    evaluated, tiny_model, tmp_path, capsys, content
):
    (tmp_path / "run.json").write_text(content)
    command = [str(tiny_model), "--evaluation", str(evaluated), "--data", "none.md", "--out", str(tmp_path / "tiny.md")]
    assert card.main([*command, "--training", str(tmp_path / "run.json")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "run.json: expected " in line


def test_a_file_that_cannot_be_used_is_named_before_anything_is_scored(pairs, tmp_path):
    shutil.copytree(pairs, tmp_path / "set")
    for part in ("clean", "noisy"):
        (tmp_path / "set" / part / "zz.txt").write_text("no sound")
    with pytest.raises(evaluate.DatasetError, match=r"zz\.txt: cannot be read"):
        find_pairs(tmp_path / "set")
