"""The page of a graded sound in Chromium: each scale opens when the sound was heard once more, and digits answer."""

from pathlib import Path

import pytest
from listening import served, write_toml
from listening_browser import PATIENCE, begin, stored
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def test_p835_opens_a_scale_for_each_hearing(open_page, sounds: Path, tmp_path: Path) -> None:
    keys = {"systems": ["soft"], "items": 1, "training": 0, "hidden_reference": False}
    toml = write_toml(tmp_path, method="p835", folder=str(sounds), **keys)
    with served(toml) as (address, _):
        page = open_page()
        begin(page, address, "anna")
        groups = page.locator(".scales fieldset")
        expect(groups).to_have_count(3)
        expect(groups.nth(0).get_by_role("radio").first).to_be_disabled()
        page.keyboard.press("5")
        assert page.locator(".scales input:checked").count() == 0, "not heard yet"
        page.keyboard.press(" ")
        for number, digit in enumerate("532"):
            expect(groups.nth(number).get_by_role("radio").first).to_be_enabled(timeout=PATIENCE)
            page.keyboard.press(digit)
            expect(groups.nth(number).locator(f"input[value='{digit}']")).to_be_checked()
        page.locator(".next").click()
        expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    (answer,) = stored(toml)
    assert list(answer.content["scores"].values()) == [5, 3, 2]
    assert answer.content["system"] == "soft"
    assert answer.seconds is not None
    assert answer.seconds > 2, "the sound of one second was heard whole three times"
