"""`python -m emulator.evidence.descent`: follow the gradient of each loss from noisy recordings.

The waveform itself is what is optimised: from noisy speech, towards the clean speech, by Adam. Nothing stands between
the loss and the sound, so what comes out is what the gradient of the loss is worth, not what a network makes of it.
Each loss is tried alone and beside a baseline that is aware of phase, the compressed complex spectrum, both with an
equal share of the gradient at the start (:class:`emulator.losses.balancer.Balancer`). Whatever a loss cannot see, the
noise in it stays. Losses of the waveform have the easiest task here, since their optimum is straight ahead of every
sample.

Of emulators of a variable rate all terms are tried; of others, and of untrained ones, the encoder layers of the paper
and the noise-to-mask ratio: whether its gradient is worth more for having been trained is the question.

The speech and the noise are the evaluation mixtures' (clean, and noisy minus clean), mixed anew at 16 kHz.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
from matplotlib.figure import Figure
from torch import Tensor

from emulator.lame import Setting
from emulator.losses.balancer import Balancer
from emulator.losses.distances import Distance, all_distances
from emulator.losses.terms import compress, output_distance
from emulator.model.config import PRESETS
from emulator.model.presets import load_emulators
from emulator.model.spectrum import stft, unit_window
from enhance.evaluation.metrics import pesq_wb, si_sdr
from enhance.reporting.markdown import markdown_table
from enhance.reporting.report import Report, add_report_arguments, run_report
from enhance.utils.command import run
from enhance.utils.file_names import native_name

SAMPLE_RATE = 16_000  # Hz, that of PESQ
SNRS_DB = (0.0, 5.0, 10.0)
LEVEL_DB = -25.0  # dBFS (RMS) of the clean excerpt
RATE = 5e-3  # Adam's first step, 1/11 of the clean RMS; it falls to 0 along a half cosine
START = "noisy input"
STEPS, QUICK_STEPS = 80, 3
SECONDS, QUICK_SECONDS = 1.5, 1.0
EXCERPTS, QUICK_EXCERPTS = 3, 1
BASELINE = "compressed complex"
WINDOW, HOP = 512, 128  # samples of its STFT


@dataclass(frozen=True)
class Row:
    """Result of a descent."""

    snr_db: float  # at the start
    loss: str
    baseline: bool  # whether the baseline stood beside it
    excerpt: str
    pesq: float  # nan where PESQ finds no speech
    si_sdr: float  # dB


def excerpts(folder: Path, count: int, seconds: float) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Name, clean speech and noise `[time]` of evenly spaced evaluation mixtures: the loudest part of each.

    Raises:
        FileNotFoundError: the folder has no mixtures.
    """
    paths = sorted((folder / "clean").glob("*.flac"))
    if len(paths) < count:
        raise FileNotFoundError(f"expected {count} clean files in {folder / 'clean'}, found {len(paths)}")
    chosen, length = [], round(seconds * SAMPLE_RATE)
    for path in (paths[index * len(paths) // count] for index in range(count)):
        clean, noisy = (_read(folder / kind / path.name) for kind in ("clean", "noisy"))
        energy = np.concatenate([[0.0], np.cumsum(clean**2)])
        begin = int(np.argmax(energy[length:] - energy[:-length])) if clean.size > length else 0
        part = slice(begin, begin + length)
        chosen.append((path.stem, clean[part], (noisy - clean)[part]))
    return chosen


def _read(path: Path) -> np.ndarray:
    audio, rate = soundfile.read(native_name(path), dtype="float64", always_2d=True)
    return soxr.resample(audio[:, 0], rate, SAMPLE_RATE)


def mix(clean: np.ndarray, noise: np.ndarray, snr_db: float) -> tuple[np.ndarray, np.ndarray]:
    """Clean at LEVEL_DB and noisy at the SNR.

    Example:
        >>> clean, noisy = mix(np.array([1.0, -1.0]), np.array([0.3, 0.3]), 20.0)
        >>> round(float(np.sum(clean**2) / np.sum((noisy - clean) ** 2)))
        100
    """
    clean = clean * (10 ** (LEVEL_DB / 20) / np.sqrt(np.mean(clean**2)))
    gain = np.sqrt(np.mean(clean**2) / np.mean(noise**2)) * 10 ** (-snr_db / 20)
    return clean, clean + gain * noise


def compressed_complex() -> Distance:
    """Return the baseline: distance of spectra with magnitudes raised to the power 0.3, with and without phase.

    Example:
        >>> target = torch.randn(1, 4000)
        >>> bool(compressed_complex()(0.9 * target, target) < compressed_complex()(-target, target))
        True
    """
    window = unit_window(WINDOW)

    def compressed(audio: Tensor) -> Tensor:
        return compress(stft(audio, window, HOP, "reflect"), 10 ** (LEVEL_DB / 20))

    def to(target: Tensor) -> Callable[[Tensor], Tensor]:
        reference = compressed(target).detach()
        return lambda estimate: output_distance(compressed(estimate), reference)

    return Distance(BASELINE, 2, to)


def is_tried(distance: Distance) -> bool:
    """Return whether a distance is among those that the module names."""
    driven_by_threshold = distance.setting is not None and Setting.parse(distance.setting).mode == "vbr"
    control = "encoder" in distance.name or "noise-to-mask" in distance.name
    return distance.setting is None or (driven_by_threshold and distance.trained) or control


def descend(noisy: Tensor, target: Tensor, loss: Distance, baseline: Distance | None, steps: int) -> Tensor:
    """Return the waveform after Adam.

    Args:
        noisy: ``[signals, time]``, where it starts.
        target: of the same shape.
        loss: what is minimised.
        baseline: stands beside it with an equal share of the gradient, if given.
        steps: number of them.
    """
    estimate = noisy.clone().requires_grad_()
    terms = {"loss": loss.to(target)} | ({"baseline": baseline.to(target)} if baseline else {})
    balancer = Balancer(dict.fromkeys(terms, 1.0), warmup=1)
    optimizer = torch.optim.Adam([estimate], lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        optimizer.zero_grad()
        balancer({name: term(estimate) for name, term in terms.items()}, estimate).backward()
        optimizer.step()
        schedule.step()
    return estimate.detach()


def measure(losses: Sequence[Distance], parts: Sequence[tuple[str, np.ndarray, np.ndarray]], steps: int) -> list[Row]:
    """Return a row for each SNR, loss, with and without the baseline, and excerpt; the baseline itself comes first."""
    baseline, rows = compressed_complex(), []
    for snr in SNRS_DB:
        pairs = [mix(clean, noise, snr) for _, clean, noise in parts]
        target, noisy = (torch.from_numpy(np.stack(signals)).float() for signals in zip(*pairs, strict=True))
        outcomes = [(START, False, noisy)]
        for loss in (baseline, *losses):
            outcomes.append((loss.name, False, descend(noisy, target, loss, None, steps)))
            if loss is not baseline:
                outcomes.append((loss.name, True, descend(noisy, target, loss, baseline, steps)))
            print(f"{snr:.0f} dB, {loss.name}: done", file=sys.stderr, flush=True)
        for name, beside, estimate in outcomes:
            for (excerpt, *_), ours, theirs in zip(parts, estimate.numpy(), target.numpy(), strict=True):
                quality = pesq_wb(ours, theirs, SAMPLE_RATE), si_sdr(ours, theirs, SAMPLE_RATE)
                rows.append(Row(snr, name, beside, excerpt, *quality))
    return rows


def table(rows: Sequence[Row]) -> str:
    """Return means over excerpts: PESQ and SI-SDR of each loss alone and beside the baseline."""
    lines = []
    for loss in dict.fromkeys(row.loss for row in rows):
        cells: list[str | float] = [loss]
        for snr in SNRS_DB:
            for metric, digits in (("pesq", 2), ("si_sdr", 1)):
                both = [_mean(rows, snr, loss, beside, metric) for beside in (False, True)]
                cells.append(" / ".join("-" if np.isnan(value) else f"{value:.{digits}f}" for value in both))
        lines.append(cells)
    measures = [f"{snr:.0f} dB {name}" for snr in SNRS_DB for name in ("PESQ", "SI-SDR")]
    header = [f"loss: alone / with {BASELINE}", *measures]
    return markdown_table(header, lines) + "\n"


def _mean(rows: Sequence[Row], snr: float, loss: str, beside: bool, metric: str) -> float:
    values = [getattr(r, metric) for r in rows if (r.snr_db, r.loss, r.baseline) == (snr, loss, beside)]
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def draw(rows: Sequence[Row]) -> Figure:
    """Return SI-SDR and PESQ from 5 dB, a dot for each loss alone and one beside the baseline."""
    losses = list(dict.fromkeys(row.loss for row in rows))
    figure = Figure(figsize=(11, 1.5 + 0.26 * len(losses)), layout="constrained")
    snr = SNRS_DB[len(SNRS_DB) // 2]
    place = np.arange(len(losses))[::-1]
    for axis, (metric, label) in zip(
        figure.subplots(1, 2, sharey=True), (("pesq", "PESQ-WB"), ("si_sdr", "SI-SDR (dB)")), strict=True
    ):
        alone, beside = ([_mean(rows, snr, loss, kind, metric) for loss in losses] for kind in (False, True))
        axis.hlines(place, alone, beside, color="lightgray")
        axis.plot(alone, place, "o", color="C0", label="alone")
        axis.plot(beside, place, "D", color="C1", label=f"with {BASELINE}")
        axis.axvline(alone[losses.index(START)], color="black", linestyle=":", label=START)
        axis.axvline(alone[losses.index(BASELINE)], color="C2", linestyle="--", label=BASELINE)
        axis.set(xlabel=label, yticks=place, yticklabels=losses, title=f"descent from {snr:.0f} dB SNR")
        axis.grid(alpha=0.3)
    figure.axes[0].legend(fontsize=8)
    return figure


def make(arguments: argparse.Namespace) -> Report:
    """Descend with every distance at 16 kHz."""
    quick = arguments.quick
    steps = QUICK_STEPS if quick else STEPS
    count, seconds = (QUICK_EXCERPTS, QUICK_SECONDS) if quick else (EXCERPTS, SECONDS)
    rates = {name: emulator.config.sample_rate for name, emulator in load_emulators(arguments.emulators).items()}
    for name, rate in rates.items():
        if rate != SAMPLE_RATE:
            print(f"{name} is left out: it is of {rate} Hz, and the descent of {SAMPLE_RATE}", file=sys.stderr)
    emulators = [
        network for network, rate in zip(arguments.emulators, rates.values(), strict=True) if rate == SAMPLE_RATE
    ]
    losses = [distance for distance in all_distances(SAMPLE_RATE, emulators) if is_tried(distance)]
    rows = measure(losses, excerpts(arguments.eval, count, seconds), steps)
    settings = {
        "emulators": [str(name) for name in emulators],
        "steps": steps,
        "learning_rate": RATE,
        "excerpts": sorted({row.excerpt for row in rows}),
        "seconds": seconds,
        "level_dbfs": LEVEL_DB,
        "random": "nothing is drawn; the untrained weights have a fixed seed",
    }
    return Report("descent", [asdict(row) for row in rows], table(rows), settings, draw(rows), ("pesq",))


def get_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m emulator.evidence.descent", description=(__doc__ or "").partition("\n")[0]
    )
    add_report_arguments(parser)
    parser.add_argument(
        "--eval", type=Path, required=True, metavar="DIR", help="folder with clean/ and noisy/ mixtures"
    )
    parser.add_argument(
        "--emulators", nargs="*", default=list(PRESETS), metavar="NAME", help="presets or checkpoints (default: all)"
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; return the exit status."""
    return run_report("emulator.evidence.descent", make, get_parser().parse_args(argv))


if __name__ == "__main__":
    run("emulator.evidence.descent", main)
