"""The set to choose by: pairs of the stated SNR, every noise and SNR equally often, the same for the same seed."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from helpers import speech_like
from recordings import white, write

from enhance.data.levels import active_power
from enhance.evaluation.pairs import find_pairs, read_pair
from enhance.held_out import PEAK, SNR_DB, main


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folders of speech, of two groups and of one, and two noises."""
    path = tmp_path_factory.mktemp("held_out")
    for number, name in enumerate(("wide/ann-001", "wide/bob-001", "wide/bob-002", "narrow/cy_000")):
        write(path / "speech" / f"{name}.flac", speech_like(1.0, 48_000, seed=number)[0], subtype="PCM_16")
    for name in ("rain", "wind"):
        write(path / "noise" / f"{name}.flac", 0.1 * white(1.5), subtype="PCM_16")
    return path


def command(folders: Path, out: Path, *more: str) -> list[str]:
    speech = [str(folders / "speech" / name) for name in ("wide", "narrow")]
    return ["--speech", *speech, "--noise", str(folders / "noise"), "--out", str(out), "--count", "10", *more]


def test_noises_snrs_and_folders_come_equally_often(folders: Path, tmp_path: Path) -> None:
    assert main(command(folders, tmp_path)) == 0
    names = [clean.stem for clean, _ in find_pairs(tmp_path)]
    assert Counter(name.split("_")[-2] for name in names) == {"rain": 5, "wind": 5}
    assert Counter(name.split("_")[-1] for name in names) == {f"{snr:g}dB": 2 for snr in SNR_DB}
    assert Counter("cy" in name for name in names) == {True: 5, False: 5}
    assert {name.split("_")[1] for name in names} == {"ann", "bob", "cy"}


def test_each_pair_has_the_snr_of_its_name(folders: Path, tmp_path: Path) -> None:
    assert main(command(folders, tmp_path)) == 0
    for pair in find_pairs(tmp_path):
        target, noisy, rate = read_pair(*pair)
        assert (rate, target.size) == (48_000, 6 * 48_000)
        assert np.abs(noisy).max() <= PEAK + 1e-4
        power = float(active_power(torch.from_numpy(target)[None]))
        snr_db = 10 * np.log10(power / np.mean((noisy - target) ** 2))
        assert f"_{round(snr_db)}dB" in pair[0].name


def test_a_seed_fixes_everything(folders: Path, tmp_path: Path) -> None:
    for name, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        assert main(command(folders, tmp_path / name, "--seed", seed)) == 0
    read = {name: [soundfile.read(x)[0] for _, x in find_pairs(tmp_path / name)] for name in "abc"}
    assert all(np.array_equal(x, y) for x, y in zip(read["a"], read["b"], strict=True))
    assert not any(np.array_equal(x, y) for x, y in zip(read["a"], read["c"], strict=True))


def test_noise_with_long_silences_is_taken_where_it_sounds(folders: Path, tmp_path: Path) -> None:
    audio = np.zeros(60 * 48_000)
    audio[1_000_000:1_050_000] = 0.1
    write(tmp_path / "noise" / "door.flac", audio, subtype="PCM_16")
    assert main([*command(folders, tmp_path / "out"), "--noise", str(tmp_path / "noise")]) == 0
    for pair in find_pairs(tmp_path / "out"):
        target, noisy, _ = read_pair(*pair)
        assert np.abs(noisy - target).max() > 1e-3


def test_a_set_of_other_pairs_is_not_added_to(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(folders, tmp_path)) == 0
    assert main(command(folders, tmp_path)) == 0
    before = sorted(path.name for path in (tmp_path / "clean").iterdir())
    assert main([*command(folders, tmp_path), "--count", "4"]) == 1
    said = capsys.readouterr().err
    assert said == f"enhance.held_out: '{tmp_path / 'clean' / before[4]}' is of another set; name another --out\n"
    assert sorted(path.name for path in (tmp_path / "clean").iterdir()) == before


def test_a_folder_without_recordings_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--speech", str(tmp_path), "--noise", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err.startswith(f"enhance.held_out: no recordings in '{tmp_path}': ")


def test_what_cannot_be_is_one_line(folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    none = tmp_path / "none"
    assert main(["--speech", str(none), "--noise", str(none), "--out", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err == f"enhance.held_out: no such folder of recordings: '{none}'\n"
    assert main(["--speech", str(none), "--noise", str(none), "--out", str(tmp_path / "out"), "--count", "0"]) == 1
    assert capsys.readouterr().err == "enhance.held_out: --count: expected 1 or more, got 0\n"
