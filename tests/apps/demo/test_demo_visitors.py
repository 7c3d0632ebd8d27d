"""One visitor does not take the room of all: uploads, microphones and passwords are counted for each."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.demo.limits import Limits
from apps.demo.service.live_streams import LiveDesk
from apps.demo.service.service import DemoService
from apps.demo.service.visitor import VISITOR
from enhance.runtime.strength import Strength
from enhance.utils.errors import FileError

pytest.importorskip("gradio", reason="needs Gradio: the extra 'demo'")
ANNA, BERTA, HERE = "203.0.113.7", "203.0.113.8", "127.0.0.1"


@pytest.fixture
def visitor() -> Iterator[Any]:
    token = VISITOR.set("")
    yield VISITOR.set
    VISITOR.reset(token)


def browser(app: Any, address: str) -> Any:
    from starlette.testclient import TestClient

    return TestClient(app, base_url="http://127.0.0.1", client=(address, 4711))


def test_uploads_are_counted_for_each_visitor() -> None:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    from apps.demo.web import middleware

    async def take(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(len(await request.body())))

    app = Starlette(routes=[Route(middleware.UPLOAD, take, methods=["POST"])])
    guard = middleware.Guard(app, Limits(megabytes=1, uploads=5, visitor_uploads=2))

    def statuses(address: str, count: int) -> list[int]:
        answers = [browser(guard, address).post(middleware.UPLOAD, content=bytes(900_000)) for _ in range(count)]
        return [answer.status_code for answer in answers]

    assert statuses(ANNA, 3) == [200, 200, 429]
    assert statuses(BERTA, 1) == [200]
    assert statuses(HERE, 3) == [200, 200, 503], "of this machine, or of a proxy, only the sum counts"


def test_microphones_are_counted_for_each_visitor(tmp_path: Path, tiny_model: Path, visitor: Any) -> None:
    service = DemoService(tmp_path, Limits(), {"tiny": str(tiny_model)})
    desk = LiveDesk(service, Limits(live=3, visitor_live=1))
    visitor(ANNA)
    token = str(desk.open(48_000, 480, Strength(), None)["token"])
    with pytest.raises(FileError, match="1 microphones of yours are open, which is the limit"):
        desk.open(48_000, 480, Strength(), None)
    visitor(BERTA)
    desk.open(48_000, 480, Strength(), None)
    visitor("")
    desk.open(48_000, 480, Strength(), None)
    with pytest.raises(FileError, match="3 microphones are open"):
        desk.open(48_000, 480, Strength(), None)
    visitor(ANNA)
    desk.close(token)
    desk.open(48_000, 480, Strength(), None)


def test_wrong_passwords_wait_longer_and_longer_and_a_right_one_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    from apps.demo.web import middleware

    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    async def login(request: Request) -> PlainTextResponse:
        return PlainTextResponse("", 200 if await request.body() == b"secret" else 400)

    monkeypatch.setattr(middleware.asyncio, "sleep", sleep)
    app = middleware.SlowLogin(Starlette(routes=[Route("/login", login, methods=["POST"])]))
    anna, berta = browser(app, ANNA), browser(app, BERTA)
    assert {anna.post("/login", content=b"guess").status_code for _ in range(8)} == {400}
    assert waited == [1, 2, 4, 8, 8]
    assert berta.post("/login", content=b"secret").status_code == 200
    assert len(waited) == 5, "nobody else waits"
    assert anna.post("/login", content=b"secret").status_code == 200
    assert anna.post("/login", content=b"guess").status_code == 400
    assert len(waited) == 6


def test_one_password_at_a_time_of_each_visitor() -> None:
    from apps.demo.web.middleware import SlowLogin

    async def both() -> list[int]:
        statuses: list[int] = []
        entered, leave = asyncio.Event(), asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            entered.set()
            await leave.wait()
            await send({"type": "http.response.start", "status": 400, "headers": []})

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        guard = SlowLogin(app)
        scope = {"type": "http", "method": "POST", "path": "/login", "client": (ANNA, 4711), "headers": []}
        first = asyncio.create_task(guard(scope, None, send))  # type: ignore[arg-type]
        await entered.wait()
        await guard(scope, None, send)  # type: ignore[arg-type]
        leave.set()
        await first
        return statuses

    assert asyncio.run(both()) == [429, 400]
