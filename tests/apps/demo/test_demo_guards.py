"""The demo's limits: what it holds, for how long, how many may wait, and a password; each server has its own."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from command import write
from demo_server import EXAMPLES, busy, demo, wait_for
from helpers import speech_like

from apps.demo.service.models import models_for_files
from enhance.utils.errors import FileError

os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"  # the client asks its maker otherwise, when it is imported
gradio_client = pytest.importorskip("gradio_client", reason="needs Gradio: the extra 'demo'")
httpx = pytest.importorskip("httpx", reason="needs Gradio: the extra 'demo'")


def test_uploads_are_turned_away_when_too_much_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route
    from starlette.testclient import TestClient

    from apps.demo.limits import Limits
    from apps.demo.web import middleware as guard

    async def take(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(len(await request.body())))

    app = Starlette(routes=[Route(guard.UPLOAD, take, methods=["POST"])])
    limits = Limits(megabytes=1, uploads=2)
    browser = TestClient(guard.Guard(app, limits))
    answers = [browser.post(guard.UPLOAD, content=bytes(900_000)) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 503]
    assert "try again" in answers[-1].text
    assert browser.post(guard.UPLOAD, content=bytes(1000)).status_code == 200
    later = guard.time.monotonic() + sum(limits.sweeping) + 1
    monkeypatch.setattr(guard.time, "monotonic", lambda: later)
    assert browser.post(guard.UPLOAD, content=bytes(900_000)).status_code == 200, "what was held is removed by now"


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    from apps.demo.web.api import upload_at

    (tmp_path / "uploads").mkdir()
    (tmp_path / "secret.wav").write_bytes(b"1")
    (tmp_path / "uploads" / "link.wav").symlink_to(tmp_path / "secret.wav")
    for given in (
        str(tmp_path / "uploads" / "link.wav"),
        {"path": str(tmp_path / "uploads")},
        {"path": 1},
        None,
        "",
        [],
    ):
        with pytest.raises(FileError, match="not uploaded here"):
            upload_at(given, tmp_path / "uploads")


def test_uploads_and_results_are_removed_and_a_terminal_that_closes_ends_it_all(tmp_path: Path) -> None:
    code = (
        "from apps.demo.limits import Limits; from apps.demo.web.server import serve\n"
        "serve('127.0.0.1', 0, None, False, None, Limits(upload_seconds=8))"
    )
    with demo(tmp_path, code=code) as server:
        client = gradio_client.Client(server.address, verbose=False, download_files=tmp_path, analytics_enabled=False)
        client.predict(gradio_client.handle_file(EXAMPLES / "cafe.flac"), api_name="/denoise")
        assert server.files.count("cafe.flac") == 1
        assert "cafe_denoised.flac" in server.files
        wait_for(lambda: not {"cafe.flac", "cafe_denoised.flac"} & set(server.files), seconds=60)
        server.process.send_signal(signal.SIGHUP)
        assert server.process.wait(timeout=60) == 0
        assert not server.folder.exists()


def test_promise_33_beyond_the_queue_the_answer_says_that_it_is_full(tmp_path: Path) -> None:
    code = (
        "from apps.demo.limits import Limits; from apps.demo.web.server import serve\n"
        "serve('127.0.0.1', 0, None, False, 'tiny', Limits(jobs=1, waiting=1))"
    )
    source = write(tmp_path / "a.flac", speech_like(60, 48_000))
    with demo(tmp_path, code=code) as server:
        client = gradio_client.Client(server.address, verbose=False, download_files=tmp_path, analytics_enabled=False)
        jobs = [client.submit(gradio_client.handle_file(source), api_name="/denoise") for _ in range(6)]
        told = [str(error) for job in jobs if (error := job.exception(timeout=120)) is not None]
        assert 0 < len(told) < len(jobs)
        assert all("queue is full" in words.lower() for words in told), told


def test_a_password_guards_everything_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    with demo(tmp_path, "--auth", "anna:secret") as server:
        assert httpx.post(f"{server.address}gradio_api/upload", files={"files": ("a.wav", b"0")}).status_code == 401
        assert httpx.post(f"{server.address}gradio_api/call/models", json={"data": []}).status_code == 401
        assert httpx.post(f"{server.address}gradio_api/component_server", json={}).status_code == 401
        assert "denoise" not in json.dumps(httpx.get(f"{server.address}config").text)
        client = gradio_client.Client(server.address, auth=("anna", "secret"), verbose=False, analytics_enabled=False)
        assert client.predict(api_name="/models") == list(models_for_files(None))
        begun = time.perf_counter()
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(timeout=60) == 0
        assert time.perf_counter() - begun < 15 * busy()


@pytest.mark.parametrize("root_path", ["/denoise", "/denoise/", "https://sound.example.org/denoise", "/gradio_api"])
def test_uploads_have_their_limit_also_where_a_proxy_leaves_its_path_in_the_request(root_path: str) -> None:
    """They were taken for other calls, of which none has more than 4 MB."""
    testclient = pytest.importorskip("starlette.testclient", reason="needs Gradio: the extra 'demo'")
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse

    from apps.demo.limits import Limits
    from apps.demo.web.middleware import LARGEST_CALL, UPLOAD, Guard

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse(str(len(await Request(scope, receive).body())))(scope, receive, send)

    browser = testclient.TestClient(Guard(app, Limits(), root_path))
    size = LARGEST_CALL + 1
    for place in ("", "/gradio_api" if root_path == "/gradio_api" else "/denoise"):
        assert browser.post(f"{place}{UPLOAD}", content=bytes(size)).text == str(size)
        assert browser.get(f"{place}/monitoring").status_code == 404
