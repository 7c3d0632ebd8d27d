"""`python -m enhance.tradeoff`: noise that is left against speech that is distorted, of a network and of losses.

Any network can leave less noise for more distortion: by a power on its finished gains, or more of both by its
attenuation limit. So it moves along a curve. With `--losses`, the rows of `enhance.ablate`, each loss is a point, and
the table says how far from the curve it lies: how much less noise is left than the network leaves at that distortion.
Only a loss beside the curve has taught the network what no slider gives.

Both axes are those of `enhance.evaluation.decomposition`, in speech: means over the files of a set, the noise's also
over the four bands. Intervals are bootstraps over the files, for each of which the curve is drawn anew.
"""

import argparse
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.signal import istft, stft

from enhance.evaluation.bootstrap import RESAMPLES, percentiles
from enhance.evaluation.decomposition import BANDS_HZ, decompose
from enhance.evaluation.pairs import find_pairs, names_of, read_pair
from enhance.evaluation.results import SEED
from enhance.reporting.markdown import markdown_table
from enhance.reporting.report import Report, load_rows, save_report
from enhance.runtime.denoiser import Denoiser
from enhance.runtime.registry import is_model_file
from enhance.runtime.strength import Strength
from enhance.training.ablation_grid import LOSSES
from enhance.utils.command import run
from enhance.utils.errors import DatasetError, ModelError, fail

NAME = "tradeoff"
LIMITS_DB = (3.0, 6.0, 9.0, 12.0, 18.0, 24.0, 36.0)
POWERS = (0.25, 0.4, 0.55, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0, 3.0)
WINDOW_SECONDS = 0.02  # in which gains are raised to a power, half of it the hop
LEAST_GAIN = 1e-3
MARGIN_DB = 1.0  # around the losses in the figure
PACKAGES = ("onnxruntime", "soxr")

Audio = NDArray[np.floating[Any]]
Row = dict[str, Any]


class Points(NamedTuple):
    """Distortion and noise left of each file, dB, ``[files]``."""

    distortion: NDArray[np.float64]
    noise_left: NDArray[np.float64]


def raised(estimate: Audio, noisy: Audio, sample_rate: int, power: float) -> Audio:
    """Return the estimate with its gains, by which it differs from its input, raised to a power.

    Args:
        estimate, noisy: ``[time]``, aligned.
        sample_rate: Hz.
        power: above 1 takes more of what was lowered, below 1 less. Gains above 1 stay as they are.
    """
    size = 2 * round(WINDOW_SECONDS * sample_rate / 2)
    (_, _, after), (_, _, before) = (stft(x, nperseg=size) for x in (estimate, noisy))
    gain = np.clip(np.abs(after) / np.maximum(np.abs(before), 1e-12), LEAST_GAIN, 1.0)
    _, audio = istft(after * gain ** (power - 1), nperseg=size)
    return audio[: len(estimate)]


def measure(model: Path | str, pairs: Sequence[tuple[Path, Path]]) -> list[Row]:
    """Return a row for each pair and each limit or power.

    Raises:
        ModelError, DatasetError: the network or a pair cannot be used.
    """
    denoiser, rows = Denoiser(model), []
    for name, (clean, noisy) in zip(names_of(pairs), pairs, strict=True):
        target, mixture, sample_rate = read_pair(clean, noisy)
        estimate = denoiser.denoise(mixture, sample_rate)
        made = {("limit", limit): mixture + Strength(limit).weight * (estimate - mixture) for limit in LIMITS_DB}
        made |= {("power", power): raised(estimate, mixture, sample_rate, power) for power in POWERS}
        for (series, value), audio in made.items():
            parts = decompose(audio, target, mixture, sample_rate)
            left = {f"noise_left_{band}": level for band, level in enumerate(parts.noise_left)}
            rows.append({"series": series, "value": value, "file": name, "distortion": parts.distortion} | left)
    return rows


