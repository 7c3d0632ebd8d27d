"""The emulator network, the sounds that it learns from, and its files: any length, any place, no silent errors."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import full_disk
from recordings import build
from safetensors.torch import load_file, save_file

from emulator.lame import Setting, round_trip
from emulator.model.config import PRESETS, EmulatorConfig
from emulator.model.network import MASK_LIMIT, Emulator, fold, unfold
from emulator.model.paper_unet import PaperUNet
from emulator.model.presets import load_emulator, load_emulators, load_network, random_emulator, save_emulator
from emulator.model.spectrum import log_spectral_distance
from emulator.training.corpus import (
    KINDS,
    CorpusConfig,
    PieceMaker,
    Sources,
    allowed_noise,
    build_changed,
    build_originals,
    coded,
)
from emulator.training.loss import emulation_loss, paper_loss
from emulator.training.masking_stimuli import masker_and_probe, noise_band, tone
from emulator.training.threshold_noise import threshold_noise
from enhance.utils.errors import ModelError

pytestmark = pytest.mark.usefixtures("few_noises")

SMALL = EmulatorConfig("v9", 16_000, window=256, hop=64, channels=(4, 6, 8), middle=1)


@pytest.fixture(scope="module")
def emulator() -> Emulator:
    torch.manual_seed(0)
    return Emulator(SMALL).eval()


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    speech, noise, rooms = build(tmp_path_factory.mktemp("sources"))
    return Sources(speech, noise, noise, rooms)


@pytest.mark.parametrize("length", [1, 63, 64, 65, 255, 1000, 4801])
def test_any_length_goes_in_and_comes_back(emulator: Emulator, length: int) -> None:
    emulation = emulator(0.1 * torch.randn(2, length))
    frames = length // SMALL.hop + 1
    assert emulation.mask.shape == emulation.log_variance.shape == (2, SMALL.bins, frames)
    assert emulator.resynthesise(emulation, length).shape == (2, length)


def test_a_batch_is_its_parts(emulator: Emulator) -> None:
    audio = 0.1 * torch.randn(3, 2000)
    whole = emulator(audio)
    for row in range(3):
        part = emulator(audio[row : row + 1])
        torch.testing.assert_close(whole.mask[row], part.mask[0], rtol=0, atol=1e-5)
        torch.testing.assert_close(whole.log_variance[row], part.log_variance[0], rtol=0, atol=1e-4)


def test_what_a_cell_yields_does_not_depend_on_the_rest_of_the_signal(emulator: Emulator) -> None:
    """No statistics over time: silence far away changes nothing."""
    torch.manual_seed(1)
    frames = 128 * SMALL.stride
    audio = 0.1 * torch.randn(1, frames * SMALL.hop)
    quiet = audio.clone()
    quiet[:, audio.shape[1] // 2 :] = 0
    kept = slice(0, frames // 4)
    torch.testing.assert_close(emulator(audio).mask[..., kept], emulator(quiet).mask[..., kept], rtol=0, atol=1e-6)


def test_moved_by_whole_strides_the_answer_moves_along(emulator: Emulator) -> None:
    torch.manual_seed(2)
    shift = SMALL.stride
    audio = torch.zeros(1, 160 * SMALL.hop)
    audio[:, 40 * SMALL.hop : 120 * SMALL.hop] = 0.1 * torch.randn(80 * SMALL.hop)
    moved = torch.roll(audio, shift * SMALL.hop, dims=1)
    torch.testing.assert_close(
        emulator(audio).mask[..., 20:130], emulator(moved).mask[..., 20 + shift : 130 + shift], rtol=0, atol=1e-5
    )


def test_the_mask_is_bounded_and_the_layers_are_named_in_order(emulator: Emulator) -> None:
    with torch.no_grad():
        emulation = emulator(torch.randn(1, 4000))
    assert 0 <= float(emulation.mask.min()) <= float(emulation.mask.max()) <= MASK_LIMIT
    assert list(emulation.layers) == emulator.layer_names == [
        "encoder1", "encoder2", "bottleneck", "decoder2", "decoder1",
    ]  # fmt: skip
    assert emulation.layers["encoder1"].shape[1:3] == (4, 64)
    assert emulation.layers["bottleneck"].shape[1:3] == (8, 16)


def test_layers_alone_are_those_of_the_whole_analysis(emulator: Emulator) -> None:
    spectrum = emulator.spectrum(0.1 * torch.randn(1, 3000))
    whole = emulator.analyse(spectrum).layers
    some = emulator.layers(spectrum, ("encoder2", "bottleneck"))
    assert list(some) == ["encoder2", "bottleneck"]
    assert all(torch.equal(layer, whole[name]) for name, layer in some.items())


def test_white_noise_has_its_power_in_each_cell(emulator: Emulator) -> None:
    torch.manual_seed(3)
    power = emulator.spectrum(0.1 * torch.randn(4, 64_000)).abs().square()[:, 1:-1, 4:-4].mean()
    assert float(power) == pytest.approx(0.01, rel=0.01)


def test_folding_is_undone_by_unfolding() -> None:
    first, second = torch.randn(2, 8, 5), torch.randn(2, 8, 5)
    both = torch.cat([fold(first, 2), fold(second, 2)], dim=1)
    ours, theirs = unfold(both, 2)
    assert torch.equal(ours, first)
    assert torch.equal(theirs, second)


def test_every_preset_is_under_a_million_parameters() -> None:
    for name, config in PRESETS.items():
        assert sum(p.numel() for p in Emulator(config).parameters()) < 1_000_000, name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"setting": "cbr20"}, "LAME would change 20 kbit/s"),
        ({"sample_rate": 17_000}, "MP3 has no sample rate of 17000 Hz"),
        ({"window": 255}, "the window must be even"),
        ({"hop": 200}, "two hops or more"),
        ({"channels": (4,)}, "do not divide"),
        ({"patch": 3}, "do not divide"),
    ],
)
def test_impossible_dimensions_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EmulatorConfig(**{**SMALL.to_dict(), "channels": SMALL.channels, **changes})


def test_the_loss_is_least_for_the_truth() -> None:
    """Mask and noise level that are right cost less than those that are a little off."""
    torch.manual_seed(4)
    spectrum = 0.1 * torch.randn(1, 65, 400, dtype=torch.complex64)
    after, allowed = 0.5 * spectrum, 0.02 * torch.randn(1, 65, 400, dtype=torch.complex64)
    ones = torch.ones(1, 65, 400)

    def total(mask: float, level: float) -> float:
        emulation = Emulator(SMALL)(torch.zeros(1, 64))._replace(
            spectrum=spectrum, mask=mask * ones, log_variance=torch.log(level**2 * ones)
        )
        return float(emulation_loss(emulation, after, allowed).total)

    truth = total(0.5, 0.02)
    assert truth < min(total(0.45, 0.02), total(0.55, 0.02), total(0.5, 0.018), total(0.5, 0.022))


def test_the_papers_network_learns_magnitudes_only() -> None:
    network = PaperUNet(EmulatorConfig("cbr16"))
    emulation = network(0.1 * torch.randn(2, 6000))
    assert emulation.magnitude.shape == emulation.spectrum.shape
    terms = paper_loss(emulation, emulation.spectrum)
    terms.total.backward()
    assert all(p.grad is not None for p in network.parameters())


def test_log_spectral_distance_is_in_decibels() -> None:
    assert float(log_spectral_distance(torch.full((1, 9, 4), 1e-2), torch.full((1, 9, 4), 1e-4))) == pytest.approx(
        20, 1e-3
    )


# Sounds


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_have_their_length_and_depend_on_their_number_alone(sources: Sources, kind: str) -> None:
    config = CorpusConfig(piece_seconds=0.5)
    maker = PieceMaker(sources, 16_000, config)
    first, again = maker.piece(kind, 3), PieceMaker(sources, 16_000, config).piece(kind, 3)  # type: ignore[arg-type]
    assert first.dtype == np.int16
    assert first.shape == (8000,)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, maker.piece(kind, 4))  # type: ignore[arg-type]
    level = 10 * np.log10(np.mean((first / 32768.0) ** 2))
    assert -41 < level < -13


def test_a_corpus_is_made_once_and_its_parts_are_aligned(sources: Sources, tmp_path: Path) -> None:
    config = CorpusConfig(piece_seconds=0.5).scaled(1e-5)
    setting = Setting.parse("v9")
    originals = build_originals(sources, 16_000, config, tmp_path / "originals")
    assert [r.name for r in originals.recordings] == [f"{kind}/0" for kind in KINDS]
    assert originals.sample_rate == 16_000
    after = build_changed(originals, coded, setting, tmp_path / "coded")
    assert list(after.lengths) == list(originals.lengths)
    for number in range(len(originals)):
        audio = originals.crop(number, 0, 8000)
        np.testing.assert_allclose(after.crop(number, 0, 8000), round_trip(audio, 16_000, setting), atol=1 / 32768)
    stamp = (tmp_path / "coded" / "audio.i16").stat().st_mtime_ns
    build_changed(originals, coded, setting, tmp_path / "coded")
    assert (tmp_path / "coded" / "audio.i16").stat().st_mtime_ns == stamp
    build_changed(originals, coded, Setting.parse("v4"), tmp_path / "coded")
    assert (tmp_path / "coded" / "audio.i16").stat().st_mtime_ns != stamp


def test_a_quarter_of_the_corpus_or_more_is_maskers_and_probes() -> None:
    config = CorpusConfig()
    assert config.minutes("probes") >= sum(config.minutes(kind) for kind in KINDS) / 4


def test_a_probe_is_faint_and_both_ends_are_silent() -> None:
    rng = np.random.default_rng(0)
    for _ in range(40):
        audio = masker_and_probe(8000, 16_000, rng)
        assert np.isfinite(audio).all()
        assert 0.7 < np.sqrt(np.mean(audio[1000:7000] ** 2)) < 1.4
        assert np.abs(audio[[0, -1]]).max() < 0.05


def test_a_band_of_noise_stays_in_its_band() -> None:
    spectrum = np.abs(np.fft.rfft(noise_band(16_000, 16_000, 900, 1100, np.random.default_rng(0)))) ** 2
    assert spectrum[900:1101].sum() > 0.999 * spectrum.sum()


def test_faint_noise_reveals_a_threshold_that_an_empty_place_hides() -> None:
    """Beside a narrow masker the codec makes no error at all until there is something to code, then one of -40 dB."""
    rng = np.random.default_rng(0)
    masker = 10 ** (-25 / 20) * noise_band(48_000, 16_000, 850, 1150, rng)

    def beside(audio: np.ndarray) -> float:
        power = np.abs(np.fft.rfft(audio[8000:40_000])) ** 2
        return 10 * np.log10(power[2440:2560].sum() / 32_000**2 + 1e-12)  # 1220 to 1280 Hz

    error = round_trip(masker, 16_000, Setting.parse("v9")) - masker
    assert beside(error) < beside(allowed_noise(masker, 16_000, Setting.parse("v9"))) - 5
    noise = threshold_noise(masker, 16_000, np.random.default_rng(1))
    assert np.mean(noise**2) < 0.1 * np.mean(masker**2)
    assert threshold_noise(np.zeros(3000), 16_000, rng).max() == 0


def test_constant_rates_are_taken_as_they_are() -> None:
    audio = 0.1 * tone(8000, 16_000, 700.0, np.random.default_rng(0))
    setting = Setting.parse("cbr32")
    np.testing.assert_array_equal(allowed_noise(audio, 16_000, setting), round_trip(audio, 16_000, setting) - audio)


# Files


def test_a_saved_emulator_comes_back_frozen(emulator: Emulator, tmp_path: Path) -> None:
    save_emulator(emulator, tmp_path / "mine.safetensors", {"licence": "CC0-1.0"})
    loaded = load_emulator(tmp_path / "mine.safetensors")
    assert loaded.config == SMALL
    assert not loaded.training
    assert not any(p.requires_grad for p in loaded.parameters())
    audio = torch.randn(1, 3000)
    assert torch.equal(loaded(audio).mask, emulator(audio).mask)


def test_emulators_have_names_of_their_own(emulator: Emulator, tmp_path: Path) -> None:
    """Two files of one name would be one row, or one curve, of the evidence."""
    paths = [tmp_path / folder / "mine.safetensors" for folder in ("a", "b")]
    for path in paths:
        path.parent.mkdir()
        save_emulator(emulator, path, {})
    assert list(load_emulators(["mp3-v9-16k", paths[0]])) == ["mp3-v9-16k", "mine"]
    with pytest.raises(ValueError, match="two emulators are called 'mine'"):
        load_emulators(paths)


def test_a_full_disk_is_an_error_of_the_system_and_leaves_the_file_before_it(
    emulator: Emulator, tmp_path: Path
) -> None:
    path = tmp_path / "mine.safetensors"
    path.write_bytes(b"before")
    with full_disk(), pytest.raises(OSError, match="File too large"):
        save_emulator(emulator, path, {})
    assert path.read_bytes() == b"before"


def test_wrong_files_are_refused_in_one_line(emulator: Emulator, tmp_path: Path) -> None:
    good = tmp_path / "good.safetensors"
    save_emulator(emulator, good, {})
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(good.read_bytes()[:-100])
    foreign = tmp_path / "foreign.safetensors"
    save_file({"w": torch.zeros(1)}, foreign, {"format": "pt"})
    misfit = tmp_path / "misfit.safetensors"
    metadata = {"format": "mpeace-emulator-1", "architecture": "Emulator", "about": "{}"}
    save_file(load_file(good), misfit, {**metadata, "dimensions": json.dumps({**SMALL.to_dict(), "channels": [4, 6]})})
    lacking = tmp_path / "lacking.safetensors"
    save_file(load_file(good), lacking, metadata)
    odd = [tmp_path / f"odd{number}.safetensors" for number in range(3)]
    for path, dimensions in zip(odd, ('{"wide": 3}', "[1, 2]", "nothing"), strict=True):
        save_file(load_file(good), path, {**metadata, "dimensions": dimensions})
    paper = tmp_path / "paper.safetensors"
    save_emulator(PaperUNet(EmulatorConfig("cbr16")), paper, {})
    assert isinstance(load_network(paper), PaperUNet)
    for path, message in (
        (damaged, "cannot be read as safetensors"),
        (foreign, "has the format 'pt'; expected 'mpeace-emulator-1'"),
        (misfit, "do not fit its dimensions"),
        (lacking, "lack 'dimensions'"),
        *((path, "odd..safetensors are none of an emulator") for path in odd),
        (paper, "holds a PaperUNet; expected an Emulator"),
        (tmp_path / "none.safetensors", "no model file"),
        ("mp3", "no model 'mp3': the models are"),
    ):
        with pytest.raises(ModelError, match=message) as caught:
            load_emulator(path)
        assert "\n" not in str(caught.value)


def test_random_emulators_are_the_same_for_a_seed_and_leave_the_generator_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one = random_emulator("mp3-v9-16k", 1)
    assert torch.equal(torch.rand(1), expected)
    other = random_emulator("mp3-v9-16k", 1)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    with pytest.raises(ModelError, match="no preset 'x'"):
        random_emulator("x", 0)
