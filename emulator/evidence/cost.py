"""`python -m emulator.evidence.cost`: time and memory of forward and backward, per second of audio.

Everything is timed in turn, several times over, so that whatever else the machine does falls on all alike, and counted
in CPU seconds of one thread (wall-clock seconds on a GPU). Memory is what forward keeps for backward, and on a GPU the
peak of what is allocated, both without the loss's own weights. The yardsticks are auraloss' multi-resolution STFT at
its defaults and l1. With the target cached, its half of the network is not run.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from emulator.losses.codec_loss import CodecLoss
from emulator.losses.codec_terms import Reference
from emulator.losses.distances import BASELINE, plain_distances
from emulator.model.config import PRESETS
from emulator.model.presets import load_emulators
from enhance.evaluation.speed import speech_like
from enhance.reporting.markdown import markdown_table
from enhance.reporting.report import Report, add_report_arguments, run_report
from enhance.utils.command import run

SECONDS = 4.0  # of audio in each call
REPEATS, QUICK_REPEATS = 15, 1
WANTED = 4.0  # times multi-resolution STFT at most, on the CPU with the target cached
YARDSTICKS = ("l1", BASELINE)
CONFIGURATIONS: dict[str, dict[str, float | str]] = {
    "noise-to-mask": {},
    "loudness": {"noise_to_mask": 0.0, "loudness": 1.0},
    "noise-to-mask, output": {"output": 1.0},
    "noise-to-mask, output, masking layers": {"output": 1.0, "layers": 1.0},
    "encoder layers": {"noise_to_mask": 0.0, "layers": 1.0, "layer_names": "encoder"},
    "masking layers": {"noise_to_mask": 0.0, "layers": 1.0},
}
"""Of the codec loss, by what it computes."""

Measure = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Contender:
    """A loss of an estimate ``[1, time]``, and the sample rate of it."""

    name: str
    cached: bool  # whether its target was analysed before
    sample_rate: int  # Hz
    loss: Measure


@dataclass(frozen=True)
class Row:
    """Cost of a loss per second of audio."""

    device: str
    sample_rate: int  # Hz
    loss: str
    cached: bool
    milliseconds: float  # median over repetitions
    quartile_low: float
    quartile_high: float
    times_mr_stft: float  # median of the ratios within each turn
    times_l1: float
    kept_megabytes: float  # by forward for backward
    peak_megabytes: float  # nan on the CPU


def signals(sample_rate: int, device: str) -> tuple[Tensor, Tensor]:
    """Estimate and target ``[1, time]``: a buzz like speech in noise, twice."""
    pair = [speech_like(SECONDS * sample_rate / 48_000, seed)[: round(SECONDS * sample_rate)] for seed in (0, 1)]
    estimate, target = (torch.from_numpy(audio)[None].to(device) for audio in pair)
    return estimate, target


def contenders(emulators: Sequence[str | Path], device: str) -> list[Contender]:
    """Return the yardsticks at each sample rate, then each emulator's configurations, target cached and not."""
    networks = load_emulators(emulators)
    found = []
    for rate in sorted({network.config.sample_rate for network in networks.values()} or {16_000}):
        _, target = signals(rate, device)
        for distance in plain_distances(rate, device):
            if distance.name in YARDSTICKS:
                found.append(Contender(distance.name, True, rate, distance.to(target)))
        for name, network in networks.items():
            if network.config.sample_rate != rate:
                continue
            for what, options in CONFIGURATIONS.items():
                loss = CodecLoss(network, sample_rate=rate, **options).to(device)  # type: ignore[arg-type]
                reference = loss.reference(target)
                found.append(Contender(f"{name}: {what}", True, rate, partial(_compare, loss, reference)))
                found.append(Contender(f"{name}: {what}", False, rate, partial(_compare, loss, target)))
    return found


def _compare(loss: CodecLoss, target: Tensor | Reference, estimate: Tensor) -> Tensor:
    return loss(estimate, target)


def timed(contender: Contender, estimate: Tensor) -> float:
    """Return milliseconds of forward and backward per second of audio: of CPU, or on a GPU of wall clock."""
    cuda = estimate.is_cuda
    clock = time.perf_counter if cuda else time.process_time
    estimate = estimate.clone().requires_grad_()
    _synchronise(cuda)
    begin = clock()
    contender.loss(estimate).backward()
    _synchronise(cuda)
    return 1e3 * (clock() - begin) / (estimate.shape[-1] / contender.sample_rate)


def _synchronise(cuda: bool) -> None:
    if cuda:
        torch.cuda.synchronize()


def kept_bytes(contender: Contender, estimate: Tensor) -> int:
    """Return memory that forward keeps for backward, weights and the estimate itself aside."""
    estimate = estimate.clone().requires_grad_()
    kept: dict[int, int] = {}
    before = {estimate.untyped_storage().data_ptr()}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in before:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        value = contender.loss(estimate)
    total = sum(kept.values())
    del value
    return total


