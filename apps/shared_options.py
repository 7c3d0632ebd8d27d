"""Options that several commands have, each written once: name, what stands for its value, and help."""

from collections.abc import Collection
from typing import Annotated

import typer

Model = Annotated[
    str | None,
    typer.Option(metavar="NAME|FILE", help="Name from `mpeace models`, which tells the defaults, or an .onnx file."),
]
AttenuationLimit = Annotated[
    float | None, typer.Option(metavar="DB", help="Reduce the noise by at most this many dB. [no limit]")
]
Mix = Annotated[float, typer.Option(metavar="0..1", help="0 gives the input, 1 the denoised sound.")]
Host = Annotated[str, typer.Option(metavar="ADDRESS", help="Address to listen on; 0.0.0.0 for all networks.")]
AllowHost = Annotated[
    list[str] | None, typer.Option(metavar="NAME", help="Also answer under this name, such as a proxy's. Repeatable.")
]


def given_beside(context: typer.Context, used: Collection[str]) -> str | None:
    """Return the first option on the command line that is none of these, "--mix" for example; None when all are.

    What comes from the environment or is left at its default does not count.
    """
    for option in context.command.params:
        source, name = context.get_parameter_source(option.name or ""), max(option.opts, key=len)
        if source is not None and source.name == "COMMANDLINE" and name.startswith("--") and name not in used:
            return name
    return None
