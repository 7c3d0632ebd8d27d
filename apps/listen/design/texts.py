"""What listeners read: English, and what a file of the test has in its place."""

import re
import tomllib
from pathlib import Path
from typing import Any

from enhance.utils.errors import UsageError, problem_on_oserror

ENGLISH = Path(__file__).parents[1] / "texts" / "en.toml"

_LANGUAGE = re.compile(  # what browsers take: language, script, region, variants
    r"([a-z]{2,3}|[a-z]{5,8})(-[a-z]{4})?(-([a-z]{2}|[0-9]{3}))?(-([a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*", re.IGNORECASE
)
Texts = dict[str, Any]  # tables of texts, as in the TOML file


def read_texts(path: Path | None = None) -> Texts:
    """Return all texts.

    Args:
        path: a TOML file with those that are not English; None for none.

    Raises:
        UsageError: when it is missing, not TOML, or a text in it is unknown or of another kind than the English one.
    """
    english = tomllib.loads(ENGLISH.read_text(encoding="utf-8"))
    if path is None:
        return english
    with problem_on_oserror(f"{path} cannot be read", UsageError):
        content = path.read_bytes()
    try:
        texts = _over(path, english, tomllib.loads(content.decode("utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}") from None
    if not _LANGUAGE.fullmatch(texts["language"]):
        expected = "expected one as in HTML, such as 'de' or 'pt-BR'"
        raise UsageError(f"{path}: language is {texts['language']!r}, {expected}")
    return texts


def _over(path: Path, english: Texts, other: Texts, where: str = "") -> Texts:
    """Return the English texts with the others in their place."""
    texts = dict(english)
    for key, value in other.items():
        name = f"{where}{key}"
        if key not in english:
            raise UsageError(f"{path} has an unknown text {name!r}; all texts are in {ENGLISH}")
        if type(value) is not type(english[key]):
            raise UsageError(f"{path}: {name} is {value!r}, expected something like {english[key]!r}")
        if isinstance(value, list) and [type(text) for text in value] != [str] * len(english[key]):
            raise UsageError(f"{path}: {name} has to have {len(english[key])} texts, as {english[key]!r}")
        texts[key] = _over(path, english[key], value, f"{name}.") if isinstance(value, dict) else value
    return texts
