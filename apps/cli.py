"""The `mpeace` command: `denoise` files, list the `models`, show what an ONNX file says about itself (`info`); `demo`,
`listen`, `live` and `devices` are in `apps.interactive`.

The commands import what they need when they run, so that help and usage errors cost a few hundredths of a second. The
help is plain text: the help that is drawn with boxes takes three times as long to start.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from apps import interactive
from apps.batch.choices import Engine, IfExists
from apps.batch.kept import KEPT
from apps.shared_options import AttenuationLimit, Mix, Model
from enhance.io.options import Clip, DenoiseOptions, checked_rate, parse_channels
from enhance.io.pipes.raw_format import RawFormat
from enhance.runtime.link import Link
from enhance.utils.errors import ModelError, MpeaceError, UsageError, one_line, prepare_streams, say
from enhance.utils.interrupt import Stopped

app = typer.Typer(
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    help="Remove noise from speech: in files of any length, and live from the microphone.",
)


def main(argv: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: arguments without the program's name; those of the process when None.

    Returns:
        The exit status: 0 done, 1 a file failed, 2 what was asked for cannot be started, 128 + n stopped by signal n.
    """
    prepare_streams()
    try:
        app(args=argv, prog_name="mpeace")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except (ModelError, UsageError) as problem:
        return _fail(problem, 2)
    except MpeaceError as problem:
        return _fail(problem, 1)
    except Stopped as stopped:
        return _fail("stopped; finished files are kept, and the same command goes on from here", stopped.exit_status)
    except OSError as error:
        return _fail(f"{error.filename}: {one_line(error)}" if error.filename else one_line(error), 1)
    except KeyboardInterrupt:
        return _fail("stopped", 130)
    except ImportError as error:  # what C libraries make of Ctrl-C while they are loaded
        if not isinstance(error.__cause__, KeyboardInterrupt):
            raise
        return _fail("stopped", 130)
    return 0


def _fail(what: object, status: int) -> int:
    say(f"mpeace: {what}")
    return status


def _show_version(wanted: bool) -> None:
    if wanted:
        from enhance.utils.environment import own_version

        typer.echo(f"mpeace {own_version()}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Take the options before the command."""


@app.command(epilog="\b\n" + KEPT)
def denoise(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT",
            help="Files, folders (searched to the bottom), quoted patterns, as paths or URLs (s3://, https://), or - "
            "for WAV or --raw on standard input.",
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="File, folder, or - for WAV on standard output; a path or URL. [beside the input]",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="TEMPLATE",
            help="Name of each output, of {stem}, {suffix} and {extension} (of the input). "
            '["{stem}_denoised{suffix}" beside the input, "{stem}{suffix}" in OUT]',
        ),
    ] = None,
    if_exists: Annotated[
        IfExists,
        typer.Option(help="What to do when an output already exists; skip resumes a batch.", show_default=True),
    ] = IfExists.SKIP,
    model: Model = None,
    attenuation_limit: AttenuationLimit = None,
    mix: Mix = 1.0,
    output_format: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="FORMAT", help="wav, flac, ogg, opus, mp3, aiff, caf, w64, rf64, au. [as the input]"
        ),
    ] = None,
    subtype: Annotated[
        str | None,
        typer.Option(
            metavar="SUBTYPE", help="Sample encoding, in libsndfile's names: PCM_16, PCM_24, FLOAT, ... [as the input]"
        ),
    ] = None,
    sample_rate: Annotated[
        int | None, typer.Option(metavar="HZ", help="Sample rate of the output. [as the input]")
    ] = None,
    clip: Annotated[
        Clip,
        typer.Option(help="For sound over full scale: clamp it, make the whole file softer, or fail."),
    ] = Clip.CLAMP,
    track: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NUMBER|LANGUAGE|TITLE",
            help="Sound track of a video; may be repeated. [all]",
        ),
    ] = None,
    channels: Annotated[
        str | None,
        typer.Option(metavar="LIST", help="Denoise only these channels, as 1 or left,4; the others stay. [all]"),
    ] = None,
    link: Annotated[
        Link,
        typer.Option(
            help="Channels with the same voice share one estimate of it, so that it stays in its place: auto for "
            "stereo, on for all channels, or off. From pipe to pipe auto is off for --raw and WAV of unknown length, "
            "unless the model waits anyway (studio), and on waits 2 seconds.",
        ),
    ] = Link.AUTO,
    salvage: Annotated[
        bool, typer.Option("--salvage", help="Denoise what is left of files that were cut off.")
    ] = False,
    raw: Annotated[
        str | None,
        typer.Option(
            metavar="FORMAT:RATE:CHANNELS",
            help="Standard input and output are samples without a header, as s16le:16000:1. They come back one for "
            "one, each as soon as it can. FORMAT: u8, s16le, s24le, s32le, f32le, f64le.",
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            min=0,
            metavar="N",
            help="Files at the same time; 0 for one per core. [1; with --engine ray 0]",
        ),
    ] = None,
    engine: Annotated[
        Engine,
        typer.Option(help="What does the work: processes of this machine, or a Ray cluster."),
    ] = Engine.PROCESSES,
    address: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Ray cluster, for --engine ray. [one that Ray finds, or a new one on this machine]",
        ),
    ] = None,
    manifest: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Take inputs and outputs from the columns input and output of a .csv, .jsonl or .parquet file; other "
            "columns, such as mix and format, are settings of a row.",
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the result for each file: at the end as .json, or a row as soon as it is done as .jsonl or "
            ".parquet, where the same command goes on.",
        ),
    ] = None,
    speech_segments: Annotated[
        Path | None,
        typer.Option(metavar="FILE.json", help="Also write where in each file somebody speaks, in seconds."),
    ] = None,
    speech_threshold: Annotated[
        float | None,
        typer.Option(metavar="0..1", help="Probability from which it is speech, for --speech-segments. [0.5]"),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print problems only.")] = False,
) -> None:
    """Remove the noise from speech in files.

    The inputs stay as they are. Takes sound files (WAV, FLAC, Ogg, Opus, MP3, AIFF, CAF, W64, RF64) and the sound of
    M4A, MP4, MOV, MKV and WebM. Rate, channels, subtype, container, length and tags are kept. One bad file does not
    stop the others; the exit status is then 1. URLs need pip install 'mpeace[cloud]'.
    """
    import os

    settings = DenoiseOptions(
        model=model,
        attenuation_limit_db=attenuation_limit,
        mix=mix,
        container=_container(output_format),
        subtype=subtype,
        sample_rate=checked_rate(sample_rate),
        clip=clip,
        salvage=salvage,
        raw=RawFormat.parse(raw) if raw is not None else None,
        channels=parse_channels(channels) if channels is not None else (),
        link=link,
        tracks=tuple(track or ()),
        speech_threshold=_speech_threshold(speech_segments, speech_threshold),
    )
    from apps.batch.denoise_all import denoise_all

    status = denoise_all(
        inputs or [],
        output,
        settings,
        name=name,
        if_exists=if_exists,
        jobs=(os.cpu_count() if engine is Engine.PROCESSES else None) if jobs == 0 else jobs,
        engine=engine,
        address=address,
        manifest=manifest,
        report=report,
        speech_segments=speech_segments,
        quiet=quiet,
    )
    raise typer.Exit(status)


