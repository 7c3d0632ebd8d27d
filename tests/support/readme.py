"""What the README shows."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"


def readme_line(start: str) -> str:
    """The one line of the README's consoles that begins so, without its prompt."""
    (line,) = [
        line[2:] for block in readme_blocks("console") for line in block.splitlines() if line[2:].startswith(start)
    ]
    return line


def run_in_shell(line: str, folder: Path, environment: Mapping[str, str], **programs: str) -> None:
    """Run a line of the README as it stands, in a folder where `mpeace` and other programs are put.

    Args:
        line: for bash.
        folder: where it runs, and where the programs are written.
        environment: of the line; the folder is put in front of its PATH.
        programs: what stands for programs that are missing here, by name: the text of a shell script.
    """
    programs["mpeace"] = f'PYTHONPATH={ROOT} exec {sys.executable} -m apps.cli "$@"'
    for name, text in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    shell = ["bash", "-euo", "pipefail", "-c", line]
    environment = {**environment, "PATH": f"{folder}:{environment['PATH']}"}
    subprocess.run(shell, check=True, env=environment, timeout=120, cwd=folder)


def readme_blocks(language: str = "py") -> list[str]:
    """Its blocks of code in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
