"""Fixtures: the shared recordings, a tiny model that is known in closed form, and the shipped model."""

import atexit
import gc
import os
import signal
from collections.abc import Generator, Iterator
from functools import partial
from pathlib import Path

if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it is ignored, and so by all that the tests start
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # as it is in the background of a script
os.environ.setdefault("OMP_NUM_THREADS", "1")  # two files of tests at a time, and what they start: a core for each

import pytest
from tiny_model import write_tiny_model

from enhance import Denoiser, ModelError, list_models
from enhance.data.mix_config import MixConfig

REPOSITORY = Path(__file__).resolve().parent.parent
PRIORITY = os.getpriority(os.PRIO_PROCESS, 0) if hasattr(os, "getpriority") else 0

# Files of tests that take long, in the order in which the workers get them, so that both end at about the same time.
# The first one mostly waits, and what is measured in it bears one busy process beside it.
FIRST = (
    "test_live", "test_stream", "test_ablation", "test_conditions", "test_emulator_training", "test_masking_evidence",
    "test_autoencoder", "test_train_command", "test_training", "test_demo_page", "test_demo_server", "test_demo_guards",
    "test_demo_live", "test_descent_cost", "test_export", "test_evaluate", "test_listen_browser", "test_live_screen",
    "test_stream_live", "test_lost_sound", "test_demo_in_browser", "test_service", "test_demo_workers",
    "test_cli_promises", "test_cli_batch", "test_benchmark", "test_cli_video", "test_mixing", "test_lame", "test_loss",
    "test_network", "test_shipped_models", "test_objective", "test_codec_loss_in_use", "test_average",
)  # fmt: skip


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option that lets all tests run, and the one for those of live sound."""
    parser.addoption("--long", action="store_true", help="also tests that take minutes, or measure times")
    parser.addoption(
        "--sound-server",
        choices=["pulseaudio", "pipewire", "both"],
        help="of the tests of live sound: pulseaudio, and both with --long",
    )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is loaded stays: no search for garbage while it is, a third of that time, nor in it later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()
        atexit.register(gc.unfreeze)  # so that all of it can end


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The longest files first, and marked so. Tests marked `long` run when asked for.

    Pages and live sound get three tries: a browser and a sound server keep their own time, and a core that was away for
    a moment is a gap in what one hears. pytest's last line counts what was run again.
    """
    for item in items:
        if item.get_closest_marker("browser") or item.get_closest_marker("sound"):
            item.add_marker(pytest.mark.flaky(reruns=2, reruns_delay=1))
    if not config.getoption("--long"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="takes long or a calm machine; run it by --long"))
    place = {name: number for number, name in enumerate(FIRST)}
    for item in items:
        if item.path.stem in place:
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: place.get(item.path.stem, len(FIRST)))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """What only computes gives way to pages and live sound beside it, where it may come back from that: to root."""
    if "PYTEST_XDIST_WORKER" in os.environ and hasattr(os, "geteuid") and os.geteuid() == 0:
        waits = item.get_closest_marker("browser") or item.get_closest_marker("sound")
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY if waits else min(PRIORITY + 5, 19))


@pytest.fixture(scope="module")
def few_noises() -> Iterator[None]:
    """Pieces of an emulator's corpus are mixed from two synthetic noises; the usual 120 take four seconds to make."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "emulator.training.corpus.MixConfig", partial(MixConfig, synthetic_count=2, synthetic_seconds=1.0)
        )
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
