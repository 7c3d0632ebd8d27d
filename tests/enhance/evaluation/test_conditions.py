"""Hard cases are what they are called, and the command tables them."""

import csv
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import level_db, speech_like
from recordings import RATE, sine, white, write

from enhance import conditions
from enhance.conditions import main
from enhance.evaluation import hard_cases, metrics
from enhance.evaluation.hard_cases import CASES, Recordings, language, make_pair

SAMPLES = 6 * RATE


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Speech in two languages, white noise, typing, and a tone for music."""
    path = tmp_path_factory.mktemp("recordings")
    for number, code in enumerate(("aa", "bb")):
        write(path / "speech" / f"voice-{code}-000.flac", speech_like(8.0, RATE, seed=number)[0], subtype="PCM_16")
    write(path / "noise" / "hiss-000.flac", white(3.0), subtype="PCM_16")
    write(path / "noise" / "typewriter-000.flac", white(7.0, seed=1), subtype="PCM_16")
    write(path / "music" / "tone-000.flac", sine(440.0, 7.0), subtype="PCM_16")
    return path


@pytest.fixture(scope="module")
def recordings(folder: Path) -> Recordings:
    files = {name: sorted((folder / name).iterdir()) for name in ("speech", "noise", "music")}
    return Recordings(files["speech"], files["noise"], files["music"], frozenset({"aa"}))


@pytest.mark.parametrize("case", CASES)
def test_every_case_is_a_pair_that_depends_on_nothing_else(case: str, recordings: Recordings) -> None:
    pair, again, other = (make_pair(case, recordings, number) for number in (0, 0, 1))
    assert pair.target.shape == pair.noisy.shape == (SAMPLES,)
    assert np.isfinite(pair.noisy).all()
    assert np.abs(pair.noisy).max() <= 1
    assert level_db(pair.target) > -70
    assert np.array_equal(pair.noisy, again.noisy)
    assert not np.array_equal(pair.noisy, other.noisy)


def share_db(audio: np.ndarray, low: float, high: float) -> float:
    """Power in a band, relative to all, dB."""
    power = np.abs(np.fft.rfft(audio)) ** 2
    hertz = np.fft.rfftfreq(audio.size, 1 / RATE)
    return float(10 * np.log10(power[(hertz >= low) & (hertz < high)].sum() / power.sum()))


def test_cases_are_what_they_are_called(recordings: Recordings) -> None:
    ordinary = make_pair("ordinary mixtures", recordings, 0)
    assert level_db(ordinary.target) - level_db(ordinary.noisy - ordinary.target) == pytest.approx(5.0, abs=2.5)
    for number in range(4):
        assert "voice-bb" in make_pair("languages not in training", recordings, number).name
        assert "typewriter" in make_pair("keyboard clicks", recordings, number).name
    telephone = make_pair("telephone band", recordings, 0)
    assert share_db(telephone.noisy, 0, 200) < -30
    assert share_db(telephone.noisy, 3600, RATE / 2) < -30
    music = make_pair("music in the background", recordings, 0)
    assert share_db(music.noisy - music.target, 430, 450) > -0.5
    assert " and " in make_pair("two speakers", recordings, 0).name
    shouted = make_pair("shouting (-6 dBFS, clipped)", recordings, 0)
    assert np.abs(shouted.noisy).max() == 1
    whispered = make_pair("whispering level (-55 dBFS)", recordings, 0)
    assert -65 < level_db(whispered.noisy) < -45
    assert np.array_equal(whispered.noisy * 32768, np.round(whispered.noisy * 32768))
    clean = make_pair("clean input", recordings, 0)
    assert np.array_equal(clean.noisy, clean.target)
    room = make_pair("reverberation, 15 dB SNR", recordings, 0)
    assert level_db(room.noisy - room.target) > level_db(room.target) - 25
    quiet = make_pair("room in the target, 25 dB SNR", recordings, 0)
    assert level_db(quiet.noisy - quiet.target) < level_db(quiet.target) - 20, "nothing but the noise is to go"


def test_a_sung_voice_has_harmonics_at_its_notes(recordings: Recordings) -> None:
    sung = make_pair("sung voice (synthesised)", recordings, 0)
    spectrum = np.abs(np.fft.rfft(sung.target))
    hertz = np.fft.rfftfreq(SAMPLES, 1 / RATE)
    around = lambda centre: spectrum[np.abs(hertz - centre) < 8].max()  # noqa: E731
    assert around(262.0) + around(294.0) > 3 * around(310.0)


def test_missing_material_is_named(recordings: Recordings) -> None:
    known = Recordings(recordings.speech, recordings.noise, recordings.music, frozenset({"aa", "bb"}))
    with pytest.raises(ValueError, match="no held-out speech has a language in its name that was not trained on"):
        make_pair("languages not in training", known, 0)
    with pytest.raises(ValueError, match="expected recordings of speech, noise and music"):
        make_pair("clean input", Recordings([], recordings.noise, recordings.music), 0)
    assert language(Path("a-b-c-0.opus")) == ""


@pytest.mark.parametrize(("samples", "said"), [([], "holds no samples"), ([0.1, np.nan], "holds NaN or infinite")])
def test_a_recording_that_is_none_is_named(
    recordings: Recordings, tmp_path: Path, samples: list[float], said: str
) -> None:
    bad = write(tmp_path / "bad.wav", np.array(samples))
    with pytest.raises(ValueError, match=f"bad.wav' {said}"):
        make_pair("ordinary mixtures", Recordings([bad], recordings.noise, recordings.music), 0)


def named_only(model: str, recordings: Recordings, task: tuple[str, int]) -> conditions.Row:
    return {"case": task[0], "pair": task[1]}


def test_cases_that_the_recordings_hold_nothing_for_are_left_out_and_named(
    folder: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(conditions, "measure", named_only)
    monkeypatch.setattr(conditions, "table", lambda rows: "a table")
    write(tmp_path / "noise" / "hiss.flac", white(3.0), subtype="PCM_16")
    named = ["--speech", str(folder / "speech"), "--noise", str(tmp_path / "noise"), "--music", str(folder / "music")]
    named += ["--trained", str(folder / "speech"), "--pairs", "1", "--out", str(tmp_path / "out")]
    assert main(["--model", str(tiny_model), *named]) == 0
    said = capsys.readouterr().err
    assert "the case 'languages not in training' is left out: no held-out speech has a language in its name" in said
    assert "the case 'keyboard clicks' is left out: no held-out noise has 'type' or 'key' in its name" in said
    with (tmp_path / "out" / f"{tiny_model.stem}_conditions.csv").open(newline="") as file:
        cases = [row["case"] for row in csv.DictReader(file)]
    assert cases == [case for case in CASES if case not in ("languages not in training", "keyboard clicks")]


def trained_on_another(folder: Path) -> Path:
    """A folder of speech in a language that the recordings do not have."""
    (folder / "trained").mkdir()
    (folder / "trained" / "words-zz-000.opus").touch()
    return folder / "trained"


def test_the_command_tables_every_case_and_names_the_worst_file(
    folder: Path,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In this process, on pairs of 1 s. DNSMOS would take most of the time: one rating stands for all."""
    monkeypatch.setattr(hard_cases, "SECONDS", 1.0)
    rating = metrics.dnsmos(speech_like(1.25, RATE)[0], RATE)  # doubled three times it is what DNSMOS rates once
    monkeypatch.setattr(metrics, "dnsmos", lambda audio, sample_rate: rating)
    named = [part for name in ("speech", "noise", "music") for part in (f"--{name}", str(folder / name))]
    named += ["--trained", str(trained_on_another(tmp_path))]
    out = tmp_path / "out"
    assert main(["--model", str(tiny_model), *named, "--pairs", "1", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert all(f"| {case} |" in printed for case in CASES)
    name = f"{tiny_model.stem}_conditions"
    with (out / f"{name}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["case"] for row in rows] == list(CASES)
    assert all(row["name"] in printed for row in rows)
    assert json.loads((out / f"{name}.json").read_text())["settings"]["pairs"] == 1


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux alone")
def test_recordings_whose_names_are_not_utf_8_are_tabled(
    folder: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(conditions, "CASES", ["clean input"])
    monkeypatch.setattr(conditions, "scores", lambda audio, target: dict.fromkeys(conditions.SHOWN, 1.0))
    for name in ("speech", "noise", "music"):
        (tmp_path / name).mkdir()
        source = next((folder / name).iterdir())
        shutil.copy(source, tmp_path / name / os.fsdecode(b"caf\xe9.flac"))
    named = [part for name in ("speech", "noise", "music") for part in (f"--{name}", str(tmp_path / name))]
    named += ["--trained", str(tmp_path / "speech"), "--out", str(tmp_path / "out"), "--pairs", "1"]
    assert main(["--model", str(tiny_model), *named]) == 0
    printed = capsys.readouterr().out
    assert "| caf\\xe9: PESQ 1.00 to 1.00 |" in printed
    table = tmp_path / "out" / f"{tiny_model.stem}_conditions.md"
    assert printed.strip() == table.read_text(encoding="utf-8").strip()


@pytest.mark.long
def test_processes_share_the_work(
    folder: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = list(CASES)[:2]
    monkeypatch.setattr(conditions, "CASES", cases)
    named = [part for name in ("speech", "noise", "music") for part in (f"--{name}", str(folder / name))]
    named += ["--trained", str(trained_on_another(tmp_path)), "--pairs", "1", "--jobs", "2"]
    assert main(["--model", str(tiny_model), *named, "--out", str(tmp_path)]) == 0
    with (tmp_path / f"{tiny_model.stem}_conditions.csv").open(newline="") as file:
        assert [row["case"] for row in csv.DictReader(file)] == cases


def test_a_folder_without_recordings_is_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    named = [part for name in ("speech", "noise") for part in (f"--{name}", str(folder / name))]
    named += ["--trained", str(folder / "speech"), "--music", str(tmp_path / "empty")]
    assert main(["--model", "small", *named, "--out", str(tmp_path / "out")]) == 1
    message = capsys.readouterr().err
    assert message.startswith("enhance.conditions: no recordings in")
    assert message.count("\n") == 1
