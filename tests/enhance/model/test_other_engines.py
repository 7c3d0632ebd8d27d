"""The exported file in other engines than ONNX Runtime on a CPU: nothing in it is refused, and it sounds the same.

With `pytest -s` each engine also says how long a hop takes in it, and in ONNX Runtime in the same run.
"""

import base64
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from browser_runtime import browser_runtime, served_folder
from demo_server import chromium

from enhance import Denoiser, find_model, list_models, model_for_files

TOLERANCE = 1e-5  # at full scale: float32 sums in another order, fed back through GRUs
MODELS = [entry.name for entry in list_models()]
STREAMS = MODELS[0]  # the default of streams

# Runs blocks of `size` samples one after the other, as `Denoiser.step` does, in the page's own thread.
IN_PAGE = """async ([file, size, states]) => {
  const ort = await import(new URL("onnxruntime.js", document.baseURI));
  const fetched = async (name) => new Uint8Array(await (await fetch(name)).arrayBuffer());
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary ??= await fetched("onnxruntime.wasm");
  const session = await ort.InferenceSession.create(await fetched(file));
  const given = new Float32Array((await fetched("given.f32")).buffer);
  const estimates = [];
  let state = new Float32Array(states);
  const times = [];
  for (let start = 0; start < given.length; start += size) {
    const begun = performance.now();
    const results = await session.run({
      audio: new ort.Tensor("float32", given.slice(start, start + size), [1, size]),
      state: new ort.Tensor("float32", state, [1, states]),
    });
    times.push(performance.now() - begun);
    state = results.next_state.data;
    estimates.push(...results.estimate.data);
  }
  const bytes = new Uint8Array(new Float32Array(estimates).buffer);
  let text = "";
  for (let start = 0; start < bytes.length; start += 8192)
    text += String.fromCharCode(...bytes.subarray(start, start + 8192));
  return [btoa(text), times];
}"""


def sound(seconds: int, hops: int, ahead: int = 0) -> np.ndarray:
    """Noise whose loudness changes from block to block, float32 [blocks, samples].

    Args:
        seconds: of sound.
        hops: of each block.
        ahead: hops of the next blocks that each block ends with.
    """
    rng, size = np.random.default_rng(0), 480 * hops
    blocks = 100 * seconds // hops + -(-ahead // hops)
    line = (rng.uniform(0, 0.3, (blocks, 1)) * rng.standard_normal((blocks, size))).astype(np.float32).reshape(-1)
    return np.lib.stride_tricks.sliding_window_view(line, size + 480 * ahead)[::size]


def expected(denoiser: Denoiser, given: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """What ONNX Runtime makes of it, and the milliseconds of each call."""
    return engine(lambda block, state: denoiser.step(block[None], state), denoiser, given)


def engine(step: Callable[..., Any], denoiser: Denoiser, given: np.ndarray) -> tuple[np.ndarray, list[float]]:
    state, out, times = denoiser.initial_state(), [], []
    for block in given:
        begun = time.perf_counter()
        estimate, state = step(block, state)
        times.append(1000 * (time.perf_counter() - begun))
        out.append(estimate[0])
    return np.array(out), times


def tell(name: str, hops: int, times: list[float], usual: list[float]) -> None:
    """Say how long a hop takes where nothing else gets in the way: the tenth of the calls that are quickest."""
    here, there = (float(np.quantile(values, 0.1)) / hops for values in (times, usual))
    print(f"{name}, {hops} hops a call: {here:.3f} ms a hop, ONNX Runtime {there:.3f} ms, {here / there:.1f} times")


@pytest.mark.parametrize("name", MODELS)
def test_a_shipped_file_has_only_operators_of_the_standard_and_activations_that_openvino_knows(name: str) -> None:
    model = onnx.load(find_model(name))
    assert {opset.domain for opset in model.opset_import} == {""}
    (level,) = [node for node in model.graph.node if node.op_type == "RNN"]
    activations = [a.strings for a in level.attribute if a.name.startswith("activation")]
    assert activations == [[b"Relu"]]


@pytest.mark.parametrize(
    ("name", "hops", "seconds"), [(STREAMS, 1, 10), (STREAMS, 100, 65), (model_for_files(), 300, 66)]
)
def test_openvino_gives_the_same_sound_over_a_minute(name: str, hops: int, seconds: int) -> None:
    """In blocks of seconds, or of a hop; the state goes from block to block as it does in ONNX Runtime."""
    openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed: pip install openvino")
    core = openvino.Core()
    core.set_property("CPU", {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1})
    denoiser = Denoiser(name)
    compiled = core.compile_model(denoiser.path, "CPU")

    def step(block: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        results = compiled({"audio": block[None], "state": state})
        return np.array(results["estimate"]), np.array(results["next_state"])

    given = sound(seconds, hops, denoiser.info.ahead)
    right, usual = expected(denoiser, given)
    estimate, times = engine(step, denoiser, given)
    np.testing.assert_allclose(estimate, right, atol=TOLERANCE)
    tell(f"OpenVINO {openvino.__version__.split('-')[0]}", hops, times, usual)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Path]]:
    """A page of Chromium from a folder that has ONNX Runtime Web and the models."""
    folder = tmp_path_factory.mktemp("page")
    for name, path in browser_runtime().items():
        shutil.copy(path, folder / name)
    for name in MODELS:
        shutil.copy(find_model(name), folder / f"{name}.onnx")
    with chromium() as browser, served_folder(folder) as address:
        page = browser.new_page()
        page.goto(address)
        yield page, folder


@pytest.mark.browser
@pytest.mark.parametrize(
    ("name", "hops", "seconds"),
    [*(pytest.param(name, 300, 60, marks=pytest.mark.long) for name in MODELS), (STREAMS, 1, 5)],
)
def test_onnx_runtime_web_gives_the_same_sound_over_a_minute(
    page: tuple[Any, Path], name: str, hops: int, seconds: int
) -> None:
    """In headless Chromium, by WebAssembly in one thread."""
    denoiser = Denoiser(name)
    given = sound(seconds, hops, denoiser.info.ahead)
    right, usual = expected(denoiser, given)
    (page[1] / "given.f32").write_bytes(given.tobytes())
    text, times = page[0].evaluate(IN_PAGE, [f"{name}.onnx", given.shape[1], denoiser.info.state_size])
    estimate = np.frombuffer(base64.b64decode(text), np.float32).reshape(right.shape)
    np.testing.assert_allclose(estimate, right, atol=TOLERANCE)
    tell(f"ONNX Runtime Web in Chromium, {name}", hops, times, usual)
