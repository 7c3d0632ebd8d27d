"""Serving the page: what is checked before, where its files lie, and that all of them are gone after.

Everything that people send lies in one temporary folder that is removed when the server ends
(`apps.demo.service.server_folder`). Gradio takes its settings from the environment when it is imported; here they are
set first, so that only the options of the command count.
"""

import os
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apps.demo.limits import Limits
from apps.demo.service.server_folder import own_folder
from apps.demo.web.gradio_patches import errors_in_one_line, no_downloads, no_matplotlib, no_type_stubs
from enhance.utils.errors import FileError, UsageError, one_line
from enhance.utils.interrupt import Stopped, Stopper

if TYPE_CHECKING:
    from gradio import Blocks
    from starlette.middleware import Middleware

    from apps.demo.service.service import DemoService

SHARED_SUFFIX = ".gradio.live"  # of the names that Gradio gives to shared pages
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve(
    host: str,
    port: int,
    auth: str | None,
    share: bool,
    model: str | None,
    limits: Limits,
    allow_hosts: Sequence[str] = (),
    root_path: str = "",
    runtime: Mapping[str, Path] | None = None,
) -> None:
    """Serve until Ctrl-C, SIGTERM or the end of the terminal (SIGHUP), and then end in order.

    Args:
        host: address to listen on.
        port: 0 for any free one.
        auth: NAME:PASSWORD, or None for everybody.
        share: also open an address that everybody in the world can reach, through Gradio's servers.
        model: name or ONNX file that is chosen first; None for the default.
        limits: caps.
        allow_hosts: further names by which the page may be called, such as that of a reverse proxy.
        root_path: path under which a reverse proxy serves the page.
        runtime: files of ONNX Runtime Web, for the live tab to denoise in the browser; None to denoise on the server.

    Raises:
        UsageError: when Gradio is missing, a name is none, the port is taken, or an option makes no sense.
        ModelError: when the model cannot be used.
    """
    login = _login(auth)
    if root_path and not root_path.startswith(("/", "http://", "https://")):
        raise UsageError(f"--root-path {root_path}: expected a path that begins with /, such as /denoise")
    port = _free_port(host, port)
    with own_folder() as root:
        _settle_environment(root, host)
        with Stopper(once=True) as stopper, errors_in_one_line():
            blocks, service, sweep, middleware = _build(root, model, limits, runtime, root_path)
            from apps.origins import own_pages_only  # needs what Gradio brings

            middleware.insert(0, own_pages_only(host, allow_hosts, SHARED_SUFFIX if share else None))
            address = _launch(blocks, host, port, login, share, limits, middleware, root_path)
            _announce(blocks, address, host, login is not None)
            warming = threading.Thread(target=_warm, args=(service,))
            warming.start()
            try:
                with suppress(Stopped):
                    while True:
                        stopper.sleep(limits.sweeping[0])
                        with suppress(OSError):  # the next one may succeed
                            sweep()
            finally:
                blocks.close(verbose=False)
                service.workers.close()
                warming.join()  # libraries that are being loaded crash when the process ends


def _login(auth: str | None) -> tuple[str, str] | None:
    if auth is None:
        return None
    name, colon, password = auth.partition(":")
    if not (name and colon and password):
        raise UsageError("--auth is NAME:PASSWORD, both not empty")
    return name, password


