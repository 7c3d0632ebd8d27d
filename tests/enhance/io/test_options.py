"""What the person asked for is checked once, in the words of the command line."""

import pytest

from enhance.io.options import DenoiseOptions, checked_rate, parse_channels
from enhance.utils.errors import UsageError


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"attenuation_limit_db": -1.0}, "--attenuation-limit -1 dB"),
        ({"mix": 1.5}, "--mix 1.5"),
        ({"mix": float("nan")}, "--mix nan"),
    ],
)
def test_a_strength_out_of_range_is_said_as_the_option_is_called(options: dict[str, float], said: str) -> None:
    with pytest.raises(UsageError, match=f"^{said}"):
        DenoiseOptions(**options)  # pyright: ignore[reportArgumentType]


def test_rates_that_nothing_has_are_refused() -> None:
    assert checked_rate(None) is None
    assert checked_rate(44_100) == 44_100
    with pytest.raises(UsageError, match=r"^--sample-rate 999 Hz: expected a whole number from 1000 to 768000 Hz"):
        checked_rate(999)


@pytest.mark.parametrize(
    "text", ["0", "middle", "", "1;2", "1" * 5000], ids=["0", "word", "nothing", "semicolon", "5000 digits"]
)
def test_channels_that_nothing_has_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"^--channels takes numbers from 1, left or right, with commas between, not "):
        parse_channels(text)
