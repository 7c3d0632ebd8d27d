"""Evaluate a model on a set of clean and noisy pairs: `python -m enhance.evaluate --model NAME|FILE --set FOLDER`.

The set is a folder with `clean/` and `noisy/` that hold mono files of the same names, lengths and rates. Every noisy
file is denoised whole and measured (`enhance.evaluation.metrics`); the mean of each metric gets a 95 % interval by the
bootstrap over files (Efron 1979; seeded, percentile). Two probes follow, made from the same files: clean speech in,
which should come out untouched, and noise alone (noisy - clean) in, which should vanish. `--model noisy` measures the
unprocessed input, and `--estimates FOLDER`, in place of `--model`, the finished files of any other system, of the same
names, rates and lengths as the set's (without the probes); their results are named after the folder.

With `--out FOLDER`, three files are written, named after model and set: the table (.md), one row per file (.csv) and
all figures with versions and machine (.json), which `enhance.figures` and `enhance.card` read. `--against OTHER.csv`
adds the paired differences to an earlier evaluation of the same set, whose intervals are far narrower than those of
the means.

`--recognition` counts the words instead that a recogniser gets wrong in noisy, cleaned and clean files; the set then
has the words in `words.txt`, as `enhance.held_out --sentences` writes it.
"""

import argparse
import sys
from pathlib import Path

from enhance.evaluation.recognition import recognition
from enhance.evaluation.results import (
    NOISY,
    differences,
    load_scores,
    model_name,
    report,
    save,
)
from enhance.evaluation.scoring import evaluate
from enhance.utils.atomic import write_text
from enhance.utils.command import run
from enhance.utils.errors import DatasetError, ModelError, fail


def get_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(prog="python -m enhance.evaluate", description=(__doc__ or "").partition("\n")[0])
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--model", help=f"a registered name, an ONNX file, or '{NOISY}' for the input")
    source.add_argument("--estimates", type=Path, metavar="FOLDER", help="or finished files, named as those of the set")
    parser.add_argument("--set", required=True, type=Path, metavar="FOLDER", help="a folder with clean/ and noisy/")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write table, CSV and JSON there")
    parser.add_argument("--against", type=Path, metavar="CSV", help="earlier scores of the same files to compare with")
    parser.add_argument(
        "--recognition", action="store_true", help="word error rates by PocketSphinx; the set needs words.txt"
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes (default: 1)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; return the exit status."""
    arguments = get_parser().parse_args(argv)
    try:
        if arguments.jobs < 1:
            raise DatasetError(f"--jobs: expected at least 1, got {arguments.jobs}")
        if arguments.out:
            arguments.out.mkdir(parents=True, exist_ok=True)  # before the work, not after it
        if arguments.recognition:
            return _recognise(arguments)
        others = load_scores(arguments.against) if arguments.against else None
        evaluation, scores = evaluate(arguments.model or arguments.estimates, arguments.set, arguments.jobs)
        print(report(evaluation))
        if others is not None:
            print(f"Against {arguments.against.stem}:\n\n{differences(scores, others)}")
        if arguments.out:
            print(f"written: {save(evaluation, scores, arguments.out).with_suffix('.*')}", file=sys.stderr)
    except (DatasetError, ModelError, ValueError, OSError) as error:
        return fail("enhance.evaluate", error)
    return 0


def _recognise(arguments: argparse.Namespace) -> int:
    if arguments.against or arguments.model in (None, NOISY):
        raise DatasetError("--recognition compares with the noisy input itself: no --against, and --model is a network")
    text = recognition(arguments.model, arguments.set, arguments.jobs)
    print(text)
    if arguments.out:
        path = arguments.out / f"{model_name(arguments.model)}_recognition.md"
        write_text(path, text)
        print(f"written: {path}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    run("enhance.evaluate", main)
