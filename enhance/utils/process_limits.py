"""Bounds on what this process may take, so that one bad file cannot take the machine."""

import re
import sys
from pathlib import Path


def limit_memory(more: int) -> None:
    """Let this process allocate at most so many bytes more than it has; what asks for more gets a `MemoryError`.

    On Linux only: `RLIMIT_DATA` counts memory that can be written and is the process's own, so neither libraries nor
    files that are mapped to be read count, but the stacks of threads do, of which a library may have one for each
    core: so what is there already is let be. Elsewhere the system keeps no such limit, and nothing happens.

    Args:
        more: bytes; a lower limit that is in force already stays.

    Reference: getrlimit(2), proc_pid_status(5).
    """
    if sys.platform != "linux":
        return
    import resource

    found = re.search(r"VmData:\s*(\d+) kB", Path("/proc/self/status").read_text())
    if found is None:
        return
    in_force = [limit for limit in resource.getrlimit(resource.RLIMIT_DATA) if limit != resource.RLIM_INFINITY]
    most = min([1024 * int(found[1]) + more, *in_force])
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
