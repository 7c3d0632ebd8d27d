"""Driving the page of a listening test in the system's Chromium, as a listener would."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from apps.listen.serving.answer_store import Answer, read_answers

PATIENCE = 90_000  # milliseconds, on a busy machine
expect.set_options(timeout=PATIENCE)
LOOKS = {
    "": {"viewport": {"width": 1100, "height": 800}},
    "-dark": {"viewport": {"width": 1100, "height": 800}, "color_scheme": "dark"},
    "-phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True},
}


@contextmanager
def chromium_running() -> Iterator[Browser]:
    """Chromium from the system; skips when there is none."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--mute-audio"])
        yield browser
        browser.close()


@contextmanager
def pages_opened(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Opens pages in browsers that know nothing of each other; a script error on any of them fails the test."""
    contexts, errors = [], []

    def open_in_new_browser(**options: object) -> Page:
        context = chromium.new_context(**options)  # type: ignore[arg-type]
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
    expect(sound.locator(".mark")).to_have_text("heard")


def hear_all(page: Page) -> None:
    for sound in page.locator(".sound").all():
        hear(page, sound)


def go_on(page: Page) -> None:
    """Press the button below, and wait for what comes."""
    before = page.locator("main h1").element_handle()
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
