"""The name of each output, from a template."""

import os
import posixpath
from pathlib import Path

from apps.batch.discovery import Found
from enhance.io.content import is_read_only, names_recording
from enhance.io.formats import CONTAINERS, READ_ONLY
from enhance.io.remote.address import file_name, is_url
from enhance.io.task import file_path
from enhance.utils.errors import UsageError

BESIDE = "{stem}_denoised{suffix}"
ELSEWHERE = "{stem}{suffix}"


def name_output(item: Found, folder: str | None, template: str, container: str | None) -> str:
    """Return the path of an output.

    Args:
        item: the input.
        folder: of all outputs; None for beside the input.
        template: with the fields {stem}, {suffix} and {extension}.
        container: that the person named; None for that of the input.

    Raises:
        UsageError: the template is none, or what it gives is no name of a file.
    """
    paths = posixpath if is_url(item.source if folder is None else folder) else os.path
    parent, own = os.path.split(item.source)
    own = file_name(item.source) if is_url(item.source) else own
    stem, own_suffix = os.path.splitext(own)
    suffix = CONTAINERS[container].suffixes[0] if container else own_suffix
    if container is None and _is_read_only(own_suffix, item.source):
        suffix += ".wav"
    fields = {"stem": stem, "suffix": suffix, "extension": own_suffix.lstrip(".")}
    try:
        name = template.format(**fields)
    except (KeyError, IndexError, ValueError, AttributeError):
        known = ", ".join("{" + key + "}" for key in fields)
        raise UsageError(f"--name {template!r} is no template; its fields are {known}") from None
    if not name or name in (".", "..") or os.path.split(name) != ("", name):
        raise UsageError(f"--name gives {name!r}, expected a file name without folders")
    if folder is None:
        return paths.join(parent, name)
    return file_path(paths.join("" if folder == "." else folder, item.below, name))


def _is_read_only(suffix: str, path: str) -> bool:
    if names_recording(suffix) or is_url(path):
        return suffix.lower() in READ_ONLY
    return is_read_only(Path(path))
