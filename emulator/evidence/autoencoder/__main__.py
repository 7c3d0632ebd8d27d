"""`python -m emulator.evidence.autoencoder`: the paper's experiment, an autoencoder whose bottleneck is too narrow.

After Ananthabhotla, Ewert, Paradiso, "Towards a Perceptual Loss: Using a Neural Network Codec Approximation as a Loss
for Generative Audio Models" (ACM Multimedia 2019, doi:10.1145/3343031.3351148). What a network cannot keep, it has to
choose, and the loss says what to choose: so autoencoders of three capacities are trained on speech and on music with
six losses and three seeds each, and judged on held-out sound by measures that none of them was trained on.

In this folder, `network` is the network, `losses` are the losses, `runs` is how a run goes, and `report` the
statistics; `emulator.evidence.perceptual_scores` has the measures. Finished runs stay in `DIR/runs`: the same command
goes on where it was stopped. `DIR/audio` holds the outputs of the first seed for a listening test
(`emulator.evidence.listening_files`).
"""

if __name__ == "__main__":
    from enhance.training.malloc import restart_with_kept_heap

    restart_with_kept_heap()

import argparse
import sys
from concurrent.futures import as_completed
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from emulator.evidence.autoencoder.data import DOMAINS, SAMPLE_RATE
from emulator.evidence.autoencoder.losses import CALIBRATION, KINDS, LOSSES, START
from emulator.evidence.autoencoder.report import BOOTSTRAP_SEED, figure, tables
from emulator.evidence.autoencoder.runs import HEARD_SEED, AutoencoderSettings, Result, Run, load_result, work
from emulator.evidence.listening_files import ListeningEntry, write_manifest
from emulator.evidence.perceptual_scores import PACKAGES
from enhance.evaluation.bootstrap import RESAMPLES
from enhance.reporting.report import Report, add_report_arguments, run_report
from enhance.utils.command import run
from enhance.utils.errors import ModelError
from enhance.utils.interruptible_pool import InterruptiblePool

REPOSITORY = Path(__file__).resolve().parents[3]
DATA = REPOSITORY.parent / "shared" / "data"
STAND_IN = REPOSITORY / "tests" / "data" / "noisy.flac"  # in place of the recordings, for --quick only

WIDTHS, SEEDS = (16, 32, 64), (0, 1, 2)
QUICK_WIDTHS, QUICK_SEEDS = (32,), (0,)
QUICK = {"batches": 3, "crops": 2, "epochs": 1, "hidden": 32, "items": 2, "item_seconds": 1.0}


def plan(losses: list[str], widths: tuple[int, ...], seeds: tuple[int, ...]) -> dict[tuple[str, str], list[Run]]:
    """Return the runs of each domain and loss, the slow losses first.

    Example:
        >>> list(plan(["l1", "ours"], (16,), (0, 1)))
        [('speech', 'ours'), ('music', 'ours'), ('speech', 'l1'), ('music', 'l1'), ('speech', 'start'), ...]
    """
    groups = {}
    for loss in sorted([*losses, START], key=lambda name: (-KINDS[name].slowness, name == START)):
        for domain in DOMAINS:
            chosen = seeds[:1] if loss == START else seeds  # it is the same for all
            groups[domain, loss] = [Run(domain, width, loss, seed) for width in widths for seed in chosen]
    return groups


def perform_all(groups: dict[tuple[str, str], list[Run]], settings: AutoencoderSettings, out: Path, jobs: int) -> None:
    """Do all runs that are not finished, in this process or in several of one thread each."""
    if jobs == 1:
        for (domain, loss), runs in groups.items():
            work(domain, loss, runs, settings, out)
        return
    with InterruptiblePool(jobs, partial(torch.set_num_threads, 1)) as pool:
        tasks = [pool.submit(work, domain, loss, runs, settings, out) for (domain, loss), runs in groups.items()]
        for task in as_completed(tasks):
            task.result()


