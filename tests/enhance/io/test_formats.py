"""Formats and encodings of outputs: those of the input, or the nearest; integers come back as they were."""

from pathlib import Path

import mutagen
import numpy as np
import pytest
import soundfile
from command import mpeace, read, write
from denoised import denoised

from enhance.io.formats import Encoding, choose_encoding, fit_size
from enhance.utils.errors import FileError


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24"])
def test_integer_samples_come_back_bit_for_bit(tmp_path: Path, tiny_model: Path, subtype: str) -> None:
    source = write(tmp_path / "a.wav", np.linspace(-1, 1, 48_000), subtype=subtype)
    output = denoised(source, tiny_model, "--mix", "0")
    assert output.read_bytes() == source.read_bytes()


def test_silence_stays_silence(tmp_path: Path, tiny_model: Path) -> None:
    source = write(tmp_path / "a.wav", np.zeros((1, 44_100)), 44_100)
    ended = mpeace("denoise", source, "-o", tmp_path / "b.wav", "--model", tiny_model)
    assert ended.status == 0
    assert not read(tmp_path / "b.wav").any()
    assert ended.problems == [f"mpeace: {source}: note: there is no sound in it: all samples are 0"]


def test_wav_beyond_4_gb_becomes_rf64() -> None:
    pair = Encoding("WAV", "FLOAT")
    assert fit_size(pair, 500_000_000, 2) == pair
    assert fit_size(pair, 550_000_000, 2).major == "RF64"
    assert fit_size(Encoding("FLAC", "PCM_24"), 2**32, 2).major == "FLAC"
    with pytest.raises(FileError, match="4 GB"):
        fit_size(Encoding("AIFF", "PCM_24"), 2**31, 2)


def test_encodings_that_a_container_lacks_are_replaced_by_the_nearest() -> None:
    from enhance.io.formats import CONTAINERS

    def chosen(subtype: str, name: str) -> str:
        return choose_encoding(Encoding("WAV", subtype), CONTAINERS[name], None).subtype

    assert chosen("PCM_16", "flac") == "PCM_16"
    assert chosen("DOUBLE", "flac") == "PCM_24"
    assert chosen("PCM_32", "flac") == "PCM_24"
    assert chosen("MPEG_LAYER_III", "wav") == "PCM_16"
    assert chosen("PCM_24", "opus") == "OPUS"


@pytest.mark.parametrize(("subtype", "plain"), [("ALAC_16", "PCM_16"), ("ALAC_24", "PCM_24")])
def test_alac_in_caf_becomes_samples_of_as_many_bits(
    tmp_path: Path, tiny_model: Path, subtype: str, plain: str
) -> None:
    """As the table in the help says; libsndfile's encoder writes other sound for noise of 20 bits and more."""
    source = write(tmp_path / "a.caf", 0.1 * np.sin(np.arange(9600) / 10), subtype=subtype)
    for name in ("b.caf", "b.wav"):
        ended = mpeace("denoise", source, "-o", tmp_path / name, "--mix", 0, "--model", tiny_model)
        assert soundfile.info(tmp_path / name).subtype == plain
        np.testing.assert_array_equal(read(tmp_path / name), read(source))
        note = f"mpeace: {source}: note: {subtype} is read and not written: it became {plain}"
        assert ended.problems == ([note] if name == "b.caf" else [])


def test_dwvw_of_24_bits_becomes_samples_of_as_many(tmp_path: Path, tiny_model: Path) -> None:
    source = tmp_path / "a.aiff"
    soundfile.write(source, 0.1 * np.sin(np.arange(9600) / 10), 48_000, format="AIFF", subtype="DWVW_24")
    for name, subtype in (("b.wav", "PCM_24"), ("b.flac", "PCM_24"), ("b.aiff", "DWVW_24")):
        assert mpeace("denoise", source, "-o", tmp_path / name, "--mix", 0, "--model", tiny_model).status == 0
        assert soundfile.info(tmp_path / name).subtype == subtype


def test_the_recording_of_the_readme_can_be_denoised(tmp_path: Path, tiny_model: Path) -> None:
    source = Path(__file__).parents[2] / "data" / "noisy.flac"
    assert mpeace("denoise", source, "-o", tmp_path / "cleaned.flac", "--model", tiny_model).status == 0
    assert mutagen.File(tmp_path / "cleaned.flac").info.length == 5.0  # type: ignore[union-attr]
