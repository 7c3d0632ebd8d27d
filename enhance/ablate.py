"""`python -m enhance.ablate`: the same network trained with one loss after another, on the same data, for equal steps.

Answers in the open whether an MP3 encoder's knowledge helps an enhancer, and where: sizes, losses and seeds make a grid
of trainings that differ in the loss alone. Each is trained by `enhance.train` in a process of its own, exported, and
scored on sets of pairs that no training has seen. The rows of every finished run are in `OUT/ablation.csv`: the same
command goes on with what is missing there. `enhance.reporting.ablation` makes the tables and the figure.

Training wants a GPU, scoring only cores: `--train-only` leaves the networks in `WORK/runs`, and the command without it
scores what it finds there.

With `--start NAME` each run goes on from a finished network for a short time, at a lower rate that falls to zero and
with the weights that its training ended with: what a loss does at the end of a long training, not in its first minutes.

Outputs of the first seed on the first set are kept for a blind listening test in `WORK/audio`
(`emulator.evidence.listening_files`), beside the checkpoints.
"""

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from emulator.evidence.listening_files import ListeningEntry, write_manifest, write_outputs
from emulator.evidence.perceptual_scores import Judge
from enhance.dsp.rate import SAMPLE_RATE
from enhance.evaluation.decomposition import decompose
from enhance.evaluation.pairs import Audio, check_same_files, find_pairs, names_of, read_pair
from enhance.evaluation.scoring import score
from enhance.model.config import SIZES
from enhance.model.onnx_export import export
from enhance.reporting.ablation import SCORES, SPLIT, figure, tables
from enhance.reporting.report import Report, check_settings, load_rows, save_report
from enhance.runtime.denoiser import Denoiser
from enhance.train import options_of
from enhance.training.ablation_grid import (
    BASELINE,
    FINE_GRID,
    LOSSES,
    SMALL_GRID,
    AblationSettings,
    FineTuning,
    Run,
    plan,
)
from enhance.training.training_process import train
from enhance.utils.atomic import write_text
from enhance.utils.command import run
from enhance.utils.environment import machine
from enhance.utils.errors import DatasetError, ModelError, fail
from enhance.utils.interruptible_pool import InterruptiblePool

NAME = "ablation"
HEARD_SEED = 0  # whose outputs are kept for listening
ONE_THREAD = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
PACKAGES = ("onnxruntime", "pesq", "pystoi", "speechmos", "visqol-python")


def trained(run: Run, settings: AblationSettings, work: Path, arguments: Sequence[str]) -> tuple[Path, dict[str, Any]]:
    """Return the network of a run and what it was made with; trained unless ``work`` holds it.

    Raises:
        RuntimeError: the training failed.
        ValueError: the network in ``work`` was trained with other settings.
    """
    folder = work / "runs" / run.name
    model, note = folder / f"{run.name}.onnx", folder / "trained.json"
    options = options_of(arguments)
    chosen = [*settings.pairs(), f"seed={run.seed}", *LOSSES[run.loss].settings]
    wanted: dict[str, Any] = {"set": chosen, "options": options}
    if isinstance(settings, FineTuning):
        wanted |= {"start": settings.start, "start_sha256": settings.digest}
    if not note.is_file():
        minutes = train(chosen, settings.steps, folder, ["--size", run.size, *settings.weights, *arguments])
        export(folder / "last.pt", model, run.name)
        about = {
            "minutes": round(minutes, 2),
            "machine": machine(),
            "torch": version("torch"),
            "arguments": [*arguments],
        }
        write_text(note, json.dumps(wanted | about, indent=2))
    noted: dict[str, Any] = json.loads(note.read_text(encoding="utf-8"))
    if any(noted.get(key, value) != value for key, value in wanted.items()):
        raise ValueError(f"the network in '{folder}' was trained with {' '.join(noted['set'])}; name another --work")
    return model, noted


def trained_only(
    settings: AblationSettings, sets: Sequence[Path], work: Path, arguments: Sequence[str], run: Run
) -> list[dict[str, Any]]:
    """Train as :func:`perform` does, without scores: no rows."""
    trained(run, settings, work, arguments)
    return []


