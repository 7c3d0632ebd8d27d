"""Refuse requests that another site makes through the browser of somebody who reaches the server.

A page that a browser has opened may send requests to a server on the same machine or network, and after DNS rebinding
even read the answers. So the name by which a request calls the server (`Host`) must be one that the server knows, and a
request that changes something must come from the server's own pages (`Origin`). Addresses in numbers cannot be rebound
and are let through.
"""

import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse

from enhance.utils.errors import UsageError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


def host_name(value: str) -> str:
    """Return the name or address in a `Host` header, without its port and in lower case.

    Example:
        >>> host_name("Localhost:7860"), host_name("[::1]:7860"), host_name("[")
        ('localhost', '::1', '')
    """
    try:
        return (urlsplit(f"//{value}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def known_names(host: str, allowed: Iterable[str]) -> frozenset[str]:
    """Return the names by which a server may be called.

    Args:
        host: the address that it listens on.
        allowed: what `--allow-host` gave.

    Raises:
        UsageError: when one of those is no name.
    """
    names = {"localhost", host.lower(), socket.gethostname().lower()}
    for name in allowed:
        if host_name(name) != name.lower() or not name:
            raise UsageError(f"--allow-host {name}: expected a name without port and path, such as sound.example.org")
        names.add(name.lower())
    return frozenset(names)


def own_pages_only(host: str, allow_hosts: Sequence[str] = (), suffix: str | None = None) -> Middleware:
    """Return the middleware for a server that listens on an address; the other arguments as in :class:`OwnPagesOnly`.

    Raises:
        UsageError: when an allowed name is no name.
    """
    return Middleware(OwnPagesOnly, names=known_names(host, allow_hosts), allowed=allow_hosts, suffix=suffix)


class OwnPagesOnly:
    """ASGI middleware that answers 403 to requests under unknown names and from pages of others.

    Args:
        app: what is guarded.
        names: of the server, from :func:`known_names`.
        allowed: those of them that a reverse proxy may have in `Origin` while it calls the server by another name.
        suffix: names that end with it are known too (of a tunnel whose name is drawn when it opens).
    """

    def __init__(
        self,
        app: Callable[[Scope, Receive, Send], Awaitable[None]],
        names: frozenset[str],
        allowed: Iterable[str] = (),
        suffix: str | None = None,
    ) -> None:
        self._app, self._names, self._suffix = app, names, suffix
        self._allowed = {name.lower() for name in allowed}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            headers = Headers(scope=scope)
            host, origin = headers.get("host", ""), headers.get("origin")
            if not self._knows(host_name(host)):
                reason = f"this server does not know the name {host_name(host)!r}: start it with --allow-host NAME"
                await PlainTextResponse(reason, 403)(scope, receive, send)
                return
            changes = scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS
            if changes and origin is not None and not self._is_own(origin, host):
                await PlainTextResponse("a page of another site may not do this", 403)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _knows(self, name: str) -> bool:
        return name in self._names or _is_address(name) or (self._suffix is not None and name.endswith(self._suffix))

    def _is_own(self, origin: str, host: str) -> bool:
        place = origin.partition("://")[2].lower()
        return bool(place) and (place == host.lower() or host_name(place) in self._allowed)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True
