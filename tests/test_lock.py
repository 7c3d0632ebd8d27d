"""The lock fits pyproject: whoever installs it can run what the ranges promise, from any registry."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from unlocked import locked, normal

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
DEV = [Requirement(line) for line in EXTRAS["dev"]]
NAMES = [name for wanted in DEV if wanted.name == "mpeace" for name in sorted(wanted.extras)]  # of extras in it
RANGES = [Requirement(line) for line in [*PROJECT["dependencies"], *(line for name in NAMES for line in EXTRAS[name])]]


@pytest.mark.parametrize("wanted", RANGES + [x for x in DEV if x.name != "mpeace"], ids=str)
def test_every_range_holds_the_locked_versions(wanted: Requirement) -> None:
    versions = locked().get(normal(wanted.name), set())
    assert versions, f"{wanted.name} is not locked; renew the lock (CONTRIBUTING.md)"
    assert all(wanted.specifier.contains(version) for version in versions), f"renew the lock: {versions} of {wanted}"


AGENTS = [Requirement(line) for name in ("agents", "livekit", "pipecat") for line in EXTRAS[name]]


@pytest.mark.parametrize("wanted", [x for x in AGENTS if x.name != "mpeace"], ids=str)
def test_the_ranges_of_agents_hold_versions_that_install_together(wanted: Requirement) -> None:
    """livekit-agents wants one version of livekit, which is not the newest."""
    versions = locked("requirements-agents.txt").get(normal(wanted.name), set())
    assert versions, f"{wanted.name} is not locked; renew the lock (CONTRIBUTING.md)"
    assert all(wanted.specifier.contains(version) for version in versions), f"renew the lock: {versions} of {wanted}"


@pytest.mark.parametrize("name", ["requirements-dev.txt", "requirements-agents.txt"])
def test_every_package_has_hashes_and_none_an_address(name: str) -> None:
    lock = (ROOT / name).read_text()
    pins = re.findall(r"^[\w.-]+==[^\n]*\n", lock, re.MULTILINE)
    hashed = re.findall(r"^[\w.-]+==[^\n]* \\\n    --hash=sha256:[0-9a-f]{64}", lock, re.MULTILINE)
    assert len(pins) == len(hashed) > 50
    assert not re.search(r"://|^-|^ *[\w.-]+ @|(?<!\S)/", lock, re.MULTILINE)
