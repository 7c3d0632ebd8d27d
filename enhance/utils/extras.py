"""What to install where a package is missing that only an extra of mpeace brings; how a command ends while it loads."""

import os
import sys
from types import TracebackType

EXTRAS = {
    "train": ("filelock", "lameenc", "lightning", "miniaudio", "onnx", "pyroomacoustics", "safetensors", "torch"),
    "eval": ("auraloss", "matplotlib", "pesq", "pystoi", "scipy", "visqol", "zimtohrli"),
    "livekit": ("livekit",),
    "pipecat": ("pipecat",),
}
"""Extras, and the packages that they bring, as they are imported by libraries and commands."""


def missing(error: ModuleNotFoundError) -> str | None:
    """Say what to install, None where no extra brings it.

    Example:
        >>> missing(ModuleNotFoundError("No module named 'torch'", name="torch"))
        "needs the package torch: pip install 'mpeace[train]'"
    """
    package = (error.name or "").partition(".")[0]
    extra = next((extra for extra, packages in EXTRAS.items() if package in packages), None)
    return f"needs the package {package}: pip install 'mpeace[{extra}]'" if extra else None


def end_commands_in_one_line() -> None:
    """Let the commands here say in one line which extra is missing, or that Ctrl-C came before they were loaded.

    All else goes to the `sys.excepthook` that there was.
    """
    former = sys.excepthook

    def end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        command = getattr(sys.modules["__main__"].__spec__, "name", "").removesuffix(".__main__")
        ours = command.startswith(("enhance.", "emulator."))
        advice = missing(error) if isinstance(error, ModuleNotFoundError) else None
        if ours and isinstance(error, KeyboardInterrupt):
            print(f"{command}: stopped", file=sys.stderr, flush=True)
            os._exit(130)  # Python's own status would be 1
        if ours and advice:
            print(f"{command}: {advice}", file=sys.stderr)
        else:
            former(kind, error, trace)

    sys.excepthook = end
