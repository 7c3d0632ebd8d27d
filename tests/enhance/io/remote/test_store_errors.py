"""Errors of stores become one line that names the URL and never a key, whatever class they have."""

import pytest

from enhance.io.remote.store import Store
from enhance.io.remote.store_errors import in_words, store_errors
from enhance.utils.errors import FileError, UsageError

KEY = "AKIAIOSFODNN7EXAMPLE"


class ClientError(Exception):
    """As botocore's: what S3 answered is in `response`."""

    def __init__(self, status: int, code: object) -> None:
        super().__init__(f"the key {KEY} is no good")
        self.response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}


class ClientResponseError(Exception):
    """As aiohttp's."""

    def __init__(self, status: int) -> None:
        super().__init__(f"https://host/?token={KEY}")
        self.status = status


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (FileNotFoundError(KEY), "there is no such bucket or file"),
        (PermissionError(KEY), "no permission"),
        (ClientResponseError(404), "there is no such bucket or file"),
        (ClientResponseError(403), "no permission"),
        (ClientResponseError(500), "the store answers 500"),
        (ClientError(400, "InvalidRequest"), "the store answers InvalidRequest"),
        (ClientError(412, "PreconditionFailed"), "it was replaced while it was read"),
        (ClientError(500, f"Odd {KEY}"), "the store answers 500"),
        (caused(OSError(5, KEY), ClientError(503, "SlowDown")), "the store answers SlowDown"),
        (type("NoCredentialsError", (Exception,), {})(KEY), "no credentials are found"),
        (type("FileExpired", (OSError,), {})(KEY), "it was replaced while it was read"),
        (type("EndpointConnectionError", (Exception,), {})(KEY), "the store cannot be reached"),
        (type("ClientConnectorError", (OSError,), {})(KEY), "the store cannot be reached"),
        (ConnectionResetError(104, KEY), "the store cannot be reached"),
        (TimeoutError(KEY), "the store cannot be reached"),
        (RuntimeError(KEY), "unexpected RuntimeError of the store's library"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_error_in_words_of_our_own(error: BaseException, words: str) -> None:
    told = in_words(error)
    assert told.startswith(words)
    assert KEY not in told
    assert "\n" not in told


def test_our_own_errors_pass_and_others_are_named() -> None:
    with pytest.raises(UsageError, match="as it is"), store_errors("cannot be read", "s3://bucket/a.wav"):
        raise UsageError("as it is")
    refused = pytest.raises(FileError, match=r"^s3://bucket/a.wav cannot be read: no permission")
    with refused, store_errors("cannot be read", f"s3://{KEY}@bucket/a.wav"):
        raise PermissionError
    with pytest.raises(KeyboardInterrupt), store_errors("cannot be read", "s3://bucket/a.wav"):
        raise KeyboardInterrupt


def test_a_store_without_its_settings_is_not_called_unknown() -> None:
    """As adlfs, which has to know the account."""
    fsspec = pytest.importorskip("fsspec")

    class Needy(fsspec.AbstractFileSystem):
        protocol = "needy"

        def __init__(self, **_: object) -> None:
            raise ValueError("account_key=SECRET")

    fsspec.register_implementation("needy", Needy, clobber=True)
    with pytest.raises(UsageError, match=r"^needy://calls/a.wav: what reads needy:// lacks settings, such as the name"):
        Store("needy://calls/a.wav")
