"""What is there under the names of the outputs, on this machine or in a store."""

from apps.batch.identity import Folders, Place, look
from enhance.io.remote.address import is_url
from enhance.io.remote.store import Entry, Store

_FEW = 3  # outputs, which are asked for one by one; of more, their folders are listed


def look_at_all(targets: list[str], root: str | None) -> list[Place]:
    """Return what is there under each name.

    Args:
        targets: paths and URLs.
        root: folder of all outputs, if there is one.

    Raises:
        FileError: a store cannot be listed.
    """
    remote = [target for target in targets if is_url(target)]
    for target in {"/".join(target.split("/")[:3]): target for target in remote}.values():  # one of each bucket
        Store(target).check_bucket(target)
    known = entries_of(remote, root) if remote else {}
    folders = Folders()
    return [_place(known, target) if is_url(target) else look(target, folders) for target in targets]


def entries_of(urls: list[str], root: str | None) -> dict[str, Entry]:
    """Return those files of stores that are there, by their URLs.

    Args:
        urls: of files, in the form that `Store.url` gives.
        root: a folder in which all of them are, if there is one.

    Raises:
        FileError: a store cannot be listed.
    """
    entries: list[Entry] = []
    if len(urls) <= _FEW:
        entries = [entry for url in urls if (entry := Store(url).find(url)) is not None]
    elif root is not None:
        entries = Store(root).below(root)
    else:
        for parent in {url.rpartition("/")[0]: None for url in urls}:
            entries += Store(parent).directly_in(parent)
    return {entry.url: entry for entry in entries}


def _place(known: dict[str, Entry], target: str) -> Place:
    entry = known.get(target)
    return Place(target, "nothing") if entry is None else Place(target, "file", entry.modified)