def points(rows: Sequence[Mapping[str, Any]], files: Sequence[str]) -> Points:
    """Return the points of files, each the mean of its rows."""
    of_file = [[row for row in rows if row["file"] == name] for name in files]
    distortion = [fmean(row["distortion"] for row in own) for own in of_file]
    left = [fmean(_noise_left(row) for row in own) for own in of_file]
    return Points(np.array(distortion), np.array(left))


def _noise_left(row: Mapping[str, Any]) -> float:
    """Return the mean over the bands in which there is noise, dB; nan where there is none."""
    levels = [row[f"noise_left_{band}"] for band in range(len(BANDS_HZ))]
    there = [level for level in levels if np.isfinite(level)]
    return fmean(there) if there else math.nan


def beside(curve: Sequence[Points], ours: Points) -> tuple[float, float, float]:
    """Return how much more noise is left than on a curve at the same distortion, dB, with its 95 % interval.

    Args:
        curve: of one network, at growing distortion.
        ours: of the same files.

    Returns:
        Three times nan where the curve does not reach that distortion.
    """
    x, y = (np.stack([point[axis] for point in curve]) for axis in (0, 1))  # [points, files]
    files = ours.distortion.size
    drawn = np.random.default_rng(SEED).multinomial(files, np.full(files, 1 / files), RESAMPLES) / files
    weights = np.concatenate([np.full((1, files), 1 / files), drawn])
    places, levels = x @ weights.T, y @ weights.T  # [points, resamples]
    own, noise = weights @ ours.distortion, weights @ ours.noise_left
    there = [
        np.interp(at, place, level, left=np.nan, right=np.nan)
        for at, place, level in zip(own, places.T, levels.T, strict=True)
    ]
    found = noise - np.array(there)
    if not np.isfinite(found).all():
        return (np.nan, np.nan, np.nan)
    return (float(found[0]), *percentiles(found[1:]))


class Curves(NamedTuple):
    """What is drawn and tabled."""

    limits: list[Points]
    powers: list[Points]
    losses: dict[str, Points]  # by their labels


def curves(rows: Sequence[Row], losses: Sequence[Mapping[str, Any]]) -> Curves:
    """Gather the points of a network and of losses on the same files, those that have speech and noise.

    Raises:
        ValueError: no file has both.
    """
    without = {row["file"] for row in rows if not np.isfinite([row["distortion"], _noise_left(row)]).all()}
    if not (files := list(dict.fromkeys(row["file"] for row in rows if row["file"] not in without))):
        raise ValueError("--set: no file has both speech and noise")
    series = {
        name: [
            points([row for row in rows if (row["series"], row["value"]) == (name, value)], files) for value in values
        ]
        for name, values in (("limit", LIMITS_DB), ("power", POWERS))
    }
    own = {
        loss.label: points([row for row in losses if row["loss"] == name], files)
        for name, loss in LOSSES.items()
        if any(row["loss"] == name for row in losses)
    }
    return Curves(series["limit"], series["power"], own)


def tables(found: Curves, model: str) -> str:
    """Return where powers, limits and losses lie, as Markdown."""
    lines: list[list[str | float]] = []
    for power, point in zip(POWERS, found.powers, strict=True):
        lines.append([f"gains to the power {power:g}", *_levels(point), ""])
    limits = {f"attenuation limit {limit:g} dB": point for limit, point in zip(LIMITS_DB, found.limits, strict=True)}
    for label, point in (limits | found.losses).items():
        offset, low, high = (round(value, 2) + 0.0 for value in beside(found.powers, point))  # no -0.00
        mean = f"**{offset:+.2f}**" if low > 0 or high < 0 else f"{offset:+.2f}"
        shown = f"{mean} ({low:+.2f} to {high:+.2f})" if np.isfinite(offset) else "beyond it"
        lines.append([label, *_levels(point), shown])
    return (
        f"The curve is that of `{model}` with its gains to a power. Below 0 less noise is left than there at the same "
        "distortion.\n\n"
        + markdown_table(["", "speech distorted, dB", "noise left, dB", "beside the curve, dB"], lines)
    )


def _levels(point: Points) -> list[str]:
    return [f"{values.mean():.2f}" for values in point]


