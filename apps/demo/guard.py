"""Refuses what Gradio's server offers and the demo does not need: fetching addresses for others, recordings, editing.

A server that loads addresses which its visitors name reaches what they cannot; the demo works without any network.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

REFUSED = (
    "proxy=",
    "file=http:",
    "file=https:",
    "file/http",
    "process_recording",
    "vibe-",
    "run-history",
    "dev/",
    "deep_link",
    "profiling",
)
REFUSED_PAGES = ("/monitoring", "/gradio_api/runs")


def is_refused(path: str) -> bool:
    """Whether a path of the server is none of the demo's.

    Example:
        >>> is_refused("/gradio_api/file=https://example.org"), is_refused("/gradio_api/upload")
        (True, False)
    """
    path = unquote(path).lower()
    inner = path.partition("/gradio_api/")[2].lstrip("/")
    return inner.startswith(REFUSED) or path.startswith(REFUSED_PAGES)


def refuse_addresses() -> None:
    """From now on an address in the place of a file is refused, where Gradio would load it."""
    import gradio as gr
    from gradio import processing_utils

    def refuse(*_: Any, **__: Any) -> str:
        raise gr.Error("an address came, expected an upload: send the file itself", print_exception=False)

    async def refuse_later(*_: Any, **__: Any) -> str:
        return refuse()

    for name in ("ssrf_protected_download", "save_url_to_cache"):
        setattr(processing_utils, name, refuse)
    processing_utils.async_ssrf_protected_download = refuse_later


class Guard:
    """ASGI middleware that answers 404 to refused paths."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and is_refused(scope["path"]):
            await send({"type": "http.response.start", "status": 404, "headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": b"not part of the demo"})
            return
        await self._app(scope, receive, send)
