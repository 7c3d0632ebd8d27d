"""`--manifest`: the inputs and outputs of a batch as rows of a table, each with settings of its own.

CSV with a line of names, JSONL with an object a line, or Parquet. Empty cells mean what the command line says.
"""

# pyright: reportMissingImports=false

import csv
import io
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any

from enhance.io.formats import CONTAINERS
from enhance.io.options import Clip, DenoiseOptions, checked_rate, parse_channels
from enhance.io.remote.address import file_name, is_url, shown
from enhance.io.task import check_name
from enhance.runtime.link import Link
from enhance.utils.errors import FileError, UsageError, one_line

_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no")


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes:
        number: from 1, without the line of names.
        source, target: paths or URLs of input and output.
        options: of this row.
    """

    number: int
    source: str
    target: str
    options: DenoiseOptions


def read_manifest(file: str, options: DenoiseOptions) -> list[Row]:
    """Return the rows of a manifest.

    Args:
        file: path or URL of a .csv, .jsonl or .parquet file.
        options: what the command line says, for what a row does not.

    Raises:
        UsageError: it cannot be read, has a wrong column, or a value that is out of range; the line says which.
    """
    where = f"--manifest {shown(file)}"
    kind = Path(file_name(file) if is_url(file) else file).suffix.lower()
    reader = {".csv": _csv, ".jsonl": _jsonl, ".ndjson": _jsonl, ".parquet": _parquet}.get(kind)
    if reader is None:
        raise UsageError(f"{where}: expected a .csv, .jsonl or .parquet file")
    rows, same = [], {}
    for number, cells in enumerate(_checked(reader, _content(file, where), where), 1):
        given = {name: value for name, value in cells.items() if not _is_empty(value)}
        place = f"{where}, row {number}"
        for name in cells.keys() - _COLUMNS.keys() - {"input", "output"}:
            raise UsageError(f"{place}: there is no column {name!r}; there are input, output, {', '.join(_COLUMNS)}")
        source, target = (_path(given.pop(name, None), name, place) for name in ("input", "output"))
        key = json.dumps(given, sort_keys=True, default=str)
        if key not in same:
            same[key] = _options(given, options, place)
        rows.append(Row(number, source, target, same[key]))
    if not rows:
        raise UsageError(f"{where}: it has no rows")
    return rows


def _content(file: str, where: str) -> bytes:
    try:
        if is_url(file):
            from enhance.io.remote.store import Store
            from enhance.io.remote.store_errors import store_errors

            store = Store(file)
            with store_errors("cannot be read", file):
                return store.files.cat_file(store.path(file))
        return Path(file).read_bytes()
    except OSError as error:
        raise UsageError(f"{where} cannot be read: {one_line(error)}") from None
    except FileError as error:
        raise UsageError(f"--manifest {error}") from None


def _checked(
    reader: Callable[[bytes], Iterator[dict[str, Any]]], content: bytes, where: str
) -> Iterator[dict[str, Any]]:
    try:
        yield from reader(content)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{where}: it is no UTF-8 text") from None


def _csv(content: bytes) -> Iterator[dict[str, Any]]:
    reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
    try:
        _check_once(reader.fieldnames or ())
        for number, row in enumerate(reader, 1):
            if None in row or None in row.values():
                raise UsageError(f"row {number} has not as many cells as the line of names has columns")
            yield row
    except csv.Error as error:
        raise UsageError(f"line {reader.line_num} is no CSV: {error}") from None


def _jsonl(content: bytes) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(content.decode("utf-8-sig").split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, object_pairs_hook=_object)
        except UsageError as error:
            raise UsageError(f"line {number}: {error}") from None
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise UsageError(f"line {number} is no JSON object")
        yield row


def _parquet(content: bytes) -> Iterator[dict[str, Any]]:
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError:
        raise UsageError("Parquet needs PyArrow: pip install 'mpeace[cloud]'") from None
    try:
        file = parquet.ParquetFile(arrow.BufferReader(content))
        _check_once(file.schema_arrow.names)
        for batch in file.iter_batches():
            yield from batch.to_pylist()
    except (arrow.ArrowException, OSError):
        raise UsageError("it is no Parquet file, or a damaged one") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    _check_once([name for name, _ in pairs])
    return dict(pairs)


def _check_once(names: Sequence[str]) -> None:
    """Refuse columns of one name, of which only the last would count."""
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"there are two columns {name!r}; keep one of them")


def _is_empty(value: Any) -> bool:
    return value is None or value in ("", []) or (isinstance(value, float) and math.isnan(value))


def _path(value: Any, name: str, place: str) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{place}: no {name}; expected a path or a URL in the column {name!r}")
    if value == "-":
        raise UsageError(f"{place}: {name} {value!r} is neither a path nor a URL")
    check_name(value, f"{place}: {name}", UsageError)
    return value


def _options(given: dict[str, Any], options: DenoiseOptions, place: str) -> DenoiseOptions:
    values: dict[str, Any] = {}
    for name, value in given.items():
        field, convert = _COLUMNS[name]
        try:
            values[field] = convert(value)
        except UsageError as error:
            raise UsageError(f"{place}: {error}") from None
        except (TypeError, ValueError, OverflowError):
            raise UsageError(f"{place}: {name} {value!r} is no value of that column") from None
    try:
        return replace(options, **values)
    except UsageError as error:
        raise UsageError(f"{place}: {error}") from None


def _flag(value: Any) -> bool:
    text = _text(value).strip().lower().removesuffix(".0")
    if text not in _TRUE + _FALSE:
        raise ValueError(text)
    return text in _TRUE


def _whole(value: Any) -> int:
    """Return a whole number; tables with empty cells write those of a column with a point, as 16000.0."""
    if float(value) != int(float(value)):
        raise ValueError(value)
    return int(float(value))


def _text(value: Any) -> str:
    """Return what a cell says as on the command line, whole numbers without a point."""
    return str(int(value)) if isinstance(value, float | Decimal) and value == int(value) else str(value)


def _texts(value: Any) -> tuple[str, ...]:
    """Return what a cell with one value or a list of them says."""
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(each, str | int | float | Decimal) for each in values):
        raise ValueError(value)
    return tuple(_text(each) for each in values)


def _container(value: Any) -> str:
    if str(value).lower() not in CONTAINERS:
        raise UsageError(f"format {value!r}: expected {', '.join(CONTAINERS)}")
    return str(value).lower()


def _word(kind: type[StrEnum]) -> Callable[[Any], StrEnum]:
    """Return what takes a cell for one of some words, and says them for another."""

    def convert(value: Any) -> StrEnum:
        try:
            return kind(value)
        except ValueError as error:
            raise UsageError(str(error)) from None

    return convert


_COLUMNS: dict[str, tuple[str, Callable[[Any], Any]]] = {  # as the options of the command, and where they are kept
    "attenuation_limit": ("attenuation_limit_db", float),
    "mix": ("mix", float),
    "format": ("container", _container),
    "subtype": ("subtype", str),
    "sample_rate": ("sample_rate", lambda value: checked_rate(_whole(value))),
    "clip": ("clip", _word(Clip)),
    "salvage": ("salvage", _flag),
    "channels": ("channels", lambda value: parse_channels(",".join(_texts(value)).removesuffix(".0"))),
    "link": ("link", _word(Link)),
    "track": ("tracks", _texts),
}
