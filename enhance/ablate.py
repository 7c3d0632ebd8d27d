"""`python -m enhance.ablate`: the same network trained with one loss after another, on the same data, for equal steps.

Answers in the open whether an MP3 encoder's knowledge helps an enhancer, and where: sizes, losses and seeds make a grid
of trainings that differ in the loss alone. Each is trained by `enhance.train` in a process of its own, exported, and
scored on sets of pairs that no training has seen. The rows of every finished run are in `OUT/ablation.csv`: the same
command goes on with what is missing there. `enhance.reporting.ablation` makes the tables and the figure.

Training wants a GPU, scoring only cores: `--train-only` leaves the networks in `WORK/runs`, and the command without it
scores what it finds there.

Outputs of the first seed on the first set are kept for a blind listening test in `WORK/audio`
(`emulator.evidence.listening_files`), beside the checkpoints.
"""

import argparse
import csv
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from emulator.evidence.listening_files import ListeningEntry, write_manifest, write_outputs
from emulator.evidence.perceptual_scores import Judge
from enhance.evaluate import find_pairs, read_pair, score
from enhance.export import export
from enhance.model.config import SAMPLE_RATE, SIZES
from enhance.reporting.ablation import SCORES, figure, tables
from enhance.reporting.report import Report, save_report
from enhance.runtime.denoiser import Denoiser
from enhance.study import train
from enhance.train import get_parser as get_train_parser
from enhance.utils.environment import machine
from enhance.utils.errors import DatasetError, ModelError

NAME = "ablation"
HEARD_SEED = 0  # whose outputs are kept for listening
ONE_THREAD = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
PACKAGES = ("onnxruntime", "pesq", "pystoi", "speechmos", "visqol-python")


@dataclass(frozen=True)
class Loss:
    """A loss of the grid: what it is called in tables, and what sets it in `enhance.train`."""

    label: str
    settings: tuple[str, ...] = ()


BASELINE = "baseline"
LOSSES = {
    BASELINE: Loss("compressed complex + multi-resolution STFT"),
    "noise-to-mask": Loss("+ V9 noise-to-mask", ('extra=["noise-to-mask"]',)),
    "loudness": Loss("+ V9 loudness", ('extra=["loudness"]',)),
    "fading-loudness": Loss("+ V9 loudness, fading to .3", ('extra=["loudness"]', "extra_last=0.3")),
    "plain-loudness": Loss("+ loudness without the codec", ('extra=["plain-loudness"]',)),
    "layers": Loss("+ CBR16 layers (the paper's)", ('extra=["layers"]',)),
    "random-layers": Loss("+ layers with random weights", ('extra=["random-layers"]',)),
    "mel": Loss("+ log mel", ('extra=["mel"]',)),
    "bark": Loss("+ Bark noise-to-mask", ('extra=["bark"]',)),
    "less-noise-to-mask": Loss("+ V9 noise-to-mask, a third of it", ('extra=["noise-to-mask"]', "extra_share=0.33")),
    "more-layers": Loss("+ CBR16 layers, four times that weight", ('extra=["layers"]', "extra_share=4")),
    "both": Loss("+ V9 noise-to-mask + CBR16 layers", ('extra=["noise-to-mask", "layers"]',)),
    "l1": Loss("l1 alone", ('extra=["l1"]', "plain=0")),
    "l2": Loss("l2 alone", ('extra=["l2"]', "plain=0")),
}
SMALL_GRID = tuple(list(LOSSES)[:9])


@dataclass(frozen=True, order=True)
class Run:
    """One training."""

    seed: int
    size: str
    loss: str

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.size}-{self.loss}-{self.seed}"


@dataclass(frozen=True)
class AblationSettings:
    """All that a run depends on beside its size, loss, seed and data."""

    steps: int = 500
    batch: int = 8
    rate: float = 0.003
    warmup: int = 50
    reuse: int = 3
    disguise: float = 0.0  # of recorded noises, which the runs on record do without

    def pairs(self) -> list[str]:
        """As arguments of `enhance.train --set`; the running average is as long a part of the run as in a long one."""
        common = [f"{key}={value}" for key, value in asdict(self).items()]
        return [*common, f"validate_every={self.steps}", f"average={max(0.9, 1 - 5 / self.steps):.5f}"]


