"""Scores of a model on a set of pairs: every metric of every file, and probes with clean speech and noise alone."""

from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import TypeVar

import soundfile
from rich.console import Console
from rich.progress import track

from enhance.evaluation import metrics
from enhance.evaluation.composite import composite
from enhance.evaluation.pairs import Audio, check_estimates, find_pairs, read_pair
from enhance.evaluation.results import (
    METRICS,
    NOISY,
    Evaluation,
    Scores,
    bootstrap,
    model_name,
)
from enhance.runtime.denoiser import Denoiser
from enhance.utils.environment import machine, versions
from enhance.utils.file_names import native_name
from enhance.utils.interruptible_pool import InterruptiblePool

Denoise = Callable[[Audio, int], Audio]
Pair = tuple[Path, Path]
Item = TypeVar("Item")
Result = TypeVar("Result")

PACKAGES = ("mpeace", "numpy", "onnxruntime", "soxr", "pesq", "pystoi", "speechmos")


def score(estimate: Audio, target: Audio, noisy: Audio, sample_rate: int) -> Scores:
    """Return all metrics of one estimate, by the names in `METRICS`."""
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
    """Measure what the model does to clean speech and to noise alone, over the full band."""
    untouched = denoise(clean, sample_rate)
    return {
        "clean_si_sdr": metrics.si_sdr(untouched, clean, sample_rate),
        "clean_level": metrics.level_change_db(untouched, clean),
        "noise_level": metrics.level_change_db(denoise(noise, sample_rate), noise),
    }


def score_file(model: str, pair: Pair) -> Scores:
    """Return all scores of one pair of files; the model stays loaded in the process.

    Raises:
        DatasetError: if the pair cannot be used.
    """
    clean, noisy, sample_rate = read_pair(*pair)
    if model == NOISY:
        return score(noisy, clean, noisy, sample_rate)
    denoise = loaded(model).denoise
    scores = score(denoise(noisy, sample_rate), clean, noisy, sample_rate)
    return scores | probe(denoise, clean, noisy - clean, sample_rate)


def score_estimate(estimates: Path, pair: Pair) -> Scores:
    """Return the scores of the file of `estimates` that has the name of a pair; without a model there are no probes.

    Raises:
        DatasetError: if the pair or the estimate cannot be used.
    """
    clean, noisy, sample_rate = read_pair(*pair)
    _, estimate, _ = read_pair(pair[0], estimates / pair[0].name)
    return score(estimate, clean, noisy, sample_rate)


def evaluate(model: str | Path, folder: Path, jobs: int = 1) -> tuple[Evaluation, dict[str, Scores]]:
    """Measure a model, or the finished files of any system, on a set.

    Args:
        model: a registered name, the path of an ONNX file, or "noisy"; as a `Path` a folder of estimates.
        folder: the set, with clean/ and noisy/.
        jobs: processes.

    Returns:
        The evaluation, and the scores of each file by its name.

    Raises:
        DatasetError: if the set or the estimates cannot be used.
        ModelError: if the model cannot be loaded.
    """
    pairs = find_pairs(folder)
    if isinstance(model, Path):
        check_estimates(model, pairs)
        name, info, work = model.resolve().name, None, partial(score_estimate, model)
    else:
        name, info = model_name(model), None if model == NOISY else loaded(model).info
        work = partial(score_file, model)
    rows = of_each(work, pairs, jobs, f"evaluating {name}")
    scores = {clean.name: row for (clean, _), row in zip(pairs, rows, strict=True)}
    summaries = {metric: bootstrap(row[metric] for row in rows) for metric in METRICS if metric in rows[0]}
    evaluation = Evaluation(
        model=name,
        set=folder.resolve().name,
        files=len(pairs),
        seconds=round(sum(soundfile.info(native_name(clean)).duration for clean, _ in pairs), 1),
        sample_rate=info.sample_rate if info else None,
        latency_ms=1000 * info.algorithmic_latency / info.sample_rate if info else None,
        parameters=info.parameters if info else None,
        macs_per_second=info.macs_per_second if info else None,
        metrics=summaries,
        versions=versions(PACKAGES),
        machine=machine(),
    )
    return evaluation, scores


def of_each(work: Callable[[Item], Result], items: Sequence[Item], jobs: int, description: str) -> list[Result]:
    """Return what comes of each item, in their order, while a bar shows how far it is.

    Args:
        work: is done for each.
        items: such as pairs of files.
        jobs: processes; the work is done in this one when it is 1.
        description: of the bar.

    Raises:
        ChildProcessError: one of the processes was killed.
    """
    progress = partial(track, total=len(items), description=description, console=Console(stderr=True))
    if jobs == 1:
        return list(progress(map(work, items)))
    try:
        with InterruptiblePool(jobs) as pool:
            return list(progress(pool.map(work, items)))
    except BrokenProcessPool:
        killed = "one of the processes was killed, perhaps for want of memory; try again with fewer --jobs"
        raise ChildProcessError(killed) from None


@cache
def loaded(model: str) -> Denoiser:
    """Return a model, loaded once in each process."""
    return Denoiser(model)
