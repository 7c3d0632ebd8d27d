"""The demo as a server: how it starts and ends, what it refuses, and its functions through gradio_client."""

import base64
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import ROOT, mpeace, write
from demo_server import EXAMPLES, Server, busy, demo, wait_for
from helpers import speech_like

from enhance import Denoiser, list_models, model_for_files

os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"  # the client asks its maker otherwise, when it is imported
gradio_client = pytest.importorskip("gradio_client", reason="needs Gradio: the extra 'demo'")
httpx = pytest.importorskip("httpx", reason="needs Gradio: the extra 'demo'")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A demo that would be caught if it asked anybody for anything: its way to the network is watched."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        ways = {name: address for way in ("http_proxy", "https_proxy", "all_proxy") for name in (way, way.upper())}
        folder = tmp_path_factory.mktemp("server")
        with demo(folder, "--minutes", 0.5, "--megabytes", 20, settings=ways) as running:
            yield running
        proxy.setblocking(False)
        with pytest.raises(BlockingIOError):
            proxy.accept()


@pytest.fixture(scope="module")
def client(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Any:
    downloads = tmp_path_factory.mktemp("downloads")
    return gradio_client.Client(server.address, verbose=False, download_files=downloads, analytics_enabled=False)


def call(server: Server, name: str, *values: Any) -> str:
    """Call a function as a program does that is no gradio_client: the text of the last event."""
    api = f"{server.address}gradio_api/call/{name}"
    event = httpx.post(api, json={"data": list(values)}).json()["event_id"]
    return httpx.get(f"{api}/{event}", timeout=60).text


def test_it_serves_within_six_seconds(server: Server) -> None:
    assert server.seconds < 6 * busy(), f"{server.cpu_seconds:.1f} CPU s, {server.seconds:.1f} s"


def test_it_listens_on_loopback_by_default(server: Server) -> None:
    assert server.address.startswith("http://127.0.0.1:")
    own = socket.gethostbyname(socket.gethostname())
    port = int(server.address.rsplit(":", 1)[1].strip("/"))
    if not own.startswith("127."):
        with pytest.raises(OSError, match=r"refused|timed out"):
            socket.create_connection((own, port), timeout=2)


def test_a_taken_port_is_one_line(server: Server) -> None:
    port = server.address.rsplit(":", 1)[1].strip("/")
    ended = mpeace("demo", "--port", port)
    assert ended.status == 2
    (line,) = ended.problems
    assert line.startswith(
        f"mpeace: cannot listen on 127.0.0.1, port {port}: address already in use; name another with"
    )


def test_a_missing_gradio_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    for name in [name for name in os.environ if name.startswith(("GRADIO_", "NO_PROXY", "no_proxy"))]:
        monkeypatch.delenv(name)
    environment = dict(os.environ)
    ended = mpeace("demo", "--port", 0)
    for name in set(os.environ) - set(environment):
        del os.environ[name]
    assert ended.problems == ['mpeace: the demo needs Gradio: pip install "mpeace[demo]"']
    assert ended.status == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--auth", "anna"], "--auth is NAME:PASSWORD, both not empty"),
        (["--root-path", "denoise"], "--root-path denoise: expected a path that begins with /, such as /denoise"),
        (["--host", "256.1.1.1"], "cannot listen on 256.1.1.1, port 0"),
        (["--model", "none"], "no model 'none'"),
    ],
)
def test_wrong_options_are_one_line(options: list[str], words: str) -> None:
    code = "import sys; from apps.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "demo", "--port", "0", *options]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode != 0
    assert len(ended.stderr.splitlines()) == 1
    assert words in ended.stderr