def perform(
    settings: AblationSettings, sets: Sequence[Path], work: Path, arguments: Sequence[str], run: Run
) -> list[dict[str, Any]]:
    """Train and score; return a row for each file.

    Raises:
        RuntimeError: the training failed.
        DatasetError, ValueError: a set or a checkpoint cannot be used.
    """
    model, noted = trained(run, settings, work, arguments)
    begin, rows, denoiser = time.monotonic(), [], Denoiser(model)
    for folder in sets:
        pairs = find_pairs(folder)
        for name, (clean, noisy) in zip(names_of(pairs), pairs, strict=True):
            target, mixture, sample_rate = read_pair(clean, noisy)
            estimate = denoiser.denoise(mixture, sample_rate)
            scores = score(estimate, target, mixture, sample_rate) | judge(sample_rate)(estimate, target)
            scores |= split(estimate, target, mixture, sample_rate)
            about = {"set": folder.resolve().name, "file": name, "minutes": noted["minutes"]}
            rows.append(asdict(run) | about | {key: scores[key] for key in (*SCORES, *SPLIT)})
            if run.seed == HEARD_SEED and folder == sets[0]:
                write_outputs(run.size, run.loss, {name: target}, {name: estimate}, sample_rate, work)
    pesq = np.nanmean([row["pesq"] for row in rows])
    spent = f"trained {noted['minutes']} min, scored {(time.monotonic() - begin) / 60:.1f} min"
    print(f"{run.name}: {spent}, PESQ {pesq:.3f}", file=sys.stderr, flush=True)
    return rows


def split(estimate: Audio, target: Audio, noisy: Audio, sample_rate: int) -> dict[str, float]:
    """Return the parts of the estimate, by the names in `SPLIT`."""
    parts = decompose(estimate, target, noisy, sample_rate)
    return dict(zip(SPLIT, (parts.distortion, *parts.noise_left, *parts.pause_left), strict=True))


