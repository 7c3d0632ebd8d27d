"""Tables, verdicts and the figure of the paper's experiment.

A score is a matrix over seeds and held-out files (several items of one file are averaged). The interval of a mean is
the 95 % percentile interval of the bootstrap over both: seeds and files are drawn with replacement, independently, as
for random effects that cross (Owen, "The pigeonhole bootstrap", 2007, doi:10.1214/07-AOAS122). Losses are compared by
the interval of their paired differences, file by file and seed by seed.

The opponent of a codec loss is the plain loss with the best mean in that score, domain and capacity. It is chosen on
the very scores that it is then compared in, which favours it a little. A codec loss wins where the interval of the
difference lies on the good side of 0, loses where it lies on the other, and ties where it holds 0. Three seeds make
the intervals a little too narrow, and of so many verdicts one in twenty may be chance: read the pattern.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from emulator.evidence.autoencoder.data import DOMAINS
from emulator.evidence.autoencoder.losses import KINDS, START
from emulator.evidence.autoencoder.runs import Result
from emulator.evidence.perceptual_scores import SCORES, Score
from enhance.evaluation.bootstrap import interval_over_both
from enhance.reporting.markdown import markdown_table

BOOTSTRAP_SEED = 0
WIN, TIE, LOSS = "wins", "ties", "loses"
CONTROLS = (("paper", "random"), ("ours", "mr-stft"))
"""Pairs that tell what an emulator adds: training to its layers, the codec's terms to the baseline among them."""
Matrix = NDArray[np.float64]


class Interval(NamedTuple):
    """A mean and its 95 % interval."""

    mean: float
    low: float
    high: float


class Comparison(NamedTuple):
    """A loss against another."""

    domain: str
    width: int
    loss: str
    score: str
    opponent: str
    difference: Interval
    verdict: str


def bootstrap(values: Matrix) -> Interval:
    """Return the mean of ``[seeds, files]`` with its interval over both.

    Example:
        >>> bootstrap(np.array([[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]]))
        Interval(mean=1.5, low=1.0, high=2.0)
    """
    low, high = interval_over_both(values, np.random.default_rng(BOOTSTRAP_SEED))
    return Interval(float(values.mean()), low, high)


def matrix(results: Sequence[Result], domain: str, width: int, loss: str, score: str) -> Matrix:
    """Return a score as ``[seeds, files]``, both in ascending order."""
    chosen = sorted(
        (r for r in results if (r.run.domain, r.run.width, r.run.loss) == (domain, width, loss)),
        key=lambda result: result.run.seed,
    )
    rows = []
    for result in chosen:
        files: dict[str, list[float]] = {}
        for item, scores in result.scores.items():
            files.setdefault(result.files[item], []).append(scores[score])
        rows.append([float(np.mean(files[name])) for name in sorted(files)])
    return np.array(rows)


def verdict(difference: Interval, score: Score) -> str:
    """Return what the interval of a difference, codec minus plain, says.

    Example:
        >>> verdict(Interval(-0.5, -0.8, -0.2), SCORES["lsd"])
        'wins'
    """
    low, high = (difference.low, difference.high) if score.higher_is_better else (-difference.high, -difference.low)
    return WIN if low > 0 else LOSS if high < 0 else TIE


def compare(results: Sequence[Result]) -> list[Comparison]:
    """Return every loss with an emulator against the best plain loss, in every score that judges."""
    pairs = []
    for domain, width in _cells(results):
        losses = _losses(results, domain, width)
        plain = [name for name in losses if KINDS[name].plain]
        for score_name, score in SCORES.items():
            if score.judges and plain:
                sign = 1 if score.higher_is_better else -1
                best = max(plain, key=lambda n: sign * matrix(results, domain, width, n, score_name).mean())
                pairs += [(domain, width, n, score_name, best) for n in losses if KINDS[n].preset is not None]
    return [_compared(results, *pair) for pair in pairs]


