"""`python -m emulator.evidence.codec_itself`: a differentiable encoder beside the network that stands for one.

Three answers for each loss, as in the tables of masking, gradients and cost: how much less a masked probe counts than
an audible one of the same energy (the spread probe), where descent leads a recording of 5 dB SNR, alone and beside the
compressed complex spectrum, and what a second of audio costs. Needs the package torch-aac.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, median

import numpy as np
import torch

from emulator.evidence import cost, descent, masking
from emulator.losses.aac import aac_distance
from emulator.losses.distances import Distance, codec_distances
from enhance.evaluation.metrics import pesq_wb, si_sdr
from enhance.reporting.markdown import markdown_table
from enhance.reporting.report import Report, add_report_arguments, run_report
from enhance.utils.command import run

RATE = 16_000  # Hz
BITRATES, QUICK_BITRATES = (16_000, 32_000), (32_000,)  # bit/s
OURS = {"mp3-v9-16k": ("noise-to-mask", "loudness")}  # terms of emulators; the others are in the other tables
SNR_DB = 5.0
EXCERPTS, SECONDS, STEPS = 2, 2.0, 80  # of the descent
QUICK_EXCERPTS, QUICK_SECONDS, QUICK_STEPS = 1, 1.0, 2
PACKAGES = ("torch-aac", "pesq")


@dataclass(frozen=True)
class Row:
    """What was measured of one loss."""

    loss: str
    spread_db: float  # selectivity on the spread probe, mean over its levels; inf if one of them changes nothing
    pesq: float  # after descent
    si_sdr: float  # dB
    pesq_beside: float  # with the compressed complex spectrum
    si_sdr_beside: float
    milliseconds: float  # forward and backward per second of audio, target known


def losses(bitrates: Sequence[int]) -> list[Distance]:
    """Return those that are compared.

    Raises:
        ValueError: torch-aac is not installed.
    """
    found = [aac_distance(RATE, bitrate) for bitrate in bitrates]
    for preset, terms in OURS.items():
        found += [d for d in codec_distances(preset, RATE) if d.name in {f"{preset} {term}" for term in terms}]
    return [*found, descent.compressed_complex()]


def measure(loss: Distance, folder: Path, quick: bool) -> Row:
    """Return all that is asked of one loss.

    Raises:
        FileNotFoundError: the folder has no mixtures.
    """
    blocks, size = (masking.QUICK_BLOCKS, masking.QUICK_BLOCK) if quick else (masking.BLOCKS, masking.BLOCK)
    change = masking.distance_change(loss)
    found = masking.measure(loss.name, change, loss.degree, (masking.SPREAD,), RATE, blocks, size)
    count, seconds, steps = (QUICK_EXCERPTS, QUICK_SECONDS, QUICK_STEPS) if quick else (EXCERPTS, SECONDS, STEPS)
    pairs = [descent.mix(clean, noise, SNR_DB) for _, clean, noise in descent.excerpts(folder, count, seconds)]
    target, noisy = (torch.from_numpy(np.stack(signals)).float() for signals in zip(*pairs, strict=True))
    after: list[float] = []
    for baseline in (None, descent.compressed_complex()):
        estimate = descent.descend(noisy, target, loss, baseline, steps).numpy()
        for score in (pesq_wb, si_sdr):
            after.append(fmean(score(e, t, RATE) for e, t in zip(estimate, target.numpy(), strict=True)))
    estimate, target = cost.signals(RATE, "cpu")
    contender = cost.Contender(loss.name, True, RATE, loss.to(target))
    times = [cost.timed(contender, estimate) for _ in range(cost.QUICK_REPEATS if quick else cost.REPEATS)]
    print(f"{loss.name}: done", file=sys.stderr, flush=True)
    pesq, sdr, pesq_beside, sdr_beside = after
    spread = float(np.nanmean([row.selectivity_db for row in found]))
    return Row(loss.name, spread, pesq, sdr, pesq_beside, sdr_beside, median(times))


def table(rows: Sequence[Row]) -> str:
    """Return a line for each loss."""
    lines = [
        [
            row.loss,
            f"{row.spread_db:.1f}",
            f"{row.pesq:.2f} / {row.pesq_beside:.2f}",
            f"{row.si_sdr:.1f} / {row.si_sdr_beside:.1f}",
            f"{row.milliseconds:.1f}",
        ]
        for row in rows
    ]
    header = ["loss", "spread probe, dB", "PESQ alone / beside", "SI-SDR alone / beside", "ms per s of audio"]
    note = f"Descent from {SNR_DB:.0f} dB SNR, alone and beside the {descent.BASELINE}; cost on one thread."
    return f"{markdown_table(header, lines)}\n\n{note}\n"


def make(arguments: argparse.Namespace) -> Report:
    """Measure every loss."""
    quick: bool = arguments.quick
    rows = [measure(loss, arguments.eval, quick) for loss in losses(QUICK_BITRATES if quick else BITRATES)]
    settings = {
        "sample_rate": RATE,
        "snr_db": SNR_DB,
        "steps": QUICK_STEPS if quick else STEPS,
        "excerpts": QUICK_EXCERPTS if quick else EXCERPTS,
        "seconds": QUICK_SECONDS if quick else SECONDS,
        "first_seed": 0,
    }
    return Report("codec_itself", [asdict(row) for row in rows], table(rows), settings, None, PACKAGES)


def get_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    description = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m emulator.evidence.codec_itself", description=description)
    add_report_arguments(parser)
    parser.add_argument("--eval", type=Path, required=True, metavar="DIR", help="folder with clean/ and noisy/")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    return run_report("emulator.evidence.codec_itself", make, get_parser().parse_args(argv))


if __name__ == "__main__":
    run("emulator.evidence.codec_itself", main)
