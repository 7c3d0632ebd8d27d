"""Noise left against speech distorted: the curve of a network, and how far beside it a loss lies."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from helpers import speech_like
from recordings import white, write

from enhance.tradeoff import LIMITS_DB, POWERS, Points, beside, main, raised

RATE = 48_000


def curve_of(files: int) -> list[Points]:
    """A curve on which 1 dB more of distortion takes 2 dB of noise, its files up to 3 dB apart."""
    apart = np.linspace(-3, 3, files)
    return [Points(x + apart, -2 * x + apart) for x in (-20.0, -15.0, -10.0)]


def test_a_network_is_on_its_own_curve_and_a_better_one_is_below() -> None:
    curve = curve_of(40)
    own = Points(curve[1].distortion + 2.5, curve[1].noise_left - 5)  # half way to the next
    assert beside(curve, own) == pytest.approx((0, 0, 0), abs=1e-9)
    offset, low, high = beside(curve, Points(own.distortion, own.noise_left - 1.5))
    assert (offset, low, high) == pytest.approx(
        (-1.5, -1.5, -1.5)
    )  # files differ alike in both, so none in the interval
    better_in_some = own.noise_left - np.where(np.arange(40) < 20, 1.0, 0.0)
    offset, low, high = beside(curve, Points(own.distortion, better_in_some))
    assert offset == pytest.approx(-0.5)
    assert -0.8 < low < -0.5 < high < -0.2


def test_where_the_curve_does_not_reach_nothing_is_said() -> None:
    curve = curve_of(4)
    assert np.isnan(beside(curve, Points(curve[2].distortion + 1, curve[2].noise_left))).all()


def test_gains_to_a_power_take_more_or_less() -> None:
    noisy = speech_like(1.0, RATE)[0] + 0.1 * white(1.0)
    for power, gain in ((0.5, 0.5), (1.0, 0.25), (2.0, 0.0625)):
        np.testing.assert_allclose(raised(0.25 * noisy, noisy, RATE, power), gain * noisy, atol=1e-9)
    np.testing.assert_allclose(raised(2 * noisy, noisy, RATE, 3.0), 2 * noisy, atol=1e-9)  # gains above 1 stay


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Two pairs, and rows of a control and a loss on them."""
    lines = [["seed", "size", "loss", "set", "file", "minutes", "distortion", *(f"noise_left_{n}" for n in range(4))]]
    for number in range(2):
        clean = speech_like(1.0, RATE, seed=20 + number)[0]
        write(tmp_path / "pairs" / "clean" / f"{number}.flac", clean, subtype="PCM_16")
        write(tmp_path / "pairs" / "noisy" / f"{number}.flac", clean + 0.1 * white(1.0), subtype="PCM_16")
        lines += [[0, "tiny", loss, "pairs", number, 1.0, -1.5, *[-30.0] * 4] for loss in ("baseline", "bark")]
    with (tmp_path / "ablation.csv").open("w", newline="") as file:
        csv.writer(file).writerows(lines)
    return tmp_path


def command(folder: Path, model: Path | str, losses: str = "ablation.csv") -> list[str]:
    paths = {"model": model, "set": folder / "pairs", "losses": folder / losses, "out": folder / "out"}
    return [part for name, path in paths.items() for part in (f"--{name}", str(path))]


def test_curve_and_losses_are_tabled_and_drawn(
    pairs: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(pairs, tiny_model)) == 0
    table = capsys.readouterr().out
    assert table.strip() == (pairs / "out" / "tradeoff.md").read_text().strip()
    assert "| gains to the power 1 |" in table
    assert "| attenuation limit 12 dB |" in table
    assert "| + Bark noise-to-mask | -1.50 | -30.00 |" in table
    assert (pairs / "out" / "tradeoff.png").stat().st_size > 10_000
    with (pairs / "out" / "tradeoff.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 2 * (len(LIMITS_DB) + len(POWERS))


def test_two_files_that_differ_in_their_suffix_are_two(pairs: Path, tiny_model: Path) -> None:
    for part in ("clean", "noisy"):
        audio = speech_like(1.0, RATE, seed=30)[0]
        write(pairs / "pairs" / part / "0.wav", audio + 0.1 * white(1.0) * (part == "noisy"), subtype="PCM_16")
    text = (pairs / "ablation.csv").read_text()
    rows = [line for line in text.splitlines() if ",pairs,0," in line]
    text = text.replace(",pairs,0,", ",pairs,0.flac,").replace(",pairs,1,", ",pairs,1.flac,")
    text += "\n".join(rows).replace(",pairs,0,", ",pairs,0.wav,") + "\n"
    (pairs / "ablation.csv").write_text(text)
    assert main(command(pairs, tiny_model)) == 0
    with (pairs / "out" / "tradeoff.csv").open(newline="") as file:
        assert {row["file"] for row in csv.DictReader(file)} == {"0.flac", "0.wav", "1.flac"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("tiny,bark", "small,bark"), "--losses: expected rows of one size on 'pairs'"),
        (lambda text: text.replace(",pairs,", ",others,"), "--losses: expected rows of one size on 'pairs'"),
        (lambda text: text.replace(",pairs,1,", ",pairs,9,"), "--losses: expected rows of the files in --set; '1' is"),
        (lambda text: re.sub(",[^,\n]*" * 5 + "\n", "\n", text), "--losses: the rows of 'bark' do not say how much"),
        (lambda text: re.sub("(bark.*),-1.5,", r"\1,nan,", text), "--losses: the rows of 'bark' do not say how much"),
        (None, "--losses: there is no file"),
    ],
)
def test_losses_of_other_files_are_one_line_before_any_work(
    pairs: Path, change, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = pairs / "ablation.csv"
    path.write_text(change(path.read_text())) if change else path.unlink()
    assert main(command(pairs, "no such network")) == 1
    error = capsys.readouterr().err
    assert error.startswith("enhance.tradeoff: " + message)
    assert error.count("\n") == 1
    assert not (pairs / "out").exists()