def trained(run: Run, settings: AblationSettings, work: Path, arguments: Sequence[str]) -> tuple[Path, dict[str, Any]]:
    """The network of a run and what it was made with; trained unless ``work`` holds it.

    Raises:
        RuntimeError: the training failed.
        ValueError: the network in ``work`` was trained with other settings.
    """
    folder = work / "runs" / run.name
    model, note = folder / f"{run.name}.onnx", folder / "trained.json"
    options = own_options(arguments)
    chosen = [*settings.pairs(), f"seed={run.seed}", *LOSSES[run.loss].settings]
    wanted = {"set": chosen, "options": options}
    if not note.is_file():
        minutes = train(chosen, settings.steps, folder, ["--size", run.size, *arguments])
        export(folder / "last.pt", model, run.name)
        about = {
            "minutes": round(minutes, 2),
            "machine": machine(),
            "torch": version("torch"),
            "arguments": [*arguments],
        }
        note.write_text(json.dumps(wanted | about, indent=2), encoding="utf-8")
    noted: dict[str, Any] = json.loads(note.read_text(encoding="utf-8"))
    if {key: noted[key] for key in wanted} != wanted:
        raise ValueError(f"the network in '{folder}' was trained with {' '.join(noted['set'])}; name another --work")
    return model, noted


def own_options(arguments: Sequence[str]) -> list[str]:
    """The arguments of `enhance.train` without folders and devices, which may differ from machine to machine."""
    parsed = get_train_parser().parse_args(["--out", "", *arguments])
    return [f"--precision {parsed.precision}", f"--simulated-rooms {parsed.simulated_rooms}", *parsed.set]


def trained_only(
    settings: AblationSettings, sets: Sequence[Path], work: Path, arguments: Sequence[str], run: Run
) -> list[dict[str, Any]]:
    """As :func:`perform`, without scores: no rows."""
    trained(run, settings, work, arguments)
    return []


def perform(
    settings: AblationSettings, sets: Sequence[Path], work: Path, arguments: Sequence[str], run: Run
) -> list[dict[str, Any]]:
    """Trains and scores; returns a row for each file.

    Raises:
        RuntimeError: the training failed.
        DatasetError, ValueError: a set or a checkpoint cannot be used.
    """
    model, noted = trained(run, settings, work, arguments)
    begin, rows, denoiser = time.monotonic(), [], Denoiser(model)
    for pairs in sets:
        for clean, noisy in find_pairs(pairs):
            target, mixture, sample_rate = read_pair(clean, noisy)
            estimate = denoiser.denoise(mixture, sample_rate)
            scores = score(estimate, target, mixture, sample_rate) | judge(sample_rate)(estimate, target)
            about = {"set": pairs.resolve().name, "file": clean.stem, "minutes": noted["minutes"]}
            rows.append(asdict(run) | about | {name: scores[name] for name in SCORES})
            if run.seed == HEARD_SEED and pairs == sets[0]:
                write_outputs(run.size, run.loss, {clean.stem: target}, {clean.stem: estimate}, sample_rate, work)
    pesq = np.nanmean([row["pesq"] for row in rows])
    spent = f"trained {noted['minutes']} min, scored {(time.monotonic() - begin) / 60:.1f} min"
    print(f"{run.name}: {spent}, PESQ {pesq:.3f}", file=sys.stderr, flush=True)
    return rows


