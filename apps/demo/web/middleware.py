"""Refusal of what Gradio's server offers and the demo does not need: fetching addresses, recordings, editing.

A server that loads addresses which its visitors name reaches what they cannot; the demo works without any network.
It also bounds what visitors send: Gradio limits the size of a file, but neither files nor uploads at the same time.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote, urlsplit

from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException
from starlette.responses import PlainTextResponse

from apps.demo.limits import Limits
from apps.demo.service.visitor import VISITOR, visitor_of

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
UPLOAD = "/gradio_api/upload"
ENVELOPE = 65_536  # bytes of a request around the file in it
LARGEST_CALL = 4_000_000  # bytes: two seconds of a live stream at 192 kHz, several times over
FREE_TRIES = 3  # wrong passwords before the next one waits
LONGEST_WAIT_SECONDS = 8.0  # of a password; behind a tunnel all visitors have one address, and wait together
REMEMBERED_SECONDS = 900.0  # that a wrong password counts
STALLED_SECONDS = 30.0  # without anything coming, after which an upload is given up


def is_refused(path: str) -> bool:
    """Return whether a path of the server does not belong to the demo.

    Example:
        >>> is_refused("/gradio_api/file=https://example.org"), is_refused("/gradio_api/upload")
        (True, False)
    """
    path = unquote(path).lower()
    inner = path.partition("/gradio_api/")[2].lstrip("/")
    return inner.startswith(REFUSED) or path.startswith(REFUSED_PAGES)


class Guard:
    """ASGI middleware that answers 404 to refused paths, and bounds what is sent to the others.

    Args:
        app: what is guarded.
        limits: size of an upload, and how many are held.
        root_path: path or address under which a reverse proxy serves the page; it may leave the path in the request.
    """

    def __init__(
        self, app: Callable[[Scope, Receive, Send], Awaitable[None]], limits: Limits, root_path: str = ""
    ) -> None:
        self._app = app
        self._limits = limits
        self._root_path = urlsplit(root_path).path.rstrip("/")
        self._coming = 0  # bytes that the uploads on their way may have
        self._coming_of: dict[str, int] = {}  # of them, those of each visitor
        self._held: list[tuple[float, int, str]] = []  # uploads that came: until when they are held, bytes, of whom

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        VISITOR.set(visitor_of(scope))
        path = scope.get("path", "")
        paths = {path, path.removeprefix(self._root_path)}  # nobody says whether the proxy has left its own in it
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif any(map(is_refused, paths)):
            await PlainTextResponse("not part of the demo", 404)(scope, receive, send)
        elif UPLOAD in paths and scope["method"] == "POST":
            await self._take(scope, receive, send)
        else:
            await self._app(scope, _Body(receive, LARGEST_CALL), send)

    async def _take(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let an upload in, unless too much is held already."""
        most = self._limits.upload_bytes + ENVELOPE
        length = Headers(scope=scope).get("content-length", "")
        expected = min(int(length), most) if length.isdecimal() else most
        now = time.monotonic()
        visitor = VISITOR.get()
        self._held = [entry for entry in self._held if entry[0] > now]
        own = self._coming_of.get(visitor, 0) + sum(size for _, size, whose in self._held if whose == visitor)
        if visitor and own + expected > self._limits.visitor_uploads * most:
            answer = PlainTextResponse("you have uploaded much in a short time: try again in some minutes", 429)
            await answer(scope, receive, send)
            return
        held = self._coming + sum(size for _, size, _ in self._held)
        if held + expected > self._limits.uploads * most:
            answer = PlainTextResponse("too much is being uploaded at the moment: try again in some minutes", 503)
            await answer(scope, receive, send)
            return
        body = _Body(receive, most)
        self._coming += expected
        self._coming_of[visitor] = self._coming_of.get(visitor, 0) + expected
        try:
            await self._app(scope, body, send)
        finally:
            self._coming -= expected
            self._coming_of[visitor] -= expected
            if not self._coming_of[visitor]:
                del self._coming_of[visitor]
            self._held.append((time.monotonic() + sum(self._limits.sweeping), body.size, visitor))


class SlowLogin:
    """ASGI middleware that lets wrong passwords wait: longer with each, and one at a time of each visitor.

    Args:
        app: what is guarded.
    """

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app
        self._wrong: dict[str, tuple[int, float]] = {}  # of each visitor: how many, and until when they count
        self._waiting: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].rstrip("/").endswith("/login"):
            await self._app(scope, receive, send)
            return
        visitor, now = visitor_of(scope), time.monotonic()
        self._wrong = {name: entry for name, entry in self._wrong.items() if entry[1] > now}
        wrong, _ = self._wrong.get(visitor, (0, 0.0))
        if visitor in self._waiting:
            await PlainTextResponse("another password is being checked: try again", 429)(scope, receive, send)
            return

        async def watched(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start" and message["status"] < 400:
                self._wrong.pop(visitor, None)
            elif message["type"] == "http.response.start":
                self._wrong[visitor] = wrong + 1, time.monotonic() + REMEMBERED_SECONDS
            await send(message)

        self._waiting.add(visitor)
        try:
            if wrong >= FREE_TRIES:
                await asyncio.sleep(min(2.0 ** (wrong - FREE_TRIES), LONGEST_WAIT_SECONDS))
            await self._app(scope, receive, watched)
        finally:
            self._waiting.discard(visitor)


class _Body:
    """The body of a request, which fails when it is too large, stalls or is broken off.

    It fails as a damaged form does, since then Gradio removes what it has written.
    """

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive, self._most = receive, most
        self._whole = False
        self.size = 0

    async def __call__(self) -> MutableMapping[str, Any]:
        if self._whole:
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), STALLED_SECONDS)
        except TimeoutError:
            raise MultiPartException("the upload stalled: send it again") from None
        if message["type"] != "http.request":
            raise MultiPartException("the upload was broken off")
        self.size += len(message.get("body", b""))
        if self.size > self._most:
            raise MultiPartException(f"more than the maximum allowed size of {self._most} bytes")
        self._whole = not message.get("more_body", False)
        return message
