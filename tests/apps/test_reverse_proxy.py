"""The demo and a listening test behind a real reverse proxy, under a path: every address leads back through it."""

import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from command import read
from demo_page import MICROPHONE, any_like, browser_with_microphone
from demo_server import EXAMPLES, Server, demo, heard, open_page, wait_for
from listening import served, write_sounds, write_toml
from proxy import NAME, PATH, reverse_proxy


def fetch(address: str, name: str | None = None) -> str:
    request = urllib.request.Request(address, headers={} if name is None else {"Host": name})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read().decode()


def test_a_listening_test_is_whole_under_a_path(tmp_path: Path) -> None:
    toml = write_toml(write_sounds(tmp_path / "sounds"), method="pairwise", systems=["loud", "soft"])
    (tmp_path / "nginx").mkdir()
    with served(toml, 0, "--allow-host", NAME) as (address, _), reverse_proxy(address, tmp_path / "nginx") as page:
        content = fetch(f"{page}/", NAME)
        links = re.findall(r'(?:href|src)="([^"]+)"', content)
        assert len(links) >= 3
        for link in links:
            assert not link.startswith("/")
            assert fetch(f"{page}/{link}", NAME)
        script = fetch(f"{page}/static/app.js", NAME)
        assert '"/' not in script
        assert '"title"' in fetch(f"{page}/api/about", NAME)
        with pytest.raises(urllib.error.HTTPError, match="403"):
            fetch(f"{page}/", "another.example.org")


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A demo with the address that it has behind the proxy."""
    with (
        demo(tmp_path_factory.mktemp("demo"), "--root-path", PATH) as server,
        reverse_proxy(server.address, tmp_path_factory.mktemp("nginx")) as address,
    ):
        yield replace(server, address=address)


def test_the_demo_denoises_under_a_path(proxied: Server, tmp_path: Path) -> None:
    gradio_client = pytest.importorskip("gradio_client", reason="needs Gradio: the extra 'demo'")
    page = proxied.address
    content = fetch(f"{page}/")
    assert f'"root":"{page}"' in content.replace(" ", "")
    for link in re.findall(r'(?:href|src)="((?!data:|http)[^"]+\.(?:js|css))"', content):
        assert fetch(f"{page}/{link.removeprefix('./')}" if not link.startswith("/") else page[: -len(PATH)] + link)
    client = gradio_client.Client(page, download_files=str(tmp_path))
    cleaned, figures = client.predict(gradio_client.handle_file(str(EXAMPLES / "cafe.flac")), api_name="/denoise")
    assert Path(cleaned).stat().st_size > 10_000
    assert figures["speed"] > 0


@pytest.mark.browser
def test_the_recorder_and_the_live_tab_work_under_a_path(proxied: Server, tmp_path: Path) -> None:
    """In a browser that knows only the proxy: sound is recorded and denoised, and comes back while it is spoken."""
    with browser_with_microphone(tmp_path) as browser:
        page = open_page(browser, replace(proxied, address=f"{proxied.address}/"))
        page.get_by_role("button", name="Record").click()
        page.get_by_role("button", name=re.compile(r"Stop \([2-9]\.\d of \d+ s\)")).click()
        page.get_by_role("button", name="Download recording_").wait_for()
        page.get_by_role("tab", name="Live").click()
        page.get_by_role("button", name="Start the microphone").click()
        page.locator("[data-delay]").wait_for()
        page.get_by_role("button", name="Noisy").click()
        wait_for(lambda: any_like(heard(page), read(MICROPHONE)[0], 0.99))
        page.get_by_role("button", name="Stop").click()
        page.get_by_role("button", name="Start the microphone").wait_for()
        assert not page.faults
        asked = [url for url in page.requested if url.startswith(("http", "ws"))]
        beside = [url for url in asked if not url.startswith(f"{proxied.address}/")]
        assert not beside, "everything comes through the proxy, from under its path"
