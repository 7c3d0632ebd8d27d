"""Fixtures of the tests that use the demo's page in Chromium."""

import os
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest
from demo_page import browser_with_microphone, page_server, watched_page
from demo_server import Server

from apps.demo.web.gradio_patches import no_type_stubs

os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"  # Gradio's library asks its maker otherwise, when it is imported
if find_spec("gradio"):
    with no_type_stubs():  # half of the time that every process of tests needs to load it
        import gradio  # noqa: F401


@pytest.fixture(scope="session")  # to start one takes more than most tests of its page
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with page_server(tmp_path_factory.mktemp("page")) as running:
        yield running


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with browser_with_microphone(tmp_path_factory.mktemp("microphone")) as running:
        yield running


@pytest.fixture
def page(browser: Any, server: Server) -> Iterator[Any]:
    with watched_page(browser, server) as page:
        yield page