def figure(found: Curves, model: str) -> Figure:
    """Draw the curves, and the losses beside them."""
    drawn = Figure(figsize=(11, 7), layout="constrained")
    axis = drawn.subplots()
    for label, series, style in (
        (f"{model}, gains to a power", found.powers, "o-"),
        (f"{model}, attenuation limit", found.limits, "s--"),
    ):
        x, y = ([point[place].mean() for point in series] for place in (0, 1))
        axis.plot(x, y, style, color="gray", markersize=3, label=label)
    for number, (label, point) in enumerate(found.losses.items()):
        marker = "oDv^sP*X"[number // 10 % 8]
        axis.plot(
            point.distortion.mean(), point.noise_left.mean(), marker, color=f"C{number % 10}", label=label, markersize=8
        )
    axis.set(
        xlabel="speech distorted, dB of the speech", ylabel="noise left in speech, dB of the noise, mean of 4 bands"
    )
    if found.losses:
        near = np.array([[values.mean() for values in point] for point in found.losses.values()])
        (left, low), (right, high) = near.min(axis=0) - MARGIN_DB, near.max(axis=0) + MARGIN_DB
        axis.set(xlim=(left, right), ylim=(low, high))
    axis.set_title("towards the lower left is better")
    axis.grid(alpha=0.3)
    drawn.legend(loc="outside right upper", fontsize=8)
    return drawn


def get_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(prog="python -m enhance.tradeoff", description=(__doc__ or "").partition("\n")[0])
    named = "registered name or .onnx file; for losses that of their control"
    parser.add_argument("--model", required=True, help=named, metavar="NAME|FILE")
    parser.add_argument("--set", type=Path, required=True, help="folder with clean/ and noisy/", metavar="DIR")
    parser.add_argument("--losses", type=Path, help="ablation.csv of enhance.ablate, of one size", metavar="FILE.csv")
    parser.add_argument("--out", type=Path, required=True, help="folder for CSV, JSON, Markdown and PNG", metavar="DIR")
    return parser


def tradeoff(arguments: argparse.Namespace) -> str:
    """Measure, write and return the tables.

    Raises:
        ValueError, OSError, DatasetError, ModelError: with a message for the user.
    """
    pairs, losses = find_pairs(arguments.set), list[Row]()
    if arguments.losses:
        if not arguments.losses.is_file():
            raise ValueError(f"--losses: there is no file {arguments.losses}")
        every = load_rows(arguments.losses, ("size", "loss", "set", "file"))
        losses = [row for row in every if row["set"] == arguments.set.resolve().name]
        if len({row["size"] for row in losses}) != 1:
            raise ValueError(f"--losses: expected rows of one size on '{arguments.set.resolve().name}'")
        if other := {row["file"] for row in losses} ^ {*names_of(pairs)}:
            raise ValueError(f"--losses: expected rows of the files in --set; '{min(other)}' is in one of them alone")
        measured = {row["loss"] for row in losses if np.isfinite(row.get("distortion", math.nan))}
        if without := {row["loss"] for row in losses} - measured:
            raise ValueError(
                f"--losses: the rows of '{min(without)}' do not say how much is distorted and left: enhance.ablate did "
                "not measure it then; run it again with another --out"
            )
    arguments.out.mkdir(parents=True, exist_ok=True)
    begin, rows = time.monotonic(), measure(arguments.model, pairs)
    found = curves(rows, losses)
    model = Path(arguments.model).stem if is_model_file(arguments.model) else arguments.model
    about = {"model": model, "set": arguments.set.resolve().name}
    report = Report(NAME, rows, tables(found, model), about, figure(found, model), PACKAGES)
    save_report(report, arguments.out, time.monotonic() - begin)
    return report.table


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    try:
        print(tradeoff(get_parser().parse_args(argv)))
    except (ValueError, OSError, DatasetError, ModelError) as error:
        return fail("enhance.tradeoff", error)
    return 0


if __name__ == "__main__":
    run("enhance.tradeoff", main)
