"""ONNX Runtime Web for tests: from the cache of whoever runs them, or fetched with npm; without it they are skipped."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

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


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def served_folder(folder: Path) -> Iterator[str]:
    """Serve a folder as any web server does; gives the address of the folder."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()
