"""The denoiser: what it takes and refuses, its model files, its registry, and the sound of the shipped model."""

import json
import multiprocessing
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import TINY_GAIN, TINY_HOP, TINY_METADATA, write_tiny_model
from helpers import lag, level_db, si_sdr_db, speech_like

import enhance
from enhance import Denoiser, ModelError, denoise, find_model, list_models
from enhance.models import checkpoints_folder, file_sha256, register_model
from enhance.resampling import resample

RATES = (8000, 16000, 22050, 44100, 48000, 96000)

# --- arrays -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("samples", [0, 1, 479, 480, 481, 1000, 44100])
def test_length_out_is_length_in(tiny_denoiser: Denoiser, rate: int, samples: int) -> None:
    for shape in ((samples,), (1, samples), (3, samples)):
        denoised = tiny_denoiser.denoise(np.zeros(shape, np.float32), rate)
        assert denoised.shape == shape
        assert denoised.dtype == np.float32


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int16, np.int32])
def test_sample_types_are_scaled_by_their_full_scale(tiny_denoiser: Denoiser, dtype: type) -> None:
    steps = np.arange(-8, 8) / 8  # exact in every type
    scale = 1 if issubclass(dtype, np.floating) else -float(np.iinfo(dtype).min)
    audio = (np.tile(steps, 100) * scale).astype(dtype)
    denoised = tiny_denoiser.denoise(audio, 48000)
    assert denoised.dtype == np.float32
    np.testing.assert_array_equal(denoised, TINY_GAIN * np.tile(steps, 100))