def test_promise_12_the_client_gets_what_the_command_line_writes(client: Any, tmp_path: Path) -> None:
    source = EXAMPLES / "cafe.flac"
    path, figures = client.predict(gradio_client.handle_file(source), 12, 0.5, api_name="/denoise")
    expected = tmp_path / "cafe.flac"
    mpeace("denoise", source, "-o", expected, "--attenuation-limit", 12, "--mix", 0.5, "-q")
    assert Path(path).name == "cafe_denoised.flac"
    assert Path(path).read_bytes() == expected.read_bytes()
    assert figures["seconds"] == pytest.approx(5)
    names = client.predict(api_name="/models")
    assert names[0] == model_for_files()
    assert sorted(names) == sorted(entry.name for entry in list_models())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty (0 bytes)"),
        (b"no sound at all", "not a sound file that can be read"),
        (None, "cut off"),
    ],
    ids=["empty", "text", "cut"],
)
def test_bad_files_are_one_line_for_programs(
    client: Any, server: Server, tmp_path: Path, content: bytes | None, words: str
) -> None:
    good = write(tmp_path / "good.wav", speech_like(2, 48_000)).read_bytes()
    (tmp_path / "bad.wav").write_bytes(good[:-40_000] if content is None else content)
    with pytest.raises(gradio_client.exceptions.AppError) as caught:
        client.predict(gradio_client.handle_file(tmp_path / "bad.wav"), api_name="/denoise")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list((server.folder / "sessions").glob("*"))


def test_promise_33_a_huge_upload_is_refused(server: Server) -> None:
    """By its size before it is read as sound, whatever its name says."""
    answer = httpx.post(f"{server.address}gradio_api/upload", files={"files": ("a.wav", b"0" * 21_000_000)}, timeout=60)
    assert answer.status_code == 413
    assert "maximum allowed size" in answer.text


def test_promise_33_many_files_in_one_upload_are_no_more_than_one(server: Server) -> None:
    files = [("files", (f"{number}.wav", bytes(9_000_000))) for number in range(3)]
    answer = httpx.post(f"{server.address}gradio_api/upload", files=files, timeout=60)
    assert answer.status_code == 413
    assert "maximum allowed size" in answer.text
    wait_for(lambda: not temporary(server))


def test_an_upload_that_is_broken_off_leaves_nothing(server: Server) -> None:
    head = (
        "POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        '--b\r\nContent-Disposition: form-data; name="files"; filename="a.wav"\r\n\r\n'
    )
    with socket.create_connection(("127.0.0.1", httpx.URL(server.address).port)) as connection:
        connection.sendall(head.encode() + bytes(100_000))
        wait_for(lambda: temporary(server))
    wait_for(lambda: not temporary(server))


def temporary(server: Server) -> list[Path]:
    """What is being uploaded."""
    return [path for path in server.folder.iterdir() if path.is_file()]


def test_a_call_that_is_no_upload_is_short(server: Server) -> None:
    answer = httpx.post(f"{server.address}gradio_api/call/models", json={"data": ["a" * 5_000_000]}, timeout=60)
    assert 400 <= answer.status_code < 500


@pytest.mark.parametrize("path", ["/etc/passwd", str(ROOT / "README.md"), str(EXAMPLES / "cafe.flac")])
def test_paths_outside_are_refused(server: Server, path: str) -> None:
    assert "event: error" in call(
        server, "denoise", {"path": path, "meta": {"_type": "gradio.FileData"}}, None, 1.0, None
    )
    for value in (path, {"path": path}, {"path": f"{server.folder}/..{path}"}):
        assert "was not uploaded here" in call(server, "denoise", value, None, 1.0, None)
    for address in (f"file={path}", f"file=/proc/self/root{path}", f"file={server.folder}/../..{path}"):
        assert httpx.get(f"{server.address}gradio_api/{address}").status_code in (403, 404)


def test_a_model_for_files_is_refused_live_and_none_takes_its_place(client: Any) -> None:
    for entry in list_models():
        if entry.for_files:
            with pytest.raises(gradio_client.exceptions.AppError, match="hears seconds ahead"):
                client.predict(48_000, 480, None, 1.0, entry.name, api_name="/live_open")
    opened = client.predict(48_000, 480, api_name="/live_open")
    assert opened["delay_ms"] == 10
    client.predict(opened["token"], api_name="/live_close")


def test_the_models_of_the_page_are_the_only_ones(server: Server, client: Any, tiny_model: Path) -> None:
    for model in (str(tiny_model), "../small", "/etc/passwd"):
        with pytest.raises(gradio_client.exceptions.AppError, match="no model"):
            client.predict(48_000, 480, None, 1.0, model, api_name="/live_open")


