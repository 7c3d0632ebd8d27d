"""What int8 costs: the rule, and that the command measures what it says."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import speech_like
from recordings import white, write

from enhance import Denoiser, quantise
from enhance.quantise import Variant, main, verdict

PLAIN = Variant("float32", 1000, 300, 0.011, 1.7, 0.7, 10)


def test_int8_ships_only_if_it_is_faster_and_as_good() -> None:
    good = replace(PLAIN, name="int8", hop_us=250, rtf=0.010, pesq=1.685)
    assert "It ships: int8" in verdict([PLAIN, good])
    for worse in (replace(good, hop_us=310), replace(good, rtf=0.012), replace(good, pesq=1.67)):
        assert "None of them: float32 is shipped" in verdict([PLAIN, worse])


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """A set of one pair, three seconds long."""
    clean = speech_like(3.0, 48_000)[0]
    write(tmp_path / "set" / "clean" / "a.flac", clean, subtype="PCM_16")
    write(tmp_path / "set" / "noisy" / "a.flac", clean + 0.1 * white(3.0), subtype="PCM_16")
    return tmp_path / "set"


def test_the_command_measures_the_shipped_model_and_its_int8(
    shipped_denoiser: Denoiser, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantise, "TIMED_SECONDS", 0.5)
    monkeypatch.setattr(quantise, "TURNS", 1)
    options = ["--set", str(pairs), "--calibrate", str(pairs / "noisy")]
    out = tmp_path / "int8.md"
    assert main(["--model", shipped_denoiser.info.name, *options, "--out", str(out)]) == 0
    variants = json.loads(out.with_suffix(".json").read_text())["variants"]
    assert [variant["name"] for variant in variants] == ["float32", "int8, dynamic", "int8, static"]
    assert max(variant["kilobytes"] for variant in variants[1:]) < variants[0]["kilobytes"]
    assert all(variant["hop_us"] > 0 < variant["rtf"] for variant in variants)
    assert len({variant["si_sdr"] for variant in variants}) == 3  # each one was run
    assert "| int8, static |" in out.read_text()


def test_recordings_of_another_rate_are_one_line(
    shipped_denoiser: Denoiser, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "a.wav", speech_like(1.0, 16_000)[0], sample_rate=16_000)
    options = ["--set", str(pairs), "--calibrate", str(tmp_path), "--out", str(tmp_path / "x.md")]
    assert main(["--model", shipped_denoiser.info.name, *options]) == 1
    assert "is at 16000 Hz; calibrate with recordings at 48000 Hz" in capsys.readouterr().err


def test_recordings_that_are_too_short_to_calibrate_with_are_one_line(
    shipped_denoiser: Denoiser, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--set", str(pairs), "--calibrate", str(tmp_path / "short"), "--out", str(tmp_path / "x.md")]
    write(tmp_path / "short" / "a.wav", white(0.9))
    (tmp_path / "short" / ".hidden").write_text("no sound")
    assert main(["--model", shipped_denoiser.info.name, *options]) == 1
    assert capsys.readouterr().err == "enhance.quantise: no recording to calibrate with has 1 s or more\n"


def test_a_set_without_pairs_is_refused_before_the_calibration(
    shipped_denoiser: Denoiser, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "a.wav", speech_like(1.0, 16_000)[0], sample_rate=16_000)  # the calibration would refuse it
    options = ["--set", str(tmp_path), "--calibrate", str(tmp_path), "--out", str(tmp_path / "x.md")]
    assert main(["--model", shipped_denoiser.info.name, *options]) == 1
    assert "expected the folders clean/ and noisy/ in it, found no clean/" in capsys.readouterr().err


def test_a_network_that_works_in_blocks_is_refused_before_it_is_quantised(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--set", str(tmp_path), "--calibrate", str(tmp_path), "--out", str(tmp_path / "x.md")]
    assert main(["--model", "studio", *options]) == 1
    said = "enhance.quantise: studio works in blocks; what is compared here is timed hop by hop\n"
    assert capsys.readouterr().err == said


def test_an_unknown_model_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--set", str(tmp_path), "--calibrate", str(tmp_path), "--out", str(tmp_path / "x.md")]
    assert main(["--model", "huge", *options]) == 1
    message = capsys.readouterr().err
    assert message.startswith("enhance.quantise: ")
    assert message.count("\n") == 1
