"""Compressed tags are read up to a bound: a frame of ID3 may be packed, a thousand times smaller than what it holds.

mutagen unpacks each such frame whole, whatever comes of it. Inside `bounded_tags` it stops where tags cannot be meant.

Reference: ID3v2.4, 4.1.2, "Frame format flags" (id3.org).
"""

import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from mutagen.id3 import _frames

from enhance.utils.errors import FileError

MOST_UNPACKED = 64_000_000  # bytes of all frames of one tag
_reader: Any = _frames  # the module of mutagen that unpacks
_lock = threading.Lock()


@contextmanager
def bounded_tags() -> Iterator[None]:
    """Inside, tags that mutagen reads are unpacked up to `MOST_UNPACKED` bytes.

    Raises:
        FileError: when they hold more.
    """
    left = MOST_UNPACKED

    def decompress(data: bytes) -> bytes:
        nonlocal left
        unpacking = zlib.decompressobj()
        unpacked = unpacking.decompress(data, left + 1)
        left -= len(unpacked)
        if left < 0:
            raise FileError(f"its tags unpack to more than {MOST_UNPACKED // 1_000_000} MB, and are not kept")
        if not unpacking.eof:
            raise zlib.error("incomplete")
        return unpacked

    with _lock:
        former = _reader.zlib
        _reader.zlib = SimpleNamespace(decompress=decompress, error=zlib.error)
        try:
            yield
        finally:
            _reader.zlib = former
