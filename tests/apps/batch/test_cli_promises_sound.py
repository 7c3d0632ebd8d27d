"""What `mpeace denoise` promises about sound and set-up, by the number of the promise."""

import ast
import io
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command import ROOT, mpeace, partial_files, read, write
from helpers import speech_like
from tiny_model import tiny_result

from apps.cli import app
from enhance import Denoiser

ONE_STEP_OF_16_BITS = 2.0**-15
LOUD = 3 * np.sin(np.arange(48_000) / 20)[np.newaxis]


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        (("--attenuation-limit", "12"), {"attenuation_limit_db": 12.0}),
        (("--mix", "0.3"), {"mix": 0.3}),
        (("--mix", "0.5", "--attenuation-limit", "6"), {"mix": 0.5, "attenuation_limit_db": 6.0}),
        (("--mix", "0"), {"mix": 0.0}),
    ],
)
def test_promise_12_strength_is_the_same_as_in_python(
    tmp_path: Path, tiny_model: Path, tiny_denoiser: Denoiser, options: tuple[str, ...], arguments: dict[str, float]
) -> None:
    audio = speech_like(0.5, 44_100, 2)
    source = write(tmp_path / "a.wav", audio, 44_100, subtype="FLOAT")
    assert mpeace("denoise", source, "-o", tmp_path / "b.wav", "--model", tiny_model, *options).status == 0
    expected = tiny_denoiser.denoise(audio, 44_100, **arguments)  # type: ignore[arg-type]
    np.testing.assert_allclose(read(tmp_path / "b.wav"), expected, atol=1e-6)


@pytest.fixture
def loud(tmp_path: Path) -> Callable[[str], Path]:
    """A float file whose result, half of it, still reaches 1.5 of full scale."""

    def make(subtype: str) -> Path:
        return write(tmp_path / f"loud-{subtype}.wav", LOUD, subtype=subtype)

    return make


def test_promise_15_float_files_keep_what_is_over_full_scale(
    tmp_path: Path, tiny_model: Path, loud: Callable[[str], Path]
) -> None:
    assert mpeace("denoise", loud("FLOAT"), "-o", tmp_path / "o.wav", "--model", tiny_model).status == 0
    assert np.abs(read(tmp_path / "o.wav")).max() == pytest.approx(np.abs(tiny_result(LOUD)).max(), abs=1e-6)


def test_promise_15_clipping_policy_is_named(tmp_path: Path, tiny_model: Path, loud: Callable[[str], Path]) -> None:
    source, outcome = loud("FLOAT"), {}
    for policy in ("clamp", "rescale", "fail"):
        output = tmp_path / f"{policy}.wav"
        options = ("--clip", policy, "--subtype", "PCM_16")
        outcome[policy] = mpeace("denoise", source, "-o", output, "--model", tiny_model, *options)
    wanted = tiny_result(LOUD)[0]
    np.testing.assert_allclose(read(tmp_path / "clamp.wav")[0], np.clip(wanted, -1, 1), atol=ONE_STEP_OF_16_BITS)
    assert re.search(r"(\d+) samples clamped", outcome["clamp"].stderr)
    np.testing.assert_allclose(
        read(tmp_path / "rescale.wav")[0], wanted / np.abs(wanted).max(), atol=2 * ONE_STEP_OF_16_BITS
    )
    assert f"gain {1 / np.abs(wanted).max():.3f}" in outcome["rescale"].stderr
    assert [outcome[policy].status for policy in ("clamp", "rescale", "fail")] == [0, 0, 1]
    assert " of full scale" in outcome["fail"].problems[0]
    assert not (tmp_path / "fail.wav").exists()


def test_promise_27_no_sound_goes_through_torchaudio() -> None:
    sources = [path for folder in ("apps", "enhance", "emulator") for path in (ROOT / folder).rglob("*.py")]
    assert len(sources) > 20
    for path in sources:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "torchaudio":
                assert not {alias.name for alias in node.names} & {"load", "save", "info"}, path.name
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "torchaudio":
                assert node.attr not in ("load", "save", "info"), path.name


def test_promise_28_denoising_needs_no_torch(tmp_path: Path, tiny_model: Path) -> None:
    write(tmp_path / "a.wav", speech_like(0.2, 44_100), 44_100)
    write(tmp_path / "b.flac", speech_like(0.2, 44_100), 44_100)
    code = (
        "import sys\n"
        "for name in ('torch', 'torchaudio', 'lightning', 'onnx', 'scipy', 'av'): sys.modules[name] = None\n"
        "from apps.cli import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "denoise", tmp_path, "-o", tmp_path / "out", "--model", tiny_model]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_help_imports_no_array_library() -> None:
    code = (
        "import sys; from apps.cli import main; main(['--help']); main(['denoise', '--help']);"
        "heavy = {'numpy', 'onnxruntime', 'soundfile', 'soxr', 'rich', 'mutagen', 'torch'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--attenuation-limit" in done.stdout


def test_promise_29_every_entry_point_is_run_from_the_wheel_in_ci() -> None:
    """All commands of `mpeace`, and each module that is a program."""
    script = (ROOT / ".ci" / "run").read_text()
    commands = {info.name or getattr(info.callback, "__name__", "") for info in app.registered_commands}
    (looped,) = re.findall(r"for command in ([\w ]+);", script)
    assert commands == set(looped.split())
    programs = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__")
        for folder in ("enhance", "emulator")
        for path in (ROOT / folder).rglob("*.py")
        if 'if __name__ == "__main__":' in path.read_text()
    }
    (modules,) = re.findall(r"local modules=\(([^)]+)\)", script)
    listed = re.findall(r"([\w.]+\.)(?:\{([\w,]+)\}|(\w+)(?=\s))", modules + "\n")
    assert programs == {package + name for package, several, one in listed for name in (several or one).split(",")}


def test_rescale_leaves_files_that_hold_it_as_loud_as_they_are(tmp_path: Path, tiny_model: Path) -> None:
    source = write(tmp_path / "a.wav", LOUD, subtype="FLOAT")
    ended = mpeace("denoise", source, "-o", tmp_path / "b.wav", "--clip", "rescale", "--model", tiny_model)
    assert "gain" not in ended.stderr
    np.testing.assert_allclose(read(tmp_path / "b.wav"), tiny_result(read(source)), atol=1e-6)


@pytest.mark.parametrize(("suffix", "fits"), [("wav", False), ("aiff", False), ("w64", True)])
def test_a_length_that_nobody_knew_beyond_what_the_container_holds(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, fits: bool
) -> None:
    monkeypatch.setattr("enhance.io.sound.sound_file.SIZE_LIMIT", 100_000)  # in place of 4 GB
    sound = write(tmp_path / "a.wav", speech_like(2, 48_000)).read_bytes()
    sound = sound[:40] + b"\xff" * 4 + sound[44:]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(sound)))
    output = tmp_path / f"out.{suffix}"
    ended = mpeace("denoise", "-", "-o", output, "--model", tiny_model)
    assert (ended.status, output.exists()) == ((0, True) if fits else (1, False))
    if not fits:
        assert len(ended.problems) == 1
        assert f"{suffix.upper()} cannot hold more than 4 GB" in ended.problems[0]
        assert "--format rf64 or w64" in ended.problems[0]
        assert not partial_files(tmp_path)
