"""The plan of a batch whose inputs and outputs a manifest names, one by one."""

import os
import stat

from apps.batch.choices import IfExists
from apps.batch.discovery import Found
from apps.batch.identity import identity_of, plain
from apps.batch.manifest import Row
from apps.batch.outputs import entries_of
from apps.batch.plan import Plan, normal_output, settle
from enhance.io.options import DenoiseOptions
from enhance.io.remote.address import is_url, is_web, shown, without_file_scheme
from enhance.io.remote.store import Entry, Stores
from enhance.io.task import Outcome
from enhance.utils.errors import FileError, UsageError, one_line


def plan_manifest(rows: list[Row], if_exists: IfExists, settings: DenoiseOptions) -> Plan:
    """Make one task for each row.

    Args:
        rows: of the manifest.
        if_exists: what to do with outputs that are there.
        settings: for what a row does not say.

    Raises:
        UsageError: the plan cannot be carried out as a whole.
    """
    plan, stores = Plan(), Stores()
    known = _in_stores([row.source for row in rows], stores)
    found, targets, options = [], [], []
    for row in rows:
        item = _find(row.source, known, stores)
        if row.target.endswith(("/", os.sep)):
            item = f"the output {shown(row.target)} is a folder; name a file"
        elif is_web(row.target):
            item = f"the output {shown(row.target)} is on a web server, which is read and not written to"
        if isinstance(item, str):
            plan.settled.append(Outcome(row.source, row.target, "failed", item))
            continue
        found.append(item)
        targets.append(normal_output(without_file_scheme(row.target), stores))
        options.append(row.options)
    settle(plan, found, targets, None, if_exists, settings, options)
    return plan


def _in_stores(sources: list[str], stores: Stores) -> dict[str, Entry]:
    urls = [url for url in sources if is_url(without_file_scheme(url)) and not is_web(url)]
    try:
        return entries_of([stores.normal(url) for url in urls], None)
    except UsageError:
        raise
    except FileError as error:
        raise UsageError(str(error)) from None


def _find(source: str, known: dict[str, Entry], stores: Stores) -> Found | str:
    """Return an input, or why there is none."""
    path = without_file_scheme(source)
    if is_web(path):
        return Found(path, "", False, path, None, 0)
    if is_url(path):
        entry = known.get(stores.normal(path))
        if entry is None:
            return "there is no such bucket or file"
        return Found(entry.url, "", False, entry.url, entry.modified, entry.size)
    path = plain(path)
    try:
        status = os.stat(path)  # noqa: PTH116 - quick
    except OSError as error:
        return one_line(error)
    if not stat.S_ISREG(status.st_mode):
        return "not a file"
    return Found(path, "", False, identity_of(status), status.st_mtime, status.st_size)
