"""`python -m emulator.evidence.fidelity`: compare emulators with LAME on held-out sound.

Beside it stand three controls: the input unchanged, the input through the codec's low-pass alone, and the codec itself
with its grid of 576 samples at another place. The codec has no preference among grid places, so agreement with itself
is what an emulator that does not know the grid can reach as a sample; as a mean it can be better. The paper's U-Net is
trained by the same command on the same data.

Measures, on an STFT of 1024 samples with hop 256:

- SNR of the emulated waveform against the coded one, dB.
- LSD: root mean square over frequency of the difference of levels in dB, mean over frames, from -90 dB up.
- F1 of removed cells: those that the codec lowers by more than 12 dB, among cells under its low-pass that are within
  50 dB of the mean power. The low-pass itself, easily learnt, does not count.
- Noise level error: mean absolute difference in dB between predicted and true power of the codec's error, both averaged
  over critical bands and 50 ms as in :class:`emulator.losses.codec_loss.CodecLoss`, where the signal is within 50 dB of
  its mean.
- Noise correlation: of predicted and true noise-to-signal ratio in dB, in the same bands.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy.signal import firwin, welch
from torch import Tensor

from emulator.lame import Setting, round_trip
from emulator.losses.codec_loss import SMOOTHING_SECONDS
from emulator.losses.terms import critical_bands, smooth
from emulator.model.config import PRESETS, EmulatorConfig
from emulator.model.network import POWER_FLOOR, Emulator
from emulator.model.paper_unet import PaperUNet
from emulator.model.presets import DEFAULT, PAPER, load_emulators, load_network
from emulator.model.spectrum import log_spectral_distance, power
from emulator.training.corpus import CorpusConfig, PieceMaker, Sources
from emulator.training.sources import add_source_arguments, open_sources
from enhance.dsp.int16 import FULL_SCALE
from enhance.reporting.markdown import markdown_table
from enhance.reporting.report import Report, add_report_arguments, run_report
from enhance.utils.command import run

KINDS = ("speech", "music", "noisy")
REMOVED_DB = 12.0  # a cell that the codec lowers by more counts as removed
RANGE_DB = 50.0  # cells softer than the mean power by more do not count
LOW_PASS_HZ = {("cbr16", 16_000): 5500.0, ("v9", 16_000): 7250.0, ("v6", 48_000): 16_400.0}  # of LAME, for the presets
LOW_PASS_DB = 10.0  # by which LAME lowers white noise less up to its low-pass: how that of other settings is found
LOW_PASS_SECONDS = 4.0
WIDEST = 0.99  # of half the sample rate: the highest edge of a filter
PASS_BAND = 0.9  # share of the low-pass's edge up to which F1 counts
PAPER_BESIDE = "mp3-cbr16-16k"  # the preset in whose table the paper's U-Net stands: it imitates the same setting
OTHER_PHASE = 200  # samples by which the codec's grid is moved
SEED = 11
"""Of the held-out pieces; no training uses it."""


@dataclass(frozen=True)
class Guess:
    """Estimate of a system for coded sound."""

    spectrum: Tensor  # [1, bins, frames] complex
    noise: Tensor | None  # [1, bins, frames]: power of coded minus input


@cache
def low_pass_hz(config: EmulatorConfig) -> float:
    """Return the edge of LAME's low-pass; for settings of no preset it is measured with white noise."""
    if (known := LOW_PASS_HZ.get((config.setting, config.sample_rate))) is not None:
        return known
    rng, rate = np.random.default_rng(SEED), config.sample_rate
    noise = np.clip(0.1 * rng.standard_normal(round(LOW_PASS_SECONDS * rate)), -1, 1)
    coded = round_trip(noise, rate, Setting.parse(config.setting))
    (hertz, before), (_, after) = (welch(audio, rate, nperseg=config.window) for audio in (noise, coded))
    kept = hertz[after > before * 10 ** (-LOW_PASS_DB / 10)]
    return min(float(kept.max()), WIDEST * rate / 2)