def tally(results: Sequence[Result]) -> str:
    """Count how often each loss with an emulator wins, ties and loses against each plain loss, a row for each pair."""
    judges = {name: score for name, score in SCORES.items() if score.judges}
    lines: list[list[str | float]] = []
    for loss, kind in KINDS.items():
        for other in (name for name in KINDS if KINDS[name].plain and kind.preset is not None):
            cells = [cell for cell in _cells(results) if {loss, other} <= set(_losses(results, *cell))]
            if not cells:
                continue
            line: list[str | float] = [kind.label, KINDS[other].label]
            for name in judges:
                found = [_compared(results, *cell, loss, name, other).verdict for cell in cells]
                line.append(" / ".join(str(found.count(word)) for word in (WIN, TIE, LOSS)))
            lines.append(line)
    return markdown_table(["loss", "against", *(score.label for score in judges.values())], lines)


def controls(results: Sequence[Result]) -> list[Comparison]:
    """Return the pairs of CONTROLS in every score that judges."""
    return [
        _compared(results, domain, width, loss, name, other)
        for domain, width in _cells(results)
        for loss, other in CONTROLS
        for name, score in SCORES.items()
        if score.judges and {loss, other} <= set(_losses(results, domain, width))
    ]


def _compared(results: Sequence[Result], domain: str, width: int, loss: str, score: str, opponent: str) -> Comparison:
    values, others = (matrix(results, domain, width, name, score) for name in (loss, opponent))
    difference = bootstrap(values - others)
    return Comparison(domain, width, loss, score, opponent, difference, verdict(difference, SCORES[score]))


def tables(results: Sequence[Result]) -> str:
    """Return all tables, with what they say in words."""
    against_plain, against_controls = compare(results), controls(results)
    seeds, widths = ({getattr(result.run, name) for result in results} for name in ("seed", "width"))
    items = max(len(result.scores) for result in results)
    parts = [
        f"Autoencoders of {', '.join(map(str, sorted(widths)))} numbers per frame of 16 ms, {len(seeds)} seeds, "
        f"{max(result.steps for result in results)} steps each, {items} held-out items per domain. A loss wins or "
        "loses where the 95 % interval of the paired difference lies on one side of 0; one in twenty may be chance."
    ]
    if against_plain:
        parts += ["Wins, ties and losses against each plain loss, of all domains and capacities:", tally(results)]
        parts.append("Against the best plain loss (l1, l2, multi-resolution STFT) of each score, domain and capacity:")
        parts.append(_summary(against_plain, controlled=False))
    if against_controls:
        parts += ["Against its control:", _summary(against_controls, controlled=True)]
    for domain in dict.fromkeys(domain for domain, _ in _cells(results)):
        parts.append(_means(results, domain))
    if against_plain or against_controls:
        parts.append("Paired differences over files and seeds, with 95 % intervals:")
        parts.append(_differences([*against_plain, *against_controls], len(against_plain)))
    return "\n\n".join(parts)


def figure(results: Sequence[Result]) -> Figure:
    """Return each score against capacity, a line for each loss, a row for each domain."""
    domains = list(dict.fromkeys(domain for domain, _ in _cells(results)))
    names = [name for name in SCORES if SCORES[name].judges]
    drawn = Figure(figsize=(3.6 * len(names), 3.3 * len(domains) + 0.8), layout="constrained")
    axes = drawn.subplots(len(domains), len(names), squeeze=False)
    losses = [name for name in KINDS if any(result.run.loss == name for result in results)]
    for row, domain in zip(axes, domains, strict=True):
        widths = [width for known, width in _cells(results) if known == domain]
        for axis, name in zip(row, names, strict=True):
            score = SCORES[name]
            for number, loss in enumerate(losses):
                intervals = [bootstrap(matrix(results, domain, width, loss, name)) for width in widths]
                places = np.arange(len(widths)) + 0.07 * (number - len(losses) / 2)
                means = np.array([interval.mean for interval in intervals])
                errors = np.abs(np.array([[i.low, i.high] for i in intervals]).T - means)
                kind, style = KINDS[loss], {"color": f"C{number}", "label": KINDS[loss].label}
                line = ":" if loss == START else "--" if kind.plain else "-"
                axis.errorbar(places, means, errors, linestyle=line, marker="o", markersize=4, capsize=2, **style)
            axis.set_xticks(np.arange(len(widths)), [str(width) for width in widths])
            axis.set_title(f"{domain}: {score.label}, {score.unit}", fontsize=10)
            axis.set_xlabel("numbers per frame (16 ms)")
            if not score.higher_is_better:
                axis.invert_yaxis()
            axis.grid(alpha=0.3)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=9)
    drawn.suptitle("Up is better; 95 % intervals over files and seeds (of means: paired differences are in the table)")
    return drawn


