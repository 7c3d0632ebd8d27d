"""The denoiser: what it takes and refuses, models that do not run, and what importing it loads."""

import multiprocessing
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import speech_like
from tiny_model import TINY_GAIN, TINY_HOP, tiny_result, write_tiny_model

import enhance
from enhance import Denoiser, ModelError, denoise

RATES = (8000, 16000, 22050, 44100, 48000, 96000)

# --- arrays -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("samples", [0, 1, 479, 480, 481, 1000, 44100])
def test_length_out_is_length_in(tiny_denoiser: Denoiser, rate: int, samples: int) -> None:
    for shape in ((samples,), (1, samples), (3, samples)):
        denoised = tiny_denoiser.denoise(np.zeros(shape, np.float32), rate)
        assert denoised.shape == shape
        assert denoised.dtype == np.float32


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", "<i2", "<i4", ">f2", ">f4", ">f8", ">i2", ">i4"])
def test_sample_types_of_either_byte_order_are_scaled_by_their_full_scale(tiny_denoiser: Denoiser, dtype: str) -> None:
    steps = np.arange(-8, 8) / 8  # exact in every type
    scale = 1 if np.dtype(dtype).kind == "f" else -float(np.iinfo(dtype).min)
    audio = (np.tile(steps, 100) * scale).astype(dtype)
    denoised = tiny_denoiser.denoise(audio, 48000)
    assert denoised.dtype == np.float32
    np.testing.assert_array_equal(denoised, tiny_result(np.tile(steps, (1, 100)))[0])


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
    np.testing.assert_allclose(tiny_denoiser.denoise(audio, 48000), tiny_result(audio), atol=1e-6)


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


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_a_program_that_wants_to_hear_of_underflow_hears_of_its_own_alone(tiny_denoiser: Denoiser, rate: int) -> None:
    """Sound that fades out becomes too small for float32, and is squared."""
    fading = 0.1 * speech_like(1.0, rate, seed=3).astype(np.float64) * np.geomspace(1, 1e-45, rate)
    with np.errstate(all="ignore"):
        expected = tiny_denoiser.denoise(fading, rate, attenuation_limit_db=12)
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(tiny_denoiser.denoise(fading, rate, attenuation_limit_db=12), expected)
        with pytest.raises(FloatingPointError):
            np.square(np.float32(1e-30))


def test_a_single_signal_is_denoised_as_by_a_denoiser(tiny_denoiser: Denoiser) -> None:
    audio, settings = speech_like(0.2, 16_000, 2), {"attenuation_limit_db": 20, "mix": 0.5, "link": "on"}
    alone = denoise(audio, 16_000, tiny_denoiser.path, **settings)  # type: ignore[arg-type]
    np.testing.assert_array_equal(alone, tiny_denoiser.denoise(audio, 16_000, **settings))  # type: ignore[arg-type]


def test_a_denoiser_travels_to_another_process(tiny_denoiser: Denoiser, monkeypatch: pytest.MonkeyPatch) -> None:
    audio = speech_like(0.2, 48000)[0]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        there = pool.apply(tiny_denoiser.denoise, (audio, 48000))
    np.testing.assert_array_equal(there, tiny_denoiser.denoise(audio, 48000))
    assert pickle.loads(pickle.dumps(tiny_denoiser)).info == tiny_denoiser.info
    monkeypatch.chdir(tiny_denoiser.path.parent)
    near = Denoiser(tiny_denoiser.path.name)
    monkeypatch.chdir(tiny_denoiser.path.parent.parent)
    assert pickle.loads(pickle.dumps(near)).info == tiny_denoiser.info, "the program works in another folder now"


# --- model files ------------------------------------------------------------------------------------------------------


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
