"""The errors of stores in words: one line that names what is wrong and never a key.

The libraries of stores have errors of many classes, and put into their texts what they were called with. So no text of
theirs is shown: only their class, the number of an HTTP status, and the code that S3 gives an error.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from enhance.io.remote.address import shown
from enhance.utils.errors import FileError, MpeaceError

_NO_ACCESS = "no permission; credentials are taken from where the store's own programs take them"
_BY_CLASS = {
    "NoCredentialsError": "no credentials are found where the store's own programs look for them",
    "PartialCredentialsError": "no credentials are found where the store's own programs look for them",
    "DefaultCredentialsError": "no credentials are found where the store's own programs look for them",
    "FileExpired": "it was replaced while it was read; the same command reads the new one",
    "InvalidURL": "this is no valid address",
    "InvalidUrlClientError": "this is no valid address",
    "ParamValidationError": "the store takes no such name",
}
_UNREACHABLE = ("Connect", "Timeout", "Disconnect", "EndpointConnection", "HTTPClient", "IncompleteRead", "Payload")
_BY_STATUS = {401: _NO_ACCESS, 403: _NO_ACCESS, 404: "there is no such bucket or file", 412: _BY_CLASS["FileExpired"]}
_CODE = re.compile(r"[A-Za-z0-9]{1,40}")


@contextmanager
def store_errors(what: str, url: str) -> Iterator[None]:
    """Raise errors of a store as a `FileError`: the URL, `what` and the reason.

    Example:
        >>> with store_errors("cannot be read", "s3://bucket/a.wav"):
        ...     raise FileNotFoundError("s3://key:secret@bucket")
        Traceback (most recent call last):
        enhance.utils.errors.FileError: s3://bucket/a.wav cannot be read: there is no such bucket or file
    """
    try:
        yield
    except MpeaceError:
        raise
    except Exception as error:
        raise FileError(f"{shown(url)} {what}: {in_words(error)}") from None


def in_words(error: BaseException) -> str:
    """Return why a store failed, in words of our own."""
    chain = list(_chain(error))
    for link in chain:
        if (name := type(link).__name__) in _BY_CLASS:
            return _BY_CLASS[name]
        if reason := _BY_STATUS.get(_status(link)):
            return reason
    if any(isinstance(link, FileNotFoundError) for link in chain):
        return _BY_STATUS[404]
    if any(isinstance(link, PermissionError) for link in chain):
        return _NO_ACCESS
    code = next((code for link in chain if (code := _code(link))), "")
    if not code and any(mark in type(link).__name__ for link in chain for mark in _UNREACHABLE):
        return "the store cannot be reached, or breaks the connection off"
    if isinstance(error, OSError) and error.errno and not code and error.strerror and error.filename is None:
        code = type(error).__name__
    return f"the store answers {code}" if code else f"unexpected {type(error).__name__} of the store's library"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _status(error: BaseException) -> int:
    """Return the HTTP status of an answer, as aiohttp and botocore keep it."""
    status = getattr(error, "status", None)
    if not isinstance(status, int):
        response = getattr(error, "response", None)
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode") if isinstance(response, dict) else None
    return status if isinstance(status, int) else 0


def _code(error: BaseException) -> str:
    """Return the code of an error of S3, such as SlowDown, or the HTTP status."""
    response = getattr(error, "response", None)
    code = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
    if isinstance(code, str) and _CODE.fullmatch(code):
        return code
    return str(_status(error) or "")
