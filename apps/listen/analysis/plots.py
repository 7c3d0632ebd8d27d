"""The picture of an analysis: preference bars, ABX shares, MUSHRA boxes (BS.1534-3, section 10.3), opinion scores."""

import io
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from apps.listen.analysis.mushra import grades_of
from apps.listen.analysis.results import ALL, Analysis
from apps.listen.analysis.statistics import quartiles
from apps.listen.design.scales import SCALES
from apps.listen.design.settings import Method
from apps.listen.design.texts import read_texts

BLUE, ORANGE, GREY, INK = "#2f6db3", "#d9822b", "#d5d8dc", "#24292f"  # different to colour-blind eyes, and in print
WORDS = ("Bad", "Poor", "Fair", "Good", "Excellent")  # the continuous quality scale (section 5.4)


def draw(analysis: Analysis) -> bytes:
    """Draw the results as PNG."""
    kinds = {Method.PAIRWISE: _preferences, Method.ABX: _shares, Method.MUSHRA: _grades}
    content = io.BytesIO()
    with rc_context({"text.parse_math": False}):  # a $ in a title or name is a dollar
        figure = kinds.get(analysis.plan.method, _opinions)(analysis)
        figure.suptitle(analysis.plan.settings.title, fontsize=12, fontweight="bold", color=INK)
        figure.savefig(content, format="png", dpi=150)
    return content.getvalue()


def _preferences(analysis: Analysis) -> Figure:
    """Draw a bar for each pair: preferred A, no preference, preferred B; the interval is that of A without ties."""
    rows = analysis.results
    figure = Figure(figsize=(9.5, 1.5 + 0.5 * len(rows)), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(rows))[::-1]
    parts = np.array([[row["prefer_a"], row["no_preference"], row["prefer_b"]] for row in rows], float)
    shares = 100 * parts / parts.sum(axis=1, keepdims=True)
    left = np.zeros(len(rows))
    names = ("prefers the left", "no preference", "prefers the right")
    for share, count, colour, name in zip(shares.T, parts.T, (BLUE, GREY, ORANGE), names, strict=True):
        axes.barh(places, share, left=left, color=colour, height=0.62, label=name)
        for place, start, width, number in zip(places, left, share, count, strict=True):
            if width > 4:
                ink = INK if colour == GREY else "white"
                axes.text(start + width / 2, place, f"{number:.0f}", ha="center", va="center", color=ink, fontsize=8)
        left = left + share
    _whiskers(axes, rows, places + 0.4, "left's share without no preference, 95 % Wilson")
    axes.axvline(50, color=INK, linewidth=0.8, linestyle=":")
    _sides(axes, places, [_left(analysis, row) for row in rows], [_label(analysis, row["b"]) for row in rows])
    axes.set(xlim=(0, 100), xlabel="answers (%)")
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    return figure


def _shares(analysis: Analysis) -> Figure:
    """Draw the share of right answers of each pair, all listeners together."""
    rows = [row for row in analysis.results if row["listener"] == ALL]
    figure = Figure(figsize=(8, 1.6 + 0.45 * len(rows)), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(rows))[::-1]
    _whiskers(axes, rows, places, "share of right answers, 95 % Wilson", BLUE)
    axes.axvline(50, color=INK, linewidth=0.8, linestyle=":", label="guessing")
    left = [f"{_left(analysis, row)} / {_label(analysis, row['b'])}" for row in rows]
    _sides(axes, places, left, [f"{row['correct']} of {row['answers']}, p = {row['p']:.3g}" for row in rows])
    axes.set(xlim=(0, 100), ylim=(-0.6, len(rows) - 0.4), xlabel="X found (%)")
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return figure


def _grades(analysis: Analysis) -> Figure:
    """Draw a box for each stimulus: quartiles; whiskers to the last grade within 1.5 times their distance."""
    plan, stimuli = analysis.plan, analysis.plan.on_a_page[0]
    figure = Figure(figsize=(max(6.0, 1.15 * len(stimuli) + 1.5), 4.2 * len(plan.sets)), layout="constrained")
    for axes, name in zip(figure.subplots(len(plan.sets), squeeze=False)[:, 0], plan.sets, strict=True):
        tables = [grades_of(analysis.marks, name, stimulus) for stimulus in stimuli]
        labels = [_wrapped(plan.labels.get(stimulus, stimulus)) for stimulus in stimuli]
        boxes = axes.bxp(
            [_box(table[~np.isnan(table)], label) for table, label in zip(tables, labels, strict=True)],
            widths=0.5,
            patch_artist=True,
            medianprops={"color": INK, "linewidth": 2},
            flierprops={"marker": ".", "markeredgecolor": INK, "markersize": 4},
        )
        for box in boxes["boxes"]:
            box.set(facecolor="#cfe0f3", edgecolor=BLUE)
        _intervals(axes, [row for row in analysis.results if row["set"] == name and row["item"] == ALL], stimuli)
        for level in range(0, 101, 20):
            axes.axhline(level, color=GREY, linewidth=0.7, zorder=0)
        for number, word in enumerate(WORDS):
            axes.text(
                1.01, (20 * number + 10) / 104, word, transform=axes.transAxes, va="center", fontsize=8, color=INK
            )
        axes.set(ylim=(-2, 102), ylabel="grade", title=name if len(plan.sets) > 1 else "")
        axes.tick_params(axis="x", labelsize=8)
    excluded = sum(bool(row.get("excluded")) for row in analysis.listeners)
    note = f"{len(analysis.marks)} listeners; {excluded} excluded by BS.1534-3 (4.1.2)"
    key = "box: quartiles and median; black: median, orange: mean, with 95 % bootstrap intervals"
    figure.supxlabel(f"{key}\n{note}", fontsize=8, color=INK)
    return figure


