"""`python -m enhance.figures`: draw the pictures of the README and the model cards.

- `python -m enhance.figures spectrogram NOISY ESTIMATE OUT.png`: before and after, one colour scale.
- `python -m enhance.figures quality OUT.png --system EVALUATION.json BENCHMARK.json`: quality against cost, for any
  number of evaluated systems beside the published ones (`enhance.comparison`).
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from matplotlib.figure import Figure
from numpy.typing import NDArray

from enhance.evaluation.published import ANCHOR_SET, ANCHORS, COLUMNS
from enhance.evaluation.results import METRICS, Evaluation, load
from enhance.evaluation.speed import HOP_BY_HOP, WHOLE_FILE, Speed, load_speeds
from enhance.utils.command import run
from enhance.utils.errors import fail
from enhance.utils.file_names import native_name

WINDOW, HOP = 2048, 512  # samples
RANGE_DB = 80.0  # shown below the loudest point of both pictures
SHOWN = ("pesq", "ovrl")  # metrics of the quality plot
UNIT = "RNNoise"  # whose time is the unit of cost
MARKERS = "sDv^P*Xp"  # one for each published system


def level_db(audio: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the spectrogram in dB, shape [frequency, frames]; a full-scale sine reaches about 0 dB."""
    window = np.hanning(WINDOW + 1)[:-1]
    padded = np.pad(audio, (0, max(WINDOW - audio.size, 0)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    magnitude = np.abs(np.fft.rfft(frames * window, axis=-1)) / (window.sum() / 2)
    return 20 * np.log10(np.maximum(magnitude, 1e-10)).T


def spectrogram(noisy: Path, estimate: Path, out: Path) -> None:
    """Draw two recordings one above the other with a shared colour scale (the first channel of each).

    Raises:
        ValueError: if their rates or lengths differ.
    """
    (before, rate), (after, other) = (soundfile.read(native_name(path), always_2d=True) for path in (noisy, estimate))
    if rate != other or len(before) != len(after):
        raise ValueError(
            f"expected two recordings of one rate and length, got {len(before)} samples at {rate} Hz "
            f"and {len(after)} at {other} Hz"
        )
    pictures = [level_db(audio[:, 0].astype(np.float64)) for audio in (before, after)]
    top = max(picture.max() for picture in pictures)
    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.subplots(2, 1, sharex=True, sharey=True)
    for axis, picture, title in zip(axes, pictures, ("before", "after"), strict=True):
        extent = (0, len(before) / rate, 0, rate / 2000)
        image = axis.imshow(
            picture, origin="lower", aspect="auto", extent=extent, vmin=top - RANGE_DB, vmax=top, cmap="magma"
        )
        axis.set(title=title, ylabel="frequency (kHz)")
        figure.colorbar(image, ax=axis, label="level (dB)")
    axes[-1].set_xlabel("time (s)")
    _save(figure, out)


def quality(systems: Sequence[tuple[Evaluation, list[Speed]]], out: Path) -> None:
    """Draw quality against the cost and the parameters, for evaluated systems and the published ones.

    The cost is in units of RNNoise's hop by hop in the same benchmark, so that machines may differ.

    Raises:
        ValueError: if an evaluation is of another set than the published figures, or a benchmark lacks a speed.
    """
    unit = next(anchor.rtf for anchor in ANCHORS if anchor.name.startswith(UNIT))
    figure = Figure(figsize=(12, 8), layout="constrained")
    axes = figure.subplots(len(SHOWN), 2, sharey="row")
    for row, metric in zip(axes, SHOWN, strict=True):
        for anchor, marker in zip(ANCHORS, MARKERS, strict=True):
            score = anchor.scores[COLUMNS.index(metric)]
            for axis, x in zip(row, (anchor.rtf / unit, anchor.parameters), strict=True):
                axis.scatter(x, score, color="dimgray", marker=marker, label=anchor.name)
        for evaluation, speeds in systems:
            if evaluation.set != ANCHOR_SET or evaluation.parameters is None:
                raise ValueError(f"expected an evaluation of a model on {ANCHOR_SET}, got one on {evaluation.set}")
            summary = evaluation.metrics[metric]
            error = [[summary.mean - summary.low], [summary.high - summary.mean]]
            mode, cost = relative_cost(speeds)
            for axis, x in zip(row, (cost, evaluation.parameters), strict=True):
                axis.errorbar(x, summary.mean, error, fmt="o", capsize=3, label=f"{evaluation.model} ({mode})")
        row[0].set(ylabel=METRICS[metric].label)
        for axis in row:
            axis.set(xscale="log")
            axis.grid(alpha=0.3, which="both")
    axes[-1, 0].set(xlabel="time on one thread, relative to RNNoise")
    axes[-1, 1].set(xlabel="parameters")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    _save(figure, out)


def relative_cost(speeds: Sequence[Speed]) -> tuple[str, float]:
    """Return how the model was timed, hop by hop where it can, and its time over that of RNNoise in the same run.

    Raises:
        ValueError: if one of the two was not measured.
    """
    own = [speed for speed in speeds if speed.system == speeds[0].system and speed.mode in (HOP_BY_HOP, WHOLE_FILE)]
    peers = [speed.rtf for speed in speeds if speed.mode == HOP_BY_HOP and speed.system.startswith(UNIT)]
    if not peers or not own or own[-1].system.startswith(UNIT):
        raise ValueError(f"expected the speed {HOP_BY_HOP} of the model and of {UNIT} in a benchmark, found none")
    return own[-1].mode, own[-1].rtf / peers[0]


def _save(figure: Figure, out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=110)


def get_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(prog="python -m enhance.figures", description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    pictures = commands.add_parser("spectrogram", help="before and after")
    pictures.add_argument("noisy", type=Path, help="recording before", metavar="NOISY")
    pictures.add_argument("estimate", type=Path, help="the same recording after", metavar="ESTIMATE")
    pictures.add_argument("out", type=Path, help="picture to write", metavar="OUT.png")
    plot = commands.add_parser("quality", help="draw quality against cost")
    plot.add_argument("out", type=Path, help="picture to write", metavar="OUT.png")
    system = "JSON files that enhance.evaluate and enhance.benchmark wrote for it; may be repeated"
    plot.add_argument(
        "--system",
        nargs=2,
        type=Path,
        action="append",
        metavar=("EVALUATION", "BENCHMARK"),
        default=[],
        help=system,
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; return the exit status."""
    arguments = get_parser().parse_args(argv)
    try:
        if arguments.command == "spectrogram":
            spectrogram(arguments.noisy, arguments.estimate, arguments.out)
        else:
            quality([(load(first), load_speeds(second)) for first, second in arguments.system], arguments.out)
    except (ValueError, OSError, soundfile.LibsndfileError) as error:
        return fail("enhance.figures", error)
    return 0


if __name__ == "__main__":
    run("enhance.figures", main)
