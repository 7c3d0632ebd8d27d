"""Checkpoints of trainings: tensors and plain values in one file, written in one step, read without running code."""

import io
from pathlib import Path
from typing import Any

import torch

from enhance.utils.atomic import replacing

FORMAT = 1


def save_atomically(value: dict[str, Any], path: Path) -> None:
    """Write a checkpoint, so that a reader or a power cut meets the former one or this one, never a part.

    Its folder is made if there is none.

    Raises:
        OSError: the file system refuses.
    """
    content = io.BytesIO()
    torch.save(value, content)  # into a file it would hide what the system says, as of a full disk
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, durable=True) as partial:
        partial.write_bytes(content.getbuffer())


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged or of another format.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint '{path}'" + (": it is a folder" if path.is_dir() else ""))
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(
            f"'{path}' is no readable checkpoint ({type(error).__name__}): it is damaged, or of another program"
        ) from None
    if not isinstance(checkpoint, dict) or checkpoint.get("format") != FORMAT:
        raise ValueError(f"'{path}' is no checkpoint of format {FORMAT}")
    return checkpoint