def _box(grades: np.ndarray, label: str) -> dict[str, Any]:
    """Return what matplotlib draws of grades, [any], with the quartiles of the table, which are not matplotlib's."""
    if not len(grades):
        return {**dict.fromkeys(("q1", "med", "q3", "whislo", "whishi"), np.nan), "fliers": [], "label": label}
    lower, median, upper = quartiles(grades)
    reach = 1.5 * (upper - lower)
    near = grades[(grades >= lower - reach) & (grades <= upper + reach)]
    ends = {"whislo": min(near.min(), lower), "whishi": max(near.max(), upper)}
    fliers = grades[(grades < ends["whislo"]) | (grades > ends["whishi"])]
    return {"q1": lower, "med": median, "q3": upper, **ends, "fliers": fliers, "label": label}


def _opinions(analysis: Analysis) -> Figure:
    """Draw the mean opinion of each system or pair, with its interval: a row for each set, a column for each scale."""
    plan, scales = analysis.plan, SCALES[analysis.plan.method]
    rows = [row for row in analysis.results if row["item"] == ALL]
    size = (max(5.0, 3.9 * len(scales)), (1.4 + 0.45 * len(plan.on_a_page)) * len(plan.sets) + 0.6)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(len(plan.sets), len(scales), squeeze=False, sharey="row")
    for across, name in zip(panels, plan.sets, strict=True):
        for axes, scale in zip(across, scales, strict=True):
            chosen = [row for row in rows if row["set"] == name and row["measure"] == scale.measure]
            places = np.arange(len(chosen))[::-1]
            values = np.array([[row["mean"], row["mean_low"], row["mean_high"]] for row in chosen]).reshape(-1, 3)
            errors = np.abs(values[:, 1:] - values[:, :1]).T
            axes.errorbar(values[:, 0], places, xerr=errors, fmt="o", color=BLUE, markersize=5, capsize=3)
            axes.set_yticks(places, [_opinion_label(analysis, row) for row in chosen])
            axes.set_xticks(scale.grades)
            axes.grid(axis="x", color=GREY, linewidth=0.7)
            title = f"{name}: {scale.measure}" if len(plan.sets) > 1 else scale.measure
            axes.set(xlim=(scale.grades[-1] - 0.2, scale.grades[0] + 0.2), ylim=(-0.6, len(chosen) - 0.4), title=title)
            words = read_texts()["scales"][scale.name]["answers"]
            axes.set_xlabel(
                f"{scale.grades[-1]}: {words[-1].lower()}, {scale.grades[0]}: {words[0].lower()}", fontsize=8
            )
            for spine in ("top", "right", "left"):
                axes.spines[spine].set_visible(False)
    figure.supxlabel("mean of all grades, with 95 % by resampling of listeners", fontsize=8, color=INK)
    return figure


def _opinion_label(analysis: Analysis, row: dict[str, Any]) -> str:
    if "system" in row:
        return _label(analysis, row["system"])
    return f"{_label(analysis, row['b'])} against {_label(analysis, row['a'])}"


def _intervals(axes: Axes, rows: list[dict[str, Any]], stimuli: tuple[str, ...]) -> None:
    """Draw the median and the mean with their intervals beside each box."""
    for name, colour, aside in (("median", INK, 0.33), ("mean", ORANGE, 0.42)):
        for row in rows:
            place = stimuli.index(row["system"]) + 1 + aside
            errors = [[row[name] - row[f"{name}_low"]], [row[f"{name}_high"] - row[name]]]
            axes.errorbar(place, row[name], errors, fmt="o", color=colour, markersize=4, capsize=3)


def _whiskers(axes: Axes, rows: list[dict[str, Any]], places: np.ndarray, name: str, colour: str = INK) -> None:
    values = 100 * np.array([[row["rate"], row["rate_low"], row["rate_high"]] for row in rows])
    errors = np.abs(values[:, 1:] - values[:, :1]).T
    axes.errorbar(values[:, 0], places, xerr=errors, fmt="o", color=colour, markersize=4, capsize=3, label=name)


def _sides(axes: Axes, places: np.ndarray, left: list[str], right: list[str]) -> None:
    """Write labels on both sides, without a frame."""
    axes.set_yticks(places, left)
    axes.tick_params(axis="y", length=0)
    other = axes.secondary_yaxis("right")
    other.set_yticks(places, right)
    other.tick_params(axis="y", length=0)
    for spine in (*axes.spines.values(), *other.spines.values()):
        spine.set_visible(False)


def _label(analysis: Analysis, stimulus: str) -> str:
    return analysis.plan.labels.get(stimulus, stimulus)


def _left(analysis: Analysis, row: dict[str, Any]) -> str:
    label = _label(analysis, row["a"])
    return f"{row['set']}: {label}" if len(analysis.plan.sets) > 1 else label


def _wrapped(label: str) -> str:
    """Put the words of a label below each other, so that labels do not meet."""
    lines = [""]
    for word in label.split():
        if lines[-1] and len(lines[-1]) + len(word) > 12:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)
