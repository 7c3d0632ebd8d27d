"""`python -m enhance.quantise --model NAME|FILE --set FOLDER --out FILE.md`: compare with int8.

The layers are quantised by ONNX Runtime (GRUs and Fourier transforms stay in float32), dynamically (weights ahead,
activations on the fly) and statically (both ahead, calibrated on the noisy files of another folder), and measured
beside the original in the same run: file size, time of a hop and of a whole file on one thread in turn, PESQ, ESTOI and
SI-SDR on a set. The rule of the project: int8 is shipped only if it is faster and loses less than 0.02 PESQ.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import fmean, median

import numpy as np
import onnx
import soundfile
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from enhance.data.recordings import require_recordings
from enhance.dsp.rate import SAMPLE_RATE
from enhance.evaluation import metrics
from enhance.evaluation.pairs import find_pairs, read_pair
from enhance.evaluation.speed import HOP_BY_HOP, Contender, speech_like, stepper, time_calls
from enhance.model.onnx_nodes import LAYER
from enhance.reporting.documents import prepare
from enhance.reporting.markdown import markdown_table
from enhance.runtime.denoiser import Denoiser
from enhance.runtime.registry import find_model
from enhance.utils.atomic import write_text
from enhance.utils.command import run
from enhance.utils.environment import machine, versions
from enhance.utils.errors import DatasetError, ModelError, fail
from enhance.utils.file_names import native_name

LARGEST_LOSS = 0.02  # of PESQ
LEAST_GAIN = 0.05  # of the time; less is within the noise of a measurement
TURNS = 5  # in which all are timed; the first does not count
TIMED_SECONDS = 10.0
QUANTISED = ("Conv", "Gemm", "MatMul")  # of the layers; not the GRUs
CALIBRATION_FILES, CALIBRATION_HOPS = 4, 100


@dataclass(frozen=True)
class Variant:
    """Measurements of one file."""

    name: str
    kilobytes: float
    hop_us: float  # median
    rtf: float  # of a whole file
    pesq: float
    estoi: float
    si_sdr: float  # dB


class Blocks(CalibrationDataReader):
    """Blocks of recordings with the state that belongs to each, for the calibration."""

    def __init__(self, model: Path, files: Sequence[Path]) -> None:
        self._blocks = self._run(Denoiser(model), files)

    @staticmethod
    def _run(denoiser: Denoiser, files: Sequence[Path]) -> Iterator[dict[str, np.ndarray]]:
        size, longest = CALIBRATION_HOPS * denoiser.info.hop, 0
        for path in files:
            audio, rate = soundfile.read(native_name(path), dtype="float32", always_2d=True)
            if rate != SAMPLE_RATE:
                raise ValueError(f"'{path}' is at {rate} Hz; calibrate with recordings at {SAMPLE_RATE} Hz")
            longest = max(longest, len(audio))
            state = denoiser.initial_state(1)
            for start in range(0, len(audio) - size + 1, size):
                block = np.ascontiguousarray(audio[None, start : start + size, 0])
                yield {"audio": block, "state": state}
                _, state = denoiser.step(block, state)
        if longest < size:
            raise ValueError(f"no recording to calibrate with has {size / SAMPLE_RATE:g} s or more")

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the inputs of one call, None at the end."""
        return next(self._blocks, None)


def quantise(model: Path, files: Sequence[Path], folder: Path) -> dict[str, Path]:
    """Return the files of all variants, by name; `files` calibrate the static one."""
    prepared = folder / "prepared.onnx"
    quant_pre_process(str(model), str(prepared), skip_symbolic_shape=True)
    nodes = [node for node in onnx.load(prepared).graph.node if node.op_type in QUANTISED]
    layers = [node.name for node in nodes if node.name.startswith(LAYER)]
    if not layers:
        raise ValueError(f"'{model}' has no node named {LAYER}*; it was not exported by enhance.export")
    layers += [f"{node.name}_MatMul" for node in nodes if node.op_type == "Gemm"]  # what the quantiser makes of them
    dynamic, static = folder / "dynamic.onnx", folder / "static.onnx"
    quantize_dynamic(str(prepared), str(dynamic), weight_type=QuantType.QInt8, nodes_to_quantize=layers)
    blocks = Blocks(model, files)
    quantize_static(str(prepared), str(static), blocks, nodes_to_quantize=layers, per_channel=True)
    return {"float32": model, "int8, dynamic": dynamic, "int8, static": static}