def settings_for(arguments: argparse.Namespace) -> AutoencoderSettings:
    """Return what the runs depend on, from parsed arguments.

    Raises:
        ValueError: there are no recordings.
    """
    data: Path = arguments.data
    if not data.exists():
        if not arguments.quick or arguments.data != DATA:
            raise ValueError(f"expected speech/train, speech/valid and music in {data}: no such folder")
        print(f"no recordings in {data}: all is done with {STAND_IN.name}, only to show the tables", file=sys.stderr)
        data = STAND_IN
    settings = AutoencoderSettings(str(data), **QUICK) if arguments.quick else AutoencoderSettings(str(data))
    if arguments.epochs is not None and arguments.epochs < 1:
        raise ValueError(f"--epochs: expected 1 or more, got {arguments.epochs}")
    return replace(settings, epochs=arguments.epochs) if arguments.epochs else settings


def make(arguments: argparse.Namespace) -> Report:
    """Return all runs and their report.

    Raises:
        ValueError, RuntimeError, OSError: with a message for the user.
    """
    if arguments.jobs < 1:
        raise ValueError(f"--jobs: expected 1 or more, got {arguments.jobs}")
    settings, out = settings_for(arguments), arguments.out
    widths, seeds = (QUICK_WIDTHS, QUICK_SEEDS) if arguments.quick else (WIDTHS, SEEDS)
    groups = plan(arguments.losses, widths, seeds)
    runs = [run for group in groups.values() for run in group]
    try:
        perform_all(groups, settings, out, arguments.jobs)
    except ModelError as error:
        raise ValueError(str(error)) from error
    results = [result for run in sorted(runs) if (result := load_result(run, settings, out))]
    write_manifest([heard(result) for result in results if result.run.seed == HEARD_SEED], SAMPLE_RATE, out)
    common: dict[str, Any] = asdict(settings) | {
        "data": Path(settings.data).name,
        "widths": widths,
        "seeds": seeds,
        "steps": settings.epochs * settings.batches,
        "losses": {name: asdict(KINDS[name]) for name in arguments.losses},
        "calibration_steps": CALIBRATION,
        "bootstrap": {"resamples": RESAMPLES, "seed": BOOTSTRAP_SEED},
        "training_seconds": {loss: _mean_seconds(results, loss) for loss in arguments.losses},
    }
    return Report("autoencoder", rows(results), tables(results), common, figure(results), PACKAGES)


def heard(result: Result) -> ListeningEntry:
    """Return a result as an entry of the manifest of the listening test."""
    run = result.run
    return ListeningEntry(run.set_name, {"domain": run.domain, "width": run.width}, run.loss, KINDS[run.loss].label)


def rows(results: list[Result]) -> list[dict[str, Any]]:
    """Return a row for each run and held-out item."""
    return [
        {
            **asdict(result.run),
            "steps": result.steps,
            "seconds": result.seconds,
            "item": item,
            "file": result.files[item],
            **scores,
        }
        for result in results
        for item, scores in result.scores.items()
    ]


def _mean_seconds(results: list[Result], loss: str) -> float:
    """Return the time of training, over the runs of a loss."""
    found = [result.seconds for result in results if result.run.loss == loss]
    return round(sum(found) / max(len(found), 1), 1)


def get_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m emulator.evidence.autoencoder", description=(__doc__ or "").partition("\n")[0]
    )
    add_report_arguments(parser)
    parser.add_argument(
        "--data", type=Path, default=DATA, metavar="DIR", help="folder with speech/{train,valid} and music"
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes (default 1)")
    epochs = f"passes over the training data (default {AutoencoderSettings.epochs})"
    parser.add_argument("--epochs", type=int, help=epochs)
    parser.add_argument(
        "--losses",
        nargs="+",
        choices=LOSSES,
        default=list(LOSSES),
        metavar="NAME",
        help="losses to compare (default all)",
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_report("emulator.evidence.autoencoder", make, get_parser().parse_args(argv))


if __name__ == "__main__":
    run("emulator.evidence.autoencoder", main)
