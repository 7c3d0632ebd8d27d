"""Pages of other sites do not reach the servers of the demo and of listening tests through somebody's browser."""

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from apps.origins import known_names, own_pages_only
from enhance.utils.errors import UsageError


async def answer(_: Request) -> PlainTextResponse:
    return PlainTextResponse("done")


def client(*allowed: str) -> TestClient:
    routes = [Route("/", answer, methods=["GET", "POST"])]
    app = Starlette(routes=routes, middleware=[own_pages_only("127.0.0.1", allowed)])
    return TestClient(app, base_url="http://127.0.0.1:7860")


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost:7860", "LOCALHOST", "[::1]:7860", "192.168.1.7:7860"])
def test_known_names_and_addresses_are_let_in(host: str) -> None:
    assert client().get("/", headers={"host": host}).text == "done"


@pytest.mark.parametrize("host", ["example.org", "localhost.example.org:7860", "", "[", "127.0.0.1.example.org"])
def test_a_name_that_the_server_does_not_know_is_refused(host: str) -> None:
    refused = client().get("/", headers={"host": host})
    assert refused.status_code == 403
    assert "--allow-host" in refused.text
    assert client("sound.example.org").get("/", headers={"host": "Sound.Example.org"}).status_code == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 200),  # a program
        ("http://127.0.0.1:7860", 200),
        ("http://127.0.0.1:9999", 403),  # another server of the same machine
        ("https://example.org", 403),
        ("null", 403),
        ("", 403),
    ],
)
def test_only_its_own_pages_change_something(origin: str | None, status: int) -> None:
    headers = {} if origin is None else {"origin": origin}
    assert client().post("/", headers=headers).status_code == status
    assert client().get("/", headers=headers).status_code == 200


def test_a_proxy_with_another_name_is_allowed_by_name() -> None:
    """The proxy calls the server by its address; the browser's page has the proxy's name."""
    headers = {"origin": "https://sound.example.org"}
    assert client("sound.example.org").post("/", headers=headers).status_code == 200
    assert client("other.example.org").post("/", headers=headers).status_code == 403


@pytest.mark.parametrize("name", ["", "http://sound.example.org", "sound.example.org:80", "sound.example.org/listen"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="expected a name without port and path"):
        known_names("127.0.0.1", [name])
