"""`python -m enhance.study`: short trainings of equal length that differ in one thing, for choosing a network.

Each variant is trained by `enhance.train`, exported, and scored on the same held-out mixtures; its cost is measured by
ONNX Runtime. The table answers what a variant gives per minute of training, per multiplication and per microsecond of
streaming. Small differences mean nothing: these are single runs of a few minutes.
"""

import argparse
import csv
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, median

import numpy as np

from enhance.data.cache import AudioCache
from enhance.data.mixing import MixConfig, Mixer
from enhance.dsp.rate import SAMPLE_RATE
from enhance.evaluation.metrics import estoi, pesq_wb, si_sdr
from enhance.model.onnx_export import export
from enhance.reporting.markdown import markdown_table
from enhance.runtime.denoiser import Denoiser
from enhance.training.training_process import train
from enhance.utils.environment import machine, versions
from enhance.utils.errors import fail

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
MIXTURES = 48  # of 3 s each
HOPS = 1500  # one-hop calls whose median is taken


@dataclass(frozen=True)
class Row:
    """Measurements of one variant."""

    variant: str
    parameters: int
    mmacs: float  # million multiplications per second of audio
    hop_microseconds: float  # median of a call of one hop
    minutes: float  # of training
    pesq: float
    estoi: float
    si_sdr: float  # dB


def held_out(cache: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return fixed mixtures ``[MIXTURES, time]`` and their targets from the validation caches, dry, 0 to 15 dB SNR."""
    config = MixConfig(
        room=0.0,
        snr_db=(0.0, 15.0),
        noise_only=0.0,
        clean_only=0.0,
        clip=0.0,
        band_limit=0.0,
        late_onset=0.0,
        disguise=0.0,
    )
    mixer = Mixer(AudioCache(cache / "valid_speech"), AudioCache(cache / "valid_noise"), None, config, seed=2)
    noisy, target, *_ = mixer.batch(0, 0, MIXTURES)
    return noisy.numpy(), target.numpy()


def measure(variant: str, model: Path, minutes: float, noisy: np.ndarray, target: np.ndarray) -> Row:
    """Return scores and costs of an exported network."""
    denoiser = Denoiser(model)
    estimates = [denoiser.denoise(row, SAMPLE_RATE) for row in noisy]
    pairs = [(estimate, row) for estimate, row in zip(estimates, target, strict=True) if np.abs(row).max() > 1e-3]
    scores = {f.__name__: [f(e, t, SAMPLE_RATE) for e, t in pairs] for f in (pesq_wb, estoi, si_sdr)}
    hop = np.ascontiguousarray(noisy[:1, : denoiser.info.hop])
    state, times = denoiser.initial_state(1), []
    for _ in range(HOPS):
        begin = time.perf_counter()
        _, state = denoiser.step(hop, state)
        times.append(time.perf_counter() - begin)
    means = {name: fmean(v for v in values if np.isfinite(v)) for name, values in scores.items()}
    info = denoiser.info
    return Row(
        variant,
        info.parameters,
        info.macs_per_second / 1e6,
        1e6 * median(times),
        minutes,
        means["pesq_wb"],
        means["estoi"],
        means["si_sdr"],
    )


def table(rows: Sequence[Row], settings: Mapping[str, object]) -> str:
    """Return the rows as Markdown, with what they were made with."""
    cells = [
        f"{r.variant}|{r.parameters:,}|{r.mmacs:.0f}|{r.hop_microseconds:.0f}|{r.minutes:.1f}"
        f"|{r.pesq:.3f}|{r.estoi:.3f}|{r.si_sdr:.2f}".split("|")
        for r in rows
    ]
    header = ["variant", "parameters", "MMAC/s", "us per hop", "minutes", "PESQ", "ESTOI", "SI-SDR"]
    described = ", ".join(f"{name} {value}" for name, value in settings.items())
    packages = ", ".join(f"{name} {value}" for name, value in versions(("torch", "onnxruntime")).items())
    return "\n".join([markdown_table(header, cells), "", f"{described}. {machine()}; {packages}."]) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m enhance.study", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for runs, table and CSV", metavar="DIR")
    parser.add_argument("--cache", type=Path, required=True, help="folder for decoded audio", metavar="DIR")
    parser.add_argument("--steps", type=int, default=450, help="steps of each training (default 450)")
    parser.add_argument("--batch", type=int, default=8, help="examples per step (default 8)")
    parser.add_argument(
        "--variants",
        nargs="+",
        choices=VARIANTS,
        default=list(VARIANTS),
        metavar="NAME",
        help="networks to compare (default all)",
    )
    parser.add_argument(
        "--arguments", nargs=argparse.REMAINDER, default=[], help="all that follows goes to enhance.train"
    )
    arguments = parser.parse_args(argv)
    rows, common = [], ["--cache", str(arguments.cache), *arguments.arguments]
    shared = {"batch": arguments.batch, "rate": 0.003, "warmup": 50, "reuse": 3, "disguise": 0}
    shared["validate_every"] = arguments.steps
    try:
        for number, variant in enumerate(arguments.variants):
            folder = arguments.out / f"run-{number}"
            settings = [*(f"{key}={value}" for key, value in shared.items()), *VARIANTS[variant]]
            minutes = train(settings, arguments.steps, folder, common)
            export(folder / "last.pt", folder / "model.onnx", variant)
            rows.append(measure(variant, folder / "model.onnx", minutes, *held_out(arguments.cache)))
            print(json.dumps(asdict(rows[-1])), flush=True)
    except (RuntimeError, ValueError, FileNotFoundError) as error:
        return fail("enhance.study", error)
    with (arguments.out / "study.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(asdict(rows[0])))
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    (arguments.out / "study.md").write_text(table(rows, {"steps": arguments.steps, **shared}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
