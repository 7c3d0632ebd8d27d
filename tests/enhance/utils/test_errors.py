"""Errors as one line for a person."""

from pathlib import Path

import pytest

from enhance.utils.errors import (
    DatasetError,
    FileError,
    ModelError,
    MpeaceError,
    UsageError,
    fail,
    one_line,
    problem_on_oserror,
)


def test_all_errors_that_a_person_can_mend_have_one_base() -> None:
    assert all(issubclass(kind, MpeaceError) for kind in (ModelError, DatasetError, FileError, UsageError))
    assert issubclass(UsageError, FileError)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (FileError("cut off"), "cut off"),
        (PermissionError(13, "Permission denied", "a.wav"), "permission denied"),
        (MemoryError(), "not enough memory"),
        (BrokenPipeError(32, "Broken pipe"), "the program that reads the output has closed it"),
        (KeyError("x"), "unexpected KeyError: 'x'"),
        (RuntimeError(), "unexpected RuntimeError"),
    ],
)
def test_any_error_is_one_line(error: BaseException, line: str) -> None:
    assert one_line(error) == line


def test_a_command_that_fails_says_its_name_and_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert fail("enhance.x", ValueError("two\nlines")) == 1
    assert capsys.readouterr().err == "enhance.x: two lines\n"


def test_errors_of_the_system_get_a_beginning_and_keep_their_cause() -> None:
    said = r"^cannot be read: no such file or directory$"
    with pytest.raises(UsageError, match=said) as caught, problem_on_oserror("cannot be read", UsageError):
        Path("/nowhere/at/all").read_bytes()
    assert isinstance(caught.value.__cause__, FileNotFoundError)
