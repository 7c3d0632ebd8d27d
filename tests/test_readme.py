"""What the README says works: its Python runs, its options exist, its files are there."""

import itertools
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import mpeace, read, write

from enhance import Denoiser, find_model, list_models, model_for_files
from enhance.dsp.dc_blocker import DcBlocker

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "enhance" / "README.md", ROOT / "emulator" / "README.md"]
PAGES += [ROOT / "apps" / "README.md", ROOT / "apps" / "live" / "README.md", ROOT / "tests" / "README.md"]
PAGES += [ROOT / "apps" / "listen" / "README.md", ROOT / "CONTRIBUTING.md"]
PACKAGES = {
    "enhance": ("utils", "dsp", "runtime", "io", "agents", "model", "data", "training", "evaluation", "reporting"),
    "enhance/io": ("media", "pipes", "remote", "sound"),
    "emulator": ("model", "losses", "training", "evidence"),
    "apps": ("batch", "demo", "listen", "live"),
    "apps/demo": ("web", "service", "browser", "pictures"),
    "apps/listen": ("design", "serving", "analysis"),
    "apps/live": ("devices", "engine", "session", "service", "ui", "diagnostics"),
}


def blocks(language: str, page: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_snippets_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of a page as one program: later ones may use what earlier ones have made. PyTorch is loaded once for all."""
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    monkeypatch.chdir(tmp_path)
    program = "\n".join(blocks("python", page.read_text()))
    exec(compile(program, str(page), "exec"), {"__name__": "__main__"})


def test_the_readme_opens_with_two_commands_of_one_line() -> None:
    commands = blocks("bash")
    assert len(commands) == 2
    assert all(command.count("\n") == 1 for command in commands)


CONSOLE = "".join(block for page in PAGES for block in blocks("console", page.read_text()))
APPS = ["apps.cli denoise", "apps.cli demo", "apps.cli listen", "apps.cli live"]


@pytest.mark.parametrize("module", [*APPS, "enhance.train", "enhance.evaluate"])
def test_options_in_the_readme_exist(module: str) -> None:
    if module in APPS:
        program, command = module.replace("apps.cli", "mpeace"), [sys.executable, "-m", *module.split(), "--help"]
        shown = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    else:  # in this process, as PyTorch takes seconds to load; `.ci/run` asks the commands themselves
        program, shown = f"python -m {module}", import_module(module).get_parser().format_help()
    lines = [line.split("#")[0] for line in CONSOLE.replace("\\\n", " ").splitlines()]
    used = {option for line in lines if program in line for option in re.findall(r"(--[a-z-]+)", line)}
    assert used or module == "apps.cli denoise"
    for option in used:
        assert option in shown, f"the README uses {program} {option}, which --help does not list"


def test_the_commands_for_files_work_one_after_the_other(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one folder, as they stand; but for videos, buckets and a program that plays."""
    (tmp_path / "files").mkdir()
    monkeypatch.chdir(tmp_path / "files")
    for name in ("talk.wav", "talk.flac", "interviews/first/one.wav"):
        write(tmp_path / "files" / name, 0.1 * np.random.default_rng(0).standard_normal(4800))
    lines = README.partition("## Files")[2].partition("```console\n")[2].partition("```")[0].splitlines()
    commands = [line.removeprefix("$ mpeace ").split("#")[0] for line in lines]
    commands = [command for command in commands if not {"call.mp4", "s3:", "|"} & set(re.findall(r"s3:|\S+", command))]
    assert len(commands) == 5
    for command in commands:
        expanded = (sorted(map(str, Path().glob(word))) if "*" in word else [word] for word in command.split())
        ended = mpeace(*itertools.chain.from_iterable(expanded), "--model", tiny_model)
        assert ended.status == 0, ended.stderr
        assert ": skipped, " not in ended.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"


@pytest.mark.parametrize("folder", PACKAGES)
def test_the_tables_of_packages_say_what_the_packages_say_of_themselves(folder: str) -> None:
    pages = [place / "README.md" for place in (ROOT / folder, *(ROOT / folder).parents)]
    page = next(path for path in pages if path.exists()).read_text()
    found = {path.parent.name for path in (ROOT / folder).glob("*/__init__.py")}
    assert found == set(PACKAGES[folder])
    for package in found:
        purpose = (ROOT / folder / package / "__init__.py").read_text().splitlines()[0].strip('"')
        assert f"| `{package}/` | {purpose} |" in page


SOUND_CARD = """
import time
import numpy

def pressed(seconds):
    raise KeyboardInterrupt

time.sleep = pressed

class Stream:
    def __init__(self, samplerate, blocksize, channels, dtype, latency, callback):
        assert (samplerate, channels, dtype) == (48_000, 1, "float32")
        self.blocksize, self.callback = blocksize, callback

    def __enter__(self):
        played = []
        for block in numpy.load("given.npy").reshape(-1, self.blocksize, 1):
            out = numpy.full_like(block, numpy.nan)
            self.callback(block, out, len(block), None, None)
            played.append(out[:, 0])
        numpy.save("played.npy", numpy.concatenate(played))

    def __exit__(self, *_):
        pass
"""


def test_the_example_with_a_callback_plays_what_a_file_gives(tmp_path: Path) -> None:
    """The example as it stands runs in a process of its own, with a stand-in for the sound card."""
    example = next(block for block in blocks("py") if "import sounddevice" in block)
    assert example.count("\n") <= 35
    (tmp_path / "sounddevice.py").write_text(SOUND_CARD)
    (tmp_path / "wire.py").write_text(example)
    given = read(ROOT / "tests" / "data" / "noisy.flac")[0, : 2 * 48_000]
    np.save(tmp_path / "given.npy", given)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, "wire.py"], capture_output=True, text=True, cwd=tmp_path, timeout=120, env=environment
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "The network adds 20 ms: a block to fill, and its own delay.\nBlocks with lost sound: 0\n"
    played, delay = np.load(tmp_path / "played.npy"), 960 - 480  # the device adds the other 480
    assert not played[:delay].any()
    np.testing.assert_allclose(played[delay:], Denoiser().denoise(given, 48_000)[:-delay], atol=1e-4)


@pytest.mark.parametrize("model", [list_models()[0].name, model_for_files()])
def test_the_program_that_runs_an_onnx_file_gives_what_mpeace_does(model: str) -> None:
    """But for the offset, which it is given without. Two channels, over a block of `studio`, no whole hops."""
    (program,) = [block for block in blocks("python", PAGES[1].read_text()) if "def denoised(" in block]
    names: dict[str, Any] = {}
    exec(program.partition("noisy, rate =")[0], names)
    noisy = read(ROOT / "tests" / "data" / "noisy.flac")[0, : 440 * 480 - 100]
    noisy = np.stack([noisy, noisy[::-1]])
    present = np.pad(np.ones(noisy.shape[1], np.float32), (0, 100))
    without_offset = DcBlocker(48_000, 480, 2).process(np.pad(noisy, ((0, 0), (0, 100))), present)[:, :-100]
    cleaned = names["denoised"](names["onnxruntime"].InferenceSession(find_model(model)), without_offset)
    np.testing.assert_allclose(cleaned, Denoiser(model).denoise(noisy, 48_000), atol=1e-5)


def test_every_promise_of_the_list_has_a_test_with_its_number() -> None:
    listed = {int(number) for number in re.findall(r"^\| (\d+) \|", (ROOT / "tests" / "README.md").read_text(), re.M)}
    sources = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert listed == {int(number) for number in re.findall(r"def test_promise_(\d+)_", sources)}
    assert len(listed) == 34
