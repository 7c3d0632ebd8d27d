"""Public names of a package that are loaded on first use (PEP 562), so that importing the package costs nothing."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from enhance.utils.extras import missing


def lazy_names(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` of a package; `__version__` is a name of it, too.

    Args:
        package: its `__name__`.
        homes: public name -> module that has it.
    """

    def load(name: str) -> Any:
        """Load a public name on first use."""
        if name == "__version__":
            from enhance.utils.environment import own_version

            return own_version()
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            value = getattr(import_module(homes[name]), name)
        except ModuleNotFoundError as error:
            if not (advice := missing(error)):
                raise
            raise ModuleNotFoundError(f"{package}.{name} {advice}", name=error.name) from error
        setattr(sys.modules[package], name, value)  # the next time it is there
        return value

    def names() -> list[str]:
        """List what the package has, loaded or not."""
        return sorted({*vars(sys.modules[package]), *homes})

    return load, names
