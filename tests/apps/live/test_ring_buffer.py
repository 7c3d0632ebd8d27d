"""The ring of frames between two threads."""

import numpy as np

from apps.live.engine.ring_buffer import Ring


def test_ring_keeps_the_order_round_its_end() -> None:
    ring, rng = Ring(2, 100), np.random.default_rng(0)
    sent, came = [], []
    for _ in range(200):
        frames = rng.normal(size=(int(rng.integers(1, 40)), 2)).astype(np.float32)
        if ring.write(frames):
            sent.append(frames)
        out = np.zeros((int(rng.integers(1, 40)), 2), np.float32)
        came.append(out[: ring.read(out)])
    rest = np.zeros((100, 2), np.float32)
    came.append(rest[: ring.read(rest)])
    np.testing.assert_array_equal(np.concatenate(came), np.concatenate(sent))
    assert ring.lost > 0
