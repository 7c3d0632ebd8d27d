"""A file seen otherwise than it lies on the disk: some bytes replaced, some left out, nothing copied.

libsndfile believes what a header says. Where the header is wrong and the truth is known, it gets a `ByteView` of the
file: the bytes of a right header, then the ranges of the file that hold the sound.
"""

import os
from bisect import bisect_right
from itertools import accumulate
from pathlib import Path

Range = tuple[int, int]  # start and end in the file, in bytes


class ByteView:
    """Reads the parts one after the other, as one file.

    Args:
        path: of the file; opened for reading.
        parts: bytes to give as they are, and ranges of the file.

    Raises:
        OSError: when the file cannot be opened.
    """

    def __init__(self, path: Path, parts: list[bytes | Range]) -> None:
        self._file = path.open("rb")
        self._parts = parts
        lengths = [len(part) if isinstance(part, bytes) else part[1] - part[0] for part in parts]
        self._starts = [0, *accumulate(lengths)]
        self._place = 0

    def readinto(self, buffer: bytearray) -> int:
        """Fill the buffer as far as there are bytes; returns their number."""
        view, done = memoryview(buffer).cast("B"), 0
        while done < len(view) and self._place < self._starts[-1]:
            index = bisect_right(self._starts, self._place) - 1
            offset = self._place - self._starts[index]
            length = min(len(view) - done, self._starts[index + 1] - self._place)
            part = self._parts[index]
            if isinstance(part, bytes):
                view[done : done + length] = part[offset : offset + length]
            else:
                self._file.seek(part[0] + offset)
                length = self._file.readinto(view[done : done + length])
                if length == 0:
                    break
            done += length
            self._place += length
        return done

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move as `io.IOBase.seek` does."""
        self._place = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._starts[-1]}[whence]
        return self._place

    def tell(self) -> int:
        """Return the place of the next byte."""
        return self._place

    def close(self) -> None:
        """Close the file."""
        self._file.close()
