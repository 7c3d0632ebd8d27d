"""The file that libsndfile writes into: it loses no error, and gives way to bytes that libsndfile does not know of."""

import os
from typing import BinaryIO

_HEAD = 2**16  # bytes; no header that libsndfile writes is longer


class CheckedFile:
    """A file for libsndfile's callbacks, where an exception would be lost: the first one is kept, to be raised later.

    After `insert` the bytes from some place on lie further behind in the file than libsndfile believes.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.error: BaseException | None = None
        self._gap = 0  # where bytes were put in, as libsndfile counts
        self._inserted = 0  # how many

    def write(self, data: bytes) -> int:
        """Write, or keep the error; returns the number of bytes that were written."""
        data = bytes(data)
        before = max(0, self._gap - self.tell()) if self._inserted else len(data)
        try:
            done = self.file.write(data[:before])
            if len(data) > before:
                self.file.seek(max(self.file.tell(), self._gap + self._inserted))
                done += self.file.write(data[before:])
            return done
        except OSError as error:
            self.error = self.error or error
            return 0

    def readinto(self, buffer: bytearray) -> int:
        """Read up to the end of the buffer or to the place of an insertion."""
        before = self._gap - self.tell() if self._inserted else 0
        view = memoryview(buffer)
        return self.file.readinto(view[:before] if before > 0 else view)  # type: ignore[attr-defined]

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move as `io.IOBase.seek` does, in the places that libsndfile knows; -1 on an error, which is kept."""
        try:
            if whence == os.SEEK_END:
                offset += self.file.seek(0, os.SEEK_END) - self._inserted
            elif whence == os.SEEK_CUR:
                offset += self.tell()
            self.file.seek(offset if offset < self._gap else offset + self._inserted)
        except OSError as error:  # it writes what waits in the buffer first
            self.error = self.error or error
            return -1
        return offset

    def tell(self) -> int:
        """Return the place of the next byte, as libsndfile counts."""
        place = self.file.tell()
        return place if place <= self._gap else max(self._gap, place - self._inserted)

    def head(self) -> bytes:
        """Return the first bytes of the file."""
        place = self.file.tell()
        self.file.seek(0)
        content = self.file.read(_HEAD)
        self.file.seek(place)
        return content

    def insert(self, place: int, content: bytes) -> None:
        """Put bytes in; libsndfile goes on as if they were not there. Nothing is done with a place below 0.

        Args:
            place: in the file; not far from its end, since the rest is moved.
            content: of any length.
        """
        if place < 0:
            return
        try:
            self.file.seek(place)
            rest = self.file.read()
            self.file.seek(place)
            self.file.write(content + rest)
        except OSError as error:
            self.error = self.error or error
        self._gap, self._inserted = place, len(content)
