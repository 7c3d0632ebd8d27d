"""Results of an evaluation: means with bootstrap intervals, Markdown tables, and files that keep them.

The interval of a mean over files is the 95 % percentile interval of the bootstrap (Efron 1979), seeded. Files of one
set differ far more than models do, so two models are compared by the interval of their paired differences.
"""

import csv
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from enhance.evaluation.bootstrap import interval_over_values
from enhance.reporting.markdown import markdown_table
from enhance.runtime.registry import is_model_file
from enhance.utils.atomic import replacing, write_text

Scores = dict[str, float]

NOISY = "noisy"  # the name that stands for the unprocessed input
SEED = 0


@dataclass(frozen=True)
class Metric:
    """Label, unit and digits of a score."""

    label: str
    unit: str
    digits: int


METRICS = {
    "pesq": Metric("PESQ-WB", "MOS-LQO", 3),
    "stoi": Metric("STOI", "", 3),
    "estoi": Metric("ESTOI", "", 3),
    "si_sdr": Metric("SI-SDR", "dB", 2),
    "snr": Metric("SNR", "dB", 2),
    "sig": Metric("DNSMOS SIG", "MOS", 3),
    "bak": Metric("DNSMOS BAK", "MOS", 3),
    "ovrl": Metric("DNSMOS OVRL", "MOS", 3),
    "csig": Metric("CSIG", "MOS", 3),
    "cbak": Metric("CBAK", "MOS", 3),
    "covl": Metric("COVL", "MOS", 3),
    "lsd": Metric("LSD at 48 kHz", "decades", 3),
    "speech_gain": Metric("Speech gain", "dB", 2),
    "pause_residual": Metric("Residual in pauses", "dB", 2),
    "clean_si_sdr": Metric("Clean speech in: SI-SDR", "dB", 2),
    "clean_level": Metric("Clean speech in: level change", "dB", 2),
    "noise_level": Metric("Noise only in: level change", "dB", 2),
}


@dataclass(frozen=True)
class Summary:
    """Mean of a metric over files, its 95 % interval, and on how many files it exists and fails (nan)."""

    mean: float
    low: float
    high: float
    count: int
    failed: int


@dataclass(frozen=True)
class Evaluation:
    """Everything measured of one model on one set."""

    model: str
    set: str
    files: int
    seconds: float
    sample_rate: int | None  # Hz, of the model; None, as the next three, for the unprocessed input
    latency_ms: float | None  # algorithmic: what the model delays, and the hop that has to be filled first
    parameters: int | None
    macs_per_second: int | None
    metrics: dict[str, Summary]
    versions: dict[str, str]
    machine: str


def model_name(model: str) -> str:
    """Return the name that stands for a model in results: the registered one, or that of its file.

    Example:
        >>> model_name("runs/wide.onnx")
        'wide'
    """
    return Path(model).stem if is_model_file(model) else model


def bootstrap(values: Iterable[float], seed: int = SEED) -> Summary:
    """Return the mean with its 95 % percentile interval over resampled files; nan values are counted and left out.

    Example:
        >>> bootstrap([1.0, 2.0, 3.0, float("nan")])
        Summary(mean=2.0, low=1.0, high=3.0, count=3, failed=1)
    """
    every = np.array(list(values), np.float64)
    known = every[~np.isnan(every)]
    failed = every.size - known.size
    if known.size == 0:
        return Summary(math.nan, math.nan, math.nan, 0, failed)
    low, high = interval_over_values(known, np.random.default_rng(seed))
    return Summary(float(known.mean()), low, high, known.size, failed)


