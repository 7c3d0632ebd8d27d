"""The registry of models: names, checksums, and where an installed package keeps it."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny_model import write_tiny_model

import enhance
from enhance import Denoiser, ModelError, denoise, denoise_file, find_model, list_models, model_for_files
from enhance.runtime.registry import checkpoints_folder, file_sha256, register_model


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    """A folder with two registered models; `second` is the default."""
    register_model(write_tiny_model(tmp_path / "one.onnx"), "first", "the first")
    register_model(write_tiny_model(tmp_path / "two.onnx"), "second", "the second", default=True)
    return tmp_path


def test_models_are_listed_and_found_by_name(registry: Path) -> None:
    assert [(entry.name, entry.default) for entry in list_models(registry)] == [("second", True), ("first", False)]
    assert find_model(None, registry) == registry / "two.onnx"
    assert find_model("first", registry) == registry / "one.onnx"
    assert not [path for path in registry.iterdir() if path.name.startswith(".")]


def test_files_have_a_model_of_their_own(registry: Path) -> None:
    assert model_for_files(registry) == "second", "that of streams, where none is for files"
    for name in ("third", "fourth"):
        register_model(registry / "one.onnx", name, "hears what follows", for_files=True)
    assert model_for_files(registry) == "third"
    assert find_model(None, registry) == registry / "two.onnx"
    register_model(registry / "one.onnx", "fourth", "hears what follows", for_files=True, default=True)
    register_model(registry / "one.onnx", "first", "the first", default=True)
    assert model_for_files(registry) == "fourth"
    uses = {entry.name: (entry.default, entry.for_files) for entry in list_models(registry)}
    assert uses == {"first": (True, False), "second": (False, False), "third": (False, True), "fourth": (True, True)}
    assert list_models(registry)[0].name == "first"


def test_a_default_that_changes_its_use_leaves_no_use_without_one(registry: Path) -> None:
    before = (registry / "registry.json").read_bytes()
    with pytest.raises(ModelError, match="'second' is the default for streams; make another one that before"):
        register_model(registry / "two.onnx", "second", "hears what follows", for_files=True)
    assert (registry / "registry.json").read_bytes() == before
    register_model(registry / "one.onnx", "first", "the first", default=True)
    register_model(registry / "two.onnx", "second", "hears what follows", for_files=True)
    assert (find_model(None, registry), model_for_files(registry)) == (registry / "one.onnx", "second")


def test_whole_signals_are_denoised_by_the_model_for_files(
    registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_model(write_tiny_model(registry / "quarter.onnx", gain=0.25), "quarter", "for files", for_files=True)
    monkeypatch.setattr("enhance.runtime.registry.checkpoints_folder", lambda: registry)
    audio = np.random.default_rng(0).normal(0, 0.1, 4800).astype(np.float32)
    half, quarter = Denoiser().denoise(audio, 48_000), denoise(audio, 48_000)
    np.testing.assert_allclose(quarter, half / 2, rtol=0, atol=1e-7)
    soundfile.write(tmp_path / "noisy.wav", audio, 48_000, subtype="FLOAT")
    denoise_file(tmp_path / "noisy.wav", tmp_path / "clean.wav")
    np.testing.assert_array_equal(soundfile.read(tmp_path / "clean.wav", dtype="float32")[0], quarter)


def test_a_path_needs_no_registry(tmp_path: Path, tiny_model: Path) -> None:
    assert find_model(tiny_model, tmp_path) == find_model(str(tiny_model), tmp_path) == tiny_model


def test_an_unknown_name_lists_the_models(registry: Path) -> None:
    with pytest.raises(ModelError, match=r"https://example\.org/a\.onnx is a URL: download the model"):
        find_model("https://example.org/a.onnx")
    with pytest.raises(ModelError, match="no model 'third': the models are second, first; or name the path"):
        find_model("third", registry)


@pytest.mark.parametrize("wrong", [3, b"small", True])
def test_what_is_neither_a_name_nor_a_path_is_refused(wrong: object) -> None:
    said = f"model of type {type(wrong).__name__}: expected a name or the path of an .onnx file"
    with pytest.raises(ValueError, match=re.escape(said)):
        Denoiser(wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=re.escape(said)):
        denoise(np.zeros(10, np.float32), 48_000, wrong)  # type: ignore[arg-type]


def test_a_changed_model_file_is_refused(registry: Path) -> None:
    path = registry / "one.onnx"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ModelError, match=rf"'first' is damaged: its sha256 is {file_sha256(path)}"):
        find_model("first", registry)
    path.unlink()
    with pytest.raises(ModelError, match="of model 'first' is missing"):
        find_model("first", registry)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "red"}, "has colour, default, description, file, for_files, name, sha256; expected"),
        ({"default": "yes"}, "'default' in .* is 'yes'; expected a bool"),
        ({"default": True}, "exactly one model for streams"),
        ({"for_files": True}, "exactly one model for files"),
        ({"for_files": "yes"}, "'for_files' in .* is 'yes'; expected a bool"),
        ({"name": "second"}, "same name twice"),
        ({"file": "../one.onnx"}, "expected the bare name of a file"),
    ],
)
def test_a_wrong_registry_is_refused(registry: Path, change: dict[str, object], message: str) -> None:
    path = registry / "registry.json"
    content = json.loads(path.read_text())
    content["models"][0] |= change
    path.write_text(json.dumps(content))
    with pytest.raises(ModelError, match=message):
        list_models(registry)


@pytest.mark.parametrize(("content", "message"), [("models", "cannot read the model registry"), ("[]", "must be {")])
def test_a_registry_of_another_form_is_refused(registry: Path, content: str, message: str) -> None:
    (registry / "registry.json").write_text(content)
    with pytest.raises(ModelError, match=message):
        list_models(registry)


def test_models_are_found_inside_an_installed_package(registry: Path, tmp_path: Path) -> None:
    """As a wheel lays them out: `enhance/checkpoints`, and nothing beside the package."""
    package = tmp_path / "site" / "enhance"
    (package / "runtime").mkdir(parents=True)
    shutil.copytree(Path(enhance.__path__[0]) / "utils", package / "utils")
    for name in ("__init__.py", "runtime/__init__.py", "runtime/registry.py"):
        shutil.copy(Path(enhance.__path__[0]) / name, package / name)

    def find() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "import enhance; print(enhance.find_model())"]
        return subprocess.run(command, cwd=package.parent, capture_output=True, text=True, check=False)

    missing = find()
    assert missing.returncode != 0
    assert "ModelError: no registry.json in" in missing.stderr
    (package / "checkpoints").mkdir()
    for name in ("registry.json", "one.onnx", "two.onnx"):
        shutil.copy(registry / name, package / "checkpoints")
    assert find().stdout.strip() == str(package / "checkpoints" / "two.onnx")


def test_every_shipped_model_loads(shipped_denoiser: Denoiser) -> None:
    entries = list_models()
    assert find_model() == shipped_denoiser.path == checkpoints_folder() / entries[0].file
    for entry in entries:
        assert Denoiser(entry.name).info.name == entry.name
