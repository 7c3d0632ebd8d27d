"""The test over HTTP: one page, its scripts, and a few calls in JSON. Starlette, served by uvicorn.

    GET  /                          the page
    GET  /api/about                 title, method, instructions
    GET  /api/state/LISTENER        where the listener is, and the page to show
    GET  /api/audio/LISTENER/TOKEN  samples, float32
    POST /api/setup/LISTENER        {"playback": ...}
    POST /api/form/LISTENER         {"place": "before" or "after", "answers": {...}}
    POST /api/draft/LISTENER        what is begun on the page
    POST /api/answer/LISTENER       the answer to the page; stored before the reply, which is the next state

All addresses are relative to the page, so that a reverse proxy may serve it under any path. Requests under names that
the server does not know, and posts of other sites, get status 403 (`apps.origins`).

An id alone is no key to the answers of the listener who has it: the first call with it gets a resume key, which the
browser keeps as a cookie and sends with every call. In another browser ?key=KEY in the first call takes its place.

A refused call gets status 400 (403 when the id is somebody else's, 409 when the page is not the listener's any more)
and {"problem": one line}. Other sites cannot post: the calls take JSON only, for which a browser asks first, and no
site is allowed.
"""

import asyncio
import hashlib
import json
import mimetypes
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from apps.listen.serving.session import Gone, NotYours, Session
from apps.origins import own_pages_only
from enhance.utils.errors import FileError, UsageError, one_line

STATIC = Path(__file__).parents[1] / "static"
LARGEST_CALL = 64 * 1024  # bytes
COOKIE_SECONDS = 365 * 24 * 3600
WRONG_KEY_SECONDS = 1.0  # that a wrong key waits for its answer

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def make_app(session: Session, host: str = "127.0.0.1", allow_hosts: Sequence[str] = ()) -> Starlette:
    """Return the application that serves a test.

    Args:
        session: the test.
        host: address that it will be served on.
        allow_hosts: further names by which it may be called.

    Raises:
        UsageError: when one of those is no name.
    """

    mimetypes.add_type("text/javascript", ".js")  # Windows may know another, with which no browser runs a module

    async def page(_: Request) -> Response:
        return FileResponse(STATIC / "index.html", headers=_HEADERS)

    async def about(_: Request) -> Response:
        return JSONResponse(session.about(), headers=_HEADERS)

    async def state(request: Request) -> Response:
        return await _reply(session.state, request)

    async def audio(request: Request) -> Response:
        path = request.path_params
        try:
            samples = await run_in_threadpool(session.audio, path["listener"], path["token"])
        except FileError as problem:
            return _refused(problem)
        return Response(samples, media_type="application/octet-stream", headers=_HEADERS)

    def call(act: Callable[[str, dict[str, Any]], None]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            listener = request.path_params["listener"]
            try:
                content = await _content(request)
                await run_in_threadpool(act, listener, content)
            except FileError as problem:
                return _refused(problem)
            return await _reply(session.state, request)

        return endpoint

    def admitted(endpoint: Callable[[Request], Any]) -> Callable[[Request], Any]:
        """Answer only who has the key of the listener, or begins."""

        async def guarded(request: Request) -> Response:
            listener = request.path_params["listener"]
            cookie = f"mpeace-{hashlib.sha256(listener.encode()).hexdigest()[:16]}"
            kept = request.cookies.get(cookie, "")
            try:
                key = await run_in_threadpool(session.admit, listener, request.query_params.get("key", kept))
            except FileError as problem:
                if isinstance(problem, NotYours):
                    await asyncio.sleep(WRONG_KEY_SECONDS)
                return _refused(problem)
            request.state.key = key
            response = await endpoint(request)
            if key != kept:
                response.set_cookie(cookie, key, max_age=COOKIE_SECONDS, httponly=True, samesite="strict")
            return response

        return guarded

    def set_up(listener: str, content: dict[str, Any]) -> None:
        session.set_up(listener, str(content.get("playback")))

    def fill_in(listener: str, content: dict[str, Any]) -> None:
        session.fill_in(listener, content.get("place"), content.get("answers"))

    routes = [
        Route("/", page),
        Route("/api/about", about),
        Route("/api/state/{listener}", admitted(state)),
        Route("/api/audio/{listener}/{token}", admitted(audio)),
        Route("/api/setup/{listener}", admitted(call(set_up)), methods=["POST"]),
        Route("/api/form/{listener}", admitted(call(fill_in)), methods=["POST"]),
        Route("/api/draft/{listener}", admitted(call(session.draft)), methods=["POST"]),
        Route("/api/answer/{listener}", admitted(call(session.answer)), methods=["POST"]),
        Mount("/static", _PageFiles(directory=STATIC)),
    ]
    return Starlette(routes=routes, middleware=[own_pages_only(host, allow_hosts)])


def serve(
    session: Session, host: str, port: int, ready: Callable[[str], None], allow_hosts: Sequence[str] = ()
) -> None:
    """Serve a test until the process gets a signal to stop.

    Args:
        session: the test.
        host: address to listen on.
        port: 0 for any that is free.
        ready: called with the address of the page when it can be opened.
        allow_hosts: further names by which it may be called, such as that of a reverse proxy.

    Raises:
        UsageError: when the address cannot be used.
    """
    app = make_app(session, host, allow_hosts)
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        reason = one_line(error) if isinstance(error, OSError) else "expected a port from 0 to 65535"
        raise UsageError(f"cannot serve at {host} port {port}: {reason}; choose another --port or --host") from None
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
    shown = f"[{host}]" if ":" in host else host
    with listening:
        ready(f"http://{shown}:{listening.getsockname()[1]}/")
        uvicorn.Server(config).run(sockets=[listening])


class _PageFiles(StaticFiles):
    """What the page is made of. A browser keeps it, but asks: another version of mpeace may serve next."""

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["Cache-Control"] = "no-cache"
        return response


async def _reply(answer: Callable[[str], dict[str, Any]], request: Request) -> Response:
    try:
        content = await run_in_threadpool(answer, request.path_params["listener"])
        return JSONResponse({**content, "key": request.state.key}, headers=_HEADERS)
    except FileError as problem:
        return _refused(problem)


def _refused(problem: FileError) -> Response:
    status = 409 if isinstance(problem, Gone) else 403 if isinstance(problem, NotYours) else 400
    return JSONResponse({"problem": str(problem)}, status, headers=_HEADERS)


async def _content(request: Request) -> dict[str, Any]:
    """Read the JSON object of a call.

    Raises:
        FileError: when it is something else, or too large.
    """
    if not request.headers.get("content-type", "").startswith("application/json"):
        raise FileError("This call takes JSON.")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_CALL:
            raise FileError("This call is too large.")
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise FileError("This call takes a JSON object.")
    return content
