"""The choice for outputs that are already there; apart from the rest, since the command line's help needs it."""

from enum import StrEnum


class IfExists(StrEnum):
    """Name what happens to an output that is already there: keep it, replace it, or refuse to start."""

    SKIP = "skip"
    OVERWRITE = "overwrite"
    FAIL = "fail"
