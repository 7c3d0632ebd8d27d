"""`python -m enhance.comparison`: put tables of scores and speed into a document.

`python -m enhance.comparison README.md --evaluation FILE.json... --benchmark FILE.md` puts the table of evaluations
into the document in place of what is between the markers `<!-- evaluation:begin -->` and `<!-- evaluation:end -->`, and
the tables of a benchmark between those of the name `benchmark`.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from enhance.evaluation.results import METRICS, Evaluation, load
from enhance.utils.errors import fail

COLUMNS = ("pesq", "stoi", "estoi", "si_sdr", "sig", "bak", "ovrl", "covl", "lsd")
DIGITS = (3, 3, 3, 1, 2, 2, 2, 2, 2)  # shown of each


@dataclass(frozen=True)
class Anchor:
    """A published system, run with its own weights on the evaluation set."""

    name: str
    sample_rate: int  # Hz
    parameters: int
    latency_ms: float
    scores: tuple[float, ...]  # in the order of COLUMNS
    rtf: float  # CPU seconds per second of audio on one thread, within 40 %


# Measured once with the published weights on the 32 mixtures of the evaluation set, with the metrics of this package;
# systems at 16 kHz got resampled input.
ANCHOR_SET, ANCHOR_FILES = "eval", 32
ANCHORS = (
    Anchor(
        "DeepFilterNet2 (whole file)",
        48000,
        2_310_000,
        40,
        (2.043, 0.897, 0.774, 11.3, 3.18, 4.03, 2.92, 2.72, 1.07),
        0.016,
    ),
    Anchor(
        "DeepFilterNet3 (whole file)",
        48000,
        2_130_000,
        40,
        (2.019, 0.895, 0.770, 11.2, 3.18, 3.98, 2.89, 2.66, 1.13),
        0.014,
    ),
    Anchor("NSNet2", 48000, 6_170_000, 20, (1.832, 0.868, 0.732, 9.0, 2.81, 3.94, 2.56, 2.47, 1.16), 0.018),
    Anchor("UL-UNAS (streaming)", 16000, 171_000, 32, (1.728, 0.862, 0.718, 9.8, 2.78, 3.84, 2.50, 2.34, 1.92), 0.051),
    Anchor("RNNoise 0.2", 48000, 2_900_000, 20, (1.666, 0.871, 0.721, 8.5, 3.05, 3.97, 2.77, 2.06, 1.27), 0.034),
    Anchor("DTLN (streaming)", 16000, 988_000, 32, (1.660, 0.857, 0.710, 10.0, 2.89, 3.66, 2.53, 2.39, 2.01), 0.035),
    Anchor("GTCRN (streaming)", 16000, 48_000, 32, (1.644, 0.847, 0.693, 8.6, 2.79, 3.77, 2.49, 2.33, 1.95), 0.058),
)


def comparison(evaluations: Sequence[Evaluation]) -> str:
    """Evaluations with their 95 % intervals, and the anchors where the set is theirs, as one Markdown table.

    Raises:
        ValueError: if there is no evaluation, or they are of different sets.
    """
    sets = {evaluation.set for evaluation in evaluations}
    if len(sets) != 1:
        raise ValueError(f"expected evaluations of one set, got {', '.join(sorted(sets)) or 'none'}")
    labels = [METRICS[name].label for name in COLUMNS]
    lines = [
        f"| system | rate | parameters | latency | {' | '.join(labels)} |",
        f"| --- | --- | --- | --- | {' | '.join(['---:'] * len(COLUMNS))} |",
    ]
    for evaluation in evaluations:
        about = _about(evaluation.sample_rate, evaluation.parameters, evaluation.latency_ms)
        known = [evaluation.metrics[name] for name in COLUMNS]
        lines.append(f"| **{evaluation.model}** | {about} | {_cells([summary.mean for summary in known])} |")
        bounds = [
            f"{low} to {high}" if low != "-" else "-"
            for low, high in zip(_texts([s.low for s in known]), _texts([s.high for s in known]), strict=True)
        ]
        lines.append(f"| 95 % interval | | | | {' | '.join(bounds)} |")
    if sets == {ANCHOR_SET} and all(evaluation.files == ANCHOR_FILES for evaluation in evaluations):
        for anchor in ANCHORS:
            about = _about(anchor.sample_rate, anchor.parameters, anchor.latency_ms)
            lines.append(f"| {anchor.name} | {about} | {_cells(anchor.scores)} |")
    return "\n".join([*lines, ""])


def insert(document: str, name: str, content: str) -> str:
    """The document with new content between the markers of that name.

    Example:
        >>> insert("<!-- x:begin -->old<!-- x:end -->", "x", "new")
        '<!-- x:begin -->\\nnew\\n<!-- x:end -->'

    Raises:
        ValueError: if the markers are not there once each, in order.
    """
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    before, found, rest = document.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed or document.count(begin) != 1 or document.count(end) != 1:
        raise ValueError(f"expected the markers {begin} and {end} once each, in this order")
    return f"{before}{begin}\n{content.strip()}\n{end}{after}"


def _about(sample_rate: int | None, parameters: int | None, latency_ms: float | None) -> str:
    if sample_rate is None or parameters is None or latency_ms is None:
        return "| |"
    size = f"{parameters / 1e6:.2f} M" if parameters >= 1e6 else f"{parameters / 1e3:.0f} k"
    return f"{sample_rate / 1000:g} kHz | {size} | {latency_ms:g} ms"


def _texts(values: Sequence[float]) -> list[str]:
    return ["-" if math.isnan(value) else f"{value:.{places}f}" for value, places in zip(values, DIGITS, strict=True)]


def _cells(values: Sequence[float]) -> str:
    return " | ".join(_texts(values))


def get_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m enhance.comparison", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("document", type=Path, help="the Markdown file to change")
    parser.add_argument("--evaluation", nargs="+", type=Path, default=[], metavar="FILE.json", help="rows of the table")
    parser.add_argument("--benchmark", type=Path, metavar="FILE.md", help="what enhance.benchmark wrote")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    arguments = get_parser().parse_args(argv)
    try:
        document = arguments.document.read_text(encoding="utf-8")
        if arguments.evaluation:
            document = insert(document, "evaluation", comparison([load(path) for path in arguments.evaluation]))
        if arguments.benchmark:
            document = insert(document, "benchmark", arguments.benchmark.read_text(encoding="utf-8"))
        arguments.document.write_text(document, encoding="utf-8")
    except (ValueError, OSError) as error:
        return fail("enhance.comparison", error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
