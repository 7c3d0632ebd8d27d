"""`--report FILE.jsonl` or `.parquet`: one row a file, written as soon as the file is done.

JSONL is appended to, a line in one write: a batch that is killed has reported what it finished, and the same command
adds the rest. A file that was done before and is skipped now keeps its row and gets no other. Parquet takes no more
rows later: they wait in NAME.parquet.jsonl beside it, and become Parquet, with those of earlier runs, when the batch
ends.
"""

# pyright: reportMissingImports=false

import json
import os
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

from apps.batch.json_file import escaped
from enhance.io.remote.address import is_url, shown
from enhance.io.task import Outcome
from enhance.utils.atomic import replacing
from enhance.utils.errors import UsageError, one_line

OPTION = "--report"
ROWS = (".jsonl", ".ndjson", ".parquet")  # suffixes of such reports
_TEXT = ("input", "output", "status", "reason", "sha256", "format", "subtype")
_WHOLE = ("samples", "sample_rate", "channels", "clamped")
_AT_ONCE = 10_000  # rows in memory


def is_rows(report: Path | None) -> bool:
    """Return whether a report is one of rows."""
    return report is not None and report.suffix.lower() in ROWS


class RowReport:
    """The report of one run.

    Args:
        path: of the JSONL or Parquet file; what is there is kept.

    Raises:
        UsageError: it cannot be written, is no report, or what writes Parquet is not installed.
    """

    def __init__(self, path: Path) -> None:
        if is_url(str(path)):
            raise UsageError(f"{OPTION}: rows are added to a file of this machine; name a path")
        self._path = path
        self._is_parquet = path.suffix.lower() == ".parquet"
        self._journal = path.with_name(path.name + ".jsonl") if self._is_parquet else path
        self._done: set[str] = set()
        try:
            if self._is_parquet:
                _arrow()
                self._done.update(_name(row) for row in _read_parquet(path) if row["status"] == "done")
            self._done.update(_name(row) for row in read_lines(self._journal) if row["status"] == "done")
            mend(self._journal)  # only now is it known to be a report
            self._file = os.open(self._journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        except OSError as error:
            raise UsageError(f"{OPTION} {path} cannot be written: {one_line(error)}") from None
        except (ValueError, KeyError, TypeError):
            raise UsageError(f"{OPTION} {path}: this file was not written by this option; name another") from None

    def add(self, outcome: Outcome) -> None:
        """Write the row of a file.

        Raises:
            UsageError: it cannot be written; what was written stays.
        """
        row = as_row(outcome)
        if outcome.status == "skipped" and _name(row) in self._done:
            return
        if outcome.status == "done":
            self._done.add(_name(row))
        line = (escaped(json.dumps(row, ensure_ascii=False)) + "\n").encode()
        try:
            while line:  # all of it in one go, but for a disk that is full
                line = line[os.write(self._file, line) :]
        except OSError as error:
            raise UsageError(f"{OPTION} {self._path} cannot be written: {one_line(error)}") from None

    def close(self) -> None:
        """Finish the report.

        Raises:
            UsageError: it cannot be written.
        """
        os.close(self._file)
        if not self._is_parquet:
            return
        try:
            _write_parquet(self._path, self._journal)
            self._journal.unlink()
        except (OSError, ValueError) as error:
            reason = f"{one_line(error)}; its rows are in {self._journal}"
            raise UsageError(f"{OPTION} {self._path} cannot be written: {reason}") from None


def as_row(outcome: Outcome) -> dict[str, Any]:
    """Return what a report says of a file."""
    return {
        "input": shown(outcome.input),
        "output": None if outcome.output is None else shown(outcome.output),
        "status": outcome.status,
        "reason": outcome.message,
        "seconds": round(outcome.seconds, 6),
        "cpu_seconds": round(outcome.cpu_seconds, 3),
        "elapsed": round(outcome.elapsed, 3),
        "input_dbfs": outcome.input_dbfs,
        "output_dbfs": outcome.output_dbfs,
        "speech_share": outcome.speech_share,
        "sha256": outcome.sha256,
        "samples": outcome.samples,
        "sample_rate": outcome.sample_rate,
        "channels": outcome.channels,
        "format": outcome.format,
        "subtype": outcome.subtype,
        "clamped": outcome.clamped,
        "gain": outcome.gain,
        "notes": outcome.notes,
    }


def _name(row: dict[str, Any]) -> str:
    """Return the output of a row as text that any format can hold."""
    return escaped(str(row["output"]))


def mend(path: Path) -> None:
    """Cut off a last line that is not whole, as a killed program or a full disk leaves it."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        end = 0
        for line in file:
            end += len(line) if line.endswith(b"\n") else 0
        if end == 0 and file.tell():
            raise ValueError("not one whole line")
        file.truncate(end)


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Give the rows of the lines that are whole."""
    if path.exists():
        with path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    yield json.loads(line)


def _arrow() -> Any:
    try:
        import pyarrow
    except ImportError:
        raise UsageError("a report in Parquet needs PyArrow: pip install 'mpeace[cloud]'") from None
    return pyarrow


def _schema() -> Any:
    arrow = _arrow()

    def kind(name: str) -> Any:
        if name == "notes":
            return arrow.list_(arrow.string())
        return arrow.string() if name in _TEXT else arrow.int64() if name in _WHOLE else arrow.float64()

    names = as_row(Outcome("", None, "done"))
    return arrow.schema([(name, kind(name)) for name in names])


def _read_parquet(path: Path) -> Iterator[dict[str, Any]]:
    from pyarrow import ArrowException, parquet

    if path.exists():
        try:
            for batch in parquet.ParquetFile(path).iter_batches(_AT_ONCE):
                yield from batch.to_pylist()
        except ArrowException as error:
            raise ValueError(path) from error


def _write_parquet(path: Path, journal: Path) -> None:
    """Write the rows of a Parquet file and of the journal as Parquet, in one step.

    Text there is UTF-8, so bytes of names that are not are written as in JSON: \\udc80 to \\udcff.
    """
    from pyarrow import Table, parquet

    schema = _schema()
    with replacing(path) as partial, parquet.ParquetWriter(partial, schema) as writer:
        rows = chain(_read_parquet(path), map(_as_utf8, read_lines(journal)))
        while some := list(islice(rows, _AT_ONCE)):
            writer.write_table(Table.from_pylist(some, schema=schema))


def _as_utf8(row: dict[str, Any]) -> dict[str, Any]:
    texts = {name: escaped(value) for name, value in row.items() if isinstance(value, str)}
    return {**row, **texts, "notes": [escaped(note) for note in row["notes"]]}