def test_nothing_is_clipped(tiny_denoiser: Denoiser) -> None:
    np.testing.assert_array_equal(tiny_denoiser.denoise(np.full(2000, 8.0), 48000), 8 * TINY_GAIN)


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (np.array([0, np.nan, np.inf, 0.5]), "2 of 4 samples are NaN or infinite"),
        (np.array([[0.0], [-np.inf]], np.float32), "1 of 2 samples are NaN or infinite"),
        (np.array([1e300]), "a sample is 1e\\+300: expected audio with full scale 1.0"),
        (np.zeros((48000, 2)), r"shape \(48000, 2\): expected \[channels, time\]; transpose"),
        (np.zeros((1, 2, 480)), r"shape \(1, 2, 480\): expected \[time\] or \[channels, time\]"),
        (np.float32(0), r"shape \(\)"),
        (np.zeros((0, 480)), "at least one channel"),
        (np.zeros(480, np.uint8), "type uint8: expected float16, 32 or 64"),
        (np.zeros(480, np.complex64), "type complex64"),
        (np.zeros(480, bool), "type bool"),
    ],
)
def test_arrays_that_are_no_audio_are_refused(tiny_denoiser: Denoiser, audio: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny_denoiser.denoise(audio, 48000)


@pytest.mark.parametrize("rate", [0, -1, 500, 1_000_000, float("nan"), float("inf"), 44100.5])
def test_absurd_rates_are_refused(tiny_denoiser: Denoiser, rate: float) -> None:
    with pytest.raises(ValueError, match="expected a whole number from 1000 to 768000 Hz"):
        tiny_denoiser.denoise(np.zeros(100), rate)  # pyright: ignore[reportArgumentType]


def test_many_channels_are_taken(tiny_denoiser: Denoiser) -> None:
    audio = np.linspace(-1, 1, 100)[:, np.newaxis] * np.ones((1, 500))
    np.testing.assert_allclose(tiny_denoiser.denoise(audio, 48000), TINY_GAIN * audio, atol=1e-6)


def test_the_function_is_the_method(tiny_denoiser: Denoiser, tiny_model: Path) -> None:
    audio = speech_like(0.5, 16000)[0]
    expected = tiny_denoiser.denoise(audio, 16000, attenuation_limit_db=3, mix=0.9)
    np.testing.assert_array_equal(denoise(audio, 16000, tiny_model, attenuation_limit_db=3, mix=0.9), expected)


# --- the step and its state -------------------------------------------------------------------------------------------


def test_step_delays_by_the_latency_of_the_metadata(tiny_denoiser: Denoiser) -> None:
    block = speech_like(3 * TINY_HOP / 48000, 48000, channels=2)
    estimate, state = tiny_denoiser.step(block, tiny_denoiser.initial_state(2))
    latency = tiny_denoiser.info.latency
    np.testing.assert_array_equal(estimate[:, latency:], TINY_GAIN * block[:, :-latency])
    rest, _ = tiny_denoiser.step(np.zeros((2, TINY_HOP), np.float32), state)
    np.testing.assert_array_equal(rest, TINY_GAIN * block[:, -TINY_HOP:])


@pytest.mark.parametrize(
    ("block", "state"), [((1, 479), (1, 480)), ((1, 0), (1, 480)), ((480,), (1, 480)), ((2, 480), (1, 480))]
)
def test_step_refuses_other_shapes(tiny_denoiser: Denoiser, block: tuple[int, ...], state: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected"):
        tiny_denoiser.step(np.zeros(block, np.float32), np.zeros(state, np.float32))


def test_a_denoiser_travels_to_another_process(tiny_denoiser: Denoiser) -> None:
    audio = speech_like(0.2, 48000)[0]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        there = pool.apply(tiny_denoiser.denoise, (audio, 48000))
    np.testing.assert_array_equal(there, tiny_denoiser.denoise(audio, 48000))
    assert pickle.loads(pickle.dumps(tiny_denoiser)).info == tiny_denoiser.info


# --- model files ------------------------------------------------------------------------------------------------------


def test_metadata_are_read(tiny_denoiser: Denoiser) -> None:
    assert tiny_denoiser.info.sample_rate == 48000
    assert tiny_denoiser.info.training == {}
    assert tiny_denoiser.info.name == "tiny-delay"


@pytest.mark.parametrize("key", TINY_METADATA)
def test_a_file_that_lacks_a_key_is_refused_by_name(tmp_path: Path, key: str) -> None:
    metadata = {name: value for name, value in TINY_METADATA.items() if name != key}
    path = write_tiny_model(tmp_path / "lacking.onnx", metadata)
    with pytest.raises(ModelError, match=rf"lacking\.onnx .* lack '{key}'$"):
        Denoiser(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hop", "0"),
        ("hop", "ten"),
        ("sample_rate", "-48000"),
        ("latency", "1.5"),
        ("training", "{"),
        ("training", "[]"),
    ],
)
def test_a_file_with_wrong_metadata_is_refused_by_name(tmp_path: Path, key: str, value: str) -> None:
    path = write_tiny_model(tmp_path / "wrong.onnx", TINY_METADATA | {key: value})
    with pytest.raises(ModelError, match=rf"wrong\.onnx: metadata '{key}'"):
        Denoiser(path)


def test_a_later_format_is_refused(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "later.onnx", TINY_METADATA | {"format_version": "2"})
    with pytest.raises(ModelError, match="format version '2', this program reads '1': update mpeace"):
        Denoiser(path)


def test_metadata_that_do_not_fit_the_graph_are_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write_tiny_model(tmp_path / "unfit.onnx", TINY_METADATA | {"state_size": "481"})
    with pytest.raises(ModelError, match="does not run"):
        Denoiser(path)
    assert capfd.readouterr().err == "", "ONNX Runtime printed the error a second time"


def test_a_model_that_returns_nan_for_silence_is_refused(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "nan.onnx", gain=float("nan"))
    with pytest.raises(ModelError, match="returns NaN or infinite samples for silence"):
        Denoiser(path)


def test_a_graph_with_other_inputs_is_refused(tmp_path: Path, tiny_model: Path) -> None:
    path = tmp_path / "renamed.onnx"
    path.write_bytes(tiny_model.read_bytes().replace(b"audio", b"sound"))
    with pytest.raises(ModelError, match=r"has \['sound', 'state', 'estimate', 'next_state'\], expected"):
        Denoiser(path)


def assert_one_line(error: pytest.ExceptionInfo[ModelError], path: Path) -> None:
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("content", [b"", b"this is text, not a model\n" * 10, bytes(range(256)) * 40])
def test_a_damaged_model_file_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "damaged.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError) as error:
        Denoiser(path)
    assert_one_line(error, path)


def test_a_truncated_model_file_is_one_line(tmp_path: Path, tiny_model: Path) -> None:
    path = tmp_path / "truncated.onnx"
    path.write_bytes(tiny_model.read_bytes()[:-200])
    with pytest.raises(ModelError) as error:
        Denoiser(path)
    assert_one_line(error, path)


def test_a_missing_model_file_is_one_line(tmp_path: Path) -> None:
    for path in (tmp_path / "none.onnx", tmp_path / "folder.onnx"):
        (tmp_path / "folder.onnx").mkdir(exist_ok=True)
        with pytest.raises(ModelError, match="no model file") as error:
            Denoiser(path)
        assert_one_line(error, path)


# --- registry ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    """A folder with two registered models; `second` is the default."""
    register_model(write_tiny_model(tmp_path / "one.onnx"), "first", "the first")
    register_model(write_tiny_model(tmp_path / "two.onnx"), "second", "the second", default=True)
    return tmp_path


def test_models_are_listed_and_found_by_name(registry: Path) -> None:
    assert [(entry.name, entry.default) for entry in list_models(registry)] == [("second", True), ("first", False)]
    assert find_model(None, registry) == registry / "two.onnx"
    assert find_model("first", registry) == registry / "one.onnx"
    assert not [path for path in registry.iterdir() if path.name.startswith(".")]


def test_a_path_needs_no_registry(tmp_path: Path, tiny_model: Path) -> None:
    assert find_model(tiny_model, tmp_path) == find_model(str(tiny_model), tmp_path) == tiny_model


def test_an_unknown_name_lists_the_models(registry: Path) -> None:
    with pytest.raises(ModelError, match="no model 'third': the models are second, first; or name the path"):
        find_model("third", registry)


def test_a_changed_model_file_is_refused(registry: Path) -> None:
    path = registry / "one.onnx"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ModelError, match=rf"'first' is damaged: its sha256 is {file_sha256(path)}"):
        find_model("first", registry)
    path.unlink()
    with pytest.raises(ModelError, match="of model 'first' is missing"):
        find_model("first", registry)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "red"}, "has colour, default, description, file, name, sha256; expected"),
        ({"default": "yes"}, "'default' in .* is 'yes'; expected a bool"),
        ({"default": True}, "exactly one model"),
        ({"name": "second"}, "same name twice"),
        ({"file": "../one.onnx"}, "expected the bare name of a file"),
    ],
)
def test_a_wrong_registry_is_refused(registry: Path, change: dict[str, object], message: str) -> None:
    path = registry / "registry.json"
    content = json.loads(path.read_text())
    content["models"][0] |= change
    path.write_text(json.dumps(content))
    with pytest.raises(ModelError, match=message):
        list_models(registry)


