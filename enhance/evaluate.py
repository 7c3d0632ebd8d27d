"""Evaluate a model on a set of clean and noisy pairs: `python -m enhance.evaluate --model NAME|FILE --set FOLDER`.

The set is a folder with `clean/` and `noisy/` that hold mono files of the same names, lengths and rates. Every noisy
file is denoised whole and measured (`enhance.evaluation.metrics`); the mean of each metric gets a 95 % interval by the
bootstrap over files (Efron 1979; seeded, percentile). Two probes follow, made from the same files: clean speech in,
which should come out untouched, and noise alone (noisy - clean) in, which should vanish. `--model noisy` measures the
unprocessed input.

With `--out FOLDER`, three files are written, named after model and set: the table (.md), one row per file (.csv) and
all figures with versions and machine (.json), which `enhance.figures` and `enhance.card` read. `--against OTHER.csv`
adds the paired differences to an earlier evaluation of the same set, whose intervals are far narrower than those of
the means.
"""

import argparse
import multiprocessing
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from enhance.evaluation import metrics
from enhance.evaluation.composite import composite
from enhance.evaluation.results import (
    METRICS,
    NOISY,
    Evaluation,
    Scores,
    bootstrap,
    differences,
    load_scores,
    model_name,
    report,
    save,
)
from enhance.runtime.denoiser import Denoiser
from enhance.utils.environment import machine, versions
from enhance.utils.errors import DatasetError, ModelError, fail

Audio = NDArray[np.float32]
Denoise = Callable[[Audio, int], Audio]

PACKAGES = ("mpeace", "numpy", "onnxruntime", "soxr", "pesq", "pystoi", "speechmos")


def find_pairs(folder: Path) -> list[tuple[Path, Path]]:
    """Pairs (clean, noisy) of a set, sorted by name.

    Raises:
        DatasetError: if a folder is missing or empty, or a file has no partner.
    """
    names: dict[str, set[str]] = {}
    for part in ("clean", "noisy"):
        if not (folder / part).is_dir():
            raise DatasetError(f"{folder}: expected the folders clean/ and noisy/ in it, found no {part}/")
        names[part] = {path.name for path in (folder / part).iterdir() if path.is_file() and path.name[0] != "."}
    for part, other in (("clean", "noisy"), ("noisy", "clean")):
        if alone := sorted(names[part] - names[other]):
            more = f" and {len(alone) - 1} more" if len(alone) > 1 else ""
            raise DatasetError(f"{folder / part / alone[0]}{more}: no file of the same name in {other}/")
    if not names["clean"]:
        raise DatasetError(f"{folder}: expected pairs of files in clean/ and noisy/, found none")
    return [(folder / "clean" / name, folder / "noisy" / name) for name in sorted(names["clean"])]


def read_pair(clean: Path, noisy: Path) -> tuple[Audio, Audio, int]:
    """Both recordings, float32 of shape [time], and their rate.

    Raises:
        DatasetError: if a file cannot be read, is not mono, or differs from its partner in rate or length.
    """
    signals: list[Audio] = []
    rates: list[int] = []
    for path in (clean, noisy):
        try:
            audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise DatasetError(f"{path}: cannot be read ({error.error_string})") from error
        if audio.shape[1] != 1:
            raise DatasetError(f"{path}: expected one channel, got {audio.shape[1]}")
        signals.append(audio[:, 0].astype(np.float32))
        rates.append(rate)
    if rates[0] != rates[1] or signals[0].size != signals[1].size:
        sizes = [f"{signal.size} samples at {rate} Hz" for signal, rate in zip(signals, rates, strict=True)]
        raise DatasetError(f"{noisy}: expected what its clean file has, {sizes[0]}, got {sizes[1]}")
    return signals[0], signals[1], rates[0]


def score(estimate: Audio, target: Audio, noisy: Audio, sample_rate: int) -> Scores:
    """All metrics of one estimate, by the names in `METRICS`."""
    pair = estimate, target, sample_rate
    pesq = metrics.pesq_wb(*pair)
    ratings = metrics.dnsmos(estimate, sample_rate)
    estimate_16k, target_16k = (metrics.at_metric_rate(audio, sample_rate) for audio in (estimate, target))
    fitted = composite(estimate_16k, target_16k, metrics.METRIC_RATE, pesq)
    return {
        "pesq": pesq,
        "stoi": metrics.stoi(*pair),
        "estoi": metrics.estoi(*pair),
        "si_sdr": metrics.si_sdr(*pair),
        "snr": metrics.snr(*pair),
        **asdict(ratings),
        **asdict(fitted),
        "lsd": metrics.lsd(*pair),
        "speech_gain": metrics.speech_gain_db(*pair),
        "pause_residual": metrics.pause_residual_db(estimate, target, noisy, sample_rate),
    }