def scores(guess: Guess, original: Tensor, coded: Tensor, config: EmulatorConfig) -> dict[str, float]:
    """Return the measures of the module, from spectra ``[1, bins, frames]``."""
    original_power, coded_power, ours = power(original), power(coded), power(guess.spectrum)
    bins = round(PASS_BAND * low_pass_hz(config) / config.sample_rate * config.window)
    floor = original_power.mean() * 10 ** (-RANGE_DB / 10)
    counted = (original_power > floor)[:, :bins]
    factor = 10 ** (-REMOVED_DB / 10)
    truly = (coded_power < factor * original_power)[:, :bins] & counted
    said = (ours < factor * original_power)[:, :bins] & counted
    figures = {
        "snr": float(10 * torch.log10(coded_power.sum() / power(coded - guess.spectrum).sum().clamp(min=1e-9))),
        "lsd": float(log_spectral_distance(ours, coded_power)),
        "f1": float(2 * (truly & said).sum() / (truly.sum() + said.sum()).clamp(min=1)),
        "noise_error": float("nan"),
        "noise_correlation": float("nan"),
    }
    if guess.noise is not None:
        bands = critical_bands(config.bins, config.sample_rate).float()
        frames = 2 * round((SMOOTHING_SECONDS * config.sample_rate / config.hop - 1) / 2) + 1
        signal, true, predicted = (
            smooth(x, bands, frames) for x in (original_power, power(coded - original), guess.noise)
        )
        heard = signal > floor
        levels = [10 * torch.log10(x[heard] + POWER_FLOOR) for x in (true, predicted, signal)]
        figures["noise_error"] = float((levels[0] - levels[1]).abs().mean())
        ratios = torch.stack([levels[0] - levels[2], levels[1] - levels[2]])
        figures["noise_correlation"] = float(torch.corrcoef(ratios)[0, 1])
    return figures


def piece_maker(sources: Sources, config: EmulatorConfig, seconds: float) -> PieceMaker:
    """Make held-out pieces of this length."""
    corpus = CorpusConfig(enhanced_minutes=0.0, piece_seconds=seconds, corpus_seed=SEED)
    return PieceMaker(sources, config.sample_rate, corpus)


def systems(name: str, emulator: Emulator, paper: PaperUNet | None) -> dict[str, Callable[[np.ndarray], Guess]]:
    """Return systems that are compared: each makes a guess from the original ``[time]``."""
    config = emulator.config
    setting = Setting.parse(config.setting)
    low_pass = np.asarray(firwin(255, low_pass_hz(config), fs=config.sample_rate), dtype=np.float64)

    def spectrum(audio: np.ndarray) -> Tensor:
        return emulator.spectrum(torch.from_numpy(np.ascontiguousarray(audio, dtype=np.float32))[None])

    def other_phase(audio: np.ndarray) -> Guess:
        moved = round_trip(np.pad(audio, (OTHER_PHASE, 0)), config.sample_rate, setting)[OTHER_PHASE:]
        return Guess(spectrum(moved), power(spectrum(moved) - spectrum(audio)))

    def ours(audio: np.ndarray) -> Guess:
        emulation = emulator.analyse(spectrum(audio))
        return Guess(emulation.mask * emulation.spectrum, emulation.log_variance.exp())

    chosen: dict[str, Callable[[np.ndarray], Guess]] = {
        "identity": lambda audio: Guess(spectrum(audio), None),
        "low-pass only": lambda audio: Guess(spectrum(np.convolve(audio, low_pass, "same")), None),
        "LAME, other grid phase": other_phase,
    }
    if paper is not None:
        network = paper

        def paper_guess(audio: np.ndarray) -> Guess:
            emulation = network(torch.from_numpy(np.ascontiguousarray(audio, dtype=np.float32))[None])
            original = emulation.spectrum
            return Guess(original * emulation.magnitude / (power(original) + POWER_FLOOR).sqrt(), None)

        chosen["the paper's U-Net"] = paper_guess
    return {**chosen, name: ours}


@torch.no_grad()
def measure(
    preset: str, emulator: Emulator, paper: PaperUNet | None, sources: Sources, count: int, seconds: float
) -> list[dict[str, Any]]:
    """Return a row for each system, kind of sound and held-out piece."""
    config = emulator.config
    maker = piece_maker(sources, config, seconds)
    rows = []
    for kind in KINDS:
        for number in range(count):
            original = maker.piece(kind, number).astype(np.float32) / FULL_SCALE
            coded = round_trip(original, config.sample_rate, Setting.parse(config.setting))
            before, after = (emulator.spectrum(torch.from_numpy(x)[None]) for x in (original, coded))
            for name, system in systems(preset, emulator, paper).items():
                figures = scores(system(original), before, after, config)
                rows.append({"preset": preset, "kind": kind, "piece": number, "system": name, **figures})
    return rows


