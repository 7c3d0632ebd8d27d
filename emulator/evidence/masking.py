"""`python -m emulator.evidence.masking`: which distances hear masking as the codec does.

Selectivity is by how many dB less something changes for a probe that the masker masks than for an audible probe of the
same energy. For the codec the change is the power of coded(masker + probe) - coded(masker), as a mean over draws; for a
distance it is the distance of masker + probe from the masker. A distance of degree d, one that grows with the d-th
power of the amplitude of a small error, counts 20 / d dB per decade. So l1 and l2 have selectivity 0 by construction,
and a loss that hears as the codec does has that of the codec.

The stimuli are those of :mod:`emulator.evidence.masking_trials`. The one that counts is the spread probe, a critical
band above its masker: a probe close to its masker shares bins with it, which flatters every logarithmic distance.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from emulator.evidence.masking_trials import (
    DISTANCES,
    DISTANCES_HZ,
    EXPERIMENTS,
    MASKER_DB,
    SPREAD,
    Experiment,
    Trial,
    trial,
)  # fmt: skip
from emulator.lame import Setting, round_trip
from emulator.losses.distances import Distance, all_distances
from emulator.model.config import PRESETS, EmulatorConfig
from emulator.model.presets import load_emulators
from enhance.reporting.markdown import markdown_table
from enhance.reporting.report import Report, add_report_arguments, run_report
from enhance.utils.command import run

SETTINGS = {16_000: ("cbr16", "cbr32", "v9", "v6"), 48_000: ("v6",)}  # of LAME, by sample rate; others are added
BLOCK, QUICK_BLOCK = 4, 1  # draws that are measured at once; the spread between blocks gives the standard error
BLOCKS, QUICK_BLOCKS = 4, 1  # of a distance
CODEC_BLOCKS, QUICK_CODEC_BLOCKS = 16, 3  # of the codec, whose change is erratic where that of a network is smooth
TOLERANCE_DB = 3.0  # within which a masking term should be of the real codec

REAL = "LAME v9"
LINES: dict[str, dict[str, Any]] = {
    REAL: {"color": "black", "linewidth": 4.5, "marker": "o"},
    "LAME cbr16": {"color": "gray", "linewidth": 4.5, "marker": "s"},
    "mp3-v9-16k noise-to-mask": {"color": "C0", "linewidth": 2.5, "marker": "^"},
    "mp3-v9-16k masking layers": {"color": "C9", "linewidth": 1.3},
    "mp3-v9-16k noise-to-mask, random weights": {"color": "C0", "linewidth": 1.8, "linestyle": ":"},
    "mp3-cbr16-16k encoder layers": {"color": "C1", "linewidth": 1.3},
    "MR-STFT": {"color": "C2", "linewidth": 1.3, "linestyle": "--"},
    "log mel": {"color": "C4", "linewidth": 1.3, "linestyle": "--"},
    "compressed magnitude": {"color": "C5", "linewidth": 1.3, "linestyle": "--"},
    "Bark noise-to-mask": {"color": "C3", "linewidth": 1.3, "linestyle": "--"},
    "l1": {"color": "C7", "linewidth": 1.3, "linestyle": "--"},
}
"""What the figure shows, and how; all that is measured is in the table."""

Change = Callable[[list[Trial]], tuple[float, float]]
"""From the draws of a block to the mean change for masked and for audible probes."""


@dataclass(frozen=True)
class Row:
    """Selectivity of one system in one experiment."""

    sample_rate: int  # Hz
    system: str
    experiment: str
    level_db: float  # of the probes, relative to the masker
    masked: float  # mean change
    audible: float
    selectivity_db: float
    error_db: float  # standard error over blocks, by the jackknife; nan for one block
    draws: int


def codec_change(setting: str, sample_rate: int) -> Change:
    """Return the mean power of the change of coded sound."""
    parsed = Setting.parse(setting)

    def change(trials: list[Trial]) -> tuple[float, float]:
        powers = []
        for one in trials:
            coded = round_trip(one.masker, sample_rate, parsed)
            changes = [round_trip(probed, sample_rate, parsed) - coded for probed in (one.masked, one.audible)]
            powers.append([np.mean(np.square(c, dtype=np.float64)) for c in changes])
        masked, audible = np.mean(powers, axis=0)
        return float(masked), float(audible)

    return change


def distance_change(distance: Distance) -> Change:
    """Return the mean distance from the masker."""

    @torch.no_grad()
    def change(trials: list[Trial]) -> tuple[float, float]:
        masker, masked, audible = (torch.from_numpy(np.stack(signals)) for signals in zip(*trials, strict=True))
        measure = distance.to(masker)
        return float(measure(masked)), float(measure(audible))

    return change


def selectivity(pairs: Sequence[tuple[float, float]], degree: int) -> tuple[float, float]:
    """Return selectivity and its standard error in dB, from mean changes (masked, audible) of blocks.

    Infinite where one of them changes nothing at all, as a loss with a dead zone may; the error is then not a number,
    nor is the selectivity where both change nothing.

    Example:
        >>> selectivity([(1.0, 100.0), (3.0, 300.0)], degree=2)
        (20.0, 0.0)
    """
    blocks = np.array(pairs)

    def decibels(chosen: NDArray[np.float64]) -> float:
        masked, audible = chosen.sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(20 / degree * (np.log10(audible) - np.log10(masked)))

    count = len(blocks)
    if count < 2:
        return decibels(blocks), float("nan")
    left_out = np.array([decibels(np.delete(blocks, index, axis=0)) for index in range(count)])
    if not np.isfinite(left_out).all():
        return decibels(blocks), float("nan")
    return decibels(blocks), float(np.sqrt((count - 1) * np.mean((left_out - left_out.mean()) ** 2)))


def measure(
    system: str,
    change: Change,
    degree: int,
    experiments: Iterable[Experiment],
    sample_rate: int,
    blocks: int,
    size: int = BLOCK,
) -> list[Row]:
    """Return a row for each experiment and level.

    Args:
        system: its name.
        change: what it makes of a block.
        degree: of its change.
        experiments: which.
        sample_rate: Hz.
        blocks: how many.
        size: draws of each.
    """
    rows = []
    for experiment in experiments:
        for level in experiment.levels_db:
            pairs = []
            for block in range(blocks):
                seeds = range(block * size, (block + 1) * size)
                pairs.append(change([trial(experiment, level, sample_rate, seed) for seed in seeds]))
            masked, audible = np.mean(pairs, axis=0)
            value, error = selectivity(pairs, degree)
            rows.append(Row(sample_rate, system, experiment.name, level, masked, audible, value, error, blocks * size))
    return rows


def table(rows: Sequence[Row], emulators: Mapping[str, EmulatorConfig]) -> str:
    """Return systems by experiments, a table for each sample rate, and how far each term is from its codec."""
    parts = []
    columns = [(experiment.name, level) for experiment in EXPERIMENTS for level in experiment.levels_db]
    for rate in dict.fromkeys(row.sample_rate for row in rows):
        found = {(row.system, row.experiment, row.level_db): row for row in rows if row.sample_rate == rate}
        lines = []
        for system in dict.fromkeys(row.system for row in rows if row.sample_rate == rate):
            values = [found[system, *column].selectivity_db for column in columns]
            lines.append([system, float(np.nanmean(values[: len(SPREAD.levels_db)])), *values])
        header = [f"{rate // 1000} kHz", "spread, mean", *(f"{name} {level:.0f} dB" for name, level in columns)]
        parts.append(markdown_table(header, lines))
    draws = {
        kind: min(r.draws for r in rows if is_codec(r.system) == kind) for kind in {is_codec(r.system) for r in rows}
    }
    error = [row.error_db for row in rows if is_codec(row.system) and row.experiment == SPREAD.name]
    note = (
        "Selectivity in dB: how much less a masked probe changes something than an audible probe of the same energy. "
        f"Draws: {draws.get(True, 0)} for the codec, {draws.get(False, 0)} for the distances. Standard error of the "
        f"codec's figures for the spread probe: {np.nanmean(error):.1f} dB."
        if np.isfinite(error).any()
        else "Selectivity in dB: how much less a masked probe changes something than an audible one of the same energy."
    )
    if any(np.isinf(row.selectivity_db) for row in rows):
        note += " inf: in no draw does the masked probe change anything; -: nor does the audible one."
    return "\n\n".join([*parts, note, *verdicts(rows, emulators)]) + "\n"


def is_codec(system: str) -> bool:
    """Return whether a system is the codec itself."""
    return system.startswith("LAME")


def verdicts(rows: Sequence[Row], emulators: Mapping[str, EmulatorConfig]) -> list[str]:
    """Return the terms' mean selectivity on the spread probe minus the codec's, for each emulator."""

    def mean(system: str, rate: int) -> float:
        chosen = [
            r.selectivity_db for r in rows if (r.system, r.sample_rate, r.experiment) == (system, rate, SPREAD.name)
        ]
        return float(np.nanmean(chosen))

    sentences = []
    for name, config in emulators.items():
        rate = config.sample_rate
        measured = dict.fromkeys(row.system for row in rows if row.sample_rate == rate)
        systems = [system for system in measured if system.startswith(f"{name} ")]
        if systems:
            real = mean(f"LAME {config.setting}", rate)
            far = ", ".join(f"{s.removeprefix(name).strip()} {mean(s, rate) - real:+.1f}" for s in systems)
            sentences.append(f"{name} minus LAME {config.setting} ({real:.1f} dB) on the spread probe: {far} dB.")
    return sentences


def draw(rows: Sequence[Row]) -> Figure:
    """Return selectivity over level and over frequency of the probe at the first sample rate, for those of LINES."""
    rate = rows[0].sample_rate
    figure = Figure(figsize=(12, 5.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for system, style in LINES.items():
        mine = [row for row in rows if row.system == system and row.sample_rate == rate]
        if not mine:
            continue
        levels = [row for row in mine if row.experiment == SPREAD.name]
        distances = [row for row in mine if row.experiment.startswith("at ")]
        left.plot([r.level_db for r in levels], [r.selectivity_db for r in levels], label=system, **style)
        right.plot(DISTANCES_HZ, [r.selectivity_db for r in distances], **style)
        if system == REAL:
            values = np.array([r.selectivity_db for r in levels])
            span = ([r.level_db for r in levels], values - TOLERANCE_DB, values + TOLERANCE_DB)
            left.fill_between(*span, color="black", alpha=0.1, label=f"{REAL} ± {TOLERANCE_DB:.0f} dB")
    left.set(xlabel="level of the probe (dB re masker)", ylabel="selectivity (dB)", title="Spread probe at 1.25 kHz")
    right.set(xlabel="frequency of the masked probe (Hz)", title="Probe at -45 dB; masker at 1 kHz, audible at 3 kHz")
    for axis in (left, right):
        axis.grid(alpha=0.3)
        axis.set_ylim(-5, 45)
    figure.legend(*left.get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    return figure


def make(arguments: argparse.Namespace) -> Report:
    """Measure the codec, then every distance."""
    emulators = {name: emulator.config for name, emulator in load_emulators(arguments.emulators).items()}
    codecs = {rate: list(settings) for rate, settings in SETTINGS.items()}
    for config in emulators.values():
        if config.setting not in codecs.setdefault(config.sample_rate, []):
            codecs[config.sample_rate].append(config.setting)
    experiments = (*EXPERIMENTS, *DISTANCES)
    rows: list[Row] = []
    quick = arguments.quick
    blocks, codec_blocks, size = (
        (QUICK_BLOCKS, QUICK_CODEC_BLOCKS, QUICK_BLOCK) if quick else (BLOCKS, CODEC_BLOCKS, BLOCK)
    )
    for rate, settings in codecs.items():
        for setting in settings:
            rows += measure(f"LAME {setting}", codec_change(setting, rate), 2, experiments, rate, codec_blocks, size)
        at_rate = [
            network
            for network, config in zip(arguments.emulators, emulators.values(), strict=True)
            if config.sample_rate == rate
        ]
        for distance in all_distances(rate, at_rate):
            rows += measure(distance.name, distance_change(distance), distance.degree, experiments, rate, blocks, size)
            print(f"{rate} Hz, {distance.name}: done", file=sys.stderr, flush=True)
    settings = {
        "emulators": [str(name) for name in arguments.emulators],
        "masker_dbfs": MASKER_DB,
        "draws_of_a_distance": blocks * size,
        "draws_of_the_codec": codec_blocks * size,
        "first_seed": 0,
    }
    return Report("masking", [asdict(row) for row in rows], table(rows, emulators), settings, draw(rows))


def get_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(prog="python -m emulator.evidence.masking", description=__doc__)
    add_report_arguments(parser)
    parser.add_argument(
        "--emulators", nargs="*", default=list(PRESETS), metavar="NAME", help="presets or checkpoints (default: all)"
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; return the exit status."""
    return run_report("emulator.evidence.masking", make, get_parser().parse_args(argv))


if __name__ == "__main__":
    run("emulator.evidence.masking", main)