@pytest.mark.parametrize(
    "path",
    [
        "gradio_api/proxy=http://example.org/",
        "gradio_api/file=http://127.0.0.1:1/a",
        "gradio_api/file=https%3A//example.org",
        "gradio_api/deep_link",
        "gradio_api/runs",
        "monitoring",
        "monitoring/summary",
    ],
)
def test_it_fetches_nothing_for_others_and_shows_no_visits(server: Server, path: str) -> None:
    answer = httpx.get(server.address + path)
    assert (answer.status_code, answer.text) == (404, "not part of the demo")


def test_an_address_is_no_file(server: Server) -> None:
    for path in ("http://example.org/a.wav", "https://93.184.216.34/a.wav"):
        given = {"path": path, "meta": {"_type": "gradio.FileData"}}
        assert "an address came, expected an upload" in call(server, "denoise", given, None, 1.0, None)


def live(client: Any, audio: np.ndarray, block: int, token: str, number: int) -> np.ndarray:
    part = audio[number * block : (number + 1) * block]
    answer = client.predict(
        token, number, base64.b64encode(part.astype("<i2").tobytes()).decode(), api_name="/live_block"
    )
    return np.frombuffer(base64.b64decode(answer["samples"]), "<i2")


def test_live_streams_keep_their_own_state(client: Any) -> None:
    """Two people speak at the same time: each gets what a stream of their own gives."""
    block, blocks = 4800, 6
    speech = [np.rint(32_000 * speech_like(0.6, 48_000, seed=seed)[0]).astype(np.int16) for seed in (1, 2)]
    opened = [client.predict(48_000, block, limit, 1.0, None, api_name="/live_open") for limit in (None, 6)]
    heard: list[list[np.ndarray]] = [[], []]
    for number in range(blocks):
        for person in (0, 1):
            heard[person].append(live(client, speech[person], block, opened[person]["token"], number))
    for person, limit in ((0, None), (1, 6.0)):
        stream = Denoiser().stream(48_000, attenuation_limit_db=limit, live_block=block)
        expected = [stream.process(speech[person][np.newaxis, n * block : (n + 1) * block]) for n in range(blocks)]
        alone = np.clip(np.rint(32768 * np.concatenate(expected, axis=1)[0]), -32768, 32767)
        np.testing.assert_array_equal(np.concatenate(heard[person]), alone)
        assert opened[person]["delay_ms"] == pytest.approx(1000 * stream.latency_samples / 48_000)
        client.predict(opened[person]["token"], api_name="/live_close")
    with pytest.raises(gradio_client.exceptions.AppError, match="this stream has ended"):
        live(client, speech[0], block, opened[0]["token"], 0)


def test_live_refuses_what_makes_no_sense(client: Any) -> None:
    for arguments in ((7, 1), (48_000, 0), ("a", 1), (48_000, 480, -1), (48_000, 480, None, 2)):
        with pytest.raises(gradio_client.exceptions.AppError, match=r"expected|not"):
            client.predict(*arguments, api_name="/live_open")
    token = client.predict(48_000, 480, api_name="/live_open")["token"]
    for number, samples, words in ((1, "", "block 0 was expected"), (0, "%", "base64|Only"), (0, "AAAA", "multiple")):
        with pytest.raises(gradio_client.exceptions.AppError, match=words):
            client.predict(token, number, samples, api_name="/live_block")
    tokens = [token, *(client.predict(48_000, 480, api_name="/live_open")["token"] for _ in range(3))]
    with pytest.raises(gradio_client.exceptions.AppError, match="4 microphones are open"):
        client.predict(48_000, 480, api_name="/live_open")
    for token in tokens:
        client.predict(token, api_name="/live_close")


def test_the_readme_example_of_the_client_runs(server: Server, tmp_path: Path) -> None:
    program = (ROOT / "README.md").read_text().split("from gradio_client")[1].split("```")[0]
    shutil.copy(EXAMPLES / "cafe.flac", tmp_path / "talk.flac")
    program = ("from gradio_client" + program).replace("http://127.0.0.1:7860", server.address)
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path, timeout=60)