def time_all(models: dict[str, Denoiser]) -> dict[str, tuple[float, float]]:
    """Return the median microseconds of a hop and RTF of a whole file for each model, taken in turn."""
    audio = speech_like(TIMED_SECONDS)
    hops: dict[str, list[float]] = {name: [] for name in models}
    rtf: dict[str, list[float]] = {name: [] for name in models}
    for turn in range(TURNS + 1):
        for name, denoiser in models.items():
            live = Contender(name, HOP_BY_HOP, denoiser.info.hop, stepper(denoiser))
            whole = Contender(name, "whole", audio.size, partial(denoiser.denoise, sample_rate=SAMPLE_RATE))
            _, times = time_calls(live, audio)
            cpu, _ = time_calls(whole, audio)
            if turn:
                hops[name].append(float(np.median(times)) / 1000)
                rtf[name].append(cpu / TIMED_SECONDS)
    return {name: (median(hops[name]), median(rtf[name])) for name in models}


def measure(files: dict[str, Path], pairs: Sequence[tuple[Path, Path]]) -> list[Variant]:
    """Return the speed and scores of all variants."""
    models = {name: Denoiser(path) for name, path in files.items()}
    times = time_all(models)
    variants = []
    for name, denoiser in models.items():
        scores = []
        for clean, noisy in pairs:
            target, mixture, rate = read_pair(clean, noisy)
            estimate = denoiser.denoise(mixture, rate)
            scores.append(
                [metric(estimate, target, rate) for metric in (metrics.pesq_wb, metrics.estoi, metrics.si_sdr)]
            )
        means = [fmean(value for value in column if np.isfinite(value)) for column in zip(*scores, strict=True)]
        variants.append(Variant(name, files[name].stat().st_size / 1000, *times[name], *means))
    return variants


def verdict(variants: Sequence[Variant]) -> str:
    """Return which of them the rule ships."""
    plain = variants[0]
    chosen = [
        variant.name
        for variant in variants[1:]
        if max(variant.hop_us / plain.hop_us, variant.rtf / plain.rtf) < 1 - LEAST_GAIN
        and plain.pesq - variant.pesq < LARGEST_LOSS
    ]
    rule = (
        f"Rule: {LEAST_GAIN:.0%} faster or more, hop by hop and on whole files, and less than {LARGEST_LOSS} PESQ lost."
    )
    return f"{rule} {'It ships: ' + ', '.join(chosen) if chosen else 'None of them: float32 is shipped'}."


def table(variants: Sequence[Variant]) -> str:
    """Return the variants as Markdown."""
    header = ["weights", "kB", "us per hop", "RTF of a file", "PESQ-WB", "ESTOI", "SI-SDR"]
    rows = [
        [
            v.name,
            f"{v.kilobytes:.0f}",
            f"{v.hop_us:.0f}",
            f"{v.rtf:.4f}",
            f"{v.pesq:.3f}",
            f"{v.estoi:.3f}",
            f"{v.si_sdr:.2f}",
        ]
        for v in variants
    ]
    packages = ", ".join(f"{name} {value}" for name, value in versions(("onnxruntime", "onnx")).items())
    return "\n".join([markdown_table(header, rows), "", verdict(variants), "", f"{machine()}; {packages}.", ""])


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m enhance.quantise", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", required=True, help="a registered name or an ONNX file")
    parser.add_argument("--set", required=True, type=Path, help="a folder with clean/ and noisy/", metavar="FOLDER")
    parser.add_argument("--calibrate", required=True, type=Path, help="folder of other noisy files", metavar="FOLDER")
    parser.add_argument(
        "--out", required=True, type=Path, help="table; a .json is written beside it", metavar="FILE.md"
    )
    arguments = parser.parse_args(argv)
    try:
        prepare(arguments.out)
        model = Path(find_model(arguments.model))
        if Denoiser(model).info.block:
            raise ValueError(f"{arguments.model} works in blocks; what is compared here is timed hop by hop")
        noises, pairs = require_recordings(arguments.calibrate)[:CALIBRATION_FILES], find_pairs(arguments.set)
        with tempfile.TemporaryDirectory() as folder:
            variants = measure(quantise(model, noises, Path(folder)), pairs)
        write_text(arguments.out, table(variants))
        content = {"variants": [asdict(variant) for variant in variants], "machine": machine()}
        write_text(arguments.out.with_suffix(".json"), json.dumps(content, indent=2) + "\n")
    except (ValueError, OSError, soundfile.SoundFileError, DatasetError, ModelError) as error:
        return fail("enhance.quantise", error)
    print(table(variants))
    return 0


if __name__ == "__main__":
    run("enhance.quantise", main)
