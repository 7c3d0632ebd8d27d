"""Writing in a thread, so that an encoder works on a block of sound while the network works on the next one.

The thread alone uses the encoder, from the first block until it is closed: Ctrl-C, which Python raises in the main
thread anywhere, never meets it in the middle of a call. A libsndfile file that is closed twice, or while another thread
writes, ends the process.
"""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

import numpy as np

from enhance.io.sound.sound_file import Sink

_WAITING = 2  # blocks, so that memory stays bounded however slow the encoder is


class WriteBehind:
    """A sink that writes into another one, in order. It is a context: at its end the thread has ended.

    An error of the other sink is raised by the next call, at the latest by `close`.

    Args:
        sink: where the sound goes; nobody else may use it meanwhile.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._pool = ThreadPoolExecutor(1)
        self._pool.submit(int)  # starts the thread while there is no work: Ctrl-C would leave it without an owner
        self._pending: deque[Future[None]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def write(self, block: np.ndarray) -> None:
        """Take float32 [channels, samples], which may change afterwards."""
        while len(self._pending) >= _WAITING:
            self._pending.popleft().result()
        self._pending.append(self._pool.submit(self._sink.write, block.copy()))

    def close(self) -> None:
        """Write the rest and finish the file."""
        while self._pending:
            self._pending.popleft().result()
        self._pool.submit(self._sink.close).result()

    def abort(self) -> None:
        """Close a file that will not be kept."""
        for future in self._pending:
            future.cancel()
        self._pool.submit(self._sink.abort).result()
