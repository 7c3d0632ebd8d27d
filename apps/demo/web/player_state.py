"""The values that the player on the page (`player.js`) shows of one file."""

from typing import Any

import numpy as np

from apps.demo.pictures import spectrogram_png as spectrogram
from apps.demo.pictures.plots import draw
from apps.demo.pictures.spectra import Analysis
from apps.demo.service.session import DenoisedFile

BACKGROUND = 10  # percentile of the level over time that stands for the noise between words


def view(work: DenoisedFile) -> dict[str, Any]:
    """Return everything that the player needs; it loads the sound itself when `key` is new."""
    analysis = work.analysis
    assert analysis is not None
    version, strength = work.version, work.strength  # in this order: never an older strength under a newer version
    weight = strength.weight
    drawing = work.drawing
    if drawing is None or drawing.weight != weight:
        work.drawing = drawing = draw(analysis, weight)
    ready = work.written == strength
    return {
        "key": work.folder.name,
        "version": version,
        "name": work.source.name,
        "sounds": {"noisy": str(work.folder / "noisy.wav"), "wet": str(work.folder / "wet.wav")},
        "weight": weight,
        "seconds": analysis.seconds,
        "pictures": drawing.pictures,
        "ticks": spectrogram.ticks(analysis.sample_rate),
        "scale": [_decibels(analysis) - spectrogram.RANGE_DB, _decibels(analysis)],
        "levels": {name: np.round(level, 1).tolist() for name, level in drawing.levels.items()},
        "figures": _figures(work, drawing.levels),
        "download": {"path": str(work.target), "name": work.target.name, "bytes": work.target.stat().st_size}
        if ready
        else None,
    }


def _decibels(analysis: Analysis) -> float:
    return round(10 * float(np.log10(analysis.loudest)))


def _figures(work: DenoisedFile, levels: dict[str, np.ndarray]) -> list[tuple[str, str]]:
    outcome, info = work.outcome, work.cached.info
    quiet = {name: float(np.percentile(level, BACKGROUND)) for name, level in levels.items()}
    channels = {1: "mono", 2: "stereo"}.get(outcome.channels or 1, f"{outcome.channels} channels")
    kind = " ".join(part for part in (outcome.format, outcome.subtype) if part)
    delay = work.delay_seconds
    live = "for files alone, it hears seconds ahead" if delay is None else f"{1000 * delay:.0f} ms, live at this rate"
    return [
        ("Speed", f"{outcome.speed:.0f} × real time ({outcome.seconds:.1f} s in {outcome.elapsed:.2f} s of CPU time)"),
        ("Latency", live),
        ("Background", f"{quiet['noisy']:.0f} → {quiet['cleaned']:.0f} dB, the quietest tenth"),
        ("Gain for listening", f"{20 * np.log10(work.gain):+.1f} dB, the same for all three"),
        ("File", f"{kind}, {(outcome.sample_rate or 0) / 1000:g} kHz, {channels}; kept"),
        ("Model", f"{work.model}, {info.parameters / 1000:.0f} k parameters"),
    ]
