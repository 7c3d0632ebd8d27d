"""Public names are loaded on first use; a name that is none is said as Python says it."""

import sys
from types import ModuleType

import pytest

from enhance.utils.lazy import lazy_names


def test_a_name_is_loaded_on_first_use_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleType("package_of_names")
    monkeypatch.setitem(sys.modules, package.__name__, package)
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    load, names = lazy_names(package.__name__, {"rgb_to_hsv": "colorsys"})
    package.__getattr__ = load  # type: ignore[method-assign]
    assert "rgb_to_hsv" in names()
    assert "colorsys" not in sys.modules
    assert package.rgb_to_hsv is sys.modules["colorsys"].rgb_to_hsv
    assert vars(package)["rgb_to_hsv"] is package.rgb_to_hsv


@pytest.mark.parametrize("package", ["enhance", "emulator"])
def test_a_name_that_is_none_is_an_error_and_the_version_is_there(package: str) -> None:
    module = __import__(package)
    assert module.__version__[0].isdigit()
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'nothing'"):
        module.nothing  # noqa: B018
