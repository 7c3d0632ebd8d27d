"""Numbers that become too small for their type."""

import numpy as np


def may_vanish() -> np.errstate:
    """Return a context in which numbers may become 0, or lose digits, because they are too small for their type.

    Sound that fades out does so, and nobody hears it. A program that says `np.seterr(all="raise")` wants to hear of its
    own numbers.

    Example:
        >>> with np.errstate(all="raise"), may_vanish():
        ...     float(np.square(np.float32(1e-30)))
        0.0
    """
    return np.errstate(under="ignore")
