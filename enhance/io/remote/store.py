"""What a store holds under a URL: one file, those below a folder, those that a pattern means.

fsspec has a file system for each kind of store. Its cache of listings is not used: a batch lists a folder once.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from enhance.io.remote.address import is_web, place_of, scheme_of, shown
from enhance.io.remote.store_errors import store_errors
from enhance.utils.errors import FileError, UsageError

_TIMES = ("LastModified", "last_modified", "mtime", "updated", "modified", "created")  # as stores call it
_VERSIONS = ("ETag", "etag", "generation", "md5Hash", "content_md5", "Last-Modified", *_TIMES)
_PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}
_SILENCE = 60.0  # seconds in which a web server sends nothing, after which it is given up


@dataclass(frozen=True, slots=True)
class Entry:
    """One file in a store.

    Attributes:
        url: of the file.
        size: bytes; 0 when the store does not say.
        modified: when it was written, seconds since 1970; None when the store does not say.
        version: changes when the file does; empty when the store does not say.
    """

    url: str
    size: int
    modified: float | None
    version: str


class Store:
    """The store of a URL.

    Raises:
        UsageError: what speaks to such stores is not installed, there is no such kind of store, or one whose files
            fsspec names without the server that they are on.
        FileError: the store cannot be reached.
    """

    def __init__(self, url: str) -> None:
        self.scheme = scheme_of(url)
        try:
            from fsspec import get_filesystem_class
            from fsspec.core import url_to_fs
        except ImportError:
            raise UsageError(f"{shown(url)}: stores need fsspec: pip install 'mpeace[cloud]'") from None
        known: Any = None
        try:
            known = get_filesystem_class(self.scheme)
            named = self.url(_stripped(known, url))
            if not is_web(url) and place_of(url) not in ("", place_of(named)):
                reason = f"fsspec names files of {self.scheme}:// without their server, so they are not read"
                raise UsageError(f"{shown(url)}: {reason}; s3, gs, az and https are")
            self.files, _ = url_to_fs(url, use_listings_cache=False, **(_web_options() if is_web(url) else {}))
        except UsageError:
            raise
        except ImportError:
            package = _PACKAGES.get(self.scheme)
            named = f"pip install {package}" if package not in (None, "s3fs") else "pip install 'mpeace[cloud]'"
            raise UsageError(f"{shown(url)}: what reads {self.scheme}:// is not installed: {named}") from None
        except ValueError:
            if known is None:
                raise UsageError(f"{shown(url)}: fsspec knows no stores called {self.scheme}://") from None
            reason = f"what reads {self.scheme}:// lacks settings, such as the name of an account"
            raise UsageError(f"{shown(url)}: {reason}; it takes them from where the store's own programs do") from None
        except Exception as error:
            with store_errors("cannot be reached", url):
                raise error from None

    def path(self, url: str) -> str:
        """Return what fsspec calls a file of this store."""
        return _stripped(self.files, url)

    def url(self, path: str) -> str:
        """Return the URL of what fsspec calls so: always the same one, however it was written."""
        return path if "://" in path else f"{self.scheme}://{path.lstrip('/')}"

    def kind(self, url: str) -> Literal["file", "folder", "nothing"]:
        """Return what is there.

        Raises:
            FileError: the store does not answer.
        """
        if is_web(url):
            return "file"
        with store_errors("cannot be reached", url):
            try:
                return "folder" if self.files.info(self.path(url))["type"] == "directory" else "file"
            except FileNotFoundError:
                return "nothing"

    def entry(self, url: str) -> Entry:
        """Return one file.

        Raises:
            FileError: it is not there, or not for us.
        """
        with store_errors("cannot be read", url):
            return self._entry(self.files.info(self.path(url)))

    def find(self, url: str) -> Entry | None:
        """Return one file, None when it is not there.

        Raises:
            FileError: the store does not answer.
        """
        with store_errors("cannot be reached", url):
            try:
                info = self.files.info(self.path(url))
            except FileNotFoundError:
                return None
            return self._entry(info) if info["type"] == "file" else None

    def below(self, url: str) -> list[Entry]:
        """Return all files below a folder, by name; none when there is no such folder.

        Raises:
            FileError: it cannot be listed.
        """
        return self._list("cannot be listed", url, self.files.find)

    def matching(self, pattern: str) -> list[Entry]:
        """Return the files that a pattern with `*`, `**`, `?` and `[` means, by name.

        Raises:
            FileError: they cannot be listed.
        """
        return self._list("cannot be listed", pattern, self.files.glob)

    def directly_in(self, url: str) -> list[Entry]:
        """Return the files in a folder itself, by name; none when there is no such folder.

        Raises:
            FileError: it cannot be listed.
        """
        return self._list("cannot be listed", url, self.files.ls)

    def check_bucket(self, url: str) -> None:
        """Refuse a URL in a bucket that is not there, before the work begins; one that says nothing is let be.

        Raises:
            FileError: there is no such bucket.
        """
        bucket, slash, _ = self.path(url).partition("/")
        if bucket and slash and not is_web(url):
            try:
                self.files.info(bucket)
            except FileNotFoundError:
                raise FileError(f"{shown(url)} cannot be written: there is no such bucket") from None
            except Exception:  # rights to write there are enough
                return

    def _list(self, what: str, url: str, listed: Any) -> list[Entry]:
        with store_errors(what, url):
            try:
                found = listed(self.path(url), detail=True)
            except FileNotFoundError:
                return []
            details: Iterable[dict[str, Any]] = found.values() if isinstance(found, dict) else found
            entries = [self._entry(info) for info in details if info["type"] == "file"]
            return sorted(entries, key=lambda entry: entry.url)

    def _entry(self, info: dict[str, Any]) -> Entry:
        modified = next((time for name in _TIMES if (time := _seconds(info.get(name))) is not None), None)
        version = " ".join(str(info[name]) for name in _VERSIONS if info.get(name))
        return Entry(self.url(str(info["name"])), int(info.get("size") or 0), modified, version)


class Stores:
    """The stores of many URLs, each opened once."""

    def __init__(self) -> None:
        self._known: dict[str, Store] = {}

    def normal(self, url: str) -> str:
        """Return the form of a URL that is the same however it was written.

        Raises:
            UsageError: what speaks to such stores is not installed, or there is no such kind of store.
        """
        store = self._known.get(scheme_of(url)) or self._known.setdefault(scheme_of(url), Store(url))
        return store.url(store.path(url))


def _stripped(files: Any, url: str) -> str:
    """Return what a file system, or its class, calls a URL.

    fsspec documents `_strip_protocol` for its backends and has no public name for it: `url_to_fs` would connect, and
    cuts names at "::".
    """
    return str(files._strip_protocol(url))


def _web_options() -> dict[str, Any]:
    """Return options for web servers: a large file may take as long as it takes, a silent server may not."""
    from aiohttp import ClientTimeout
    from fsspec.config import conf

    own = {**conf.get("http", {}).get("client_kwargs", {}), **conf.get("https", {}).get("client_kwargs", {})}
    return {"client_kwargs": {"timeout": ClientTimeout(total=None, connect=_SILENCE, sock_read=_SILENCE), **own}}


def _seconds(value: Any) -> float | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    return float(value) if isinstance(value, int | float) else None