FULL, QUICK = (12, 8.0), (1, 3.0)  # held-out pieces of each kind, and seconds of each
MEASURES = {
    "snr": ("SNR, dB", 1),
    "lsd": ("LSD, dB", 2),
    "f1": ("F1", 3),
    "noise_error": ("noise level error, dB", 2),
    "noise_correlation": ("noise correlation", 3),
}


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return means over the pieces, one table for each preset."""
    parts = []
    for preset in dict.fromkeys(row["preset"] for row in rows):
        header = [preset, *(f"{label}: {' / '.join(KINDS)}" for label, _ in MEASURES.values())]
        lines = []
        for system in dict.fromkeys(row["system"] for row in rows if row["preset"] == preset):
            cells = [system]
            for measure_name, (_, digits) in MEASURES.items():
                means = [mean(rows, preset, system, kind, measure_name) for kind in KINDS]
                cells.append(" / ".join("-" if np.isnan(value) else f"{value:.{digits}f}" for value in means))
            lines.append(cells)
        parts.append(markdown_table(header, lines))
    return "\n\n".join(parts)


def mean(rows: Sequence[dict[str, Any]], preset: str, system: str, kind: str, name: str) -> float:
    """Return the mean of a measure over the pieces of a kind."""
    return float(np.mean([r[name] for r in rows if (r["preset"], r["system"], r["kind"]) == (preset, system, kind)]))


def picture(preset: str, emulator: Emulator, sources: Sources, seconds: float) -> Figure:
    """Return spectrograms of noisy speech before and after the codec, as the emulator makes it, and of both noises."""
    config = emulator.config
    maker = PieceMaker(
        sources, config.sample_rate, CorpusConfig(0, 0, 0, 1, 0, 0, piece_seconds=seconds, corpus_seed=SEED)
    )
    original = maker.piece("noisy", 0).astype(np.float32) / FULL_SCALE
    coded = round_trip(original, config.sample_rate, Setting.parse(config.setting))
    with torch.no_grad():
        before, after = (emulator.spectrum(torch.from_numpy(x)[None]) for x in (original, coded))
        emulation = emulator.analyse(before)
    panels = {
        "original": power(before),
        "coded by LAME": power(after),
        "emulated": power(emulation.mask * before),
        "error of LAME": power(after - before),
        "noise level predicted": emulation.log_variance.exp(),
    }
    figure = Figure(figsize=(7, 8), layout="constrained")
    axes = figure.subplots(len(panels), 1, sharex=True)
    top = float(10 * torch.log10(power(before).max()))
    extent = (0, seconds, 0, config.sample_rate / 2000)
    for axis, (title, values) in zip(axes, panels.items(), strict=True):
        level = 10 * torch.log10(values[0] + POWER_FLOOR)
        axis.imshow(level.numpy(), origin="lower", aspect="auto", extent=extent, vmin=top - 80, vmax=top, cmap="magma")
        axis.set_title(title, loc="left", fontsize=10)
        axis.set_ylabel("kHz")
    axes[-1].set_xlabel("s")
    figure.suptitle(f"{preset}: noisy speech, levels over 80 dB")
    return figure


def make(arguments: argparse.Namespace) -> Report:
    """Measure all emulators that were asked for.

    Raises:
        ValueError: there is no held-out sound, or two emulators have one name.
        ModelError: there is no such emulator.
    """
    count, seconds = QUICK if arguments.quick else FULL
    emulators = load_emulators(arguments.presets)  # a wrong name is refused before recordings are decoded
    _, sources = open_sources(arguments, 0)
    if sources is None:
        raise ValueError("fidelity is measured on held-out sound: name --valid-speech, --valid-noise and music")
    rows = []
    for name, emulator in emulators.items():
        paper = load_network(PAPER) if name == PAPER_BESIDE else None
        assert paper is None or isinstance(paper, PaperUNet)
        rows += measure(name, emulator, paper, sources, count, seconds)
    shown = DEFAULT if DEFAULT in emulators else next(iter(emulators))
    settings = {
        "presets": list(emulators),
        "pieces": count,
        "seconds": seconds,
        "seed": SEED,
    }
    return Report("fidelity", rows, table(rows), settings, picture(shown, emulators[shown], sources, 4.0))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m emulator.evidence.fidelity", description=(__doc__ or "").splitlines()[0]
    )
    add_source_arguments(parser)
    parser.add_argument("--cache", type=Path, required=True, help="folder for decoded audio", metavar="DIR")
    parser.add_argument(
        "--presets",
        nargs="+",
        default=list(PRESETS),
        metavar="NAME|FILE",
        help="presets to measure, or files by emulator.export (default: all presets)",
    )
    add_report_arguments(parser)
    return run_report("emulator.evidence.fidelity", make, parser.parse_args(argv))


if __name__ == "__main__":
    run("emulator.evidence.fidelity", main)
