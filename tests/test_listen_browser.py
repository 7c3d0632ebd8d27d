"""Listening tests as listeners take them: the command in a process, the page in the system's Chromium.

With MPEACE_PICTURES=1 in the environment `test_pictures` writes screenshots into `apps/pictures/`.
"""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from command import ROOT, write
from listening import READY_SECONDS, served, write_sounds, write_toml
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from apps.listen.design import pages, slots
from apps.listen.plan import make_plan
from apps.listen.store import Answer, read_answers

PATIENCE = 30_000  # milliseconds, on a busy machine
PICTURES = ROOT / "apps" / "pictures"
LOOKS = {
    "": {"viewport": {"width": 1100, "height": 800}},
    "-dark": {"viewport": {"width": 1100, "height": 800}, "color_scheme": "dark"},
    "-phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True},
}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    flags = ["--no-sandbox", "--mute-audio"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=flags)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three items of one second; two systems."""
    return write_sounds(tmp_path_factory.mktemp("sounds"))


@pytest.fixture
def open_page(chromium: Browser) -> Iterator:
    """Opens pages in browsers that know nothing of each other; a page with an error fails the test."""
    contexts, errors = [], []

    def open_in_new_browser(**options) -> Page:
        context = chromium.new_context(**options)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        return page

    yield open_in_new_browser
    for context in contexts:
        context.close()
    assert not errors


def enter(page: Page, address: str, listener: str) -> None:
    page.goto(address)
    page.get_by_label("Your id").fill(listener)
    page.get_by_role("button", name="Begin").click()
    page.locator("main[data-ready]").wait_for()


def hear(page: Page, sound: Locator) -> None:
    """Play a sound until it counts as heard."""
    sound.click()
    expect(sound).to_have_attribute("aria-pressed", "true")
    expect(sound.locator(".mark")).to_have_text("heard", timeout=PATIENCE)


def hear_all(page: Page) -> None:
    for sound in page.locator(".sound").all():
        hear(page, sound)


def go_on(page: Page) -> None:
    """Press the button below, and wait for what comes."""
    before = page.locator("main h2").element_handle()
    page.locator(".next").click()
    page.wait_for_function("old => !old.isConnected", arg=before)
    page.wait_for_function(
        "() => { const m = document.querySelector('main'); return m.dataset.ready || m.dataset.phase === 'done' }"
    )


def stopped(page: Page, text: str) -> None:
    """The button below says what is missing instead of going on."""
    expect(page.locator(".next")).to_have_attribute("aria-disabled", "true")
    page.locator(".next").click(force=True)
    expect(page.locator("#status")).to_contain_text(text)


def begin(page: Page, address: str, listener: str) -> None:
    """Enter past the set-up, which is done by a call."""
    done = page.request.post(f"{address}/api/setup/{listener}", data={"playback": "headphones"})
    assert done.ok
    enter(page, address, listener)


def set_up(page: Page) -> None:
    expect(page.get_by_role("heading", name="Before you begin")).to_be_visible()
    hear_all(page)
    page.get_by_label("Headphones").check()
    go_on(page)


def choose(page: Page, answer: str) -> None:
    page.get_by_role("radio", name=answer, exact=True).check()


def grade(page: Page, grades: list[int]) -> None:
    """Hear and grade every numbered sound."""
    for number, value in enumerate(grades, 1):
        hear(page, page.get_by_role("button", name=f"Play sound {number}", exact=True))
        page.get_by_role("slider", name=f"Grade of sound {number}", exact=True).fill(str(value))


def stored(toml: Path) -> list[Answer]:
    return read_answers(toml.with_suffix(".sqlite"))[0]


def picture(page: Page, name: str) -> None:
    PICTURES.mkdir(exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


def test_a_whole_pairwise_session(open_page, sounds: Path, tmp_path: Path) -> None:
    """Practice, then A, no preference, B: stored is what was chosen, by the names that stood behind the letters."""
    toml = write_toml(tmp_path, method="pairwise", folder=str(sounds), instructions="First.\n\nSecond.")
    with served(toml) as (address, _):
        page = open_page()
        page.goto(address)
        expect(page.locator(".instructions p")).to_have_text(["First.", "Second."])
        expect(page.locator(".length")).to_contain_text("1 page of practice, then 3 pages")
        enter(page, address, "anna")
        set_up(page)
        expect(page.locator(".where")).to_contain_text("Practice")
        hear_all(page)
        choose(page, "A")
        go_on(page)
        assert stored(toml) == [], "practice is not kept"
        for number, answer in enumerate(("A", "No preference", "B"), 1):
            expect(page.locator(".where")).to_have_text(f"Page {number} of 3")
            hear_all(page)
            choose(page, answer)
            go_on(page)
            assert len(stored(toml)) == number, "stored before the next page is shown"
        expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
        expect(page.locator(".total")).to_have_text("All 3 answers are stored.")
    answers = stored(toml)
    plan = make_plan(toml)
    for answer, page_, wanted in zip(answers, pages(plan, "anna"), (1, None, 2), strict=True):
        shown = slots(plan, "anna", page_)
        assert (answer.page, answer.item) == (page_.key, page_.item)
        assert (answer.content["first"], answer.content["second"]) == (shown[1].stimulus, shown[2].stimulus)
        assert answer.content["preferred"] == (shown[wanted].stimulus if wanted else None)
        assert answer.seconds is not None
        assert answer.seconds > 1


def test_a_whole_mushra_session(open_page, sounds: Path, tmp_path: Path) -> None:
    toml = write_toml(tmp_path, method="mushra", folder=str(sounds), items=2, anchors_hz=[2000, 3500])
    given = [[100, 80, 60, 40, 20], [15, 35, 100, 75, 55]]
    with served(toml) as (address, _):
        page = open_page()
        enter(page, address, "anna")
        set_up(page)
        hear_all(page)
        grade(page, [0, 0, 0, 0, 100])
        go_on(page)
        for grades in given:
            hear(page, page.get_by_role("button", name="Play the reference"))
            grade(page, grades)
            expect(page.locator(".grade")).to_have_text([str(value) for value in grades])
            go_on(page)
        expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    plan = make_plan(toml)
    for answer, page_, grades in zip(stored(toml), pages(plan, "anna"), given, strict=True):
        names = [slot.stimulus for slot in slots(plan, "anna", page_)[1:]]
        assert answer.page == page_.key
        assert answer.content["ratings"] == dict(zip(names, grades, strict=True))


def test_abx_by_keyboard_alone(open_page, sounds: Path, tmp_path: Path) -> None:
    toml = write_toml(tmp_path, method="abx", folder=str(sounds), pairs=[["loud", "soft"]], items=1, training=0)
    with served(toml) as (address, _):
        page = open_page()
        page.goto(address)
        expect(page.get_by_label("Your id")).to_be_focused()
        page.keyboard.type("anna")
        page.keyboard.press("Enter")
        page.locator("main[data-ready]").wait_for()
        page.keyboard.press(" ")
        expect(page.locator(".sound.heard")).to_have_count(1, timeout=PATIENCE)
        page.locator(".choices input").first.focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowUp")
        page.locator(".next").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Which one is X?")).to_be_visible()
        page.locator("main[data-ready]").wait_for()
        for number, key in enumerate(("1", "ArrowRight", "3"), 1):
            page.keyboard.press(key)
            expect(page.locator(".sound.heard")).to_have_count(number, timeout=PATIENCE)
        expect(page.get_by_role("button", name="Play X")).to_have_attribute("aria-pressed", "true")
        page.keyboard.press(" ")
        expect(page.locator(".toggle")).to_have_text("Play")
        page.get_by_role("radio", name="X is B").focus()
        page.keyboard.press(" ")
        page.locator(".next").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    (answer,) = stored(toml)
    assert answer.content["answered"] == answer.content["b"]
    assert {answer.content["a"], answer.content["b"]} == {"loud", "soft"}


def test_mushra_grades_only_what_is_heard_and_wants_a_hundred(open_page, sounds: Path, tmp_path: Path) -> None:
    """BS.1534-3: attachment 2 (only the control of the sound that is heard is enabled), attachment 1 (one gets 100)."""
    toml = write_toml(tmp_path, method="mushra", folder=str(sounds), anchors_hz=[2000], training=0)
    with served(toml) as (address, _):
        page = open_page()
        begin(page, address, "anna")
        first, second = (page.get_by_role("slider", name=f"Grade of sound {number}") for number in (1, 2))
        expect(first).to_be_disabled()
        stopped(page, "Not heard yet: Reference, 1, 2, 3, 4")
        hear(page, page.get_by_role("button", name="Play the reference"))
        page.keyboard.press("1")
        expect(first).to_be_enabled()
        expect(second).to_be_disabled()
        for key in ("PageUp", "PageUp", "ArrowUp", "ArrowDown", "ArrowUp"):
            page.keyboard.press(key)
        expect(page.locator(".grade").first).to_have_text("21")
        expect(first).to_have_attribute("aria-valuetext", "21, Poor")
        expect(second).to_have_attribute("aria-valuetext", "not graded")
        page.keyboard.press("ArrowRight")
        expect(second).to_be_enabled()
        expect(first).to_be_disabled()
        grade(page, [90, 80, 70])
        hear(page, page.get_by_role("button", name="Play sound 4"))
        stopped(page, "Not graded yet: 4")
        page.keyboard.press("PageUp")
        stopped(page, "Give 100 to at least one sound")
        page.keyboard.press("End")
        expect(page.locator("#status")).to_have_text("")
        go_on(page)
    assert sorted(stored(toml)[0].content["ratings"].values()) == [70, 80, 90, 100]


def test_two_browsers_at_once(open_page, sounds: Path, tmp_path: Path) -> None:
    """Two listeners take turns on one server, each in an order and with answers of their own."""
    toml = write_toml(tmp_path, method="pairwise", folder=str(sounds), training=0)
    with served(toml) as (address, _):
        anna, ben = open_page(), open_page()
        for page, name in ((anna, "anna"), (ben, "ben")):
            begin(page, address, name)
        for _ in range(3):
            for page, answer in ((anna, "A"), (ben, "B")):
                hear_all(page)
                choose(page, answer)
            for page in (anna, ben):
                go_on(page)
        for page in (anna, ben):
            expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    answers = stored(toml)
    assert [answer.listener for answer in answers] == ["anna", "ben"] * 3
    for answer in answers:
        assert answer.content["preferred"] == answer.content["first" if answer.listener == "anna" else "second"]
    plan = make_plan(toml)
    for name in ("anna", "ben"):
        assert [a.page for a in answers if a.listener == name] == [page.key for page in pages(plan, name)]


def test_the_server_is_killed_in_the_middle(open_page, sounds: Path, tmp_path: Path) -> None:
    """SIGKILL between pages and within one: the open tab goes on by itself, and a new browser goes on where he was."""
    toml = write_toml(tmp_path, method="mushra", folder=str(sounds), anchors_hz=[2000], training=0, repeats=1)
    page = open_page()
    with served(toml) as (address, process):
        port = int(address.rsplit(":", 1)[1])
        begin(page, address, "anna")
        hear_all(page)
        grade(page, [100, 10, 20, 30])
        process.send_signal(signal.SIGKILL)
        process.wait(READY_SECONDS)
        page.locator(".next").click()
        expect(page.locator("#status")).to_contain_text("The server does not answer", timeout=PATIENCE)
        assert stored(toml) == []
    with served(toml, port) as (address, process):
        expect(page.locator(".where")).to_have_text("Page 2 of 3", timeout=PATIENCE)
        assert len(stored(toml)) == 1, "the answer that was given while nobody listened"
        page.locator("main[data-ready]").wait_for()
        hear(page, page.get_by_role("button", name="Play the reference"))
        with page.expect_response(lambda reply: "/draft/" in reply.url and "77" in (reply.request.post_data or "")):
            grade(page, [77])
        process.send_signal(signal.SIGKILL)
        process.wait(READY_SECONDS)
        page.context.close()
    with served(toml) as (address, _):
        again = open_page()
        enter(again, address, "anna")
        expect(again.locator(".where")).to_have_text("Page 2 of 3")
        expect(again.locator(".grade")).to_have_text(["77", "–", "–", "–"])
        expect(again.get_by_role("button", name="Play the reference").locator(".mark")).to_have_text("heard")
        for number in (2, 3):
            hear_all(again)
            grade(again, [77, 100, 50, number])
            go_on(again)
        expect(again.get_by_role("heading", name="Thank you")).to_be_visible()
    answers = stored(toml)
    assert [answer.position for answer in answers] == [1, 2, 3]
    assert [sorted(answer.content["ratings"].values()) for answer in answers] == [
        [10, 20, 30, 100],
        [2, 50, 77, 100],
        [3, 50, 77, 100],
    ]


def test_a_reload_and_a_second_tab_lose_and_double_nothing(open_page, sounds: Path, tmp_path: Path) -> None:
    toml = write_toml(tmp_path, method="pairwise", folder=str(sounds), training=0)
    with served(toml) as (address, _):
        page = open_page()
        begin(page, address, "anna")
        hear_all(page)
        with page.expect_response(lambda reply: "/draft/" in reply.url and "none" in (reply.request.post_data or "")):
            choose(page, "No preference")
        page.reload()
        page.locator("main[data-ready]").wait_for()
        expect(page.get_by_role("radio", name="No preference")).to_be_checked()
        expect(page.locator(".sound.heard")).to_have_count(3)
        second = page.context.new_page()
        enter(second, address, "anna")
        go_on(page)
        expect(second.locator(".where")).to_have_text("Page 1 of 3")
        choose(second, "A")
        go_on(second)
        expect(second.locator(".where")).to_have_text("Page 2 of 3")
        page.get_by_role("button", name="Leave").click()
        expect(page.get_by_label("Your id")).to_be_visible()
    (answer,) = stored(toml)
    assert answer.content["preferred"] is None


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
