"""Try other versions than the locked: `python3 tests/unlocked.py` the newest, once a week, `--lowest` the oldest.

Prints which packages differ from requirements-dev.txt, runs the tests, prints what broke; exit status 1 if anything
did. It takes the time of the tests and some minutes for PyTorch, in a temporary folder.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OURS = "mpeace"
S3_SERVER = ("moto[s3]", "flask", "flask-cors")  # what the tests of s3:// need besides


def normal(name: str) -> str:
    """A package's name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(lock: str = "requirements-dev.txt") -> dict[str, set[str]]:
    """Versions in a lock by name; some packages have one for each range of Pythons."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", (ROOT / lock).read_text(), re.MULTILINE):
        found.setdefault(normal(name), set()).add(version)
    return found


def moved(installed: dict[str, str], lock: dict[str, set[str]]) -> list[str]:
    """A line for each package whose version is not that of the lock.

    Example:
        >>> moved({"av": "19.0.2", "numpy": "2.5.5", "new": "1"}, {"av": {"18.1.0"}, "numpy": {"2.4.6", "2.5.5"}})
        ['av 18.1.0 -> 19.0.2', 'new (not in the lock) -> 1']
    """
    return [
        f"{name} {' or '.join(sorted(lock.get(name, {'(not in the lock)'})))} -> {version}"
        for name, version in sorted(installed.items())
        if version not in lock.get(name, ())
    ]


def broke(said: str) -> list[str]:
    """The lines in which pytest names what failed, not those of a log.

    Example:
        >>> broke("FAILED enhance/a.py::enhance.a\\nERROR tests/test_b.py - why\\nERROR    ray:services.py:1")
        ['FAILED enhance/a.py::enhance.a', 'ERROR tests/test_b.py - why']
    """
    return [line for line in said.splitlines() if re.match(r"(FAILED|ERROR) \S+\.py", line)]


def install(python: Path, lowest: bool) -> bool:
    """Into a fresh environment, without the lock; whether it went well. uv does it: pip tries versions for hours."""
    wanted, more = python.parent / "wanted.txt", python.parent / "more.in"
    more.write_text("" if lowest else "\n".join(S3_SERVER))
    resolve = [python, "-m", "uv", "pip", "compile", "--quiet", "--no-universal", "--python", python]
    resolve += ["--resolution", "lowest-direct"] if lowest else ["--extra", "cloud", "--extra", "ray"]
    resolve += ["--extra", "dev", "--output-file", wanted, ROOT / "pyproject.toml", more]
    pip = [python, "-m", "pip", "install", "--quiet"]
    packages = [python, "-m", "uv", "pip", "install", "--quiet", "--no-config", "--requirement", wanted]
    commands = [[*pip, "uv"], resolve, packages]
    commands.append([*pip, "--no-deps", "--no-build-isolation", "--editable", ROOT])
    return all(subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode == 0 for command in commands)


def run(python: str, lowest: bool, tests: Sequence[str]) -> bool:
    """Install, compare, test with one Python; whether all is well."""
    with tempfile.TemporaryDirectory(prefix="unlocked-") as folder:
        inside = Path(folder) / "bin" / "python"
        subprocess.run([python, "-m", "venv", folder], check=True)
        version = subprocess.run([inside, "--version"], capture_output=True, text=True, check=True).stdout.strip()
        if not install(inside, lowest):
            print(f"== {version}: the packages do not install together")
            return False
        listing = subprocess.run([inside, "-m", "pip", "list", "--format=json"], capture_output=True, check=True).stdout
        installed = {normal(package["name"]): package["version"] for package in json.loads(listing)}
        lines = moved({name: installed[name] for name in installed if name not in (OURS, "pip")}, locked())
        print(f"== {version}: {len(lines) or 'no'} packages differ from the lock", *lines, sep="\n", flush=True)
        command = [inside, "-m", "pytest", "--quiet", "--long", "-rfE", "--tb=line", "-p", "no:cacheprovider"]
        command += ["--max-worker-restart=0", *tests]  # a test that ends its process is named; others would wait for it
        wide = {**os.environ, "COLUMNS": "300"}  # so that pytest says with each name why
        done = subprocess.run(command, cwd=ROOT, env=wide, capture_output=True, text=True, check=False)
        broken = broke(done.stdout)
        closing = (done.stdout.strip() or done.stderr.strip()).splitlines()[-1:]
        ended = "" if done.returncode in (0, 1) else f"; pytest did not finish, it ended with {done.returncode}"
        print(f"== {version}: {len(broken) or 'no'} tests broke{ended}", *broken, *closing, sep="\n", flush=True)
        return done.returncode == 0


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Test with other versions than those of the lock.")
    parser.add_argument("--python", action="append", help="an interpreter to try; may be repeated (default: this one)")
    parser.add_argument("--lowest", action="store_true", help="the lowest that pyproject.toml allows, not the newest")
    arguments, tests = parser.parse_known_args(argv)  # the rest is for pytest
    results = [run(python, arguments.lowest, tests) for python in arguments.python or [sys.executable]]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
