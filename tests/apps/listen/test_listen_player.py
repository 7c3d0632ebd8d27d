"""The page of a listening test: what the player plays, sample by sample, and how the page looks.

With MPEACE_PICTURES=1 in the environment `test_pictures` writes screenshots into `apps/pictures/`.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from command import ROOT, write
from listening import served, write_toml
from listening_browser import LOOKS, begin, choose, go_on, grade, hear_all
from playwright.sync_api import Page

pytestmark = pytest.mark.browser

PICTURES = ROOT / "apps" / "pictures"


_RENDER = """
async ({ frames, rate, loop, switches }) => {
  const { Player } = await import("/static/player.js");
  const context = new OfflineAudioContext(1, 2 * rate, rate);
  const player = new Player(context, frames);
  const ramp = (sign) => Float32Array.from({ length: frames }, (_, n) => (sign * (n + 1)) / (frames + 1));
  player.add("up", [ramp(1)]);
  player.add("down", [ramp(-1)]);
  player.select("up");
  player.play();
  for (const at of switches) {
    context.suspend(at).then(() => {
      player.select(player.selected === "up" ? "down" : "up");
      context.resume();
    });
  }
  if (loop) context.suspend(loop.at).then(() => { player.loop(loop.start, loop.end); context.resume(); });
  const rendered = await context.startRendering();
  return Array.from(rendered.getChannelData(0));
}
"""


@pytest.fixture(scope="module")
def player_address(sounds: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the player can be loaded from."""
    with served(write_toml(tmp_path_factory.mktemp("player"), method="pairwise", folder=str(sounds))) as (address, _):
        yield address


def played(page: Page, address: str, **options: object) -> np.ndarray:
    """What the player makes of two sounds, a rising ramp and its negative, sample by sample."""
    page.goto(address)
    return np.array(page.evaluate(_RENDER, {"loop": None, "switches": [], **options}))


def test_switching_is_exact_to_the_sample(open_page, player_address: str) -> None:
    """The other sound goes on at the very sample after fades of 5 ms; the two are never heard together.

    The level of a ramp tells its place in the sound, its sign which of the two is heard (BS.1534-3, section 5.3).
    """
    rate, frames = 16_000, 10_007
    fade = rate * 5 // 1000
    audio = played(open_page(), player_address, rate=rate, frames=frames, switches=[0.296, 0.304, 0.896, 1.504])
    begin = int(np.flatnonzero(audio)[0]) - 1  # the fade-in begins with a zero
    place = (np.arange(audio.size) - begin) % frames
    ramp = (place + 1) / (frames + 1)
    sounding = slice(begin + 1, None)
    factor = audio[sounding] / ramp[sounding]
    assert np.abs(factor).max() < 1 + 1e-5, "two sounds are never added"
    whole = np.abs(np.abs(factor) - 1) < 1e-5
    changes = np.flatnonzero(np.diff(np.sign(audio[sounding][audio[sounding] != 0])))
    assert len(changes) == 4, "each switch is heard, the hasty second one after the first"
    fades_of_switches, fades_of_loop, start = 4 * 2 * fade, 3 * 2 * fade, fade
    assert np.count_nonzero(~whole) <= fades_of_switches + fades_of_loop + start + 20
    cosine = 0.5 - 0.5 * np.cos(np.pi * np.arange(fade) / fade)
    np.testing.assert_allclose(audio[begin : begin + fade], (cosine * ramp[begin : begin + fade]) * cosine, atol=2e-4)


def test_a_loop_stays_within_its_ends(open_page, player_address: str) -> None:
    """A part of 0.5 s repeats exactly, with a fade of 5 ms at both ends; an ear that is inside stays in its place."""
    rate, frames, start, end = 16_000, 16_000, 4_000, 12_000
    loop = {"at": 0.4, "start": start, "end": end}
    audio = played(open_page(), player_address, rate=rate, frames=frames, loop=loop)
    begin = int(np.flatnonzero(audio)[0]) - 1
    tail = audio[int(0.5 * rate) :]
    place = (np.arange(audio.size) - begin)[int(0.5 * rate) :]
    expected = start + (place - start) % (end - start)
    level = np.round(tail * (frames + 1)).astype(int) - 1
    inside = (expected > start + 80) & (expected < end - 80)
    np.testing.assert_array_equal(level[inside], expected[inside])
    assert level.max() < end
    assert np.count_nonzero(np.abs(tail) < 1e-6) >= 2, "silent where the ends meet"


@pytest.mark.parametrize("method", ["mushra", "pairwise", "abx"])
def test_a_phone_shows_everything(open_page, sounds: Path, tmp_path: Path, method: str) -> None:
    """Nothing is wider than the screen of a phone, and what is touched is large enough for a finger."""
    toml = write_toml(tmp_path, method=method, folder=str(sounds), anchors_hz=[2000], training=0)
    with served(toml) as (address, _):
        page = open_page(**LOOKS["-phone"])
        begin(page, address, "anna")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        for touched in page.locator(".sound, .next, .toggle, .choices label").all():
            box = touched.bounding_box()
            assert box is not None
            assert box["height"] >= 40
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 390


def picture(page: Page, name: str) -> None:
    PICTURES.mkdir(exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


@pytest.mark.skipif(not os.environ.get("MPEACE_PICTURES"), reason="draws pictures: MPEACE_PICTURES=1")
@pytest.mark.parametrize("method", ["mushra", "pairwise"])
def test_pictures(open_page, tmp_path: Path, method: str) -> None:
    """The second page of a test as people see it: light, dark, on a phone."""
    noisy, rate = soundfile.read(ROOT / "tests" / "data" / "noisy.flac", dtype="float32", always_2d=True)
    rng = np.random.default_rng(0)
    for place, system in enumerate(("reference", "first", "second", "third")):
        for item, start in (("one", 0), ("two", rate // 2), ("three", rate)):
            part = noisy[start : start + 4 * rate, 0]
            sound = part + 0.002 * place * rng.standard_normal(part.size)
            write(tmp_path / "sounds" / system / f"{item}.wav", sound.astype(np.float32), rate)
    systems = ["first", "second"] if method == "pairwise" else ["first", "second", "third"]
    keys = {"folder": "sounds", "title": "Denoised speech", "training": 0, "systems": systems}
    with served(write_toml(tmp_path, method=method, **keys)) as (address, _):
        for look, options in LOOKS.items():
            page = open_page(**options)
            begin(page, address, f"p07{look}")
            for grades, answer in (([64, 23, 100, 81, 8, 47], "B"), ([31, 100, 72, 14, 58, 84], "A")):
                hear_all(page)
                if method == "mushra":
                    grade(page, grades)
                else:
                    choose(page, answer)
                picture(page, f"listen-{method}{look}")
                go_on(page)