def report(evaluation: Evaluation, unprocessed: Evaluation | None = None) -> str:
    """Return the evaluation as Markdown: means, intervals, the means of the unprocessed input if given, versions."""
    lines = [
        f"## {evaluation.model} on {evaluation.set}",
        "",
        f"{evaluation.files} files, {evaluation.seconds:.0f} s. 95 % intervals: bootstrap over files.",
        "",
    ]
    header, rows = ["metric", "mean", "95 % interval", "files", *(["noisy input"] if unprocessed else [])], []
    for name, summary in evaluation.metrics.items():
        metric = METRICS[name]
        label = f"{metric.label} ({metric.unit})" if metric.unit else metric.label
        mean, low, high = (_text(value, metric) for value in (summary.mean, summary.low, summary.high))
        interval = f"{low} to {high}" if summary.count else "-"
        before = unprocessed.metrics.get(name) if unprocessed else None
        column = [_text(before.mean, metric) if before else "-"] if unprocessed else []
        rows.append([label, mean, interval, summary.count, *column])
    lines.append(markdown_table(header, rows))
    failed = evaluation.metrics["pesq"].failed
    if failed:
        lines += ["", f"PESQ found no speech in {failed} files; they count in no mean of PESQ, CSIG, CBAK and COVL."]
    if failed := evaluation.metrics["stoi"].failed:
        lines += ["", f"STOI found under 0.4 s of speech in {failed} files; they count in no mean of STOI and ESTOI."]
    packages = ", ".join(f"{name} {number}" for name, number in evaluation.versions.items())
    return "\n".join([*lines, "", f"{packages}; {evaluation.machine}.", ""])


def differences(scores: Mapping[str, Scores], others: Mapping[str, Scores]) -> str:
    """Return paired differences (these minus the others) as a Markdown table.

    Raises:
        ValueError: if the files differ.
    """
    if scores.keys() != others.keys():
        raise ValueError("expected scores of the same files, got those of another set")
    rows = []
    for name, metric in METRICS.items():
        if all(name in row for row in (*scores.values(), *others.values())):
            summary = bootstrap(scores[file][name] - others[file][name] for file in scores)
            mean, low, high = (f"{value:+.{metric.digits}f}" for value in (summary.mean, summary.low, summary.high))
            rows.append([metric.label, mean, f"{low} to {high}"] if summary.count else [metric.label, "-", "-"])
    return markdown_table(["metric", "mean difference", "95 % interval"], rows) + "\n"


def save(evaluation: Evaluation, scores: Mapping[str, Scores], folder: Path) -> Path:
    """Write the table, the scores of each file and all figures; returns the path of the JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / f"{evaluation.model}_{evaluation.set}"
    write_text(stem.with_name(f"{stem.name}.md"), report(evaluation))
    with (
        replacing(stem.with_name(f"{stem.name}.csv")) as partial,
        partial.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(["file", *evaluation.metrics])
        for name, row in scores.items():
            writer.writerow([name, *(f"{row[metric]:.6g}" for metric in evaluation.metrics)])
    path = stem.with_name(f"{stem.name}.json")
    content = asdict(evaluation)
    for summary in content["metrics"].values():
        summary.update({key: None for key, value in summary.items() if isinstance(value, float) and math.isnan(value)})
    write_text(path, json.dumps(content, indent=2) + "\n")
    return path


def load(path: Path) -> Evaluation:
    """Read an evaluation back from its JSON.

    Raises:
        ValueError: if the file is no evaluation.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        for name, summary in content["metrics"].items():
            bounds = {key: math.nan if summary[key] is None else summary[key] for key in ("mean", "low", "high")}
            content["metrics"][name] = Summary(**summary | bounds)
        return Evaluation(**content)
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: expected the JSON of an evaluation ({error})") from error


def load_scores(path: Path) -> dict[str, Scores]:
    """Read the scores of each file back from their CSV.

    Raises:
        ValueError: if the file is no such CSV.
    """
    try:
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            return {row.pop("file"): {key: float(value) for key, value in row.items()} for row in csv.DictReader(file)}
    except (csv.Error, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: expected the CSV of an evaluation ({error})") from error


def _text(value: float, metric: Metric) -> str:
    return "-" if math.isnan(value) else f"{value:.{metric.digits}f}"
