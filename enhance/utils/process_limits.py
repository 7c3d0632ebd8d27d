"""Bounds on what this process may take, so that one bad file cannot take the machine."""

import sys


def limit_memory(most: int) -> None:
    """Let this process allocate at most so many bytes from now on; what asks for more gets a `MemoryError`.

    On Linux only: `RLIMIT_DATA` counts memory that can be written and is the process's own, so neither libraries nor
    files that are mapped to be read count. Elsewhere the system does not keep such a limit, and nothing happens.

    Args:
        most: bytes; a lower limit that is in force already stays.

    Reference: getrlimit(2).
    """
    if sys.platform != "linux":
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
