"""Which models the page offers: those of the registry, after the one that was chosen, if any."""

from collections.abc import Iterable
from pathlib import Path

from enhance import Denoiser, list_models, model_for_files
from enhance.runtime.registry import is_model_file


def models_for_files(chosen: str | None) -> dict[str, str]:
    """Return the models that clean files, name on the page -> name or path for `Denoiser`; the first is the default."""
    usual = model_for_files()
    return _after(chosen, [usual, *(entry.name for entry in list_models() if entry.name != usual)])


def models_for_streams(chosen: str | None) -> dict[str, str]:
    """Return those that also clean a microphone, in the same form.

    Raises:
        ModelError: the chosen model cannot be used.
    """
    streams = [entry.name for entry in list_models() if not entry.for_files]
    return _after(None if chosen is not None and Denoiser(chosen).info.block else chosen, streams)


def _after(chosen: str | None, names: Iterable[str]) -> dict[str, str]:
    """Return the models by their names.

    Example:
        >>> _after("mine/other.onnx", ["small"])
        {'other': 'mine/other.onnx', 'small': 'small'}
    """
    models = {} if chosen is None else {Path(chosen).stem if is_model_file(chosen) else chosen: chosen}
    return models | {name: name for name in names if name not in models}
