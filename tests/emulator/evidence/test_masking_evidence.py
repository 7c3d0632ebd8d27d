"""`python -m emulator.evidence.masking`: the stimuli tell codecs apart, and the table has all that is compared."""

import csv
import json

import numpy as np
import pytest

from emulator.evidence import masking
from emulator.evidence.masking_trials import EXPERIMENTS, MASKER_DB, SPREAD, Experiment, trial
from emulator.losses.distances import TERMS, codec_distances, plain_distances
from emulator.model.config import EmulatorConfig
from emulator.model.network import Emulator
from emulator.model.presets import save_emulator
from enhance.reporting.markdown import markdown_table
from enhance.reporting.report import Report, save_report

RATE = 16_000
PRESET = "mp3-v9-16k"
ONE_LEVEL = Experiment(SPREAD.name, SPREAD.draw, (-45.0,))


def codec(setting: str, draws: int = 24) -> float:
    blocks = draws // masking.BLOCK
    (row,) = masking.measure("", masking.codec_change(setting, RATE), 2, [ONE_LEVEL], RATE, blocks)
    return row.selectivity_db


def of(distance) -> list[masking.Row]:
    change = masking.distance_change(distance)
    return masking.measure(distance.name, change, distance.degree, [SPREAD], RATE, 1)


def test_real_v9_hears_masking_and_cbr16_does_not():
    """Science: 13 to 15 dB against 0. A few draws are within 4 dB of the mean over many."""
    assert 9 < codec("v9") < 19
    assert abs(codec("cbr16", draws=8)) < 2
    assert abs(codec("cbr32", draws=8)) < 1


def test_plain_waveform_distances_hear_no_masking():
    for distance in plain_distances(RATE):
        if distance.name in ("l1", "l2"):
            for row in of(distance):
                assert row.selectivity_db == pytest.approx(0, abs=0.05)


def test_a_hand_made_ear_hears_masking_and_random_weights_hear_little():
    (bark,) = (distance for distance in plain_distances(RATE) if distance.name.startswith("Bark"))
    assert min(row.selectivity_db for row in of(bark)) > 10
    for distance in codec_distances(PRESET, RATE, trained=False):
        # there the target's own power stands in for the noise, untrained
        if "noise-to-mask" not in distance.name and "loudness" not in distance.name:
            assert np.mean([row.selectivity_db for row in of(distance)]) <= 6, distance.name


def test_the_trained_noise_level_hears_masking_as_the_encoder_does():
    """Real V9 tells the probes apart by 13 to 15 dB; untrained, the noise level does by 7 to 8."""
    ours, untrained = (codec_distances(PRESET, RATE, trained)[0] for trained in (True, False))
    heard = float(np.mean([row.selectivity_db for row in of(ours)]))
    assert 13 - 3 <= heard <= 15 + 3
    assert heard > 5 + np.mean([row.selectivity_db for row in of(untrained)])


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda experiment: experiment.name)
def test_probes_have_one_energy_and_a_seed_fixes_everything(experiment):
    first, again = (trial(experiment, -30.0, RATE, seed=5) for _ in range(2))
    louder = trial(experiment, -20.0, RATE, seed=5)
    other = trial(experiment, -30.0, RATE, seed=6)
    for ours, theirs in zip(first, again, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(first.masker, louder.masker)
    assert not np.array_equal(first.masker, other.masker)
    decibels = [10 * np.log10(np.mean(x**2)) for x in (first.masker, first.masked - first.masker)]
    assert decibels == pytest.approx([MASKER_DB, MASKER_DB - 30], abs=0.5)
    energies = [np.sum((x - first.masker) ** 2) for x in (first.masked, first.audible)]
    assert energies[0] == pytest.approx(energies[1], rel=0.01)


def test_decibels_follow_the_degree():
    assert masking.selectivity([(1.0, 10.0)], degree=1)[0] == pytest.approx(20)
    assert masking.selectivity([(1.0, 10.0)], degree=2)[0] == pytest.approx(10)
    assert masking.selectivity([(0.0, 1.0)], degree=2)[0] == np.inf
    assert np.isnan(masking.selectivity([(0.0, 0.0)], degree=2)[0])
    value, error = masking.selectivity([(1.0, 10.0), (1.0, 20.0), (1.0, 30.0)], degree=2)
    assert value == pytest.approx(10 * np.log10(20))
    # By the delta method: 10 / ln 10 times the standard error of the mean over the mean; good to a tenth here.
    assert error == pytest.approx(10 / np.log(10) * (10 / 3**0.5) / 20, rel=0.1)


def test_the_table_has_a_row_for_each_codec_and_distance(tmp_path, monkeypatch, capsys):
    def some(rate, emulators):
        ours = [codec_distances(emulator, rate)[0] for emulator in emulators]
        return plain_distances(rate)[:2] + codec_distances(PRESET, RATE, False)[:1] + ours

    own, small = tmp_path / "mine.safetensors", {"window": 256, "hop": 64, "channels": (4, 6), "middle": 1}
    save_emulator(Emulator(EmulatorConfig("abr32", 24_000, **small)).eval(), own, {})
    monkeypatch.setattr(masking, "QUICK_CODEC_BLOCKS", 1)
    monkeypatch.setattr(masking, "all_distances", some)
    assert masking.main(["--quick", "--emulators", str(own), "--out", str(tmp_path)]) == 0
    text = (tmp_path / "masking.md").read_text()
    assert text in capsys.readouterr().out
    with (tmp_path / "masking.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    expected = {
        (rate, name)
        for rate, settings in (("16000", ("cbr16", "cbr32", "v9", "v6")), ("48000", ("v6",)), ("24000", ("abr32",)))
        for name in (*(f"LAME {s}" for s in settings), "l1", "l2", f"{PRESET} {next(iter(TERMS))}, random weights")
    }
    expected |= {("24000", f"mine {next(iter(TERMS))}")}
    assert {(row["sample_rate"], row["system"]) for row in rows} == expected
    assert "mine minus LAME abr32 (" in text
    for _, system in expected:
        assert f"| {system} |" in text
    levels = {(row["experiment"], row["level_db"]) for row in rows}
    assert {(e.name, f"{level:g}") for e in EXPERIMENTS for level in e.levels_db} <= levels
    content = json.loads((tmp_path / "masking.json").read_text())
    assert content["versions"]["lameenc"]
    assert content["settings"]["draws_of_the_codec"] == 1
    assert (tmp_path / "masking.png").stat().st_size > 10_000


def test_what_goes_wrong_is_one_line(tmp_path, capsys):
    taken = tmp_path / "file"
    taken.write_text("")
    assert masking.main(["--out", str(taken), "--emulators"]) == 1
    assert masking.main(["--out", str(tmp_path / "out"), "--emulators", "no-such-preset"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("emulator.evidence.masking: ") for line in lines)
    assert "no-such-preset" in lines[1]


def test_reports_refuse_rows_that_differ(tmp_path):
    rows = [{"a": 1.0}, {"b": 1.0}]
    with pytest.raises(ValueError, match="expected rows of a; got one of b"):
        save_report(Report("x", rows, "", {}), tmp_path, 0.0)
    with pytest.raises(ValueError, match="no row"):
        save_report(Report("x", [], "", {}), tmp_path, 0.0)
    assert markdown_table(["", "x"], [["a", -0.04], ["b", -0.06]]).endswith("| a | 0.0 |\n| b | -0.1 |")
