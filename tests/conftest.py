"""Fixtures: the shared recordings, a tiny model that is known in closed form, and the shipped model."""

import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it is ignored, and so by all that the tests start
os.environ.setdefault("OMP_NUM_THREADS", "1")  # two files of tests at a time, and what they start: a core for each

import numpy as np
import onnx
import pytest
from numpy.typing import ArrayLike
from onnx import TensorProto, helper, numpy_helper
from soundserver import SoundServer, skip_without_tools

from enhance import Denoiser, ModelError, list_models
from enhance.mix_config import MixConfig

REPOSITORY = Path(__file__).resolve().parent.parent

# Files of tests that take long, in the order in which the workers get them, so that both end at about the same time.
# The first one mostly waits, and what is measured in it bears one busy process beside it.
FIRST = (
    "test_live", "test_stream", "test_ablation", "test_conditions", "test_emulator_training", "test_masking_evidence",
    "test_autoencoder", "test_train_command", "test_training", "test_demo_page", "test_demo_server", "test_demo_guards",
    "test_demo_live", "test_descent_cost", "test_export", "test_evaluate", "test_listen_browser", "test_live_screen",
    "test_cli_promises", "test_cli_batch", "test_benchmark", "test_cli_video", "test_mixing", "test_lame", "test_loss",
    "test_network", "test_sound",
)  # fmt: skip

TINY_GAIN = 0.5
TINY_HOP = 480
TINY_METADATA = {
    "mpeace_version": "0.0.0",
    "format_version": "1",
    "name": "tiny-delay",
    "sample_rate": "48000",
    "window": "960",
    "hop": str(TINY_HOP),
    "lookahead": "0",
    "latency": str(TINY_HOP),
    "state_size": str(TINY_HOP),
    "parameters": "1",
    "macs_per_second": "48000",
    "training": "{}",
    "licence": "Apache-2.0",
}


def write_tiny_model(path: Path, metadata: dict[str, str] | None = None, gain: ArrayLike = TINY_GAIN) -> Path:
    """Write a model that obeys the contract and only delays by one hop and scales by `gain`.

    The state holds the last hop: estimate = gain * (state, audio)[:-hop], next_state = (state, audio)[-hop:].
    """
    constants = {"gain": np.asarray(gain, np.float32), "zero": [0], "last": [-TINY_HOP], "end": [2**31], "time": [1]}
    nodes = [
        helper.make_node("Concat", ["state", "audio"], ["line"], axis=1),
        helper.make_node("Slice", ["line", "zero", "last", "time"], ["delayed"]),
        helper.make_node("Slice", ["line", "last", "end", "time"], ["next_state"]),
        helper.make_node("Mul", ["delayed", "gain"], ["estimate"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [_value("audio", "samples"), _value("state", TINY_HOP)],
        [_value("estimate", "samples"), _value("next_state", TINY_HOP)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, TINY_METADATA if metadata is None else metadata)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def _value(name: str, width: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", width])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first."""
    place = {name: number for number, name in enumerate(FIRST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(FIRST)))


@pytest.fixture(scope="module")
def server() -> Iterator[SoundServer]:
    """Virtual sound devices for a file of tests. The demo's tests have a server of another kind in its place."""
    skip_without_tools()
    with SoundServer() as running_server:
        running_server.plug_in()
        yield running_server


@pytest.fixture(scope="module")
def few_noises() -> Iterator[None]:
    """Pieces of an emulator's corpus are mixed from two synthetic noises; the usual 120 take four seconds to make."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("emulator.corpus.MixConfig", partial(MixConfig, synthetic_count=2, synthetic_seconds=1.0))
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of recordings and evaluation mixtures that lies beside the repository."""
    folder = REPOSITORY.parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip(f"needs the recordings in {folder}, which are not part of the repository")
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ONNX file that delays by one hop and halves the level."""
    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny.onnx")


@pytest.fixture(scope="session")
def tiny_denoiser(tiny_model: Path) -> Denoiser:
    """`Denoiser` over `tiny_model`: aligned, its result is half the input."""
    return Denoiser(tiny_model)


@pytest.fixture(scope="session")
def shipped_denoiser() -> Denoiser:
    """`Denoiser` over the default model of the registry."""
    try:
        list_models()
    except ModelError as error:
        pytest.skip(f"needs a trained model: {error}")
    return Denoiser()
