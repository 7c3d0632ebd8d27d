"""URLs as text: what is one, and how it is shown without what opens doors. Imports no library of stores."""

import re
from pathlib import PurePosixPath
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")  # a drive of Windows has one letter
_WEB = ("http", "https")
_LOCAL = ("file", "local")


def is_url(text: str) -> bool:
    """Return whether a text is a URL and no path.

    Example:
        >>> is_url("s3://bucket/a.wav"), is_url("C:\\\\a.wav"), is_url("/tmp/a.wav"), is_url("-")
        (True, False, False, False)
    """
    return "://" in text and _URL.match(text) is not None


def scheme_of(url: str) -> str:
    """Return what stands before `://`, in lower case."""
    return url.partition("://")[0].lower()


def place_of(url: str) -> str:
    """Return the bucket or server of a URL, without a user's name and password.

    Example:
        >>> place_of("s3://bucket/a/b.wav"), place_of("ftp://me:secret@host/a.wav")
        ('bucket', 'host')
    """
    return url.partition("://")[2].partition("/")[0].rpartition("@")[2]


def is_web(url: str) -> bool:
    """Return whether a URL is http or https: read, not written, and without folders."""
    return is_url(url) and scheme_of(url) in _WEB


def is_in_memory(*urls: str) -> bool:
    """Return whether one of the URLs is of fsspec's store in the memory of this process, which no other one sees."""
    return any(url.startswith("memory://") for url in urls)


def without_file_scheme(text: str) -> str:
    """Return a path for a URL of a file on this machine; anything else as it is.

    Example:
        >>> without_file_scheme("file:///tmp/a%20b.wav"), without_file_scheme("s3://b/c")
        ('/tmp/a b.wav', 's3://b/c')
    """
    if not is_url(text) or scheme_of(text) not in _LOCAL:
        return text
    from urllib.request import url2pathname  # loads all of HTTP

    return url2pathname(text.partition("://")[2].removeprefix("localhost"))


def shown(text: str) -> str:
    """Return a URL without a user's name, password or signature; a path as it is.

    Example:
        >>> shown("https://me:secret@host/a.wav?X-Amz-Signature=0123#x"), shown("s3://b/what?.wav"), shown("a.wav")
        ('https://host/a.wav?...', 's3://b/what?.wav', 'a.wav')
        >>> shown("https://me:secret@[x/a.wav?X-Amz-Signature=0123")
        'https://[x/a.wav?...'
    """
    if not is_url(text):
        return text
    if not is_web(text):
        scheme, _, rest = text.partition("://")
        return f"{scheme}://{place_of(text)}{''.join(rest.partition('/')[1:])}"
    parts = _split(text)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, place, parts.path, "..." if parts.query else "", ""))


def file_name(url: str) -> str:
    """Return the name of a file that has this URL: the last part of its path.

    Example:
        >>> file_name("https://host/x/a%20b.wav?token=1"), file_name("s3://b/x/100%20.wav")
        ('a b.wav', '100%20.wav')
    """
    if is_web(url):
        return PurePosixPath(unquote(_split(url).path)).name
    return url.rpartition("/")[2]


def _split(url: str) -> SplitResult:
    """Return the parts of a web address, also of one that is not valid: it is to be shown, and then refused."""
    try:
        return urlsplit(url)
    except ValueError:
        scheme, _, rest = url.partition("://")
        rest, _, query = rest.partition("#")[0].partition("?")
        place, slash, path = rest.rpartition("@")[2].partition("/")
        return SplitResult(scheme, place, slash + path, query, "")
