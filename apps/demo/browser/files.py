"""What the page's own network is made of: scripts, ONNX Runtime Web, and the models that mpeace ships.

Of the demo's models those that come with mpeace are given to browsers; one that somebody names by its file stays on the
server, as it may not be meant for all visitors.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.demo.static_files import STATIC
from enhance.runtime.denoiser import Denoiser
from enhance.runtime.registry import list_models

_SCRIPTS = STATIC / "worker"
_FACTS = ("sample_rate", "hop", "latency", "state_size")  # of a model, that the scripts need


@dataclass(frozen=True)
class BrowserFiles:
    """The files, and what the page needs to know of them.

    Attributes:
        paths: name on the page -> file.
        models: name of a model -> its file's name and facts.
    """

    paths: Mapping[str, Path]
    models: Mapping[str, Mapping[str, Any]]

    def for_page(self, base: str) -> dict[str, Any]:
        """Return what `static/in_browser.js` takes: `base`, the address below which the files lie, and the models."""
        return {"base": base, "models": self.models}


def shipped(models: Mapping[str, str]) -> dict[str, str]:
    """Return those of the models, name on the page -> name or path, that come with mpeace."""
    registered = {entry.name for entry in list_models()}
    return {name: model for name, model in models.items() if model in registered}


def browser_files(runtime: Mapping[str, Path], models: Mapping[str, str]) -> BrowserFiles:
    """Collect the files.

    Args:
        runtime: files of ONNX Runtime Web, name on the page -> path.
        models: name on the page -> name or path for `Denoiser`.

    Raises:
        ModelError: a model is missing or damaged.
    """
    paths = {path.name: path for path in _SCRIPTS.glob("*.js")} | dict(runtime)
    facts = {}
    for name, model in models.items():
        denoiser = Denoiser(model)
        paths[f"{name}.onnx"] = denoiser.path
        facts[name] = {"file": f"{name}.onnx"} | {fact: getattr(denoiser.info, fact) for fact in _FACTS}
    return BrowserFiles(paths, facts)
