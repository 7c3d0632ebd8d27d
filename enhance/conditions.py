"""`python -m enhance.conditions --model NAME|FILE --out FOLDER ...`: score a model on hard cases that a test set lacks.

Thirteen cases (`enhance.evaluation.hard_cases`), the same number of pairs each, made from recordings that no training
has seen; a case that these hold nothing for is left out, and named. For each case the means before and after, and the
file that gained least. FOLDER gets MODEL_conditions.md, .csv and .json; `enhance.card` shows the table.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from enhance.data.recordings import require_recordings
from enhance.dsp.rate import SAMPLE_RATE
from enhance.evaluation import metrics
from enhance.evaluation.hard_cases import CASES, Recordings, language, make_pair, missing
from enhance.evaluation.results import model_name
from enhance.evaluation.scoring import loaded, of_each
from enhance.reporting.markdown import markdown_table
from enhance.reporting.report import Report, save_report
from enhance.runtime.denoiser import Denoiser
from enhance.utils.command import run
from enhance.utils.errors import ModelError, fail

PAIRS = 8  # of each case
SHOWN = {"pesq": ("PESQ-WB", 2), "estoi": ("ESTOI", 2), "si_sdr": ("SI-SDR", 1), "ovrl": ("OVRL", 2)}

Row = dict[str, Any]


def measure(model: str, recordings: Recordings, task: tuple[str, int]) -> Row:
    """Return scores of one pair before and after."""
    case, number = task
    pair = make_pair(case, recordings, number)
    estimate = loaded(model).denoise(pair.noisy.astype(np.float32), SAMPLE_RATE)
    row: Row = {"case": case, "pair": number, "name": pair.name}
    for stage, audio in (("before", pair.noisy), ("after", estimate)):
        row |= {f"{name}_{stage}": value for name, value in scores(audio, pair.target).items()}
    return row | {"speech_gain": metrics.speech_gain_db(estimate, pair.target, SAMPLE_RATE)}


def scores(audio: np.ndarray, target: np.ndarray) -> dict[str, float]:
    """Return the metrics of SHOWN; of equal signals, SI-SDR is not defined."""
    pair = audio, target, SAMPLE_RATE
    same = bool(np.array_equal(audio, target))
    return {
        "pesq": metrics.pesq_wb(*pair),
        "estoi": metrics.estoi(*pair),
        "si_sdr": float("nan") if same else metrics.si_sdr(*pair),
        "ovrl": metrics.dnsmos(audio, SAMPLE_RATE).ovrl,
    }


def table(rows: Sequence[Row]) -> str:
    """Return means of each case before and after, and the pair that gained least PESQ."""
    header = ["case", *(f"{label}, before to after" for label, _ in SHOWN.values()), "speech gain", "worst file"]
    lines: list[list[str]] = []
    for case in dict.fromkeys(row["case"] for row in rows):
        chosen = [row for row in rows if row["case"] == case]
        cells = []
        for name, (_, digits) in SHOWN.items():
            before, after = (np.array([row[f"{name}_{stage}"] for row in chosen]) for stage in ("before", "after"))
            cells.append(f"{mean(before, digits)} to {mean(after, digits)}")
        gains = np.array([row["pesq_after"] - row["pesq_before"] for row in chosen])
        worst = chosen[int(np.nanargmin(gains))] if np.isfinite(gains).any() else chosen[0]
        worst_case = f"{worst['name']}: PESQ {worst['pesq_before']:.2f} to {worst['pesq_after']:.2f}"
        lines.append([case, *cells, f"{mean(np.array([row['speech_gain'] for row in chosen]), 1)} dB", worst_case])
    pairs = 1 + max(row["pair"] for row in rows)
    return markdown_table(header, lines) + f"\n\n{pairs} pairs of 6 s each; SNR 5 dB unless stated.\n"


def mean(values: np.ndarray, digits: int) -> str:
    """Return the mean of the known values."""
    known = values[np.isfinite(values)]
    return f"{known.mean():.{digits}f}" if known.size else "-"


def get_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m enhance.conditions", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--model", required=True, help="a registered name or an ONNX file")
    for name in ("speech", "noise", "music"):
        parser.add_argument(f"--{name}", type=Path, required=True, help=f"folder of held-out {name}", metavar="DIR")
    trained = "folder of the speech trained on, for its languages"
    parser.add_argument("--trained", type=Path, required=True, help=trained, metavar="DIR")
    parser.add_argument("--out", type=Path, required=True, help="folder for table, CSV and JSON", metavar="DIR")
    parser.add_argument(
        "--pairs", type=int, default=PAIRS, help="pairs of each case (default %(default)s)", metavar="N"
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes (default 1)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    arguments = get_parser().parse_args(argv)
    begin = time.monotonic()
    try:
        if arguments.pairs < 1 or arguments.jobs < 1:
            raise ValueError("--pairs and --jobs: expected 1 or more")
        arguments.out.mkdir(parents=True, exist_ok=True)  # before the work, not after it
        known = frozenset(map(language, require_recordings(arguments.trained)))
        folders = arguments.speech, arguments.noise, arguments.music
        speech, noise, music = (require_recordings(folder) for folder in folders)
        recordings = Recordings(speech, noise, music, known)
        Denoiser(arguments.model)
        lacks = {case: lack for case in CASES if (lack := missing(case, recordings))}
        for case, lack in lacks.items():
            print(f"the case '{case}' is left out: {lack}", file=sys.stderr)
        cases = [case for case in CASES if case not in lacks]
        tasks = [(case, number) for case in cases for number in range(arguments.pairs)]
        name = model_name(arguments.model)
        rows = of_each(partial(measure, arguments.model, recordings), tasks, arguments.jobs, f"measuring {name}")
        report = Report(f"{name}_conditions", rows, table(rows), {"pairs": arguments.pairs, "cases": cases})
        save_report(report, arguments.out, time.monotonic() - begin)
    except (ValueError, OSError, soundfile.SoundFileError, ModelError) as error:
        return fail("enhance.conditions", error)
    print(table(rows))
    return 0


if __name__ == "__main__":
    run("enhance.conditions", main)
