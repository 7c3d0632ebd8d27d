"""`python -m enhance.study`: short trainings of equal length that differ in one thing, for choosing a network.

Each variant is trained by `enhance.train`, exported, and scored on the same pairs, such as `enhance.held_out` makes;
its cost is measured by ONNX Runtime. The table has what a variant gives for its cost, and differences from the first
one, file by file, with intervals over the files. These are single runs of a few minutes: what another seed would change
is not in the intervals.

With `--start NAME` each variant goes on from that finished network, at a rate that falls to zero: what the parts are
worth by which a network for files hears what follows. Finished variants have their rows in `OUT/study.csv`: the same
command goes on with what is missing there.
"""

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from enhance.evaluation.pairs import check_same_files, find_pairs, names_of, read_pair
from enhance.evaluation.results import METRICS, bootstrap
from enhance.evaluation.scoring import score
from enhance.model.config import SIZES
from enhance.model.onnx_export import export
from enhance.reporting.markdown import markdown_table
from enhance.reporting.report import Report, check_settings, load_rows, save_report
from enhance.runtime.denoiser import Denoiser
from enhance.train import options_of
from enhance.training.ablation_grid import AblationSettings, FineTuning
from enhance.training.training_process import train
from enhance.utils.command import run
from enhance.utils.errors import DatasetError, ModelError, fail

NAME = "study"
VARIANTS: dict[str, tuple[str, ...]] = {
    "small": (),
    "all weights by AdamW": ("muon=false",),
    "no deep filter (one tap)": ("taps=1",),
    "one dual-path block": ("blocks=1",),
    "three dual-path blocks": ("blocks=3",),
    "narrow bands up to 2.4 kHz": ("narrow_bands=48", "wide_bands=40"),
    "constant weight of the SNR": ("snr_last=0.05",),
    "tiny": ("stem_channels=24", "channels=32", "head_channels=8"),
}
"""What is compared from random weights on, as settings of `enhance.train`."""

_BLOCKS = ("block=400", "ahead=25")
VARIANTS_AHEAD: dict[str, tuple[str, ...]] = {
    "nothing of what follows": (),
    "look-ahead of 2 hops": ("lookahead=2",),
    "look-ahead of 4 hops": ("lookahead=4",),
    "taps on two later frames": (*_BLOCKS, "taps_ahead=2"),
    "fine powers under 2 kHz (90 ms)": (*_BLOCKS, "fine_bins=40"),
    "GRUs in both directions": (*_BLOCKS, "backward=true"),
    "all three": (*_BLOCKS, "taps_ahead=2", "fine_bins=40", "backward=true"),
    "window of 32 ms": ("window=1536", "hop=768"),
    "window of 40 ms": ("window=1920", "hop=960"),
}
"""What is compared from a finished causal network on."""

SCORES = ("pesq", "estoi", "si_sdr", "lsd", "ovrl")
REPEATS = 20  # calls whose median is the time of a second
PACKAGES = ("torch", "onnxruntime", "pesq", "pystoi", "speechmos")
Row = dict[str, Any]


@dataclass(frozen=True)
class Cost:
    """Cost of one variant."""

    parameters: int
    mmacs: float  # million multiplications per second of audio
    milliseconds: float  # of one thread for a second of audio, many hops a call
    minutes: float  # of training


def cost(denoiser: Denoiser, minutes: float) -> Cost:
    """Return what a network costs; the time is that of calls of about four seconds."""
    info = denoiser.info
    hops = info.block or 4 * info.sample_rate // info.hop
    rng = np.random.default_rng(0)
    block = (0.01 * rng.standard_normal((1, (hops + info.ahead) * info.hop))).astype(np.float32)
    times = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        denoiser.step(block, denoiser.initial_state())
        times.append(time.perf_counter() - begin)
    seconds = hops * info.hop / info.sample_rate
    return Cost(info.parameters, info.macs_per_second / 1e6, 1000 * median(times) / seconds, minutes)


def measure(variant: str, model: Path, minutes: float, pairs: Sequence[tuple[Path, Path]]) -> list[Row]:
    """Return a row for each pair: scores of an exported network, and its cost in each.

    Raises:
        DatasetError: a pair cannot be used.
    """
    denoiser, rows = Denoiser(model), []
    about = {"variant": variant} | asdict(cost(denoiser, minutes))
    for name, (clean, noisy) in zip(names_of(pairs), pairs, strict=True):
        target, mixture, sample_rate = read_pair(clean, noisy)
        scores = score(denoiser.denoise(mixture, sample_rate), target, mixture, sample_rate)
        rows.append(about | {"file": name} | {key: scores[key] for key in SCORES})
    return rows


def read_rows(path: Path) -> list[Row]:
    """Return the rows of finished variants; none where there is no file.

    Raises:
        ValueError: the file is another one.
    """
    return [row | {"parameters": int(row["parameters"])} for row in load_rows(path, ("variant", "file"))]


