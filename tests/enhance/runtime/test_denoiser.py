"""The denoiser: what it takes and refuses, its model files, its registry, and what importing it loads."""

import json
import multiprocessing
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from helpers import speech_like
from tiny_model import TINY_GAIN, TINY_HOP, TINY_METADATA, tiny_result, write_tiny_model

import enhance
from enhance import Denoiser, ModelError, denoise, find_model, list_models
from enhance.runtime.registry import checkpoints_folder, file_sha256, register_model

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
    np.testing.assert_array_equal(denoised, tiny_result(np.tile(steps, (1, 100)), 48000)[0])


def test_nothing_is_clipped(tiny_denoiser: Denoiser) -> None:
    denoised = tiny_denoiser.denoise(np.tile([8.0, -8.0], 1000), 48000)
    np.testing.assert_allclose(np.abs(denoised[1000:]), 8 * TINY_GAIN, rtol=1e-3)


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
    audio = np.linspace(-1, 1, 100)[:, np.newaxis] * np.random.default_rng(0).uniform(-1, 1, (1, 500))
    np.testing.assert_allclose(tiny_denoiser.denoise(audio, 48000), tiny_result(audio, 48000), atol=1e-6)


def test_promise_10_arrays_are_denoised_as_by_the_method(tiny_denoiser: Denoiser, tiny_model: Path) -> None:
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
        ("sample_rate", "999999999"),
        ("hop", "9" * 12),
        ("state_size", "9" * 5000),
        ("latency", "9" * 15),
        ("latency", "1.5"),
        ("training", "{"),
        ("training", "[]"),
        ("training", "[" * 100_000),
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


def test_metadata_that_do_not_fit_the_graph_are_refused(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "unfit.onnx", TINY_METADATA | {"state_size": "481"})
    with pytest.raises(ModelError, match="does not run"):
        Denoiser(path)


def test_a_model_that_does_not_run_is_one_line_and_nothing_on_stderr(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write_tiny_model(tmp_path / "failing.onnx", gain=np.zeros(7))  # 480 samples times 7 gains
    with pytest.raises(ModelError, match="does not run") as error:
        Denoiser(path)
    assert_one_line(error, path)
    assert capfd.readouterr().err == ""


def test_a_model_that_returns_nan_for_silence_is_refused(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "nan.onnx", gain=float("nan"))
    with pytest.raises(ModelError, match="returns NaN or infinite samples; use another model"):
        Denoiser(path)


def test_a_model_that_returns_nan_later_is_stopped_and_named(tmp_path: Path) -> None:
    """Infinite gain: silence times it would be NaN at once, so the gain overflows only for a loud sample."""
    path = write_tiny_model(tmp_path / "overflow.onnx", gain=3e38)
    denoiser = Denoiser(path)
    assert not denoiser.denoise(np.zeros(4800, np.float32), 48_000).any()
    with pytest.raises(ModelError, match=r"overflow\.onnx returns NaN or infinite samples; use another model"):
        denoiser.denoise(np.tile(np.array([4, -4], np.float32), 2400), 48_000)


@pytest.mark.parametrize("where", ["initializer", "attribute"])
def test_weights_in_other_files_are_refused_before_anything_is_loaded(tmp_path: Path, where: str) -> None:
    """The file that the weights are said to lie in is not there: only a look at the model itself can tell."""
    tensor = onnx.TensorProto(name="gain", data_type=onnx.TensorProto.FLOAT, dims=[1])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")
    model = onnx.load(write_tiny_model(tmp_path / "outside.onnx"))
    if where == "initializer":
        model.graph.initializer[0].CopyFrom(tensor)
    else:
        model.graph.node[0].attribute.append(onnx.helper.make_attribute("value", tensor))
    (tmp_path / "outside.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="keeps weights in other files") as error:
        Denoiser(tmp_path / "outside.onnx")
    assert_one_line(error, tmp_path / "outside.onnx")


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


@pytest.mark.parametrize(("content", "message"), [("models", "cannot read the model registry"), ("[]", "must be {")])
def test_a_registry_of_another_form_is_refused(registry: Path, content: str, message: str) -> None:
    (registry / "registry.json").write_text(content)
    with pytest.raises(ModelError, match=message):
        list_models(registry)


def test_models_are_found_inside_an_installed_package(registry: Path, tmp_path: Path) -> None:
    """As a wheel lays them out: `enhance/checkpoints`, and nothing beside the package."""
    package = tmp_path / "site" / "enhance"
    (package / "runtime").mkdir(parents=True)
    shutil.copytree(Path(enhance.__path__[0]) / "utils", package / "utils")
    for name in ("__init__.py", "runtime/__init__.py", "runtime/registry.py"):
        shutil.copy(Path(enhance.__path__[0]) / name, package / name)

    def find() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "import enhance; print(enhance.find_model())"]
        return subprocess.run(command, cwd=package.parent, capture_output=True, text=True, check=False)

    missing = find()
    assert missing.returncode != 0
    assert "ModelError: no registry.json in" in missing.stderr
    (package / "checkpoints").mkdir()
    for name in ("registry.json", "one.onnx", "two.onnx"):
        shutil.copy(registry / name, package / "checkpoints")
    assert find().stdout.strip() == str(package / "checkpoints" / "two.onnx")


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