def probe(denoise: Denoise, clean: Audio, noise: Audio, sample_rate: int) -> Scores:
    """What the model does to clean speech and to noise alone, over the full band."""
    untouched = denoise(clean, sample_rate)
    return {
        "clean_si_sdr": metrics.si_sdr(untouched, clean, sample_rate),
        "clean_level": metrics.level_change_db(untouched, clean),
        "noise_level": metrics.level_change_db(denoise(noise, sample_rate), noise),
    }


def score_file(model: str, pair: tuple[Path, Path]) -> Scores:
    """All scores of one pair of files; the model stays loaded in the process.

    Raises:
        DatasetError: if the pair cannot be used.
    """
    clean, noisy, sample_rate = read_pair(*pair)
    if model == NOISY:
        return score(noisy, clean, noisy, sample_rate)
    denoise = _load(model).denoise
    scores = score(denoise(noisy, sample_rate), clean, noisy, sample_rate)
    return scores | probe(denoise, clean, noisy - clean, sample_rate)


def evaluate(model: str, folder: Path, jobs: int = 1) -> tuple[Evaluation, dict[str, Scores]]:
    """Measure a model on a set.

    Args:
        model: a registered name, the path of an ONNX file, or "noisy".
        folder: the set, with clean/ and noisy/.
        jobs: processes.

    Returns:
        The evaluation, and the scores of each file by its name.

    Raises:
        DatasetError: if the set cannot be used.
        ModelError: if the model cannot be loaded.
    """
    pairs = find_pairs(folder)
    info = None if model == NOISY else _load(model).info
    work = partial(score_file, model)
    progress = partial(track, total=len(pairs), description=f"evaluating {model}", console=Console(stderr=True))
    if jobs == 1:
        rows = list(progress(map(work, pairs)))
    else:
        with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
            rows = list(progress(pool.map(work, pairs)))
    scores = {clean.name: row for (clean, _), row in zip(pairs, rows, strict=True)}
    summaries = {name: bootstrap(row[name] for row in rows) for name in METRICS if name in rows[0]}
    evaluation = Evaluation(
        model=model_name(model),
        set=folder.resolve().name,
        files=len(pairs),
        seconds=round(sum(soundfile.info(clean).duration for clean, _ in pairs), 1),
        sample_rate=info.sample_rate if info else None,
        latency_ms=1000 * (info.latency + info.hop) / info.sample_rate if info else None,
        parameters=info.parameters if info else None,
        macs_per_second=info.macs_per_second if info else None,
        metrics=summaries,
        versions=versions(PACKAGES),
        machine=machine(),
    )
    return evaluation, scores


@cache
def _load(model: str) -> Denoiser:
    return Denoiser(model)


def get_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m enhance.evaluate", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", required=True, help=f"a registered name, an ONNX file, or '{NOISY}' for the input")
    parser.add_argument("--set", required=True, type=Path, metavar="FOLDER", help="a folder with clean/ and noisy/")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write table, CSV and JSON there")
    parser.add_argument("--against", type=Path, metavar="CSV", help="earlier scores of the same files to compare with")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default: 1)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    arguments = get_parser().parse_args(argv)
    try:
        if arguments.jobs < 1:
            raise DatasetError(f"--jobs: expected at least 1, got {arguments.jobs}")
        others = load_scores(arguments.against) if arguments.against else None
        evaluation, scores = evaluate(arguments.model, arguments.set, arguments.jobs)
        print(report(evaluation))
        if others is not None:
            print(f"Against {arguments.against.stem}:\n\n{differences(scores, others)}")
        if arguments.out:
            print(f"written: {save(evaluation, scores, arguments.out).with_suffix('.*')}", file=sys.stderr)
    except (DatasetError, ModelError, ValueError, OSError) as error:
        return fail("enhance.evaluate", error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
