"""The connection to a Ray cluster, and its errors in one line."""

# pyright: reportMissingImports=false

import logging
import os
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from enhance.utils.environment import own_version
from enhance.utils.errors import UsageError

_PATIENCE = 5.0  # seconds to reach an address
_NO_MODULE = re.compile(r"No module named '([\w.]+)'")
_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def the_ray() -> Any:
    """Return the module `ray`.

    Raises:
        UsageError: it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would tell its maker of each cluster
    try:
        import ray
    except ImportError:
        raise UsageError("--engine ray needs Ray: pip install 'mpeace[ray]'") from None
    return ray


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Connect to a cluster; one that was started here ends with the block.

    Args:
        address: HOST:PORT, `auto`, or None for that of `RAY_ADDRESS`, one that runs on this machine, or else a new one.

    Raises:
        UsageError: there is no cluster at this address.
    """
    ray = the_ray()
    _check_address(address)
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None and "RAY_ADDRESS" not in os.environ:
        options["include_dashboard"] = False  # of a new cluster; one that runs here stays as it is
    try:
        ray.init(address=address, **options)
    except Exception:  # of many classes; a plain one where a node takes too long to start
        where = address or os.environ.get("RAY_ADDRESS") or "this machine"
        raise UsageError(f"--engine ray: no Ray cluster at {where}; `ray status` says whether it runs") from None
    finally:
        for number, handler in handlers.items():  # Ray puts its own in their place
            signal.signal(number, handler)
    try:
        yield
    finally:
        ray.shutdown()


def _check_address(address: str | None) -> None:
    """Refuse an address that nobody answers at: Ray itself would try for a minute."""
    if address is None or address in ("auto", "local") or "://" in address:
        return
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit():
        raise UsageError(f"--address {address}: expected HOST:PORT, such as 10.0.0.1:6379, or auto")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()
    except (OSError, OverflowError):
        raise UsageError(f"--address {address}: nobody answers there; `ray start --head` shows the address") from None


def in_words(error: Exception, again: int) -> str:
    """Return why Ray could not do a file, in one line.

    Args:
        error: of `ray.get`.
        again: times that Ray tried anew.

    Raises:
        UsageError: a node lacks a package: so all of its files would fail.
    """
    missing = _missing(error)
    if missing is not None:
        raise UsageError(
            f"a node of the Ray cluster has no {missing}: pip install 'mpeace=={own_version()}' there, for its Python"
        )
    kind = type(error).__name__
    if kind in ("WorkerCrashedError", "NodeDiedError", "LocalRayletDiedError"):
        return f"the process that worked on it died {again + 1} times; not enough memory?"
    if kind == "OutOfMemoryError":
        return "not enough memory on the node that worked on it"
    return f"Ray could not do it ({kind})"


def _missing(error: BaseException) -> str | None:
    """Return the package that a node lacks, if that is what is wrong."""
    cause = getattr(error, "cause", None) or error
    name = cause.name if isinstance(cause, ModuleNotFoundError) else None
    if name is None and (found := _NO_MODULE.search(str(error))):  # what a node says that cannot load the function
        name = found[1]
    package = (name or "").partition(".")[0]
    return "mpeace" if package in ("apps", "enhance", "emulator") else package or None
