"""Randomness that is the same on every machine and after every restart: SHA-256 of what is to be drawn.

Sorting by `digest("order", seed, listener, page)` shuffles the pages of a listener. Unlike a random generator it has no
state to lose, does not depend on the version of Python, and a page that is added leaves the order of the others alone.
"""

import hashlib


def digest(*parts: object) -> bytes:
    """Return the SHA-256 of the parts; no two lists of parts have the same, whatever they hold.

    Example:
        >>> digest("order", 1, "anna") == digest("order", 1, "anna")
        True
        >>> digest("a", "b") == digest("ab")
        False
    """
    texts = [str(part).encode() for part in parts]
    return hashlib.sha256(b"".join(len(text).to_bytes(8, "big") + text for text in texts)).digest()


def token(*parts: object) -> str:
    """Return a name, 20 hexadecimal digits, that gives away nothing of the parts."""
    return digest("token", *parts).hex()[:20]
