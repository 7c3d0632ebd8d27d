"""`python -m enhance.card MODEL --evaluation FOLDER --data FILE.md --out NAME.md`: write a model card.

Everything in it is read, nothing is typed in twice: dimensions and training settings from the metadata of the ONNX
file, how the run went from `--training FILE.json` (any object; the list `commands` is shown as a script), sources with
licences from the tables of `--data FILE.md` that have a licence column, figures from the evaluations of that model in
a folder (`python -m enhance.evaluate --out`; those of the noisy input there are shown beside), speed from
`--benchmark FILE.md` (`python -m enhance.benchmark --out`), hard cases from `--conditions FILE.md`
(`python -m enhance.conditions`), int8 from `--quantised FILE.md` (`python -m enhance.quantise`).

The form follows Mitchell et al., "Model Cards for Model Reporting" (doi:10.1145/3287560.3287596).
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from enhance.evaluation.results import NOISY, Evaluation, load, model_name, report
from enhance.reporting.cards import flatten, licence_tables, two_columns
from enhance.reporting.documents import prepare
from enhance.runtime.denoiser import Denoiser
from enhance.runtime.metadata import ModelInfo
from enhance.runtime.registry import is_model_file
from enhance.utils.atomic import write_text
from enhance.utils.command import run
from enhance.utils.errors import ModelError, fail

LIMITS = (
    "The figures are means over one small set. The intervals say how far they would move with other files of the same "
    "kind; other rooms, languages and noises can move them further.",
    "It is made to keep speech and to remove all else, music included; it does not tell one talker from another.",
    "It weighs bands of a few frames around each moment. Words that the noise covers completely do not come back.",
    "It hears each channel alone; what is left of the noise may wander between the sides of a stereo recording. In "
    "files a voice that both sides carry is put back in its place.",
)


def card(
    model: str,
    info: ModelInfo,
    evaluations: Sequence[Evaluation],
    training: Mapping[str, Any],
    data: str,
    unprocessed: Mapping[str, Evaluation],
    sections: Mapping[str, str] | None = None,
    limits: Sequence[str] = (),
) -> str:
    """Return the model card as Markdown.

    Args:
        model: what `mpeace denoise --model` calls it: a registered name, or a file.
        info: what the ONNX file says of itself.
        evaluations: of this model, one per set.
        training: how the run went; `commands`, if there, is a list of command lines.
        data: Markdown tables of the sources with their licences.
        unprocessed: evaluations of the noisy input, by name of the set; their means are shown beside.
        sections: Markdown of further measurements by their titles; an empty one is left out.
        limits: sentences to add to those that hold for every model.
    """
    rate = info.sample_rate
    filled = f"{info.block} hops to fill, {info.ahead} behind them" if info.block else "a hop to fill"
    latency = f"{info.algorithmic_latency / rate * 1000:g} ms ({info.latency} samples in the file and {filled})"
    network = {
        "sample rate": f"{rate} Hz",
        "window, hop": f"{info.window}, {info.hop} samples",
        "look-ahead": f"{info.lookahead or info.ahead} hops"
        + (f" behind blocks of {info.block}" if info.block else ""),
        "algorithmic latency": latency,
        "parameters": f"{info.parameters:,}",
        "multiply-accumulates": f"{info.macs_per_second / 1e6:.1f} M per second of audio",
        "state": f"{info.state_size} values per channel",
        "licence": info.licence,
        "written by": f"mpeace {info.mpeace_version}, format {info.format_version}",
    }
    commands = training.get("commands", [])
    settings = flatten(info.training)
    run = flatten({key: value for key, value in training.items() if key != "commands"})
    parts = [
        f"# {info.name}",
        f"A network of mpeace that removes noise from speech. Use: `mpeace denoise --model {model} INPUT`.",
        "## Network",
        two_columns(network),
        "## Training",
        "\n".join(["```sh", *commands, "```"]) if commands else "",
        two_columns(run) if run else "",
        f"Settings, as the file carries them:\n\n{two_columns(settings)}" if settings else "",
        "## Data",
        data,
        "## Results",
        *(f"#{report(evaluation, unprocessed.get(evaluation.set)).strip()}" for evaluation in evaluations),
        *(f"## {title}\n\n{text.strip()}" for title, text in (sections or {}).items() if text),
        "## Limits",
        "\n".join(f"- {limit}" for limit in (*LIMITS, *limits)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def evaluations_of(name: str, folder: Path) -> list[Evaluation]:
    """Return all evaluations of a model in a folder, sorted by the name of their set; other reports are passed over.

    Raises:
        ValueError: if a file of that name is no evaluation.
    """
    paths = sorted(path for path in folder.glob(f"{name}_*.json") if "metrics" in path.read_text(encoding="utf-8"))
    found = (load(path) for path in paths)
    return [evaluation for evaluation in found if evaluation.model == name]


def read_training(path: Path) -> dict[str, Any]:
    """Read how a run went.

    Raises:
        ValueError: the file holds no JSON object, or its `commands` are no list of lines.
    """
    try:
        training = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: expected JSON ({error})") from error
    if not isinstance(training, dict):
        raise ValueError(f"{path}: expected a JSON object, got {json.dumps(training)[:40]}")
    commands = training.get("commands", [])
    if not isinstance(commands, list) or not all(isinstance(line, str) for line in commands):
        raise ValueError(f"{path}: expected a list of command lines in 'commands'")
    return training


def get_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(prog="python -m enhance.card", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model", help="a registered name or an ONNX file")
    parser.add_argument("--evaluation", required=True, type=Path, metavar="FOLDER", help="what enhance.evaluate wrote")
    parser.add_argument("--training", type=Path, metavar="FILE.json", help="commands, machine, time of the run")
    parser.add_argument("--data", required=True, type=Path, metavar="FILE.md", help="tables of sources and licences")
    parser.add_argument("--benchmark", type=Path, metavar="FILE.md", help="what enhance.benchmark wrote")
    parser.add_argument("--conditions", type=Path, metavar="FILE.md", help="what enhance.conditions wrote")
    parser.add_argument("--quantised", type=Path, metavar="FILE.md", help="what enhance.quantise wrote")
    parser.add_argument("--limit", action="append", default=[], metavar="TEXT", help="a limit to add; may be repeated")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE.md")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; return the exit status."""
    arguments = get_parser().parse_args(argv)
    try:
        prepare(arguments.out)
        info = Denoiser(arguments.model).info
        evaluations = evaluations_of(model_name(arguments.model), arguments.evaluation)
        if not evaluations:
            raise ValueError(f"{arguments.evaluation}: expected an evaluation of {arguments.model}, found none")
        measured = {
            "Hard cases": arguments.conditions,
            "Speed": arguments.benchmark,
            "int8": arguments.quantised,
        }
        text = card(
            Path(arguments.model).name if is_model_file(arguments.model) else arguments.model,
            info,
            evaluations,
            read_training(arguments.training) if arguments.training else {},
            licence_tables(arguments.data.read_text(encoding="utf-8")),
            {evaluation.set: evaluation for evaluation in evaluations_of(NOISY, arguments.evaluation)},
            {title: path.read_text(encoding="utf-8") if path else "" for title, path in measured.items()},
            arguments.limit,
        )
        write_text(arguments.out, text)
    except (ValueError, OSError, ModelError) as error:
        return fail("enhance.card", error)
    return 0


if __name__ == "__main__":
    run("enhance.card", main)
