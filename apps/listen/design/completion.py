"""The code that a listener gets at the end, by which a crowd platform knows that the test was done."""

from urllib.parse import quote

from apps.listen.design.settings import TestSettings
from apps.listen.design.stable_random import token

AUTO = "auto"
LENGTH = 10  # of a code of ours: nobody guesses one


def completion_code(settings: TestSettings, sounds: str, listener: str) -> str:
    """Return the code of a listener; "" when the test has none.

    Args:
        settings: of the test.
        sounds: fingerprint of the sounds, which no listener knows.
        listener: the id.
    """
    if settings.completion_code != AUTO:
        return settings.completion_code
    return token("completion", settings.seed, sounds, listener)[:LENGTH].upper()


def completion_link(settings: TestSettings, code: str) -> str:
    """Return the address that the last page leads to, with the code as a part of it; "" for none."""
    return settings.completion_link.replace("{code}", quote(code, safe=""))
