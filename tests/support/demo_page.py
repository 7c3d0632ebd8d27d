"""The demo's page as its tests use it: a browser with a microphone, what one clicks, where a sound lies in another."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from command import ROOT, read
from demo_server import Server, chromium, demo, open_page, said_and_heard
from PIL import Image

MICROPHONE = ROOT / "tests" / "data" / "noisy.flac"


@contextmanager
def page_server(folder: Path) -> Iterator[Server]:
    """A demo with low limits; with those of a person where pictures are taken."""
    limits = [] if "MPEACE_PICTURES" in os.environ else ["--minutes", 1, "--megabytes", 20]
    with demo(folder, *limits) as running:
        yield running


@contextmanager
def browser_with_microphone(folder: Path) -> Iterator[Any]:
    """Chromium, whose microphone repeats `MICROPHONE`."""
    microphone = folder / "microphone.wav"
    audio, rate = soundfile.read(MICROPHONE, dtype="int16")
    soundfile.write(microphone, audio, rate)
    with chromium(f"--use-file-for-fake-audio-capture={microphone}") as running:
        yield running


@contextmanager
def watched_page(browser: Any, server: Server) -> Iterator[Any]:
    """A page that must raise nothing and ask nobody else for anything."""
    page = open_page(browser, server, viewport={"width": 1280, "height": 940})
    yield page
    assert not page.faults
    hosts = {url.split("/")[2] for url in page.requested if url.startswith(("http", "ws"))}
    assert hosts == {server.address.split("/")[2]}, "the page asks nobody else for anything"
    page.context.close()


def example(page: Any, name: str = "Subway") -> None:
    """Click an example, and wait until its output is there."""
    page.get_by_role("button", name=name).click()
    page.get_by_role("button", name=f"Download {name.lower()}_denoised").wait_for()


def download(page: Any, folder: Path) -> Path:
    """Click the download once it is up to date."""
    page.locator(".mp-download[aria-disabled=false]").wait_for()
    with page.expect_download() as coming:
        page.locator(".mp-download").click()
    path = folder / coming.value.suggested_filename
    coming.value.save_as(path)
    return path


def place(part: np.ndarray, whole: np.ndarray) -> tuple[int, float]:
    """Where `part` lies in a sound that is repeated, in samples, and the (uncentred) correlation there."""
    looped = np.concatenate([whole, whole[: len(part)]]).astype(np.float64)
    size = 2 ** int(np.ceil(np.log2(len(looped) + len(part))))
    products = np.fft.irfft(np.fft.rfft(looped, size) * np.conj(np.fft.rfft(part, size)), size)[: len(whole)]
    sums = np.concatenate([[0], np.cumsum(looped**2)])
    energies = (sums[len(part) :] - sums[: -len(part)])[: len(whole)]
    energies = np.maximum(energies, 1e-3 * energies.max())  # silence is like everything
    correlations = products / np.sqrt(energies * np.maximum(part @ part, 1e-9))
    at = int(np.argmax(correlations))
    return at, float(correlations[at])


def any_like(sound: np.ndarray, expected: np.ndarray, correlation: float) -> bool:
    """Whether a piece of 85 ms is as expected: on a busy machine there are gaps between such pieces."""
    return any(place(piece, expected)[1] > correlation for piece in np.split(sound, 8))


def delays(page: Any) -> tuple[float, float]:
    """The delay that the page shows and the one that is heard, in milliseconds, both without that of the sound device.

    The page plays what comes from the microphone. The second one is NaN where there is a gap in what is heard.
    """
    page.locator("[data-delay]").wait_for()
    device = page.locator(".live-figures div", has_text="Sound device").locator("dd").text_content()
    sounds, shown = said_and_heard(page)
    repeated = read(MICROPHONE)[0]
    (said, like), (came, alike) = (place(sound[-8192:], repeated) for sound in sounds)
    behind = (said - came) % len(repeated) / 48
    return shown - float(device.split()[0]), behind if min(like, alike) > 0.98 else np.nan


def picture(page: Any, name: str, **options: Any) -> None:
    """Write a picture of the README, if it is wanted."""
    folder = os.environ.get("MPEACE_PICTURES")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        image = Image.open(io.BytesIO(page.screenshot(**options)))
        image.convert("RGB").quantize(192, dither=Image.Dither.NONE).save(Path(folder) / f"{name}.png", optimize=True)
