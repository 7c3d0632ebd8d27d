"""Registry of the checkpoints that come with the package: name, file, sha256, verified when a model is looked up.

`registry.json` lies beside the ONNX files, in `checkpoints/` of a checkout or in `enhance/checkpoints/` of an installed
wheel:

    {"models": [{"name": "...", "file": "....onnx", "sha256": "...", "description": "...", "default": true}]}

A model with `"for_files": true` hears what follows: it cleans whole recordings and serves no stream. Each use has a
default; where no model is for files, the default of the streams serves them as well.

Other kinds of checkpoints keep registries of the same form in the same folder, named by `Collection`.
"""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, fields, replace
from os import PathLike
from pathlib import Path

from enhance.utils.atomic import write_text
from enhance.utils.errors import ModelError


@dataclass(frozen=True)
class Collection:
    """Checkpoints of one kind: the file that lists them and how their own files end."""

    registry: str
    suffix: str


DENOISERS = Collection("registry.json", ".onnx")
REGISTRY = DENOISERS.registry


@dataclass(frozen=True)
class ModelEntry:
    """One model of the registry."""

    name: str
    file: str  # name of the ONNX file, beside registry.json
    sha256: str  # of that file, 64 hexadecimal digits
    description: str  # one line
    default: bool = False  # used when no model is named; true for exactly one entry, and for one of those for files
    for_files: bool = False  # hears what follows: for whole recordings, not for streams


def checkpoints_folder() -> Path:
    """Return the folder that holds `registry.json`: inside the installed package, or beside it in a checkout.

    Raises:
        ModelError: when neither place has a registry.
    """
    package = Path(__file__).resolve().parents[1]
    places = (package / "checkpoints", package.parent / "checkpoints")
    for place in places:
        if (place / REGISTRY).is_file():
            return place
    raise ModelError(
        f"no {REGISTRY} in {places[0]} nor in {places[1]}: install mpeace again, or name the path of an .onnx file"
    )


def list_models(folder: Path | None = None, collection: Collection = DENOISERS) -> list[ModelEntry]:
    """Return the registered models, the default of streams first, then in the order of the registry.

    Args:
        folder: where `registry.json` lies; `checkpoints_folder()` when None.
        collection: the kind of checkpoint.

    Raises:
        ModelError: when the registry is missing or is not what this module describes.
    """
    path = (checkpoints_folder() if folder is None else folder) / collection.registry
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read the model registry {path}: {error}") from error
    if not isinstance(content, dict) or set(content) != {"models"} or not isinstance(content["models"], list):
        raise ModelError(f'the model registry {path} must be {{"models": [...]}}')
    entries = [_entry(item, path) for item in content["models"]]
    names = [entry.name for entry in entries]
    if len(set(names)) != len(names):
        raise ModelError(f"the model registry {path} has the same name twice: {', '.join(names)}")
    for for_files, use in ((False, "streams"), (True, "files")):
        ones = [entry.default for entry in entries if entry.for_files == for_files]
        if (ones or not entries) and sum(ones) != 1:
            raise ModelError(f'the model registry {path} must mark exactly one model for {use} as "default": true')
    return sorted(entries, key=lambda entry: not entry.default or entry.for_files)


def model_for_files(folder: Path | None = None) -> str:
    """Return the name of the model that cleans whole recordings when no model is named.

    Raises:
        ModelError: as `list_models`.
    """
    defaults = [entry for entry in list_models(folder) if entry.default]
    return max(defaults, key=lambda entry: entry.for_files).name


def is_model_file(name_or_path: str | PathLike[str], collection: Collection = DENOISERS) -> bool:
    """Return whether this is the path of a model's file, by how it ends, and no registered name.

    Example:
        >>> is_model_file("runs/mine.ONNX"), is_model_file("small")
        (True, False)
    """
    return Path(name_or_path).suffix.lower() == collection.suffix