def _cells(results: Sequence[Result]) -> list[tuple[str, int]]:
    found = {(result.run.domain, result.run.width) for result in results}
    return sorted(found, key=lambda cell: (DOMAINS.index(cell[0]), cell[1]))


def _losses(results: Sequence[Result], domain: str, width: int) -> list[str]:
    """Return names in the order of KINDS."""
    there = {result.run.loss for result in results if (result.run.domain, result.run.width) == (domain, width)}
    return [name for name in KINDS if name in there]


def _label(score: Score) -> str:
    return f"{score.label}, {score.unit} ({'higher' if score.higher_is_better else 'lower'} is better)"


def _means(results: Sequence[Result], domain: str) -> str:
    header = [f"{domain}: numbers per frame, loss", *(_label(score) for score in SCORES.values())]
    rows: list[list[str | float]] = []
    for known, width in _cells(results):
        if known != domain:
            continue
        losses = _losses(results, domain, width)
        means = {(n, s): float(matrix(results, domain, width, n, s).mean()) for n in losses for s in SCORES}
        trained = [loss for loss in losses if loss != START]
        for loss in losses:
            row: list[str | float] = [f"{width}, {KINDS[loss].label}"]
            for name, score in SCORES.items():
                column = [means[other, name] for other in trained]
                best = bool(column) and means[loss, name] == (max(column) if score.higher_is_better else min(column))
                text = f"{means[loss, name]:.{score.digits}f}"
                row.append(f"**{text}**" if best and loss != START and score.judges else text)
            rows.append(row)
    return markdown_table(header, rows)


def _differences(comparisons: Sequence[Comparison], plain: int) -> str:
    """Return lines of differences; the first `plain` comparisons are those with the best plain loss."""
    judges = [name for name, score in SCORES.items() if score.judges]
    header = ["domain, numbers per frame, loss, opponent"]
    header += [f"{SCORES[name].label}, {SCORES[name].unit}" for name in judges]
    rows: dict[tuple[str, int, str, bool], dict[str, Comparison]] = {}
    for number, c in enumerate(comparisons):
        rows.setdefault((c.domain, c.width, c.loss, number < plain), {})[c.score] = c
    lines: list[list[str | float]] = []
    for (domain, width, loss, _), found in rows.items():
        line: list[str | float] = [f"{domain} {width}, {loss}"]
        for name in judges:
            c, digits = found[name], SCORES[name].digits
            mean, low, high = (f"{value:+.{digits}f}" for value in c.difference)
            line.append(f"{c.verdict} against {c.opponent}: {mean} ({low} to {high})")
        lines.append(line)
    return markdown_table(header, lines)


def _summary(comparisons: Sequence[Comparison], controlled: bool) -> str:
    lines = []
    for loss in dict.fromkeys(comparison.loss for comparison in comparisons):
        opponent = f" against {KINDS[dict(CONTROLS)[loss]].label}" if controlled else ""
        lines.append(f"- **{KINDS[loss].label}**{opponent}:")
        for name, score in SCORES.items():
            chosen = [c for c in comparisons if (c.loss, c.score) == (loss, name)]
            if chosen:
                counts = [f"{word} {_places(chosen, word)}" for word in (WIN, TIE, LOSS) if _places(chosen, word)]
                lines.append(f"  - {score.label}: {'; '.join(counts)}.")
    return "\n".join(lines)


def _places(comparisons: Sequence[Comparison], word: str) -> str:
    """Return where there was that verdict: count, and widths by domain."""
    widths: dict[str, list[str]] = {}
    for c in comparisons:
        if c.verdict == word:
            widths.setdefault(c.domain, []).append(str(c.width))
    count = sum(len(found) for found in widths.values())
    where = ", ".join(f"{domain} at {' '.join(found)}" for domain, found in widths.items())
    return f"{count} of {len(comparisons)} ({where})" if count else ""
