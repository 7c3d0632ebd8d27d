"""Which package may import which: the arrows that must not be, read from the source of every module."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BOTH = {"enhance.train", "enhance.ablate"}  # the commands that put the network and the codec's losses together
LIGHT = ("dsp", "utils", "runtime", "io", "agents")  # what runs without PyTorch
STANDS_ON = {  # packages of enhance, and those that they may import: the last column of the table in enhance/README.md
    "utils": set[str](),
    "dsp": {"utils"},
    "runtime": {"utils", "dsp"},
    "io": {"utils", "dsp", "runtime"},
    "agents": {"utils", "dsp", "runtime", "io"},
    "model": {"utils", "dsp", "runtime"},
    "data": {"utils", "dsp"},
    "training": {"utils", "dsp", "runtime", "model", "data"},
    "evaluation": {"utils", "dsp", "runtime", "data", "reporting"},
    "reporting": {"utils", "evaluation"},
}


def modules(package: str) -> list[Path]:
    """Every module of a package."""
    return sorted((ROOT / package).rglob("*.py"))


def name_of(path: Path) -> str:
    """The dotted name of a module."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported(path: Path) -> Iterator[str]:
    """What a module imports, also inside functions and for types only."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def inside(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def arrows(package: str, *forbidden: str) -> list[str]:
    """The imports of a package that are not allowed, as lines to read."""
    found = {(name_of(path), name) for path in modules(package) for name in imported(path)}
    return sorted(f"{user} -> {name}" for user, name in found if any(inside(name, bad) for bad in forbidden))


def test_the_libraries_do_not_know_the_apps() -> None:
    assert arrows("enhance", "apps") + arrows("emulator", "apps") == []


def test_enhance_does_not_know_the_emulator_but_for_two_commands() -> None:
    assert {line.partition(" ")[0] for line in arrows("enhance", "emulator")} == BOTH


def test_the_apps_and_the_emulator_do_not_know_each_other() -> None:
    assert arrows("apps", "emulator") == []


@pytest.mark.parametrize("package", LIGHT)
def test_what_users_run_does_not_import_pytorch(package: str) -> None:
    assert arrows(f"enhance/{package}", "torch", "torchaudio", "lightning") == []


@pytest.mark.parametrize("package", STANDS_ON)
def test_packages_of_enhance_import_only_what_they_stand_on(package: str) -> None:
    higher = [part.parent.name for part in (ROOT / "enhance").glob("*/__init__.py")]
    names = [f"enhance.{name}" for name in higher if name not in {package, *STANDS_ON[package]}]
    assert len(names) > 3
    assert arrows(f"enhance/{package}", *names, "emulator", "apps") == []


def test_the_page_of_enhance_says_what_its_packages_may_import() -> None:
    page = (ROOT / "enhance" / "README.md").read_text(encoding="utf-8")
    said = {
        row[0]: set(re.findall(r"`(\w+)`", row[1])) for row in re.findall(r"^\| `(\w+)/` \| .* \| (.*) \|$", page, re.M)
    }
    assert {name: said[name] for name in STANDS_ON} == STANDS_ON


def test_no_package_of_enhance_imports_a_command() -> None:
    commands = [name_of(path) for path in (ROOT / "enhance").glob("*.py") if path.name != "__init__.py"]
    packages = [f"enhance/{part.parent.name}" for part in (ROOT / "enhance").glob("*/__init__.py")]
    assert [line for package in packages for line in arrows(package, *commands)] == []


def test_each_module_for_files_has_tests_of_its_name() -> None:
    names = {path.stem for path in (ROOT / "tests" / "enhance" / "io").rglob("test_*.py")}
    alone = [path for path in modules("enhance/io") if path.stem != "__init__" and f"test_{path.stem}" not in names]
    assert alone == []


@pytest.mark.parametrize("package", ["enhance", "emulator", "apps"])
def test_no_circles_of_modules(package: str) -> None:
    known = {name_of(path): path for path in modules(package)}
    left = {name: {i for i in imported(path) if i in known and i != name} for name, path in known.items()}
    while free := {name for name, users in left.items() if not users & left.keys()}:
        left = {name: users for name, users in left.items() if name not in free}
    assert left == {}


def test_importing_all_three_packages_loads_neither_numpy_nor_pytorch() -> None:
    code = "import apps.cli, enhance, emulator, sys; sys.exit(bool({'numpy', 'torch'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