@cache
def judge(sample_rate: int) -> Judge:
    """ViSQOL and the noise-to-mask ratio, made once in each process."""
    return Judge(sample_rate)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of finished runs; none when there is no file."""
    if not path.is_file():
        return []
    texts = {"size", "loss", "set", "file"}
    with path.open(newline="", encoding="utf-8") as file:
        rows = [{k: v if k in texts else float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    return [row | {"seed": int(row["seed"])} for row in rows]


def finished(rows: Sequence[dict[str, Any]]) -> set[Run]:
    """The runs that have rows."""
    return {Run(row["seed"], row["size"], row["loss"]) for row in rows}


def plan(sizes: Sequence[str], losses: Sequence[str], seeds: Sequence[int]) -> list[Run]:
    """The grid, seed by seed, so that a part of it is a smaller grid.

    Example:
        >>> [run.name for run in plan(["tiny", "small"], ["baseline", "mel"], [0])]
        ['small-baseline-0', 'tiny-baseline-0', 'small-mel-0', 'tiny-mel-0']
    """
    return [Run(seed, size, loss) for seed in seeds for loss in losses for size in reversed(sizes)]


def told(settings: AblationSettings, sets: Sequence[Path]) -> dict[str, Any]:
    """What all runs have in common, as plain values."""
    return asdict(settings) | {"sets": [path.resolve().name for path in sets]}


def make_report(rows: list[dict[str, Any]], settings: AblationSettings, sets: Sequence[Path]) -> Report:
    """Rows in the order of the grid, with tables and figure; the manifest is for listening."""
    every = plan(list(SIZES), list(LOSSES), sorted({row["seed"] for row in rows}))
    rows = sorted(rows, key=lambda row: every.index(Run(row["seed"], row["size"], row["loss"])))
    labels = {name: loss.label for name, loss in LOSSES.items()}
    common = told(settings, sets)
    return Report(NAME, rows, tables(rows, labels, BASELINE), common, figure(rows, labels, BASELINE), PACKAGES)


def heard(run: Run) -> ListeningEntry:
    """A run as an entry of the manifest of the listening test."""
    return ListeningEntry(run.size, {"size": run.size}, run.loss, LOSSES[run.loss].label)


def ablate(arguments: argparse.Namespace) -> None:
    """Performs what is missing of the grid; the report is written anew after each run.

    Raises:
        ValueError, RuntimeError, OSError, DatasetError, ModelError: with a message for the user.
    """
    if arguments.jobs < 1:
        raise ValueError(f"--jobs: expected 1 or more, got {arguments.jobs}")
    if not arguments.sets and not arguments.train_only:
        raise ValueError("--sets: name the folders to score on")
    settings = AblationSettings(steps=arguments.steps, batch=arguments.batch)
    out, work, sets = arguments.out, arguments.work, arguments.sets
    for folder in sets:
        find_pairs(folder)  # before hours of training, not after them
    out.mkdir(parents=True, exist_ok=True)
    rows, described = read_rows(out / f"{NAME}.csv"), out / f"{NAME}.json"
    if rows and json.loads(described.read_text(encoding="utf-8"))["settings"] != told(settings, sets):
        raise ValueError(f"the runs in {out} were made with other settings or sets; name another folder by --out")
    missing = [run for run in plan(arguments.sizes, arguments.losses, arguments.seeds) if run not in finished(rows)]
    if arguments.jobs > 1:
        os.environ.update(ONE_THREAD)
    options, failures = ["--cache", str(arguments.cache), *arguments.arguments], list[str]()
    with ProcessPoolExecutor(arguments.jobs, multiprocessing.get_context("spawn")) as pool:
        work_of = partial(trained_only if arguments.train_only else perform, settings, sets, work, options)
        tasks = {pool.submit(work_of, run): run for run in missing}
        try:
            for task in as_completed(tasks):
                if error := task.exception():
                    failures.append(f"{tasks[task].name}: {error}")
                elif performed := task.result():
                    rows += performed
                    save_report(make_report(rows, settings, sets), out, seconds_of(rows))
                    listened = [heard(run) for run in sorted(finished(rows)) if run.seed == HEARD_SEED]
                    write_manifest(listened, SAMPLE_RATE, work)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if failures:
        raise RuntimeError(f"{len(failures)} of {len(missing)} runs failed, the others are kept; {'; '.join(failures)}")
    if not arguments.train_only:
        save_report(make_report(rows, settings, sets), out, seconds_of(rows))


def seconds_of(rows: Sequence[dict[str, Any]]) -> float:
    """What all trainings took."""
    return 60 * sum({Run(row["seed"], row["size"], row["loss"]): row["minutes"] for row in rows}.values())


def get_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m enhance.ablate", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of rows, tables and figure", metavar="DIR")
    parser.add_argument("--work", type=Path, required=True, help="folder of checkpoints and audio", metavar="DIR")
    parser.add_argument("--cache", type=Path, required=True, help="as for enhance.train", metavar="DIR")
    parser.add_argument("--sets", type=Path, nargs="+", default=[], help="folders with clean/ and noisy/")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=["tiny", "small"], metavar="NAME")
    losses = f"of {', '.join(LOSSES)} (default: the first nine)"
    parser.add_argument("--losses", nargs="+", choices=LOSSES, default=SMALL_GRID, help=losses, metavar="NAME")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], metavar="N")
    parser.add_argument(
        "--steps", type=int, default=AblationSettings.steps, help="of each training (default %(default)s)"
    )
    parser.add_argument(
        "--batch", type=int, default=AblationSettings.batch, help="examples per step (default %(default)s)"
    )
    parser.add_argument("--jobs", type=int, default=1, help="trainings side by side, one thread each (default 1)")
    parser.add_argument("--train-only", action="store_true", help="leave scoring to a later call with --sets")
    parser.add_argument("--arguments", nargs=argparse.REMAINDER, default=[], help="all else for enhance.train")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    arguments = get_parser().parse_args(argv)
    try:
        ablate(arguments)
    except (ValueError, RuntimeError, OSError, DatasetError, ModelError) as error:
        print(f"enhance.ablate: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    if not arguments.train_only:
        print((arguments.out / f"{NAME}.md").read_text(encoding="utf-8"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