def _free_port(host: str, port: int) -> int:
    """Return the port once it is known to be free; any free one for 0."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            return probe.getsockname()[1]
    except (OSError, OverflowError) as error:
        advice = "name another with --port, or 0 for any free one"
        raise UsageError(f"cannot listen on {host}, port {port}: {one_line(error)}; {advice}") from None


def _settle_environment(folder: Path, host: str) -> None:
    for name in [name for name in os.environ if name.startswith("GRADIO_")]:
        del os.environ[name]
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    os.environ["GRADIO_EXAMPLES_CACHE"] = str(folder / "examples")
    os.environ["GRADIO_ANALYTICS_CACHE_FREQUENCY"] = "1000000000"  # calls between two statistics of them, with pandas
    for name in ("NO_PROXY", "no_proxy"):  # Gradio asks its own server whether it is there
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), host, *LOOPBACK[:2]]))


def _build(
    folder: Path, model: str | None, limits: Limits, runtime: Mapping[str, Path] | None, root_path: str
) -> tuple["Blocks", "DemoService", Callable[[], None], list["Middleware"]]:
    """Build the app, its service, a function that removes what is no longer used, and the middleware of the app."""
    from apps.demo.service.models import models_for_files, models_for_streams

    streams = models_for_streams(model)  # refused before Gradio is loaded, which takes seconds
    try:
        with no_type_stubs():
            import gradio  # noqa: F401
    except ImportError:
        raise UsageError('the demo needs Gradio: pip install "mpeace[demo]"') from None
    from starlette.middleware import Middleware

    from apps.demo.browser.files import browser_files, shipped
    from apps.demo.browser.serving import PREFIX, BrowserFilesServed
    from apps.demo.service.downloads import Results, remove_old
    from apps.demo.service.live_streams import LiveDesk
    from apps.demo.service.service import KEPT, DemoService
    from apps.demo.web.api import Api
    from apps.demo.web.middleware import Guard, SlowLogin
    from apps.demo.web.page import Page

    service = DemoService(folder, limits, models_for_files(model), live=streams)
    service.denoiser(None)
    service.workers.prepare()
    _, age = limits.sweeping
    results = Results(folder / "results", age)
    api = Api(service, LiveDesk(service, limits), folder, results.new_folder)

    def sweep() -> None:
        service.sessions.sweep()
        results.sweep()
        remove_old(folder, age, keep=("sessions", "results", KEPT))

    middleware = [Middleware(SlowLogin), Middleware(Guard, limits=limits, root_path=root_path)]
    engine = None
    if runtime is not None:
        files = browser_files(runtime, shipped(streams))
        engine = files.for_page(root_path.rstrip("/") + PREFIX)
        middleware.append(Middleware(BrowserFilesServed, paths=files.paths, root_path=root_path))
    return Page(service, api, folder, engine).blocks(), service, sweep, middleware


def _warm(service: "DemoService") -> None:
    """Denoise the examples, so that nobody waits for them, nor for what is loaded on first use."""
    from apps.demo.web.page import example_files

    with suppress(FileError, OSError):  # whoever opens the example gets the message
        for path in example_files():
            service.example(path, None)


def _launch(
    blocks: "Blocks",
    host: str,
    port: int,
    login: Any,
    share: bool,
    limits: Limits,
    middleware: list["Middleware"],
    root_path: str,
) -> str:
    from apps.demo.web.page import css, theme

    no_downloads()
    no_matplotlib()
    try:
        _, address, _ = blocks.launch(
            server_name=host,
            server_port=port,
            auth=login,
            share=share,
            root_path=root_path,
            max_file_size=limits.upload_bytes,
            theme=theme(),
            css=css(),
            quiet=True,
            prevent_thread_lock=True,
            inline=False,
            footer_links=["api"],
            run_history=False,
            enable_monitoring=False,
            state_session_capacity=256,
            app_kwargs={"middleware": middleware, "docs_url": None, "redoc_url": None},
        )
    except (OSError, ValueError) as error:
        raise FileError(f"the page cannot be served on {host}, port {port}: {one_line(error)}") from None
    return address


def _announce(blocks: "Blocks", address: str, host: str, has_login: bool) -> None:
    print(f"mpeace demo: {address}  (Ctrl-C ends it)", flush=True)
    if host not in LOOPBACK and not has_login:
        print("mpeace demo: everybody in this network can use it; --auth NAME:PASSWORD asks for a password", flush=True)
    if blocks.share_url:
        print(f"mpeace demo: {blocks.share_url}  (for everybody, through Gradio's servers)", flush=True)
