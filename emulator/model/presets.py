"""Trained emulators on disk: safetensors files that describe themselves, listed in a registry with their sha256."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from emulator.model.config import PRESETS, EmulatorConfig
from emulator.model.network import Emulator
from emulator.model.paper_unet import PaperUNet
from enhance.runtime.registry import Collection, find_model, is_model_file
from enhance.utils.atomic import write_bytes
from enhance.utils.errors import ModelError

EMULATORS = Collection("emulators.json", ".safetensors")
REFERENCES = Collection(
    "references.json", ".safetensors"
)  # what the evidence compares with: in a checkout, not in the wheel
FORMAT = "mpeace-emulator-1"
DEFAULT = "mp3-v9-16k"
PAPER = "paper-cbr16-16k"  # the paper's U-Net, the reference that fidelity is compared with
ARCHITECTURES: dict[str, type[Emulator] | type[PaperUNet]] = {"Emulator": Emulator, "PaperUNet": PaperUNet}


def collection_of(name_or_path: str | Path) -> Collection:
    """Return the registry that a network is listed in."""
    return REFERENCES if name_or_path == PAPER else EMULATORS


def name_of(name_or_path: str | Path) -> str:
    """Return the name that stands for a network in results: the registered one, or that of its file.

    Example:
        >>> name_of("mp3-v9-16k"), name_of("runs/mine.safetensors")
        ('mp3-v9-16k', 'mine')
    """
    return Path(name_or_path).stem if is_model_file(name_or_path, EMULATORS) else str(name_or_path)


def save_emulator(emulator: Emulator | PaperUNet, path: Path, about: dict[str, Any]) -> None:
    """Write weights, dimensions and what there is to say of them.

    Args:
        emulator: the network.
        path: a file that ends in `.safetensors`.
        about: plain values: licence, how it was trained.
    """
    metadata = {
        "format": FORMAT,
        "architecture": type(emulator).__name__,
        "dimensions": json.dumps(emulator.config.to_dict()),
        "about": json.dumps(about),
    }
    weights = {name: weight.contiguous() for name, weight in emulator.state_dict().items()}
    write_bytes(path, save(weights, metadata))


def load_emulator(name_or_path: str | Path = DEFAULT) -> Emulator:
    """Return a trained emulator with frozen weights.

    Args:
        name_or_path: a preset of `emulator.model.config.PRESETS`, or the path of a file of `save_emulator`.

    Raises:
        ModelError: there is no such preset or file, the file is damaged, or it holds another network.

    Example:
        >>> load_emulator("mp3-v9-16k").config.setting
        'v9'
        >>> load_emulator("aac")
        Traceback (most recent call last):
        ...
        enhance.utils.errors.ModelError: no model 'aac': the models are mp3-v9-16k, ...
    """
    network = load_network(name_or_path)
    if not isinstance(network, Emulator):
        raise ModelError(f"{name_or_path} holds a {type(network).__name__}; expected an Emulator, one of the presets")
    return network


def load_emulators(names_or_paths: Iterable[str | Path]) -> dict[str, Emulator]:
    """Return trained emulators by the names that stand for them in results.

    Raises:
        ModelError: as `load_emulator`.
        ValueError: two have the same name.
    """
    found: dict[str, Emulator] = {}
    for each in names_or_paths:
        if (name := name_of(each)) in found:
            raise ValueError(f"two emulators are called '{name}'; name each once, and give files names of their own")
        found[name] = load_emulator(each)
    return found


def load_network(name_or_path: str | Path) -> Emulator | PaperUNet:
    """Return a trained network of either architecture with frozen weights.

    Raises:
        ModelError: as `load_emulator`.
    """
    path = find_model(name_or_path, collection=collection_of(name_or_path))
    metadata, weights = _read(path)
    try:
        config = EmulatorConfig.from_dict(json.loads(metadata["dimensions"]))
    except (TypeError, ValueError) as error:
        raise ModelError(f"the dimensions in {path} are none of an emulator: {error}") from error
    with single_precision():
        network = ARCHITECTURES[metadata["architecture"]](config)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelError(f"the weights in {path} do not fit its dimensions: {str(error).splitlines()[-1]}") from error
    return network.eval().requires_grad_(False)


@contextmanager
def single_precision() -> Iterator[None]:
    """Make tensors in float32 where the default is a shorter type, as in a program that trains in bfloat16."""
    default = torch.get_default_dtype()
    if default.itemsize < torch.float32.itemsize:
        torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(default)


def random_emulator(preset: str, seed: int) -> Emulator:
    """Return an untrained emulator of a preset's dimensions, frozen: the control of every experiment.

    Raises:
        ModelError: there is no such preset.
    """
    if preset not in PRESETS:
        raise ModelError(f"no preset {preset!r}: the presets are {', '.join(PRESETS)}")
    with torch.random.fork_rng(devices=[]), single_precision():
        torch.manual_seed(seed)
        return Emulator(PRESETS[preset]).eval().requires_grad_(False)


def describe(name_or_path: str | Path) -> dict[str, Any]:
    """Read a file's description: its dimensions, and what `save_emulator` was given.

    Raises:
        ModelError: as `load_emulator`.
    """
    metadata, weights = _read(find_model(name_or_path, collection=collection_of(name_or_path)))
    parameters = sum(weight.numel() for weight in weights.values())
    dimensions = json.loads(metadata["dimensions"])
    architecture = metadata["architecture"]
    return {"architecture": architecture, "parameters": parameters, "dimensions": dimensions} | json.loads(
        metadata["about"]
    )


def _read(path: Path) -> tuple[dict[str, str], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ModelError(f"the file {path} cannot be read as safetensors: {error}") from error
    if metadata.get("format") != FORMAT:
        raise ModelError(f"the file {path} has the format {metadata.get('format')!r}; expected {FORMAT!r}")
    for key in ("architecture", "dimensions", "about"):
        if key not in metadata:
            raise ModelError(f"the metadata of {path} lack {key!r}")
    if metadata["architecture"] not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ModelError(f"the file {path} holds a {metadata['architecture']!r}; expected one of {known}")
    return metadata, weights
