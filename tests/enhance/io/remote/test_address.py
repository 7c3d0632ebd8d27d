"""URLs as text: nothing that opens doors is shown, and names and places are those that the person meant."""

import pytest

from enhance.io.remote.address import (
    file_name,
    is_in_memory,
    is_url,
    is_web,
    place_of,
    scheme_of,
    shown,
    without_file_scheme,
)

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (f"https://me:{SECRET}@host/a.wav?X-Amz-Signature={SECRET}#{SECRET}", "https://host/a.wav?..."),
        (f"https://me:{SECRET}@[x/a.wav?token={SECRET}#{SECRET}", "https://[x/a.wav?..."),  # no valid address
        (f"ftp://me:{SECRET}@host/a.wav", "ftp://host/a.wav"),
        (f"s3://{SECRET}@bucket/what?.wav", "s3://bucket/what?.wav"),  # a pattern
        ("https://host/a%20b.wav", "https://host/a%20b.wav"),
        ("talks/a?b.wav", "talks/a?b.wav"),
    ],
)
def test_no_password_and_no_signature_is_shown(url: str, expected: str) -> None:
    assert shown(url) == expected
    assert SECRET not in shown(url)


def test_paths_are_no_urls() -> None:
    assert not any(map(is_url, ("a.wav", "/a.wav", "C:\\a.wav", "c://a.wav", "-", "a://b.wav", "://a.wav")))
    assert all(map(is_url, ("s3://b/a.wav", "HTTPS://host/a.wav", "git+ssh://host/a.wav")))


def test_kind_and_place_of_a_url() -> None:
    assert (scheme_of("HTTPS://Host/A.wav"), is_web("HTTPS://Host/A.wav")) == ("https", True)
    assert not is_web("s3://http/a.wav")
    assert (place_of(f"ftp://me:{SECRET}@host/a@b.wav"), place_of("s3://bucket")) == ("host", "bucket")
    assert is_in_memory("a.wav", "memory://a.wav")
    assert not is_in_memory("a.wav", "s3://memory/a.wav")


def test_the_url_of_a_file_here_becomes_its_path() -> None:
    paths = [without_file_scheme(f"{begin}/tmp/a%20b.wav") for begin in ("file://", "file://localhost", "local://")]
    assert paths == ["/tmp/a b.wav"] * 3
    assert without_file_scheme("s3://bucket/a%20b.wav") == "s3://bucket/a%20b.wav"


def test_names_are_decoded_on_the_web_and_kept_in_stores() -> None:
    assert file_name(f"https://host/x/a%20b.wav?name={SECRET}.flac") == "a b.wav"
    assert file_name("https://[x/a%20b.wav?y") == "a b.wav"
    assert file_name("s3://bucket/x/100%20?.wav") == "100%20?.wav"
