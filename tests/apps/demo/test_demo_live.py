"""The demo's page with a microphone and with another model, in Chromium."""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from command import ROOT, mpeace, read
from demo_page import MICROPHONE, any_like, delays, download, example, place, watched_page
from demo_server import EXAMPLES, Server, busy, demo, heard, wait_for
from tiny_model import tiny_result

from apps.demo.limits import Limits
from enhance import list_models, model_for_files

pytestmark = pytest.mark.browser

SPARE = 10  # milliseconds of delay that may be left beyond what is needed: quanta of the clock
QUANTUM = 128  # samples


@pytest.fixture(scope="module")
def other_server(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Iterator[Server]:
    with demo(tmp_path_factory.mktemp("other"), "--model", tiny_model) as running:
        yield running


def test_recording_from_the_microphone(page: Any) -> None:
    count = """() => {
      const devices = navigator.mediaDevices, open = devices.getUserMedia.bind(devices);
      window.opened = 0;
      devices.getUserMedia = (wanted) => (opened++, open(wanted));
    }"""
    page.evaluate(count)
    page.get_by_role("button", name="Record").evaluate("button => { button.click(); button.click(); }")
    page.get_by_role("button", name=re.compile(r"Stop \(3\.\d of \d+ s\)")).wait_for()
    assert page.evaluate("opened") == 1, "one microphone, however often one clicks"
    page.get_by_role("button", name="Stop (3.").click()
    page.get_by_role("button", name="Download recording_").wait_for()
    page.locator("[data-loaded]").wait_for()
    page.get_by_role("radio", name="Noisy").click()
    page.get_by_role("button", name="Play").click()
    microphone = soundfile.read(MICROPHONE, dtype="float32")[0]
    # As it is: without the browser's own processing.
    wait_for(lambda: place(heard(page), microphone)[1] > 0.98, 20)


def test_a_recording_that_the_server_does_not_take_can_be_saved(page: Any, tmp_path: Path) -> None:
    words = "you have uploaded much in a short time: try again in some minutes"
    page.route("**/upload*", lambda route: route.fulfill(status=429, content_type="text/plain", body=words))
    page.get_by_role("button", name="Record").click()
    page.get_by_role("button", name=re.compile(r"Stop \(1\.\d of \d+ s\)")).click()
    note = page.locator(".rec-note")
    note.get_by_text("The recording could not be sent").wait_for()
    with page.expect_download() as coming:
        note.get_by_role("link", name="Save it").click(timeout=5000)
    assert re.fullmatch(r"recording_\d{6}\.wav", coming.value.suggested_filename)
    coming.value.save_as(tmp_path / "saved.wav")
    assert soundfile.info(tmp_path / "saved.wav").duration >= 1


def recorded(browser: Any, minutes: float, rate: int) -> int:
    """Samples that the recorder sends when nobody stops it; the microphone is one without a device."""
    code = """async ([html, text, minutes, rate]) => {
      const element = Object.assign(document.createElement("div"), { innerHTML: html });
      const microphone = `async function openMicrophone({ onBlock }) {
        const block = Math.round(${rate} / 100) * 10;
        const timer = setInterval(() => onBlock(new Float32Array(block).fill(0.1)));
        return { rate: ${rate}, block, close: () => clearInterval(timer) };
      }`;
      const file = await new Promise((resolve) => {
        const upload = (file) => (resolve(file), Promise.resolve({ path: "" }));
        const run = new Function("element", "props", "upload", "trigger", text + microphone);
        run(element, { minutes }, upload, () => {});
        element.querySelector("button").click();
      });
      const view = new DataView(await file.arrayBuffer());
      return [view.getUint32(40, true) / 2, (view.byteLength - 44) / 2, element.querySelector("button").textContent];
    }"""
    static = ROOT / "apps" / "demo" / "static"
    names = ("recorder.html", "microphone.js", "recorder.js")
    html, *scripts = ((static / name).read_text(encoding="utf-8") for name in names)
    page = browser.new_page()
    said, held, word = page.evaluate(code, [html, "".join(scripts), minutes, rate])
    page.context.close()
    assert said == held
    assert "Record" in word
    return held


@pytest.mark.parametrize(("minutes", "rate"), [(0.05, 48_000), (0.027, 48_000), (0.0123, 44_100), (0.01, 22_050)])
def test_a_recording_ends_where_the_server_takes_no_more(browser: Any, minutes: float, rate: int) -> None:
    samples = recorded(browser, minutes, rate)
    Limits(minutes=minutes).check(samples / rate, rate, 1)
    assert samples >= 60 * minutes * rate - 2, "and not before"


KEEP = """() => {
  const devices = navigator.mediaDevices, open = devices.getUserMedia.bind(devices);
  window.asked = [];
  devices.getUserMedia = async (wanted) => {
    asked.push(null);
    await window.allowed;
    return (asked[asked.length - 1] = await open(wanted));
  };
}"""  # the streams that the page gets, once `allowed` says so


def test_a_microphone_that_is_unplugged_is_said(page: Any) -> None:
    page.evaluate(KEEP)
    unplug = "asked.at(-1).getTracks()[0].dispatchEvent(new Event('ended'))"
    page.get_by_role("button", name="Record").click()
    page.get_by_role("button", name=re.compile(r"Stop \(1\.\d of \d+ s\)")).wait_for()
    page.evaluate(unplug)
    page.get_by_role("button", name="Download recording_").wait_for()
    page.locator(".rec-note", has_text="The microphone is gone: plug it in again").wait_for()
    page.get_by_role("tab", name="Live").click()
    page.get_by_role("button", name="Start the microphone").click()
    page.get_by_role("button", name="Stop").wait_for()
    page.evaluate(unplug)
    page.locator(".live-note", has_text="The microphone is gone: plug it in again").wait_for()
    page.get_by_role("button", name="Start the microphone").wait_for()


def test_a_microphone_that_is_allowed_after_the_tab_was_left_stays_closed(page: Any) -> None:
    page.evaluate(KEEP)
    page.evaluate("() => { window.allowed = new Promise((resolve) => { window.allow = resolve; }); }")
    page.get_by_role("tab", name="Live").click()
    page.get_by_role("button", name="Start the microphone").click()
    wait_for(lambda: page.evaluate("asked.length"))
    page.get_by_role("tab", name="File").click()
    page.locator(".live").wait_for(state="hidden")
    page.evaluate("() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)))")
    page.evaluate("allow()")
    page.wait_for_function("asked[0]?.getTracks().every((track) => track.readyState === 'ended')", timeout=20_000)
    page.get_by_role("tab", name="Live").click()
    page.locator(".live-note", has_text="Stopped, since this tab was left.").wait_for()
    page.get_by_role("button", name="Start the microphone").click()
    page.get_by_role("button", name="Stop").click()


def simulated(
    browser: Any, trips: list[float], seconds: float, block: int = 2880, margin: int = 1920, in_turn: bool = True
) -> dict[str, Any]:
    """The worklet between a microphone whose samples are numbered and a server, on a clock of its own.

    Args:
        browser: runs the worklet's code.
        trips: milliseconds to the server and back, of the first blocks; the last one stays.
        seconds: after which to look.
        block, margin: samples.
        in_turn: a block waits until the one before is back.
    """
    code = """([text, trips, seconds, block, margin, inTurn]) => {
      const worklet = new Function(text + "; return WORKLET;")();
      const sent = [], heard = [], back = [];
      const told = [];
      let Duplex, at = 0, free = 0, asked = 0;
      class Plain { port = { postMessage: (data) => (data.block ? sent.push(data.block) : told.push(data)) }; }
      new Function("AudioWorkletProcessor", "registerProcessor", worklet)(Plain, (name, found) => (Duplex = found));
      const node = new Duplex({ processorOptions: { block, margin, settling: 24000 } });
      for (; at < seconds * 48000; at += 128) {
        const out = [new Float32Array(128), new Float32Array(128)];
        node.process([[Float32Array.from({ length: 128 }, (_, index) => at + index + 1)]], [out]);
        heard.push(...out[0]);
        if (sent.length && (at >= free || !inTurn)) { // as the page does: all that waits, one call after the other
          free = at + 48 * trips[Math.min(asked++, trips.length - 1)];
          back.push([free, sent.splice(0)]);
        }
        while (back.length && back[0][0] <= at) for (const data of back.shift()[1]) node.port.onmessage({ data });
      }
      const first = heard.findIndex((value) => value > 0);
      const silent = heard.slice(first).filter((value) => !value).length;
      return { ...told.at(-1), told, first, delay: heard.length - heard.at(-1), silent };
    }"""
    page = browser.new_page()
    text = (ROOT / "apps" / "demo" / "static" / "microphone.js").read_text(encoding="utf-8")
    result = page.evaluate(code, [text, trips, seconds, block, margin, in_turn])
    page.context.close()
    return result


@pytest.mark.parametrize(
    ("trips", "delay"),
    [([15], 60 + 15 + 40), ([15, 20, 100, 60, 25], 60 + 100 + 40), ([120, 15], 60 + 120 + 40)],
    ids=["steady", "a late block", "a slow beginning"],
)
def test_a_live_stream_begins_without_gaps(browser: Any, trips: list[float], delay: float) -> None:
    """Before it plays, it looks for half a second how late blocks come; later it catches up."""
    begun = simulated(browser, trips, 1.0)
    assert (begun["gaps"], begun["silent"]) == (0, 0)
    assert begun["late"] / 48 == pytest.approx(delay, abs=6)
    assert begun["delay"] == pytest.approx(begun["late"], abs=2), "what it tells is what one hears"
    assert begun["first"] / 48 < 500 + 60 + delay
    later = simulated(browser, trips, 6.0)
    assert later["gaps"] == 0
    assert later["late"] / 48 < 60 + trips[-1] + 40 + SPARE


def test_a_late_block_leaves_the_delay_of_a_live_stream_as_it_was(browser: Any) -> None:
    before, after, later = (simulated(browser, [15.0] * 20 + [300] + [15], seconds) for seconds in (1.2, 2.0, 8.0))
    assert (before["gaps"], after["gaps"], later["gaps"]) == (0, 1, 1)
    assert later["late"] / 48 < 60 + 15 + 40 + SPARE
    assert after["late"] == pytest.approx(before["late"], abs=QUANTUM)
    assert after["delay"] == pytest.approx(after["late"], abs=2 * QUANTUM), "and what it tells is what one hears"


@pytest.mark.parametrize(("block", "margin", "trip"), [(2880, 1920, 100), (480, 480, 30), (480, 480, 9)])
def test_a_live_stream_whose_blocks_come_later_now_waits_for_them(
    browser: Any, block: int, margin: int, trip: float
) -> None:
    """It adds to its delay, with the margin, and then has no more gaps; and takes it back when they come in time."""
    trips = [2.0] * 100 + [float(trip)] * 500
    soon, later = (simulated(browser, trips, seconds, block, margin) for seconds in (9.0, 12.0))
    least = block / 48 + trip + margin / 48  # and up to a second trip, of the block before, for which one waits
    assert soon["gaps"] == later["gaps"] <= 3
    assert least - 5 < later["late"] / 48 < least + trip + SPARE
    freed = simulated(browser, [*trips[:160], 2.0], 16.0, block, margin)
    assert freed["late"] / 48 < (block + margin) / 48 + 2 + SPARE


def test_a_live_stream_waits_for_blocks_that_stay_late_from_one_on(browser: Any) -> None:
    stays = simulated(browser, [15.0] * 20 + [300], 3.0, in_turn=False)
    assert stays["gaps"] <= 2
    assert stays["silent"] / 48 < 300 + 2 * 60, "soon after the first one is back"
    assert stays["late"] / 48 == pytest.approx(60 + 300 + 40, abs=60)


def test_late_blocks_now_and_then_leave_20_to_40_ms_in_the_browser(browser: Any) -> None:
    """With the network's own 10 ms; a block of 10 ms comes back after 2 ms, every two seconds after 60."""
    result = simulated(browser, ([2.0] * 200 + [60.0]) * 5, 10.0, 480, 480)
    assert result["gaps"] >= 4
    delays = [one["late"] / 48 + 10 for one in result["told"]]  # what is told in a gap is how late a block is by then
    assert sum(20 < delay < 40 for delay in delays) > 0.9 * len(delays), delays


def test_the_live_tab_plays_cleaned_sound(page: Any, tmp_path: Path) -> None:
    page.get_by_role("tab", name="Live").click()
    page.get_by_role("button", name="Start the microphone").click()
    page.locator("[data-delay]").wait_for()
    usual = list_models()[0].name
    if model_for_files() != usual:
        page.get_by_text(
            f"The model is {usual}, since {model_for_files()} hears what follows and is for files."
        ).wait_for()

    def delay() -> float:
        return float(page.locator("[data-delay]").get_attribute("data-delay"))

    wait_for(lambda: delay() < 500 * busy())
    print(f"live delay {delay():.0f} ms")
    assert delay() > 70, "a block is 60 ms, the network 10 ms"
    page.get_by_role("button", name="Noisy").click()
    wait_for(lambda: any_like(heard(page), read(MICROPHONE)[0], 0.99))
    page.get_by_role("button", name="Cleaned").click()
    mpeace("denoise", MICROPHONE, "-o", tmp_path / "cleaned.flac", "--model", usual, "-q")
    wait_for(lambda: any_like(heard(page), read(tmp_path / "cleaned.flac")[0], 0.93))
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Start the microphone").wait_for()


@pytest.mark.long
def test_the_delay_that_the_live_tab_shows_is_that_of_the_sound(page: Any) -> None:
    page.get_by_role("tab", name="Live").click()
    page.get_by_role("button", name="Start the microphone").click()
    page.get_by_role("button", name="Noisy").click()
    wait_for(lambda: abs(np.subtract(*delays(page))) < 25)
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Start the microphone").wait_for()


SLOW_SERVER = """() => {
  const plain = window.fetch;
  window.fetch = async (address, options) => {
    if (String(options?.body).includes("live_block")) await new Promise((resolve) => setTimeout(resolve, 5000));
    return plain(address, options);
  };
}"""


def test_the_page_shows_by_how_much_a_server_is_too_slow_and_passes_the_sound(page: Any) -> None:
    page.evaluate(SLOW_SERVER)
    page.get_by_role("tab", name="Live").click()
    page.get_by_role("button", name="Start the microphone").click()
    slow = re.compile(
        r"The server is too slow: it takes more than (\d+\.\d) s for a second of sound\. The sound now passes"
    )
    note = page.get_by_text(slow)
    note.wait_for()
    told = slow.search(note.text_content())
    assert told is not None
    assert float(told[1]) > 1.5
    wait_for(lambda: any_like(heard(page), read(MICROPHONE)[0], 0.99))
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Start the microphone").wait_for()


HIDDEN = """() => {
  Object.defineProperty(document, "hidden", { value: true, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
  delete document.hidden;
}"""


@pytest.mark.parametrize("way", ["tab", "page", "player"])
def test_the_microphone_is_off_when_nobody_sees_the_live_tab(page: Any, way: str) -> None:
    page.get_by_role("tab", name="Live").click()
    page.get_by_role("button", name="Start the microphone").click()
    page.locator("[data-delay]").wait_for()
    state = "() => microphone.context.state"
    assert page.evaluate(state) == "running"
    if way == "tab":
        page.get_by_role("tab", name="File").click()
        page.get_by_role("tab", name="Live").click()
    elif way == "page":
        page.evaluate(HIDDEN)
    else:
        page.evaluate("() => dispatchEvent(new Event('mpeace-play'))")
    page.get_by_role("button", name="Start the microphone").wait_for()
    page.get_by_text("Stopped, since").wait_for()
    wait_for(lambda: page.evaluate(state) == "closed")


def test_another_model_denoises_the_same_file_again(browser: Any, other_server: Server, tmp_path: Path) -> None:
    page_error = pytest.importorskip("playwright.sync_api").Error
    with watched_page(browser, other_server) as page:
        example(page, "Cafe")
        half = tiny_result(read(EXAMPLES / "cafe.flac"))
        np.testing.assert_allclose(read(download(page, tmp_path / "tiny")), half, atol=2**-15)
        page.get_by_label("Model").click()
        page.get_by_role("option", name="small").click()
        mpeace("denoise", EXAMPLES / "cafe.flac", "-o", tmp_path / "cli.flac", "--model", "small", "-q")
        small = (tmp_path / "cli.flac").read_bytes()
        page.get_by_text(re.compile(r"small, \d+ k parameters")).wait_for()

        def is_small() -> bool:
            with suppress(page_error):  # the page may replace the file while it is fetched
                return download(page, tmp_path / "small").read_bytes() == small
            return False

        wait_for(is_small)


def test_another_model_begins_the_live_stream_anew(browser: Any, other_server: Server) -> None:
    with watched_page(browser, other_server) as page:
        page.get_by_role("tab", name="Live").click()
        page.get_by_role("button", name="Start the microphone").click()
        page.locator("[data-delay]").wait_for()
        page.get_by_label("Model").click()
        with page.expect_request(lambda request: "live_open" in (request.post_data or "")) as opened:
            page.get_by_role("option", name="small").click()
        assert opened.value.post_data_json["data"]["model"] == "small"
        page.get_by_role("button", name="Stop").wait_for()
