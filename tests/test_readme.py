"""What the README says works: its Python runs, its options exist, its files are there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "enhance" / "README.md", ROOT / "emulator" / "README.md"]
PAGES.append(ROOT / "apps" / "live" / "README.md")


def blocks(language: str, page: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_snippets_run(page: Path) -> None:
    """All of a page as one program: later ones may use what earlier ones have made."""
    program = "\n".join(blocks("python", page.read_text()))
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, timeout=120)


def test_the_readme_opens_with_two_commands_of_one_line() -> None:
    commands = blocks("bash")
    assert len(commands) == 2
    assert all(command.count("\n") == 1 for command in commands)


APPS = ["apps.cli denoise", "apps.cli listen", "apps.cli live"]


@pytest.mark.parametrize("module", [*APPS, "enhance.train", "enhance.evaluate"])
def test_options_in_the_readme_exist(module: str) -> None:
    program = module.replace("apps.cli", "mpeace") if module in APPS else f"python -m {module}"
    shown = subprocess.run(
        [sys.executable, "-m", *module.split(), "--help"], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    lines = [line.split("#")[0] for line in "".join(blocks("console")).replace("\\\n", " ").splitlines()]
    used = {option for line in lines if program in line for option in re.findall(r"(--[a-z-]+)", line)}
    assert used or module == "apps.cli denoise"
    for option in used:
        assert option in shown, f"the README uses {program} {option}, which --help does not list"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"
