"""The machine, and the versions of mpeace and of the packages that matter, for tables, cards and reports."""

import os
import platform
from pathlib import Path


def machine() -> str:
    """Return the processor, the cores that this process may use, and the system, in one line.

    Example:
        >>> " core" in machine()
        True
    """
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        cores = os.cpu_count() or 1
    plural = "" if cores == 1 else "s"
    return f"{_processor()}, {cores} core{plural}, {platform.system()} {platform.machine()}"


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Return the versions of Python and of those packages that are installed.

    Example:
        >>> sorted(versions(("numpy", "no-such-package")))
        ['numpy', 'python']
    """
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def own_version() -> str:
    """Return the version of the installed package, or "not installed" when it runs from a folder."""
    return versions(("mpeace",)).get("mpeace", "not installed")


def _processor() -> str:
    description = Path("/proc/cpuinfo")
    if description.exists():
        for line in description.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"
