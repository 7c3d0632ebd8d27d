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