@app.command()
def models() -> None:
    """List the models, and what each is the default of."""
    from enhance.runtime.registry import list_models, model_for_files

    of_files, rows = model_for_files(), []
    for entry in list_models():
        uses = ["streams"] * (entry.default and not entry.for_files) + ["files"] * (entry.name == of_files)
        rows.append((entry.name, f"default of {' and '.join(uses)}" if uses else "", entry.description))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@app.command()
def info(
    file: Annotated[str, typer.Argument(metavar="NAME|FILE", help="Name from `mpeace models`, or an .onnx file.")],
) -> None:
    """Show a model's rate, delay, size, training and licence."""
    from dataclasses import asdict

    from enhance import Denoiser
    from enhance.reporting.cards import flatten

    denoiser = Denoiser(file)
    values = {"file": denoiser.path, **asdict(denoiser.info)}
    delay = 1000 * denoiser.info.algorithmic_latency / denoiser.info.sample_rate
    filled = "a block has to be filled, and what it looks ahead" if denoiser.info.block else "a window has to be filled"
    values["delay"] = f"{delay:g} ms: {filled} before its first sample is known"
    training = flatten(values.pop("training"))
    _echo_columns(values)
    if training:
        typer.echo("\ntraining")
        _echo_columns(training)


app.command()(interactive.demo)
app.command()(interactive.listen)
app.command()(interactive.live)
app.command()(interactive.devices)


def _echo_columns(values: Mapping[str, object]) -> None:
    width = max(map(len, values))
    for key, value in values.items():
        typer.echo(f"{key:<{width}}  {value}")


def _speech_threshold(segments: Path | None, threshold: float | None) -> float | None:
    from enhance.runtime.speech_segments import THRESHOLD

    if segments is None and threshold is not None:
        raise UsageError("--speech-threshold belongs to --speech-segments FILE.json")
    return THRESHOLD if segments is not None and threshold is None else threshold


def _container(name: str | None) -> str | None:
    from enhance.io.formats import CONTAINERS

    if name is None or name.lower() in CONTAINERS:
        return name and name.lower()
    raise UsageError(f"--format {name} is none of {', '.join(CONTAINERS)}")


if __name__ == "__main__":
    sys.exit(main())
