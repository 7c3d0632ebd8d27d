"""What a figure was measured with: the machine and the versions of the packages that matter, for tables and cards."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def machine() -> str:
    """The processor, the cores that this process may use, and the system, in one line.

    Example:
        >>> "cores" in machine()
        True
    """
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        cores = os.cpu_count() or 1
    return f"{_processor()}, {cores} cores, {platform.system()} {platform.machine()}"


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Versions of Python and of those packages that are installed.

    Example:
        >>> sorted(versions(("numpy", "no-such-package")))
        ['numpy', 'python']
    """
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    description = Path("/proc/cpuinfo")
    if description.exists():
        for line in description.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"
