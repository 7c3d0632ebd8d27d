"""Serving the files with which the page denoises in the browser, beside those of Gradio."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import FileResponse
from starlette.staticfiles import NotModifiedResponse

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PREFIX = "/in_browser/"
TYPES = {".js": "text/javascript", ".wasm": "application/wasm", ".onnx": "application/octet-stream"}


class BrowserFilesServed:
    """ASGI middleware that answers for the files below `PREFIX`; everything else goes on to the app.

    Args:
        app: gets everything else.
        paths: name below `PREFIX` -> file; nothing but these is read.
        root_path: path under which a reverse proxy serves the page, which it may leave in the request.
    """

    def __init__(
        self, app: Callable[[Scope, Receive, Send], Awaitable[None]], paths: Mapping[str, Path], root_path: str = ""
    ) -> None:
        self._app = app
        self._paths = paths
        self._root_path = root_path.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD"):
            name = scope["path"].removeprefix(self._root_path).removeprefix(PREFIX)
            if (path := self._paths.get(name)) is not None and scope["path"].endswith(PREFIX + name):
                headers = {"Cache-Control": "no-cache"}  # kept, but asked for: another version of mpeace may serve next
                kind = TYPES[path.suffix]
                answer = FileResponse(path, headers=headers, media_type=kind, stat_result=path.stat())
                held = [tag.strip() for tag in Headers(scope=scope).get("if-none-match", "").split(",")]
                same = answer.headers["etag"] in (tag.removeprefix("W/") for tag in held)
                await (NotModifiedResponse(answer.headers) if same else answer)(scope, receive, send)
                return
        await self._app(scope, receive, send)
