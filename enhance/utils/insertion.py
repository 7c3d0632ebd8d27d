"""Bytes put into the middle of a file, in constant memory."""

import os
from typing import BinaryIO

_PIECE = 2**24  # bytes moved at a time


def insert(file: BinaryIO, place: int, content: bytes) -> None:
    """Move what begins at a place of a file towards its end, and put the content there.

    Args:
        file: open for reading and writing.
        place: first byte that moves.
        content: bytes to put in.

    Raises:
        OSError: when the file system refuses.
    """
    end = file.seek(0, os.SEEK_END)
    for begin in range(place + max(0, end - place - 1) // _PIECE * _PIECE, place - 1, -_PIECE):
        file.seek(begin)
        piece = file.read(min(_PIECE, end - begin))
        file.seek(begin + len(content))
        file.write(piece)
    file.seek(place)
    file.write(content)