def test_a_registry_that_is_not_json_is_refused(registry: Path) -> None:
    (registry / "registry.json").write_text("models")
    with pytest.raises(ModelError, match="cannot read the model registry"):
        list_models(registry)


def test_every_shipped_model_loads(shipped_denoiser: Denoiser) -> None:
    entries = list_models()
    assert find_model() == shipped_denoiser.path == checkpoints_folder() / entries[0].file
    for entry in entries:
        assert Denoiser(entry.name).info.name == entry.name


# --- import and start-up ----------------------------------------------------------------------------------------------


def modules_after(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after a statement."""
    script = f"import sys; {statement}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    finished = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    return set(finished.stdout.split())


def test_importing_enhance_loads_nothing_else() -> None:
    assert not modules_after("import enhance") & {"numpy", "onnxruntime", "soxr", "torch"}


def test_denoising_needs_no_torch(tiny_model: Path) -> None:
    loaded = modules_after(f"import enhance, numpy; enhance.denoise(numpy.zeros(999), 44100, {str(tiny_model)!r})")
    assert {"numpy", "onnxruntime", "soxr"} <= loaded
    assert not loaded & {"torch", "torchaudio", "scipy", "onnx", "soundfile", "lightning"}


def test_public_names_exist() -> None:
    for name in enhance.__all__:
        assert getattr(enhance, name).__module__.startswith("enhance.")
    assert set(enhance.__all__) <= set(dir(enhance))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = enhance.nothing  # pyright: ignore[reportAttributeAccessIssue]


# --- the sound of the shipped model -----------------------------------------------------------------------------------


def read_mono(path: Path) -> np.ndarray:
    """A file of the evaluation set, float32 [time] at 48 kHz."""
    audio, rate = soundfile.read(path, dtype="float32")
    assert rate == 48000
    assert audio.ndim == 1
    return audio


@pytest.fixture(scope="module")
def clean_speech(shared: Path) -> list[np.ndarray]:
    return [read_mono(path) for path in sorted((shared / "eval" / "clean").iterdir())[::4]]


def test_clean_speech_stays_as_it_is(shipped_denoiser: Denoiser, clean_speech: list[np.ndarray]) -> None:
    """On average over speakers: SI-SDR of at least 20 dB, and the level within 0.5 dB."""
    pairs = [(shipped_denoiser.denoise(clean, 48000), clean) for clean in clean_speech]
    assert np.mean([si_sdr_db(estimate, clean) for estimate, clean in pairs]) >= 20
    assert abs(np.mean([level_db(estimate) - level_db(clean) for estimate, clean in pairs])) <= 0.5


def test_noise_alone_is_lowered_by_20_db(shipped_denoiser: Denoiser, shared: Path) -> None:
    """On average over all recordings that are in no training file; the first second, in which it adapts, counts too."""
    lowered = []
    for path in sorted((shared / "data" / "noise" / "valid").iterdir()):
        with soundfile.SoundFile(path) as file:
            noise, rate = file.read(frames=10 * file.samplerate, dtype="float32"), file.samplerate
        lowered.append(level_db(noise) - level_db(shipped_denoiser.denoise(noise, rate)))
    assert np.mean(lowered) >= 20


def test_the_input_level_does_not_matter(shipped_denoiser: Denoiser, shared: Path) -> None:
    """The same mixture with its peak from -50 to 0 dBFS gives the same result, scaled, within -30 dB."""
    noisy = read_mono(sorted((shared / "eval" / "noisy").iterdir())[0])
    noisy = noisy / np.abs(noisy).max()
    loud = shipped_denoiser.denoise(noisy, 48000)
    for peak_dbfs in (-10, -20, -30, -40, -50):
        gain = 10 ** (peak_dbfs / 20)
        quiet = shipped_denoiser.denoise(gain * noisy, 48000)
        assert si_sdr_db(quiet, loud) >= 30
        assert level_db(quiet) - level_db(loud) == pytest.approx(peak_dbfs, abs=0.1)


def test_the_energy_of_onsets_is_kept(shipped_denoiser: Denoiser, clean_speech: list[np.ndarray]) -> None:
    """Speech that sets in after a second of faint noise loses less than 3 dB in its first 50 ms, in the median."""
    rng = np.random.default_rng(0)
    lost = []
    for clean in clean_speech:
        loud = np.abs(clean) > 0.1 * np.abs(clean).max()
        onset = int(np.argmax(loud))
        speech = np.concatenate([np.zeros(48000, np.float32), clean[onset : onset + 48000]])
        noise = 0.003 * np.sqrt(np.mean(speech**2)) * rng.standard_normal(speech.size)
        estimate = shipped_denoiser.denoise(speech + noise, 48000)
        first = slice(48000, 48000 + 2400)
        lost.append(level_db(speech[first]) - level_db(estimate[first]))
    assert np.median(lost) < 3


@pytest.mark.parametrize("rate", RATES)
def test_the_shipped_model_has_no_lag(shipped_denoiser: Denoiser, shared: Path, rate: int) -> None:
    noisy = read_mono(sorted((shared / "eval" / "noisy").iterdir())[1])
    noisy = resample(noisy[np.newaxis], 48000, rate)[0]
    assert lag(shipped_denoiser.denoise(noisy, rate), noisy) == 0
