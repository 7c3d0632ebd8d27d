"""Tables and figure of `enhance.ablate`: means of each loss, and differences from the baseline file by file.

A difference is paired: for each file, the mean over seeds of a loss minus that of the baseline. Its 95 % interval is a
bootstrap over files. Where an interval excludes 0 and every seed has the same sign, the difference is printed bold;
the intervals are not corrected for the number of comparisons.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from enhance.evaluation.results import Metric, Summary, bootstrap
from enhance.reporting.markdown import markdown_table

SCORES = {
    "pesq": Metric("PESQ-WB", "MOS-LQO", 3),
    "estoi": Metric("ESTOI", "", 3),
    "si_sdr": Metric("SI-SDR", "dB", 2),
    "sig": Metric("SIG", "MOS", 3),
    "bak": Metric("BAK", "MOS", 3),
    "ovrl": Metric("OVRL", "MOS", 3),
    "covl": Metric("COVL", "MOS", 3),
    "visqol": Metric("ViSQOL", "MOS", 3),
    "nmr": Metric("Noise-to-mask", "dB", 2),
    "pause_residual": Metric("Residual in pauses", "dB", 2),
    "speech_gain": Metric("Speech gain", "dB", 2),
}
BANDS = ("0-1", "1-4", "4-8", "8-24")  # kHz, those of `enhance.evaluation.decomposition`
SPLIT = {
    "distortion": Metric("Speech distorted", "dB", 1),
    **{f"noise_left_{number}": Metric(f"Noise left {band} kHz", "dB", 1) for number, band in enumerate(BANDS)},
    **{f"pause_left_{number}": Metric(f"In pauses {band} kHz", "dB", 1) for number, band in enumerate(BANDS)},
}
"""What an estimate is made of; runs on record from before it was measured lack it."""
OPPONENTS = ("l1", "l2", "some-pesq")  # that others are compared with, beside the baseline, if there are runs of them
DRAWN = ("pesq", "estoi", "si_sdr", "ovrl", "visqol", "nmr")
MISSING = "-"  # no such run, or a score that no file of the set has, as pauses where nobody pauses
LOWER_IS_BETTER = ("nmr", "pause_residual")

Row = Mapping[str, Any]


def by_file(rows: Sequence[Row], score: str, **where: Any) -> dict[int, dict[str, float]]:
    """Return for each seed, a score of each file, of the rows that match."""
    found: dict[int, dict[str, float]] = {}
    for row in rows:
        if all(row[key] == value for key, value in where.items()):
            found.setdefault(row["seed"], {})[row["file"]] = row[score]
    return found


def difference(ours: dict[int, dict[str, float]], theirs: dict[int, dict[str, float]]) -> tuple[Summary, bool]:
    """Return paired difference over the seeds that both have, and whether all of these agree in sign.

    Example:
        >>> summary, agree = difference({0: {"a": 2.0, "b": 3.0}}, {0: {"a": 1.0, "b": 2.0}})
        >>> summary.mean, agree
        (1.0, True)
    """
    seeds = sorted(ours.keys() & theirs.keys())
    files = sorted(ours[seeds[0]])
    each = np.array([[ours[seed][file] - theirs[seed][file] for file in files] for seed in seeds])
    signs = [np.sign(bootstrap(row).mean) for row in each]
    return bootstrap(each.mean(axis=0)), all(sign == signs[0] for sign in signs)


def grid(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Return sizes and sets that there are rows of, in their order."""
    return list(dict.fromkeys((row["size"], row["set"]) for row in rows))


def losses_of(rows: Sequence[Row], size: str, labels: Mapping[str, str]) -> list[str]:
    """Return losses that there are rows of, in the order of the labels."""
    found = {row["loss"] for row in rows if row["size"] == size}
    return [name for name in labels if name in found]


