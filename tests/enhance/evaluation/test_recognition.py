"""Word error rates: counting, the words of a set, the table. The recogniser itself is tried where it is installed."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from command import ROOT, read, write
from helpers import speech_like

from enhance.evaluate import main
from enhance.evaluation import recognition as module
from enhance.evaluation.recognition import WORDS, read_words, table
from enhance.held_out import main as held_out
from enhance.utils.errors import DatasetError


@pytest.fixture
def sentences(tmp_path: Path) -> Path:
    """Two sentences with their words, and two noises."""
    for name, words in (("one", "Please call Stella."), ("two", "Six spoons of fresh snow-peas!")):
        write(tmp_path / "said" / f"{name}.wav", speech_like(1, 16_000), 16_000)
        (tmp_path / "said" / f"{name}.txt").write_text(words + "\n")
    for name in ("hum", "hiss"):
        write(tmp_path / "noise" / f"{name}.wav", 0.1 * speech_like(1.5, 48_000, seed=5))
    arguments = ["--sentences", tmp_path / "said", "--noise", tmp_path / "noise", "--out", tmp_path / "set"]
    assert held_out([str(argument) for argument in arguments]) == 0
    return tmp_path / "set"


def test_each_sentence_comes_whole_at_each_snr_with_its_words(sentences: Path) -> None:
    clean = sorted((sentences / "clean").iterdir())
    assert len(clean) == 8
    said = read_words(sentences, [path.name for path in clean])
    assert set(said.values()) == {"please call stella", "six spoons of fresh snow peas"}
    for path in clean:
        target, rate = soundfile.read(path)
        noisy, _ = soundfile.read(sentences / "noisy" / path.name)
        assert target.size == noisy.size == rate == 48_000
        snr_db = float(path.stem.split("_")[-1].removesuffix("dB"))
        assert 10 * np.log10((target @ target) / np.sum((noisy - target) ** 2)) == pytest.approx(snr_db, abs=1.5)


def test_sentences_of_one_name_in_several_folders_are_all_kept(tmp_path: Path) -> None:
    for folder in ("ann", "bob"):
        write(tmp_path / "said" / folder / "001.wav", speech_like(0.5, 16_000), 16_000)
        (tmp_path / "said" / folder / "001.txt").write_text(f"I am {folder}")
    write(tmp_path / "noise" / "hiss.wav", 0.1 * speech_like(1.5, 48_000, seed=5))
    arguments = ["--sentences", tmp_path / "said", "--noise", tmp_path / "noise", "--out", tmp_path / "set"]
    assert held_out([str(argument) for argument in arguments]) == 0
    names = sorted(path.name for path in (tmp_path / "set" / "clean").iterdir())
    assert sorted(read_words(tmp_path / "set", names).values()) == 4 * ["i am ann"] + 4 * ["i am bob"]


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux alone")
def test_sentences_whose_names_are_not_utf_8_keep_their_words(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    write(tmp_path / "said.wav", speech_like(0.5, 16_000), 16_000)
    (tmp_path / "said").mkdir()
    (tmp_path / "said.wav").rename(tmp_path / "said" / f"{name}.wav")
    (tmp_path / "said" / f"{name}.txt").write_text("a word")
    write(tmp_path / "noise" / "hiss.wav", 0.1 * speech_like(1.5, 48_000, seed=5))
    arguments = ["--sentences", tmp_path / "said", "--noise", tmp_path / "noise", "--out", tmp_path / "set"]
    assert held_out([str(argument) for argument in arguments]) == 0
    names = [path.name for path in (tmp_path / "set" / "clean").iterdir()]
    assert all(name in one for one in names)
    assert read_words(tmp_path / "set", names) == dict.fromkeys(names, "a word")


def test_a_file_without_words_is_named(sentences: Path) -> None:
    names = [path.name for path in (sentences / "clean").iterdir()]
    (sentences / WORDS).write_text("")
    with pytest.raises(DatasetError, match=r"words\.txt: no words for .* and 7 more"):
        read_words(sentences, names)
    (sentences / WORDS).unlink()
    with pytest.raises(DatasetError, match=r"words\.txt: expected lines of a file's name, a tab, and the words"):
        read_words(sentences, names)


def test_the_table_counts_words_and_draws_sentences() -> None:
    said = ["a b c d", "a b c d", "e f g h i j"]
    errors = np.array([[4, 2, 2, 2, 2, 0], [0, 0, 0, 0, 0, 0], [3, 3, 3, 3, 6, 0]])
    lines = table(errors, said).splitlines()
    assert lines[2] == "| noisy | 50.0 (50.0 to 50.0) | - |", "7 of 14 words; both sentences have half of them wrong"
    assert lines[3] == "| cleaned, at most 6 dB | 35.7 (25.0 to 50.0) | -14.3 (-25.0 to +0.0) |"
    assert lines[6].startswith("| cleaned, no limit | 57.1 (25.0 to 100.0)")
    assert lines[7].startswith("| clean | 0.0 (0.0 to 0.0) | -50.0")
    assert lines[9].startswith("3 mixtures of 2 sentences with 10 words; intervals of 95 % over sentences.")


def test_the_command_recognises_noisy_cleaned_and_clean(
    sentences: Path,
    tmp_path: Path,
    tiny_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A recogniser that hears all words of what is loud enough: the tiny model halves the level."""
    jiwer = pytest.importorskip("jiwer")
    words = read_words(sentences, [path.name for path in (sentences / "clean").iterdir()])
    assert jiwer.process_words("a b", "a c b").insertions == 1
    monkeypatch.setattr(module, "_package", {"jiwer": jiwer, "pocketsphinx": None}.__getitem__)
    monkeypatch.setattr(module, "recognised", lambda audio, rate: next(iter(words.values())))
    arguments = ["--model", tiny_model, "--set", sentences, "--recognition", "--out", tmp_path / "out"]
    assert main([str(argument) for argument in arguments]) == 0
    written = (tmp_path / "out" / "tiny_recognition.md").read_text(encoding="utf-8")
    assert written in capsys.readouterr().out
    assert "8 mixtures of 2 sentences with 9 words" in written


def test_the_recogniser_hears_a_sentence() -> None:
    pytest.importorskip("pocketsphinx")
    audio = read(ROOT / "tests" / "data" / "noisy.flac")[0]
    assert module.recognised(audio, 48_000)


def test_what_makes_no_sense_or_is_missing_is_one_line(
    sentences: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--set", str(sentences), "--recognition", "--model"]
    assert main([*arguments, "noisy"]) == 1
    assert "--recognition compares with the noisy input itself" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    module._package.cache_clear()
    assert main([*arguments, "small"]) == 1
    assert "--recognition needs a package: pip install '.[recognition]' (pocketsphinx)" in capsys.readouterr().err
    module._package.cache_clear()