def tables(rows: Sequence[Row]) -> str:
    """Return means and costs, and the differences from the first variant with their intervals, as Markdown."""
    variants = list(dict.fromkeys(row["variant"] for row in rows))
    header = [METRICS[name].label for name in SCORES]
    means, differences = [], []
    for variant in variants:
        own = [row for row in rows if row["variant"] == variant]
        costs = f"{own[0]['parameters']:,}|{own[0]['mmacs']:.0f}|{own[0]['milliseconds']:.1f}|{own[0]['minutes']:.0f}"
        means.append([variant, *costs.split("|"), *(_mean(own, name) for name in SCORES)])
        if variant != variants[0]:
            first = {row["file"]: row for row in rows if row["variant"] == variants[0]}
            differences.append([variant, *(_difference(own, first, name) for name in SCORES)])
    parts = [markdown_table(["variant", "parameters", "MMAC/s", "ms per s", "minutes", *header], means)]
    if differences:
        parts += ["", f"Difference from '{variants[0]}', with its 95 % interval over the files:", ""]
        parts.append(markdown_table(["variant", *header], differences))
    return "\n".join(parts)


def _mean(rows: Sequence[Row], name: str) -> str:
    return f"{bootstrap(row[name] for row in rows).mean:.{METRICS[name].digits}f}"


def _difference(rows: Sequence[Row], first: Mapping[str, Row], name: str) -> str:
    found = bootstrap(row[name] - first[row["file"]][name] for row in rows)
    mean, low, high = (f"{value:+.{METRICS[name].digits}f}" for value in (found.mean, found.low, found.high))
    return f"**{mean}** ({low} to {high})" if found.low > 0 or found.high < 0 else f"{mean} ({low} to {high})"


def get_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(prog="python -m enhance.study", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for runs, table and CSV", metavar="DIR")
    parser.add_argument("--cache", type=Path, required=True, help="folder for decoded audio", metavar="DIR")
    parser.add_argument("--set", type=Path, required=True, help="folder with clean/ and noisy/", metavar="DIR")
    parser.add_argument("--start", choices=SIZES, help="go on from this finished network", metavar="NAME")
    parser.add_argument("--steps", type=int, default=300, help="steps of each training (default 300)")
    parser.add_argument("--batch", type=int, default=8, help="examples per step (default 8)")
    parser.add_argument("--variants", nargs="+", help="networks to compare (default all)", metavar="NAME")
    parser.add_argument(
        "--arguments", nargs=argparse.REMAINDER, default=[], help="all that follows goes to enhance.train"
    )
    return parser


def study(arguments: argparse.Namespace) -> str:
    """Train and score what is missing; write the report anew after each variant and return its tables.

    Raises:
        ValueError, RuntimeError, OSError, DatasetError, ModelError: with a message for the user.
    """
    known = VARIANTS_AHEAD if arguments.start else VARIANTS
    chosen = arguments.variants or list(known)
    if unknown := [name for name in chosen if name not in known]:
        raise ValueError(f"no variant '{unknown[0]}'; there are: {', '.join(known)}")
    common: dict[str, Any] = {"steps": arguments.steps, "batch": arguments.batch}
    settings = FineTuning(start=arguments.start, **common) if arguments.start else AblationSettings(**common)
    pairs, out = find_pairs(arguments.set), arguments.out
    out.mkdir(parents=True, exist_ok=True)
    size = ["--size", arguments.start] if arguments.start else []
    options = ["--cache", str(arguments.cache), *size, *settings.weights, *arguments.arguments]
    described = settings.plain() | {"set": arguments.set.resolve().name, "options": options_of(options)}
    rows = read_rows(out / f"{NAME}.csv")
    if rows:
        check_settings(described, out, NAME)
        check_same_files({row["file"] for row in rows}, pairs, out)
    finished = {row["variant"] for row in rows}
    for variant in (name for name in chosen if name not in finished):
        folder = out / f"run-{list(known).index(variant)}"
        minutes = train([*settings.pairs(), *known[variant]], arguments.steps, folder, options)
        export(folder / "last.pt", folder / "model.onnx", variant)
        rows += measure(variant, folder / "model.onnx", minutes, pairs)
        rows.sort(key=lambda row: list(known).index(row["variant"]))
        seconds = 60 * sum({row["variant"]: row["minutes"] for row in rows}.values())
        save_report(Report(NAME, rows, tables(rows), described, packages=PACKAGES), out, seconds)
    return tables(rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    try:
        print(study(get_parser().parse_args(argv)))
    except (ValueError, RuntimeError, OSError, DatasetError, ModelError) as error:
        return fail("enhance.study", error)
    return 0


if __name__ == "__main__":
    run("enhance.study", main)
