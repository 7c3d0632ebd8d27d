"""All inputs that a person names, each once, on this machine and in stores."""

from apps.batch.discovery import Found, find_here
from apps.batch.identity import Folders
from enhance.io.remote.address import is_url
from enhance.io.task import Outcome


def find_inputs(
    inputs: list[str], leave_out: str | None, settled: list[Outcome], passed_over: list[str]
) -> list[Found]:
    """Return all input files in the order named, each once.

    Args:
        inputs: files, folders and patterns, as paths or URLs.
        leave_out: the folder of the outputs: it is not searched.
        settled: outcomes of inputs that are not there or are shut are added here.
        passed_over: files in folders that are no sound and no video are added here.

    Raises:
        UsageError: what speaks to a store is not installed.
    """
    found: dict[str, Found] = {}
    folders = Folders()
    for text in inputs:
        if is_url(text):
            from apps.batch.store_discovery import find_in_store

            for item in find_in_store(text, leave_out, settled, passed_over):
                found.setdefault(item.identity, item)
        else:
            for item in find_here(text, leave_out, settled, passed_over):
                found.setdefault(folders.entry(item.source), item)
    return list(found.values())
