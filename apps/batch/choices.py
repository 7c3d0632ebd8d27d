"""Choices on the command line, apart from the rest, since its help needs them."""

from enum import StrEnum


class IfExists(StrEnum):
    """Name what happens to an output that is already there: keep it, replace it, or refuse to start."""

    SKIP = "skip"
    OVERWRITE = "overwrite"
    FAIL = "fail"


class Engine(StrEnum):
    """Name what does the work: processes of this machine, or a Ray cluster."""

    PROCESSES = "processes"
    RAY = "ray"