def tables(rows: Sequence[Row], labels: Mapping[str, str], baseline: str) -> str:
    """Return all tables as Markdown."""
    parts = []
    for size, name in sorted(grid(rows), key=lambda pair: pair[1] != "eval"):
        losses = losses_of(rows, size, labels)
        means = []
        opponents = [opponent for opponent in (baseline, *OPPONENTS) if opponent in losses]
        paired: dict[str, list[list[str | float]]] = {opponent: [] for opponent in opponents}
        for loss in losses:
            where = {"size": size, "set": name, "loss": loss}
            values = [
                fmean(bootstrap(seed.values()).mean for seed in by_file(rows, score, **where).values())
                for score in SCORES
            ]
            means.append([labels[loss], *map(_shown, values, SCORES.values())])
            for opponent in opponents:
                if loss not in (opponent, baseline):
                    paired[opponent].append(
                        [labels[loss], *(_difference(rows, score, where, opponent) for score in SCORES)]
                    )
        seeds = sorted({row["seed"] for row in rows if row["size"] == size})
        minutes = [row["minutes"] for row in rows if row["size"] == size]
        parts += [
            f"**`{size}` on {name}**: means over files and seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}; "
            f"{min(minutes):.0f} to {max(minutes):.0f} minutes a run.",
            "",
        ]
        parts += [markdown_table(["loss", *(m.label for m in SCORES.values())], means), ""]
        for opponent in (opponent for opponent in opponents if paired[opponent]):
            name_of = "the baseline" if opponent == baseline else labels[opponent]
            parts += [f"Difference from {name_of}, with its 95 % interval:", ""]
            parts += [markdown_table(["loss", *(m.label for m in SCORES.values())], paired[opponent]), ""]
        parts += split_table(rows, size, name, labels)
    return "\n".join(parts)


def split_table(rows: Sequence[Row], size: str, name: str, labels: Mapping[str, str]) -> list[str]:
    """Return distorted speech and remaining noise, means over files and seeds, of the rows that have them."""
    rows = [row for row in rows if np.isfinite(row.get("distortion", np.nan))]
    lines = []
    for loss in losses_of(rows, size, labels):
        seeds = [by_file(rows, score, size=size, set=name, loss=loss).values() for score in SPLIT]
        values = [fmean(bootstrap(seed.values()).mean for seed in of_score) for of_score in seeds]
        lines.append([labels[loss], *map(_shown, values, SPLIT.values())])
    if not lines:
        return []
    said = "Speech that is distorted and noise that is left, both in dB of what there was (`decomposition`):"
    return [said, "", markdown_table(["loss", *(metric.label for metric in SPLIT.values())], lines), ""]


def _shown(value: float, metric: Metric) -> str:
    return f"{value:.{metric.digits}f}" if np.isfinite(value) else MISSING


def _difference(rows: Sequence[Row], score: str, where: Mapping[str, Any], baseline: str) -> str:
    ours, theirs = by_file(rows, score, **where), by_file(rows, score, **{**where, "loss": baseline})
    if not ours.keys() & theirs.keys():
        return MISSING
    summary, agree = difference(ours, theirs)
    if not np.isfinite(summary.mean):
        return MISSING
    digits = SCORES[score].digits
    mean = f"{summary.mean:+.{digits}f}"
    if agree and (summary.low > 0 or summary.high < 0):
        mean = f"**{mean}**"
    return f"{mean} ({summary.low:+.{digits}f} to {summary.high:+.{digits}f})"


def figure(rows: Sequence[Row], labels: Mapping[str, str], baseline: str) -> Figure:
    """Return differences from the baseline on the first set: a panel for each of DRAWN, a colour for each size."""
    name = grid(rows)[0][1] if rows else ""
    drawn = Figure(figsize=(12, 6.5), layout="constrained")
    sizes = list(dict.fromkeys(size for size, _ in grid(rows)))
    shown = [loss for loss in labels if loss != baseline and any(row["loss"] == loss for row in rows)]
    if not shown:
        return drawn
    axes = drawn.subplots(2, 3).flatten()
    for axis, score in zip(axes, DRAWN, strict=True):
        metric = SCORES[score]
        for number, size in enumerate(sizes):
            places, means, errors = [], [], []
            for place, loss in enumerate(shown):
                where = {"size": size, "set": name}
                ours, theirs = by_file(rows, score, loss=loss, **where), by_file(rows, score, loss=baseline, **where)
                if not ours.keys() & theirs.keys():
                    continue
                summary, _ = difference(ours, theirs)
                places.append(place + 0.2 * (number - (len(sizes) - 1) / 2))
                means.append(summary.mean)
                errors.append((summary.mean - summary.low, summary.high - summary.mean))
            if places:
                axis.errorbar(
                    means, places, xerr=np.array(errors).T, fmt="o", color=f"C{number}", label=size, capsize=3
                )
        axis.axvline(0, color="black", linewidth=0.8)
        better = "lower" if score in LOWER_IS_BETTER else "higher"
        axis.set(title=f"{metric.label} ({better} is better)", ylim=(len(shown) - 0.5, -0.5))
        axis.set_yticks(range(len(shown)), [labels[loss] for loss in shown] if axis in axes[::3] else [])
        axis.grid(axis="x", alpha=0.3)
    if axes[0].get_legend_handles_labels()[0]:  # not before the baseline has rows
        axes[0].legend(title="size")
    drawn.supxlabel(f"difference from {labels[baseline]}, 95 % interval over the files of {name}")
    return drawn
