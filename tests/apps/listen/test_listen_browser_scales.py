"""The page of a graded sound in Chromium: each scale opens when the sound was heard once more, and digits answer."""

from pathlib import Path

import pytest
from listening import served, write_toml
from listening_browser import begin, hear_all, stored
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
        page.keyboard.press("]")
        assert page.locator(".track .to").input_value() == "1000", "no loop, which the page does not show"
        for number, digit in enumerate("532"):
            expect(groups.nth(number).get_by_role("radio").first).to_be_enabled()
            page.keyboard.press(digit)
            expect(groups.nth(number).locator(f"input[value='{digit}']")).to_be_checked()
        page.locator(".next").click()
        expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    (answer,) = stored(toml)
    assert list(answer.content["scores"].values()) == [5, 3, 2]
    assert answer.content["system"] == "soft"
    assert answer.seconds is not None
    assert answer.seconds > 2, "the sound of one second was heard whole three times"


def test_a_crowd_listener_in_german_from_consent_to_the_code(open_page, sounds: Path, tmp_path: Path) -> None:
    (tmp_path / "de.toml").write_text('language = "de"\n[page]\nnext = "Weiter"\n[done]\ntitle = "Danke"\n')
    keys = {"systems": ["soft"], "items": 1, "training": 0, "hidden_reference": False, "texts": "de.toml"}
    crowd = {"id_from": "WORKER", "completion_code": "C1A2", "completion_link": "https://example.org/?cc={code}"}
    toml = write_toml(tmp_path, method="acr", folder=str(sounds), **keys, **crowd)
    toml.write_text(toml.read_text() + '[before]\nquestions = [{name = "yes", ask = "I agree", kind = "consent"}]\n')
    with served(toml) as (address, _):
        page = open_page()
        page.goto(f"{address}/?WORKER=w7")
        expect(page.get_by_label("Your id")).to_have_value("w7")
        page.get_by_role("button", name="Begin").click()
        page.locator(".questions .next").click()
        expect(page.locator("#status")).to_contain_text("Still open: I agree")
        page.get_by_label("I agree").check()
        page.locator(".questions .next").click()
        page.locator("main[data-phase=setup][data-ready]").wait_for()
        hear_all(page)
        page.get_by_label("Headphones").check()
        page.locator(".next").click()
        page.locator("main[data-phase=rating][data-ready]").wait_for()
        hear_all(page)
        page.get_by_label("Good").check()
        page.get_by_role("button", name="Weiter").click()
        expect(page.get_by_role("heading", name="Danke")).to_be_visible()
        expect(page.locator(".code")).to_have_text("Your completion code: C1A2")
        expect(page.locator(".back a")).to_have_attribute("href", "https://example.org/?cc=C1A2")
        assert page.evaluate("document.documentElement.lang") == "de"
    assert stored(toml)[0].content == {"system": "soft", "scores": {"quality": 4}}
