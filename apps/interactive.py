"""Commands that people sit in front of: the `demo`, listening tests (`listen`), the microphone (`live`), `devices`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from apps.shared_options import AllowHost, AttenuationLimit, Host, Mix, Model, given_beside
from enhance.io.options import DenoiseOptions, checked_rate
from enhance.utils.errors import UsageError

if TYPE_CHECKING:
    from apps.live.session.session import LiveSettings

_EXPORT = ("--export", "--model", "--onnxruntime-web")  # what counts when the demo's page is written
_LISTEN_WRITES = ("--new", "--method", "--reference", "--from", "--texts", "--analyse", "--output")  # what counts there
_FOR_LIVE = {  # what counts for each task of `mpeace live`; for others everything
    "status": (),
    "remove-service": (),
    "setup": ("--model", "--attenuation-limit", "--mix", "--sample-rate"),
    "measure": ("--model", "--input", "--output", "--latency", "--sample-rate", "--shared-clock"),
    "stdout": (
        *("--model", "--attenuation-limit", "--mix", "--sample-rate", "--input", "--latency", "--channels"),
        *("--output", "--record", "--monitor"),  # refused with the reason
    ),
}


def demo(
    context: typer.Context,
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the page; 0 for any free one.")] = 7860,
    allow_host: AllowHost = None,
    root_path: Annotated[
        str, typer.Option(metavar="PATH", help="Path under which a reverse proxy serves the page, such as /denoise.")
    ] = "",
    auth: Annotated[
        str | None,
        typer.Option(
            metavar="NAME:PASSWORD",
            envvar="MPEACE_DEMO_AUTH",
            help="Ask visitors for this name and password. [open to everybody]",
        ),
    ] = None,
    share: Annotated[
        bool, typer.Option("--share", help="Also open a public address, through Gradio's servers.")
    ] = False,
    model: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="Model that is selected first. [the default]")
    ] = None,
    minutes: Annotated[float, typer.Option(min=0.1, max=60, help="Longest file, in minutes.")] = 5.0,
    megabytes: Annotated[int, typer.Option(min=1, help="Largest upload, in megabytes.")] = 200,
    export: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Write the live page into this folder instead, for any web server: it denoises in the browser.",
        ),
    ] = None,
    onnxruntime_web: Annotated[
        str | None,
        typer.Option(
            metavar="npm|FOLDER|TGZ",
            help="Denoise the microphone in the browser: fetch the package onnxruntime-web with npm (33 MB, once), or "
            "take it from here. [what was fetched before; else the microphone goes to this server]",
        ),
    ] = None,
) -> None:
    """Serve a web page to hear the difference.

    In files, and live from the microphone. It needs no network and sends nothing anywhere; uploads are deleted.
    """
    from apps.demo.browser.onnxruntime_web import NPM, fetch, kept

    if export is not None:
        if option := given_beside(context, _EXPORT):
            raise UsageError(f"{option} is for a page that is served, --export writes it into a folder")
        from apps.demo.browser.export import export_page

        export_page(export, onnxruntime_web or NPM, model)
        typer.echo(f"{export}: serve it with any web server, by https (or on localhost: python -m http.server)")
        return
    from apps.demo.limits import Limits
    from apps.demo.web.server import serve

    limits = Limits(minutes=minutes, megabytes=megabytes)
    runtime = kept() if onnxruntime_web is None else fetch(onnxruntime_web)
    serve(host, port, auth, share, model, limits, allow_host or (), root_path, runtime)


def listen(
    context: typer.Context,
    test: Annotated[
        Path, typer.Argument(metavar="TEST", help="The TOML file of a test, or the folder that holds its listen.toml.")
    ],
    new: Annotated[
        bool, typer.Option("--new", help="Write a first listen.toml into TEST, a folder of sounds.")
    ] = False,
    method: Annotated[
        str | None, typer.Option(metavar="METHOD", help="With --new: one of those named above. [pairwise]")
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="With --new: folder of the reference. [the usual names]"),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="YAML", help="With --new: a configuration of webMUSHRA; TEST is a new folder."),
    ] = None,
    texts: Annotated[
        bool, typer.Option("--texts", help="Write what listeners read into texts.toml in TEST, to be translated.")
    ] = False,
    analyse: Annotated[bool, typer.Option("--analyse", help="Write tables and a picture of the answers.")] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR", help="With --analyse: folder to write into. [that of the TOML file]"
        ),
    ] = None,
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="N", help="Port of the page; 0 for any free one.")] = 7870,
    allow_host: AllowHost = None,
) -> None:
    """Run a blind listening test in the browser.

    By pairwise, abx, mushra (BS.1534), acr, dcr, ccr (P.800, P.808) or p835. A test is a folder of sounds and a TOML
    file. Answers are kept beside it; run the same command again to continue a test.
    """
    for option, given, needed, wanted in (
        ("method", method, new and not source, "new without --from"),
        ("reference", reference, new and not source, "new without --from"),
        ("from", source, new, "new"),
        ("output", output, analyse, "analyse"),
    ):
        if given is not None and not needed:
            raise UsageError(f"--{option} belongs to --{wanted}")
    if new + analyse + texts > 1:
        raise UsageError("--new, --analyse and --texts are three things: give one of them")
    if (new or analyse or texts) and (option := given_beside(context, _LISTEN_WRITES)):
        raise UsageError(f"{option} is for a test that is served, not for one that is written or analysed")
    known = ("pairwise", "abx", "mushra", "acr", "dcr", "ccr", "p835")
    if (method or "pairwise") not in known:
        raise UsageError(f"--method {method} is none of {', '.join(known)}")
    try:
        from apps.listen.commands import analyse_test, convert_test, run_test, write_english, write_test

        if source:
            convert_test(source, test)
        elif new:
            write_test(test, method or "pairwise", reference)
        elif texts:
            write_english(test)
        elif analyse:
            analyse_test(test, output)
        else:
            run_test(test, host, port, allow_host or ())
    except ModuleNotFoundError as error:
        raise UsageError(f"listening tests need {error.name}: pip install 'mpeace[demo]'") from None


def live(
    context: typer.Context,
    source: Annotated[
        str | None,
        typer.Option("--input", "-i", metavar="NAME", help="Microphone: its name or a part of it. [the default]"),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="NAME", help="Where the clean voice goes: name or part. [the default]"),
    ] = None,
    latency: Annotated[
        str, typer.Option(metavar="low|safe|SECONDS", help="How much the devices may buffer, or the delay to aim at.")
    ] = "low",
    model: Model = None,
    attenuation_limit: AttenuationLimit = None,
    mix: Mix = 1.0,
    sample_rate: Annotated[
        int | None, typer.Option(metavar="HZ", help="Sample rate of the devices. [48000 if they can]")
    ] = None,
    channels: Annotated[int | None, typer.Option(min=1, metavar="N", help="Channels of the microphone. [1]")] = None,
    monitor: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Second output for yourself, by the key l. [the default]"),
    ] = None,
    record: Annotated[bool, typer.Option("--record", help="Record input and output from the start.")] = False,
    folder: Annotated[Path, typer.Option(metavar="DIR", help="Folder for recordings.")] = Path(),
    shared_clock: Annotated[
        bool, typer.Option("--shared-clock", help="Both devices run on one clock: less delay, no drift compensation.")
    ] = False,
    stdout: Annotated[
        bool,
        typer.Option(
            "--stdout", help="Write 16-bit samples (s16le) to standard output, for a program that reads them."
        ),
    ] = False,
    no_ui: Annotated[bool, typer.Option("--no-ui", help="No screen; print a line of JSON every second.")] = False,
    setup: Annotated[
        bool,
        typer.Option(
            "--setup", help="Set up and test a virtual microphone, by which other programs hear the clean voice."
        ),
    ] = False,
    status: Annotated[bool, typer.Option("--status", help="Say how each running `mpeace live` is.")] = False,
    install_service: Annotated[
        bool,
        typer.Option(
            "--install-service", help="Start with the desktop from now on, with the options given; no terminal needed."
        ),
    ] = False,
    remove_service: Annotated[bool, typer.Option("--remove-service", help="Stop that service and remove it.")] = False,
    service: Annotated[
        bool,
        typer.Option("--service", help="For service managers: wait for devices, and say only what happens."),
    ] = False,
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure the delay of the devices through a cable or from speaker to mic.")
    ] = False,
) -> None:
    """Denoise the microphone live, for other programs or a loudspeaker.

    Needs pip install 'mpeace[live]'. Keys: b bypass, up and down attenuation limit, left and right mix, m mute,
    l listen, r record, q quit.
    """
    from apps.live.engine.latency import parse
    from apps.live.session.session import LiveSettings

    DenoiseOptions(attenuation_limit_db=attenuation_limit, mix=mix)  # refuses what is out of range
    tasks = {
        "stdout": stdout,
        "setup": setup,
        "status": status,
        "install-service": install_service,
        "remove-service": remove_service,
        "service": service,
        "measure": measure,
    }
    chosen = [name for name, given in tasks.items() if given]
    if len(chosen) > 1:
        raise UsageError(f"--{chosen[0]} and --{chosen[1]} are two things: give one of them")
    if monitor is not None and (service or install_service or (no_ui and not stdout)):
        raise UsageError(
            f"--monitor is switched on by a key, and {'--no-ui' if no_ui else 'a service'} has none: leave it out"
        )
    if chosen and chosen[0] in _FOR_LIVE:
        task = f"--{chosen[0]}"
        if option := given_beside(context, (task, "--no-ui", *_FOR_LIVE[chosen[0]])):
            raise UsageError(f"{option} does nothing with {task}: leave it out")
    if (service or install_service) and not record and folder != Path():
        raise UsageError("--folder is for recordings, which a service makes with --record alone")
    settings = LiveSettings(
        model=model,
        source=source,
        target=target,
        sample_rate=checked_rate(sample_rate),
        channels=channels,
        policy=parse(latency),
        shared_clock=shared_clock,
        attenuation_limit_db=attenuation_limit,
        mix=mix,
        monitor=monitor,
        folder=folder,
        record=record,
    )
    if status or remove_service or install_service or service:
        raise typer.Exit(_service(settings, status, remove_service, install_service))
    if stdout:
        from apps.live.ui.run_stdout import run_stdout

        raise typer.Exit(run_stdout(settings))
    if setup:
        from apps.live.diagnostics.setup import run_setup

        raise typer.Exit(run_setup(settings))
    if measure:
        from apps.live.diagnostics.latency_measurement import run_measure

        raise typer.Exit(run_measure(settings))
    from apps.live.ui.run_live import run_live

    on_terminal = sys.stdout is not None and sys.stdout.isatty()
    raise typer.Exit(run_live(settings, show_screen=not no_ui and on_terminal))


def _service(settings: "LiveSettings", status: bool, remove: bool, install: bool) -> int:
    """Do what one of the options of the service asks for, or be the service."""
    if status:
        from apps.live.service.state import print_status

        return print_status()
    if remove or install:
        from apps.live.service.install import install_service, remove_service

        return remove_service() if remove else install_service(settings)
    from apps.live.service.run_service import run_service

    return run_service(settings)


def devices() -> None:
    """List the sound devices.

    > marks the default microphone, < the default output.
    """
    from apps.live.devices.devices import list_devices, table

    for line in table(list_devices()):
        typer.echo(line)
