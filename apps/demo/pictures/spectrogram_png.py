"""Pictures of spectra: mel frequency upwards, time to the right, level as colour, as a small PNG.

All pictures of a sound have one scale of levels. The colours are those of matplotlib's "magma" (CC0), whose import
would take longer than the denoising: black to white in steps that look equal, on a light page and on a dark one.
"""

import base64
import io

import numpy as np
from PIL import Image

RANGE_DB = 70.0  # below the top of the scale
ROWS = 128
HIGHEST = 24_000.0  # Hz; the network sees no more
_TICKS = (500, 1000, 2000, 4000, 8000, 16_000)  # Hz
_MAGMA = (
    (0, 0, 4), (11, 9, 36), (32, 17, 75), (59, 15, 112), (87, 21, 126), (114, 31, 129), (140, 41, 129),
    (168, 50, 125), (196, 60, 117), (222, 73, 104), (241, 96, 93), (250, 127, 94), (254, 159, 109),
    (254, 191, 132), (253, 222, 160), (252, 253, 191),
)  # fmt: skip


def mel(hertz: np.ndarray | float) -> np.ndarray:
    """Convert Hz to mel (O'Shaughnessy, Speech Communication, 1987)."""
    return 2595 * np.log10(1 + np.asarray(hertz) / 700)


def top_of(sample_rate: int) -> float:
    """Return the frequency at the upper edge of the picture in Hz."""
    return min(sample_rate / 2, HIGHEST)


def ticks(sample_rate: int) -> list[tuple[str, float]]:
    """Return the labels of the frequency axis with their height from 0 (bottom) to 1.

    Example:
        >>> ticks(2000)[-1]
        ('500', 0.607...)
    """
    top = float(mel(top_of(sample_rate)))
    shown = [hertz for hertz in _TICKS if mel(hertz) < 0.96 * top]
    return [(f"{hertz // 1000}k" if hertz >= 1000 else str(hertz), float(mel(hertz)) / top) for hertz in shown]


def filterbank(sample_rate: int, bins: int) -> np.ndarray:
    """Return the weights [bins, rows] from `bins` frequencies (up to half the rate) to rows of equal height in mel.

    Triangles as wide as a row or as a bin, whichever is wider; each row's weights add to 1.
    """
    hertz = np.linspace(0, sample_rate / 2, bins)
    edges = np.linspace(0, float(mel(top_of(sample_rate))), ROWS + 1)
    centres = 700 * (10 ** ((edges[:-1] + edges[1:]) / 2 / 2595) - 1)
    widths = 700 * (10 ** (edges[1:] / 2595) - 10 ** (edges[:-1] / 2595))
    widths = np.maximum(widths, hertz[1])
    weights = np.maximum(0, 1 - np.abs(hertz[:, None] - centres[None]) / widths[None])
    return (weights / weights.sum(axis=0)).astype(np.float32)


def picture(power: np.ndarray, weights: np.ndarray, loudest: float) -> bytes:
    """Draw a spectrogram as PNG.

    Args:
        power: [columns, bins].
        weights: of `filterbank`.
        loudest: power at the top of the scale.
    """
    level = 10 * np.log10(np.maximum(power @ weights, 1e-20) / loudest)
    colour = np.clip(1 + level / RANGE_DB, 0, 1) * 255
    image = Image.fromarray(np.rint(colour).astype(np.uint8).T[::-1])
    image.putpalette(colours().tobytes())
    file = io.BytesIO()
    image.save(file, "png", compress_level=3)
    return file.getvalue()


def colours() -> np.ndarray:
    """Return the colour of each of 256 levels, uint8 [256, 3]."""
    anchors = np.array(_MAGMA, np.float64)
    place = np.linspace(0, len(anchors) - 1, 256)
    return np.stack([np.interp(place, np.arange(len(anchors)), anchor) for anchor in anchors.T], axis=1).astype(
        np.uint8
    )


def data_address(png: bytes) -> str:
    """Return the picture as a data URL, so that the page needs no request for it."""
    return "data:image/png;base64," + base64.b64encode(png).decode()
