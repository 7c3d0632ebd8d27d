"""What other packages keep to themselves is left alone, but for names that have no public way yet."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PUBLIC = {"_asdict", "_replace", "_fields", "_exit"}  # documented by Python, of named tuples and `os`
WITHOUT_A_PUBLIC_WAY = {"_strip_protocol", "_initialize", "_terminate", "_exit_handler"}  # of fsspec and sounddevice


def trees() -> Iterator[ast.AST]:
    """Yield the syntax trees of all modules."""
    for package in ("enhance", "emulator", "apps"):
        for path in (ROOT / package).rglob("*.py"):
            yield from ast.walk(ast.parse(path.read_text("utf-8")))


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def test_no_more_names_of_others_are_used_than_have_no_public_way() -> None:
    nodes = list(trees())
    used = {node.attr for node in nodes if isinstance(node, ast.Attribute) and is_private(node.attr)}
    own = {node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}
    own |= {node.id for node in nodes if isinstance(node, ast.Name)}  # fields of classes
    own |= {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    assert used - own - PUBLIC == WITHOUT_A_PUBLIC_WAY
    imported = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
    modules = {alias.name for node in imported for alias in node.names}
    modules |= {node.module for node in imported if isinstance(node, ast.ImportFrom) and node.module}
    assert [name for name in modules if any(map(is_private, name.split(".")))] == []


def test_fsspec_has_no_public_way_to_strip_a_url() -> None:
    """When this fails, `enhance.io.remote.store` can use what is new."""
    fsspec = pytest.importorskip("fsspec")
    assert [name for name in dir(fsspec.AbstractFileSystem) if "strip_protocol" in name] == [
        "_strip_protocol",
        "unstrip_protocol",
    ]
    assert fsspec.core.url_to_fs("memory://a/b::c.wav")[1] == "/a/b"


def test_sounddevice_has_no_public_way_to_look_for_devices_again() -> None:
    """When this fails, `apps.live.devices.portaudio.rescan` can use what is new."""
    try:
        import sounddevice
    except (ImportError, OSError):
        pytest.skip("sounddevice or PortAudio is not installed")
    words = ("initialize", "terminate", "rescan", "refresh", "reset")
    found = {name for name in dir(sounddevice) if any(word in name.lower() for word in words)}
    assert found == {"_initialize", "_initialized", "_terminate"}
