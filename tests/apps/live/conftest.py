"""Fixture of the tests that use virtual sound devices: a server for a file of tests, of one kind or of each."""

from collections.abc import Iterator

import pytest
from soundserver import PULSEAUDIO, SERVERS, SoundServer


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One kind of server or, with `--long` or on request, each in turn."""
    if "server" in metafunc.fixturenames:
        wanted = metafunc.config.getoption("--sound-server")
        wanted = wanted or ("both" if metafunc.config.getoption("--long") else PULSEAUDIO)
        kinds = list(SERVERS) if wanted == "both" else [wanted]
        metafunc.parametrize("server", kinds, indirect=True, scope="module")


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest) -> Iterator[SoundServer]:
    """Virtual sound devices for a file of tests."""
    kind = SERVERS[request.param]
    kind.skip_without_tools()
    with kind() as running_server:
        running_server.plug_in()
        yield running_server
