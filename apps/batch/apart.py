"""The files that a run needs beside inputs and outputs, such as a manifest or a report: none of them is an output."""

import os
from collections.abc import Iterable
from pathlib import Path

from apps.batch.identity import identity
from apps.batch.plan import normal_output
from enhance.io.remote.address import file_name, is_url, is_web, shown, without_file_scheme
from enhance.utils.errors import UsageError


def check_apart(targets: Iterable[str], others: dict[str, str | Path | None]) -> None:
    """Refuse a run in which one file would be written over another that it needs.

    Args:
        targets: outputs, paths in the form of `normal_output`, and URLs.
        others: for an option the path or URL of its file; None where it is not given.

    Raises:
        UsageError: two options name one file, or an output is one of theirs.
    """
    owners: dict[str, tuple[str, str]] = {}
    for option, path in others.items():
        if path is None or is_web(str(path)):
            continue
        place = normal_output(without_file_scheme(str(path)))
        earlier, _ = owners.setdefault(_key(place), (option, place))
        if earlier != option:
            raise UsageError(f"{earlier} and {option} both name {shown(place)}; name another file for one of them")
    names = {_name(place) for _, place in owners.values()}  # quick: of a hundred thousand outputs, few are looked at
    for target in targets:
        if _name(target) in names and (found := owners.get(_key(target))):
            raise UsageError(f"the output {shown(target)} is the file of {found[0]}; name another for one of them")


def _key(place: str) -> str:
    return place if is_url(place) else identity(place)


def _name(place: str) -> str:
    return (file_name(place) if is_url(place) else os.path.basename(place)).casefold()  # noqa: PTH119 - quick