def peak_bytes(contender: Contender, estimate: Tensor) -> float:
    """Return the peak of the memory allocated on a GPU, above what was there before; nan on the CPU."""
    if not estimate.is_cuda:
        return float("nan")
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    timed(contender, estimate)
    return torch.cuda.max_memory_allocated() - before


def measure(entrants: Sequence[Contender], device: str, repeats: int) -> list[Row]:
    """Return each in turn, `repeats` times, after a turn that does not count."""
    estimates = {c.sample_rate: signals(c.sample_rate, device)[0] for c in entrants}
    times = np.array([[timed(c, estimates[c.sample_rate]) for c in entrants] for _ in range(repeats + 1)])[1:]
    column = {(c.sample_rate, c.name): index for index, c in enumerate(entrants) if c.name in YARDSTICKS}
    rows = []
    for index, c in enumerate(entrants):
        estimate = estimates[c.sample_rate]
        low, middle, high = np.percentile(times[:, index], [25, 50, 75])
        of_mr_stft, of_l1 = (
            float(median(times[:, index] / times[:, column[c.sample_rate, name]])) for name in (BASELINE, "l1")
        )
        kept, peak = (size / 1e6 / SECONDS for size in (kept_bytes(c, estimate), peak_bytes(c, estimate)))
        rows.append(Row(device, c.sample_rate, c.name, c.cached, middle, low, high, of_mr_stft, of_l1, kept, peak))
    return rows


def table(rows: Sequence[Row]) -> str:
    """Return a table for each device."""
    parts = []
    for device in dict.fromkeys(row.device for row in rows):
        lines = []
        for row in (r for r in rows if r.device == device):
            target = "-" if row.loss in YARDSTICKS else "cached" if row.cached else "analysed"
            figures = [f"{row.sample_rate // 1000} kHz", target, row.milliseconds, row.times_mr_stft]
            memory = row.kept_megabytes if device == "cpu" else row.peak_megabytes
            lines.append([row.loss, *figures, f"{row.times_l1:.0f}", memory])
        header = [device, "rate", "target", "ms", "times MR-STFT", "times l1"]
        parts.append(markdown_table([*header, "MB kept" if device == "cpu" else "MB peak"], lines))
    note = (
        "Forward and backward per second of audio, one channel; one thread on the CPU. "
        f"Wanted: at most {WANTED:.0f} times MR-STFT on the CPU with the target cached."
    )
    return "\n\n".join([*parts, note]) + "\n"


def draw(rows: Sequence[Row]) -> Figure:
    """Draw the times of MR-STFT, target cached and analysed, on the first device."""
    mine = [row for row in rows if row.device == rows[0].device and row.loss not in YARDSTICKS]
    names = list(dict.fromkeys(row.loss for row in mine))
    figure = Figure(figsize=(9, 1.8 + 0.3 * len(names)), layout="constrained")
    axis = figure.subplots()
    place = np.arange(len(names))[::-1]
    for cached, shift, label in ((True, 0.2, "target cached"), (False, -0.2, "target analysed too")):
        values = [row.times_mr_stft for row in mine if row.cached == cached]
        axis.barh(place + shift, values, height=0.38, label=label)
    axis.axvline(1, color="black", linestyle=":", label=BASELINE)
    axis.axvline(WANTED, color="red", linestyle="--", label="wanted at most, cached")
    axis.set(xlabel=f"time of forward and backward / that of {BASELINE}, {rows[0].device}")
    axis.set_yticks(place, names)
    axis.legend(fontsize=8)
    return figure


def make(arguments: argparse.Namespace) -> Report:
    """Measure on the CPU, and on a GPU if there is one."""
    repeats = QUICK_REPEATS if arguments.quick else REPEATS
    torch.set_num_threads(1)
    rows: list[Row] = []
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    for device in devices:
        rows += measure(contenders(arguments.emulators, device), device, repeats)
    settings = {
        "emulators": [str(name) for name in arguments.emulators],
        "seconds_of_audio": SECONDS,
        "repeats": repeats,
        "threads": 1,
        "devices": ["cpu", *(torch.cuda.get_device_name() for device in devices if device == "cuda")],
        "seeds": [0, 1],
    }
    return Report("cost", [asdict(row) for row in rows], table(rows), settings, draw(rows))


def get_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(prog="python -m emulator.evidence.cost", description=__doc__)
    add_report_arguments(parser)
    parser.add_argument(
        "--emulators", nargs="*", default=list(PRESETS), metavar="NAME", help="presets or checkpoints (default: all)"
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; return the exit status."""
    threads = torch.get_num_threads()
    try:
        return run_report("emulator.evidence.cost", make, get_parser().parse_args(argv))
    finally:
        torch.set_num_threads(threads)


if __name__ == "__main__":
    run("emulator.evidence.cost", main)
