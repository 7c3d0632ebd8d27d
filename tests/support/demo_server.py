"""The demo as its tests run it: a server of its own, and Chromium whose sound can be listened to."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import ROOT

EXAMPLES = ROOT / "apps" / "demo" / "examples"

# Every context runs at 48 kHz. What goes to its loudspeaker and what comes from its microphone also go to analysers
# that a test can read: one for all sound, since two read one after the other may be a callback of the device apart.
LISTEN = """
const Plain = window.AudioContext;
window.AudioContext = class extends Plain { constructor(options) { super({ ...options, sampleRate: 48000 }); } };
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (target, ...rest) {
  if (target instanceof AudioDestinationNode) {
    const { context } = target;
    window.analysers ??= new Map();
    if (!analysers.has(context)) analysers.set(context, new AnalyserNode(context, { fftSize: 32768 }));
    connect.call(this, analysers.get(context));
  }
  if (this instanceof MediaStreamAudioSourceNode) {
    window.microphone = new AnalyserNode(this.context, { fftSize: 32768 });
    connect.call(this, microphone);
  }
  return connect.call(this, target, ...rest);
};
"""


@dataclass(frozen=True)
class Server:
    """A demo that runs.

    Attributes:
        address: of the page.
        process: that serves.
        folder: in which all its files lie.
        seconds: from the start of the process until it served.
    """

    address: str
    process: subprocess.Popen[str]
    folder: Path
    seconds: float

    @property
    def files(self) -> list[str]:
        """Names of the sound files that it holds."""
        return sorted(path.name for path in self.folder.rglob("*.*") if path.is_file())

    @property
    def cpu_seconds(self) -> float:
        """CPU time that it took so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def demo(
    folder: Path, *options: object, code: str | None = None, settings: dict[str, str] | None = None
) -> Iterator[Server]:
    """`mpeace demo` on a free port; `code` runs instead of the command, `settings` go into its environment."""
    pytest.importorskip("gradio", reason="needs Gradio: the extra 'demo'")
    command = ["-c", code] if code else ["-m", "apps.cli", "demo", "--port", 0, *options]
    cache = {"XDG_CACHE_HOME": str(folder / "cache")}  # without what somebody has fetched on this machine
    environment = {**os.environ, **cache, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder), **(settings or {})}
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *map(str, command)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        seconds = time.perf_counter() - begun
        assert line.startswith("mpeace demo: http"), line + (process.stderr.read() if process.stderr else "")
        yield Server(line.split()[2], process, next(folder.glob("mpeace-demo-*")), seconds)
    finally:
        process.terminate()
        _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert "Traceback" not in err, err
    assert not list(folder.glob("mpeace-demo-*")), "everything is removed at the end"


@contextmanager
def chromium(*options: str) -> Iterator[Any]:
    """Headless Chromium of the system, its microphone allowed."""
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("needs Chromium (Debian: apt install chromium)")
    arguments = ["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream", *options]
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


def open_page(browser: Any, server: Server, **options: Any) -> Any:
    """The demo in a browser context of its own (another person), which asks no other host for anything."""
    page = browser.new_context(**options).new_page()
    page.set_default_timeout(90_000)
    page.add_init_script(LISTEN)
    page.requested = []  # type: ignore[attr-defined]
    page.faults = []  # type: ignore[attr-defined]
    page.on("request", lambda request: page.requested.append(request.url))
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.goto(server.address)
    page.get_by_role("button", name="Subway").wait_for()
    return page


def heard(page: Any) -> np.ndarray:
    """The last 0.68 s that went to the loudspeaker, [time] at 48 kHz."""
    code = """() => {
      const running = [...(window.analysers?.values() ?? [])].filter(({ context }) => context.state === "running");
      return running.map((analyser) => {
        const samples = new Float32Array(32768);
        analyser.getFloatTimeDomainData(samples);
        return Array.from(samples);
      });
    }"""
    return np.array([np.zeros(32768), *page.evaluate(code)]).sum(axis=0)


def said_and_heard(page: Any) -> tuple[np.ndarray, float]:
    """The last 0.68 s that came from the microphone and that went to the loudspeaker, [2, time] at 48 kHz.

    Returns:
        The sound, and the delay in milliseconds that the page shows at this moment.
    """
    code = """() => {
      const sounds = [microphone, analysers.get(microphone.context)].map((analyser) => {
        const samples = new Float32Array(32768);
        analyser.getFloatTimeDomainData(samples);
        return samples;
      });
      const shown = Number(document.querySelector("[data-delay]").dataset.delay);
      return [sounds.map((samples) => Array.from(samples)), shown];
    }"""
    sounds, shown = page.evaluate(code)
    return np.array(sounds), shown


def busy() -> float:
    """How many times as long as on an idle machine things may take, by the tests beside this one and by its load."""
    beside = float(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return max(beside, os.getloadavg()[0] / (os.cpu_count() or 1))


def wait_for(condition: Any, seconds: float = 120.0) -> float:
    """Wait until it holds; gives the seconds that it took."""
    begun = time.perf_counter()
    while not condition():
        assert time.perf_counter() - begun < seconds, "waited in vain"
        time.sleep(0.02)
    return time.perf_counter() - begun
