"""The four places where the demo changes Gradio from outside, since its version 6 has no setting for them.

`tests/apps/demo/test_demo_patches.py` fails for each that a newer Gradio no longer needs; it can then be removed here.
"""

import inspect
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from enhance.utils.errors import one_line


@contextmanager
def no_type_stubs() -> Iterator[None]:
    """Inside, import Gradio without writing type stubs.

    Reason: it writes a stub beside each of its components at every import, 40 % of the time that the import takes, into
    a folder that may be read-only. It writes none for a component that has no file, so its components have none here.
    """
    file_of = inspect.getfile

    def no_file(of: Any) -> str:
        if isinstance(of, type) and of.__module__.startswith("gradio."):
            raise OSError(f"the file of {of.__name__} is not asked for")
        return file_of(of)

    inspect.getfile = no_file
    try:
        yield
    finally:
        inspect.getfile = file_of


def no_matplotlib() -> None:
    """Keep Gradio from loading matplotlib.

    Reason: it loads matplotlib around the first call of any function, half a second; the demo draws without it.
    """
    from gradio import utils

    utils.MatplotlibBackendMananger = nullcontext  # type: ignore[assignment,misc]


def no_downloads() -> None:
    """Make Gradio refuse an address in the place of a file.

    Reason: it would download from any public address that a visitor names, and the demo promises to need no network.
    All ways to a download of this version lead through this one function.
    """
    import gradio as gr
    from gradio import processing_utils

    async def refuse(*_: Any, **__: Any) -> str:
        raise gr.Error("an address came, expected an upload: send the file itself", print_exception=False)

    processing_utils.async_ssrf_protected_download = refuse


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Print one line for a request that Gradio refuses.

    Reason: it prints a traceback of every malformed request of a visitor into the terminal of whoever serves.
    """
    former = traceback.print_exc

    def one_line_only(*_: Any, **__: Any) -> None:
        error = sys.exception()
        print(f"mpeace demo: a request failed: {error and one_line(error)}", file=sys.stderr, flush=True)

    traceback.print_exc = one_line_only
    try:
        yield
    finally:
        traceback.print_exc = former
