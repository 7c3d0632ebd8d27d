"""The demo and a listening test behind a real reverse proxy, under a path: every address leads back through it."""

import re
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from demo_server import EXAMPLES, demo
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


def test_the_demo_denoises_under_a_path(tmp_path: Path) -> None:
    gradio_client = pytest.importorskip("gradio_client", reason="needs Gradio: the extra 'demo'")
    for name in ("demo", "nginx"):
        (tmp_path / name).mkdir()
    with (
        demo(tmp_path / "demo", "--root-path", PATH) as server,
        reverse_proxy(server.address, tmp_path / "nginx") as page,
    ):
        content = fetch(f"{page}/")
        assert f'"root":"{page}"' in content.replace(" ", "")
        for link in re.findall(r'(?:href|src)="((?!data:|http)[^"]+\.(?:js|css))"', content):
            assert fetch(f"{page}/{link.removeprefix('./')}" if not link.startswith("/") else page[: -len(PATH)] + link)
        client = gradio_client.Client(page, download_files=str(tmp_path / "got"))
        cleaned, figures = client.predict(gradio_client.handle_file(str(EXAMPLES / "cafe.flac")), api_name="/denoise")
        assert Path(cleaned).stat().st_size > 10_000
        assert figures["speed"] > 0
