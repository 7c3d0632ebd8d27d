"""ONNX Runtime Web for tests: from the cache of whoever runs them, or fetched with npm; without it they are skipped."""

from functools import cache
from pathlib import Path

import pytest

from apps.demo.browser.onnxruntime_web import NPM, cache_folder, fetch
from enhance.utils.errors import UsageError


@cache
def _found() -> dict[str, Path] | str:
    try:
        return fetch(NPM)
    except UsageError as error:
        return str(error)


def browser_runtime() -> dict[str, Path]:
    """Return its files, name for the page -> path; skip the test where they cannot be had."""
    found = _found()
    if isinstance(found, str):
        pytest.skip(found)
    return found


def cache_with_runtime() -> dict[str, str]:
    """Return the environment of a program that finds the files in the cache."""
    browser_runtime()
    return {"XDG_CACHE_HOME": str(cache_folder().parents[1])}
