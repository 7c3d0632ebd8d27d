"""Refuse an ONNX file whose weights lie in other files, before ONNX Runtime is asked to load it.

A model file of somebody else may name any path as the place of its weights ("external data"). The models of this
package are whole in one file. So the file's fields are walked here, by the wire format of Protocol Buffers and the
field numbers of onnx.proto: nothing is decoded but the fields that lead to tensors.
"""

from collections.abc import Iterator
from pathlib import Path

from enhance.utils.errors import ModelError

DEEPEST = 64  # messages inside messages; graphs of this package go 3 deep

_FIELDS: dict[str, dict[int, str]] = {
    "Model": {7: "Graph", 20: "Training", 25: "Function"},
    "Training": {1: "Graph", 2: "Graph"},
    "Function": {7: "Node", 11: "Attribute"},
    "Graph": {1: "Node", 5: "Tensor", 15: "SparseTensor"},
    "Node": {5: "Attribute"},
    "Attribute": {5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "SparseTensor", 23: "SparseTensor"},
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
}
"""Of each message, the fields that may hold a tensor, and the message that each holds."""

_EXTERNAL_DATA, _DATA_LOCATION = 13, 14  # fields of a tensor that are there only when its values lie in another file


def read_model(path: Path) -> bytes:
    """Return the content of an ONNX file that is whole in itself.

    Raises:
        ModelError: the file keeps weights elsewhere, or cannot be read as an ONNX file.
    """
    try:
        content = path.read_bytes()
        external = _external(memoryview(content), "Model", 0)
    except OSError as error:
        raise ModelError(f"cannot load the model file {path}: {error.strerror}") from error
    except (IndexError, ValueError):
        raise ModelError(f"cannot load the model file {path}: it is damaged, or no ONNX file") from None
    if external:
        raise ModelError(
            f"the model file {path} keeps weights in other files, which is not allowed: "
            "save it again with all weights inside"
        )
    return content


def _external(message: memoryview, kind: str, depth: int) -> bool:
    """Return whether a tensor inside a message has its values in another file."""
    if depth > DEEPEST:
        raise ValueError("messages too deep")
    for number, value in _fields(message):
        if kind == "Tensor":
            if number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value):
                return True
            continue
        inner = _FIELDS[kind].get(number)
        if inner and isinstance(value, memoryview) and _external(value, inner, depth + 1):
            return True
    return False


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Yield number and value of each field; a group, which onnx.proto does not have, raises ValueError."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        kind = key & 7
        if kind == 0:
            value, place = _varint(message, place)
            yield key >> 3, value
            continue
        if kind == 2:
            size, place = _varint(message, place)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"wire type {kind}")
        if size > len(message) - place:
            raise ValueError("a field longer than the file")
        yield key >> 3, message[place : place + size]
        place += size


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """Return the number at a place, and the place after it."""
    value = 0
    for shift in range(0, 70, 7):
        byte = message[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
    raise ValueError("a number of more than ten bytes")