def find_model(
    name_or_path: str | PathLike[str] | None = None, folder: Path | None = None, collection: Collection = DENOISERS
) -> Path:
    """Return the path of a model's file: the default, a registered one (its sha256 is checked), or any of its kind.

    Args:
        name_or_path: None for the default model of streams, a registered name, or the path of a file that ends in
            `.onnx` (or in the suffix of the collection).
        folder: where `registry.json` lies; `checkpoints_folder()` when None.
        collection: the kind of checkpoint.

    Raises:
        ModelError: when there is no such model, or a registered file is missing or damaged.
        ValueError: when it is neither a name nor a path.
    """
    if name_or_path is not None and not isinstance(name_or_path, str | PathLike):
        kind = type(name_or_path).__name__
        raise ValueError(f"model of type {kind}: expected a name or the path of an {collection.suffix} file")
    if name_or_path is not None and is_model_file(name_or_path, collection):
        path = Path(name_or_path)
        if "://" in os.fspath(name_or_path):
            raise ModelError(f"{os.fspath(name_or_path)} is a URL: download the model, and name the path of its file")
        if not path.is_file():
            raise ModelError(f"no model file {path}" + (": it is a folder" if path.is_dir() else ""))
        return path
    folder = checkpoints_folder() if folder is None else folder
    entries = list_models(folder, collection)
    if name_or_path is None:
        return _verified(entries[0], folder)
    for entry in entries:
        if entry.name == os.fspath(name_or_path):
            return _verified(entry, folder)
    known = ", ".join(entry.name for entry in entries)
    raise ModelError(
        f"no model {os.fspath(name_or_path)!r}: the models are {known}; or name the path of an {collection.suffix} file"
    )


def register_model(
    path: Path,
    name: str,
    description: str,
    *,
    default: bool = False,
    for_files: bool = False,
    collection: Collection = DENOISERS,
) -> ModelEntry:
    """Enter a model's file into the registry of its folder, or replace the entry of that name.

    The first model for a use is its default; a new default takes the place of the former one. The registry is
    written in one step.

    Raises:
        ModelError: when the file or the present registry cannot be read, or the other use would lose its default.
    """
    folder = path.parent
    entries = list_models(folder, collection) if (folder / collection.registry).exists() else []
    others = [entry for entry in entries if entry.name != name]
    left = [entry.default for entry in others if entry.for_files != for_files]
    if left and not any(left):
        use = "streams" if for_files else "files"
        raise ModelError(f"{name!r} is the default for {use}; make another one that before it changes its use")
    default = default or not any(other.default for other in others if other.for_files == for_files)
    entry = ModelEntry(name, path.name, file_sha256(path), description, default, for_files)
    if default:
        others = [replace(other, default=other.default and other.for_files != for_files) for other in others]
    content = {"models": [asdict(item) for item in sorted([*others, entry], key=lambda item: item.name)]}
    write_text(folder / collection.registry, json.dumps(content, indent=2) + "\n")
    return entry


def file_sha256(path: Path) -> str:
    """Return SHA-256 of a file in hexadecimal. Raises ModelError when it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"cannot read the model file {path}: {error.strerror}") from error


def _entry(item: object, path: Path) -> ModelEntry:
    keys = {field.name for field in fields(ModelEntry)}
    if not isinstance(item, dict) or not keys - {"for_files"} <= set(item) <= keys:
        came = ", ".join(sorted(map(str, item))) if isinstance(item, dict) else repr(item)
        raise ModelError(f"an entry of {path} has {came}; expected {', '.join(sorted(keys))}")
    kinds = {"default": bool, "for_files": bool}
    for key, value in item.items():
        kind = kinds.get(key, str)
        if not isinstance(value, kind):
            raise ModelError(f"{key!r} in {path} is {value!r}; expected a {kind.__name__}")
    if Path(item["file"]).name != item["file"]:
        raise ModelError(f"'file' in {path} is {item['file']!r}; expected the bare name of a file in the same folder")
    return ModelEntry(**item)


def _verified(entry: ModelEntry, folder: Path) -> Path:
    path = folder / entry.file
    if not path.is_file():
        raise ModelError(f"the file {path} of model {entry.name!r} is missing: install mpeace again")
    found = file_sha256(path)
    if found != entry.sha256.lower():
        raise ModelError(
            f"the file {path} of model {entry.name!r} is damaged: its sha256 is {found}, expected {entry.sha256}; "
            "install mpeace again"
        )
    return path
