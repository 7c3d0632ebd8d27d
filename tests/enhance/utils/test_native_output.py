"""What libraries in C print is kept from the terminal."""

import os

import pytest

from enhance.utils.native_output import stderr_closed


def test_only_what_is_printed_inside_is_lost_also_when_nested(capfd: pytest.CaptureFixture[str]) -> None:
    os.write(2, b"before ")
    with stderr_closed(), stderr_closed():
        os.write(2, b"inside ")
    with stderr_closed(False):
        os.write(2, b"wanted ")
    with pytest.raises(ValueError, match="x"), stderr_closed():
        raise ValueError("x")
    os.write(2, b"after")
    assert capfd.readouterr().err == "before wanted after"
