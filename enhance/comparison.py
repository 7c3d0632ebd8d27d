"""`python -m enhance.comparison`: put tables of scores and speed into a document.

`python -m enhance.comparison README.md --evaluation FILE.json... --benchmark FILE.md` puts the table of evaluations
into the document in place of what is between the markers `<!-- evaluation:begin -->` and `<!-- evaluation:end -->`, and
the tables of a benchmark between those of the name `benchmark`.
"""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

from enhance.evaluation.published import ANCHOR_FILES, ANCHOR_SET, ANCHORS, COLUMNS, DIGITS
from enhance.evaluation.results import METRICS, Evaluation, load
from enhance.reporting.documents import insert
from enhance.reporting.markdown import markdown_table
from enhance.utils.atomic import write_bytes
from enhance.utils.command import run
from enhance.utils.errors import fail


def comparison(evaluations: Sequence[Evaluation]) -> str:
    """Return evaluations with their 95 % intervals, and the anchors where the set is theirs, as one Markdown table.

    Raises:
        ValueError: if there is no evaluation, or they are of different sets.
    """
    sets = {evaluation.set for evaluation in evaluations}
    if len(sets) != 1:
        raise ValueError(f"expected evaluations of one set, got {', '.join(sorted(sets)) or 'none'}")
    header = ["system", "rate", "parameters", "latency", *(METRICS[name].label for name in COLUMNS)]
    rows: list[list[str]] = []
    for evaluation in evaluations:
        about = _about(evaluation.sample_rate, evaluation.parameters, evaluation.latency_ms)
        known = [evaluation.metrics[name] for name in COLUMNS]
        rows.append([f"**{evaluation.model}**", *about, *_texts([summary.mean for summary in known])])
        bounds = [
            f"{low} to {high}" if low != "-" else "-"
            for low, high in zip(_texts([s.low for s in known]), _texts([s.high for s in known]), strict=True)
        ]
        rows.append(["95 % interval", "", "", "", *bounds])
    if sets == {ANCHOR_SET} and all(evaluation.files == ANCHOR_FILES for evaluation in evaluations):
        for anchor in ANCHORS:
            about = _about(anchor.sample_rate, anchor.parameters, anchor.latency_ms)
            rows.append([anchor.name, *about, *_texts(anchor.scores)])
    return markdown_table(header, rows, left=4) + "\n"


def _about(sample_rate: int | None, parameters: int | None, latency_ms: float | None) -> list[str]:
    """Return the cells of rate, parameters and latency: empty for what is no network."""
    if sample_rate is None or parameters is None or latency_ms is None:
        return ["", "", ""]
    size = f"{parameters / 1e6:.2f} M" if parameters >= 1e6 else f"{parameters / 1e3:.0f} k"
    return [
        f"{sample_rate / 1000:g} kHz",
        size,
        f"{latency_ms:g} ms" if latency_ms < 1000 else f"{latency_ms / 1000:.1f} s",
    ]


def _texts(values: Sequence[float]) -> list[str]:
    return ["-" if math.isnan(value) else f"{value:.{places}f}" for value, places in zip(values, DIGITS, strict=True)]


def get_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m enhance.comparison", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("document", type=Path, help="the Markdown file to change")
    parser.add_argument("--evaluation", nargs="+", type=Path, default=[], metavar="FILE.json", help="rows of the table")
    parser.add_argument("--benchmark", type=Path, metavar="FILE.md", help="what enhance.benchmark wrote")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; return the exit status."""
    arguments = get_parser().parse_args(argv)
    try:
        if not arguments.evaluation and not arguments.benchmark:
            raise ValueError("name what to put in: --evaluation, --benchmark or both")
        written = arguments.document.read_bytes().decode()
        document = written.replace("\r\n", "\n")
        if arguments.evaluation:
            document = insert(document, "evaluation", comparison([load(path) for path in arguments.evaluation]))
        if arguments.benchmark:
            document = insert(document, "benchmark", arguments.benchmark.read_text(encoding="utf-8"))
        document = document.replace("\n", "\r\n") if "\r\n" in written else document  # as Windows ends lines
        write_bytes(arguments.document, document.encode())
    except (ValueError, OSError) as error:
        return fail("enhance.comparison", error)
    return 0


if __name__ == "__main__":
    run("enhance.comparison", main)
