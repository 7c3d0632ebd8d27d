"""Fixtures of the tests that take a listening test in Chromium."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from listening import write_sounds
from listening_browser import chromium_running, pages_opened
from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with chromium_running() as browser:
        yield browser


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three items of one second; two systems."""
    return write_sounds(tmp_path_factory.mktemp("sounds"))


@pytest.fixture(scope="module")
def short_sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of half a second, for sessions in which dozens are heard to their end."""
    return write_sounds(tmp_path_factory.mktemp("short_sounds"), seconds=0.5)


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[Callable[..., Page]]:
    with pages_opened(chromium) as opener:
        yield opener
