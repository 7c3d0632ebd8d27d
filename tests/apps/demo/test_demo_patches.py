"""The places where the demo changes Gradio: each is still needed by the installed version, and does what it says.

A test that fails here after an update of Gradio means: look whether the patch in `apps.demo.web.gradio_patches` can go.
"""

import asyncio
import inspect
import os
import sys
import traceback
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from apps.demo.web import gradio_patches as patches

os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"  # Gradio's library asks its maker otherwise, when it is imported
gr = pytest.importorskip("gradio", reason="needs Gradio: the extra 'demo'")
blocks, component_meta, processing_utils, queueing, route_utils, utils = (
    import_module(f"gradio.{name}")
    for name in ("blocks", "component_meta", "processing_utils", "queueing", "route_utils", "utils")
)

COMPONENT = "class Shown:\n    def __init__(self):\n        pass\n"


def stub_of_a_component(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let Gradio look at a component of its own in a folder, and give the place of its stub."""
    source = folder / "shown.py"
    source.write_text(COMPONENT)
    module = ModuleType("gradio.shown")
    module.__file__ = str(source)
    monkeypatch.setitem(sys.modules, "gradio.shown", module)
    component_meta.create_or_modify_pyi(type("Shown", (), {"__module__": "gradio.shown"}), "Shown", [])
    return source.with_suffix(".pyi")


def test_stubs_are_written_by_gradio_and_not_under_the_patch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with patches.no_type_stubs():
        assert not stub_of_a_component(tmp_path, monkeypatch).exists()
    assert stub_of_a_component(tmp_path, monkeypatch).exists(), "Gradio writes no stubs: no_type_stubs can go"


def test_matplotlib_is_loaded_around_each_call_by_gradio_and_not_under_the_patch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    manager = utils.MatplotlibBackendMananger
    monkeypatch.setattr(utils, "MatplotlibBackendMananger", manager)  # put back afterwards
    assert "import matplotlib" in inspect.getsource(manager), "Gradio does not load it: no_matplotlib can go"
    assert "utils.MatplotlibBackendMananger()" in inspect.getsource(route_utils), "no_matplotlib can go"
    patches.no_matplotlib()
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # an import would fail
    with utils.MatplotlibBackendMananger():
        pass


def test_addresses_are_downloaded_by_gradio_and_refused_under_the_patch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    download = processing_utils.async_ssrf_protected_download
    monkeypatch.setattr(processing_utils, "async_ssrf_protected_download", download)  # put back afterwards
    assert "async_ssrf_protected_download(" in inspect.getsource(blocks), "no_downloads can go, or must move"
    patches.no_downloads()
    with pytest.raises(gr.Error, match="expected an upload"):
        asyncio.run(processing_utils.async_ssrf_protected_download("https://example.org/a.wav", str(tmp_path)))
    for way in (processing_utils.ssrf_protected_download, processing_utils.save_url_to_cache):
        with pytest.raises(gr.Error, match="expected an upload"):
            way("https://example.org/a.wav", str(tmp_path))
    assert not list(tmp_path.iterdir())


def test_tracebacks_are_printed_by_gradio_and_are_one_line_under_the_patch(capfd: pytest.CaptureFixture[str]) -> None:
    assert "traceback.print_exc()" in inspect.getsource(queueing), "Gradio prints none: errors_in_one_line can go"
    with patches.errors_in_one_line():
        try:
            raise ValueError("no such function")
        except ValueError:
            traceback.print_exc()
    assert capfd.readouterr().err == "mpeace demo: a request failed: unexpected ValueError: no such function\n"