@cache
def judge(sample_rate: int) -> Judge:
    """Return what rates by ViSQOL and the noise-to-mask ratio, made once in each process."""
    return Judge(sample_rate)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of finished runs, with nan for what was not measured then; none when there is no file.

    Raises:
        ValueError: the file is another one.
    """
    rows, unknown = load_rows(path, ("size", "loss", "set", "file")), dict.fromkeys(SPLIT, math.nan)
    return [
        row | {key: row.get(key, value) for key, value in unknown.items()} | {"seed": int(row["seed"])} for row in rows
    ]


def finished(rows: Sequence[dict[str, Any]]) -> set[Run]:
    """Return the runs that have rows."""
    return {Run(row["seed"], row["size"], row["loss"]) for row in rows}


def common_settings(settings: AblationSettings, sets: Sequence[Path], arguments: Sequence[str]) -> dict[str, Any]:
    """Return the settings that all runs have in common, as plain values."""
    return settings.plain() | {"sets": [path.resolve().name for path in sets], "options": options_of(arguments)}


def make_report(rows: list[dict[str, Any]], common: dict[str, Any]) -> Report:
    """Return rows in the order of the grid, with tables and figure; the manifest is for listening."""
    every = plan(list(SIZES), list(LOSSES), sorted({row["seed"] for row in rows}))
    rows = sorted(rows, key=lambda row: every.index(Run(row["seed"], row["size"], row["loss"])))
    labels = {name: loss.label for name, loss in LOSSES.items()}
    return Report(NAME, rows, tables(rows, labels, BASELINE), common, figure(rows, labels, BASELINE), PACKAGES)


def heard(run: Run) -> ListeningEntry:
    """Return a run as an entry of the manifest of the listening test."""
    return ListeningEntry(run.size, {"size": run.size}, run.loss, LOSSES[run.loss].label)


def ablate(arguments: argparse.Namespace) -> None:
    """Perform what is missing of the grid; the report is written anew after each run.

    Raises:
        ValueError, RuntimeError, OSError, DatasetError, ModelError: with a message for the user.
    """
    if arguments.jobs < 1:
        raise ValueError(f"--jobs: expected 1 or more, got {arguments.jobs}")
    if not arguments.sets and not arguments.train_only:
        raise ValueError("--sets: name the folders to score on")
    settings = chosen_settings(arguments)
    out, work, sets = arguments.out, arguments.work, arguments.sets
    names = [folder.resolve().name for folder in sets]
    if again := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"--sets: two sets are called '{again}', and rows tell sets apart by their names; rename one")
    found = {name: find_pairs(folder) for name, folder in zip(names, sets, strict=True)}  # before hours of training
    out.mkdir(parents=True, exist_ok=True)
    options = ["--cache", str(arguments.cache), *arguments.arguments]
    rows, common = read_rows(out / f"{NAME}.csv"), common_settings(settings, sets, options)
    if rows:
        check_settings(common, out, NAME)
        for name, pairs in found.items():
            check_same_files({row["file"] for row in rows if row["set"] == name}, pairs, out)
    sizes = arguments.sizes or ([arguments.start] if arguments.start else ["tiny", "small"])
    losses = arguments.losses or (FINE_GRID if arguments.start else SMALL_GRID)
    missing = [run for run in plan(sizes, losses, arguments.seeds) if run not in finished(rows)]
    if arguments.jobs > 1:
        os.environ.update(ONE_THREAD)
    failures = list[str]()
    with InterruptiblePool(arguments.jobs) as pool:
        work_of = partial(trained_only if arguments.train_only else perform, settings, sets, work, options)
        try:
            tasks = {pool.submit(work_of, run): run for run in missing}
            for task in as_completed(tasks):
                error = task.exception()
                if isinstance(error, BrokenProcessPool | KeyboardInterrupt):
                    raise error
                if error:
                    failures.append(f"{tasks[task].name}: {error}")
                elif performed := task.result():
                    rows += performed
                    save_report(make_report(rows, common), out, seconds_of(rows))
                    listened = [heard(run) for run in sorted(finished(rows)) if run.seed == HEARD_SEED]
                    write_manifest(listened, SAMPLE_RATE, work)
        except BrokenProcessPool:  # with it fail all runs that are left
            killed = "the process of a run was killed, perhaps for want of memory"
            raise RuntimeError(f"{killed}; finished runs are kept, the same command goes on with the rest") from None
    if failures:
        raise RuntimeError(f"{len(failures)} of {len(missing)} runs failed, the others are kept; {'; '.join(failures)}")
    if not arguments.train_only:
        save_report(make_report(rows, common), out, seconds_of(rows))


def chosen_settings(arguments: argparse.Namespace) -> AblationSettings:
    """Return the settings of the kind of grid, with what the command line says otherwise."""
    given = {name: value for name in ("steps", "batch") if (value := getattr(arguments, name)) is not None}
    return FineTuning(start=arguments.start, **given) if arguments.start else AblationSettings(**given)


def seconds_of(rows: Sequence[dict[str, Any]]) -> float:
    """Return the time of all trainings, s."""
    return 60 * sum({Run(row["seed"], row["size"], row["loss"]): row["minutes"] for row in rows}.values())


def get_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(prog="python -m enhance.ablate", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of rows, tables and figure", metavar="DIR")
    parser.add_argument("--work", type=Path, required=True, help="folder of checkpoints and audio", metavar="DIR")
    parser.add_argument("--cache", type=Path, required=True, help="folder for decoded audio", metavar="DIR")
    parser.add_argument("--sets", type=Path, nargs="+", default=[], help="folders with clean/ and noisy/")
    parser.add_argument("--start", choices=SIZES, help="go on from this finished network", metavar="NAME")
    sizes = "of the networks (default: that of --start, else tiny and small)"
    parser.add_argument("--sizes", nargs="+", choices=SIZES, help=sizes, metavar="NAME")
    losses = f"of {', '.join(LOSSES)} (default: the first nine; with --start, those that are tried at the end)"
    parser.add_argument("--losses", nargs="+", choices=LOSSES, help=losses, metavar="NAME")
    parser.add_argument(
        "--seeds",
        type=int,
        nargs="+",
        default=[0, 1],
        metavar="N",
        help="random seeds, a training for each (default 0 1)",
    )
    steps = f"of each training (default {AblationSettings.steps}; with --start {FineTuning.steps})"
    parser.add_argument("--steps", type=int, help=steps)
    parser.add_argument("--batch", type=int, help=f"examples per step (default {AblationSettings.batch})")
    parser.add_argument("--jobs", type=int, default=1, help="trainings side by side, one thread each (default 1)")
    parser.add_argument("--train-only", action="store_true", help="leave scoring to a later call with --sets")
    parser.add_argument(
        "--arguments", nargs=argparse.REMAINDER, default=[], help="all that follows goes to enhance.train"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    arguments = get_parser().parse_args(argv)
    try:
        ablate(arguments)
    except (ValueError, RuntimeError, OSError, DatasetError, ModelError) as error:
        return fail("enhance.ablate", error)
    if not arguments.train_only:
        print((arguments.out / f"{NAME}.md").read_text(encoding="utf-8"))
    return 0


if __name__ == "__main__":
    run("enhance.ablate", main)
