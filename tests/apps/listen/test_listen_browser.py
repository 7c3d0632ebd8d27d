"""Listening tests as listeners take them: the command in a process, the page in the system's Chromium."""

import re
import signal
from pathlib import Path
from urllib.parse import quote

import pytest
from listening import READY_SECONDS, served, write_toml
from listening_browser import (
    begin,
    choose,
    enter,
    go_on,
    grade,
    hear,
    hear_all,
    set_up,
    stopped,
    stored,
)
from playwright.sync_api import expect

from apps.listen.design.page_order import pages, slots
from apps.listen.design.plan import make_plan

pytestmark = pytest.mark.browser


def test_a_whole_pairwise_session(open_page, short_sounds: Path, tmp_path: Path) -> None:
    """Practice, then A, no preference, B: stored is what was chosen, by the names that stood behind the letters."""
    toml = write_toml(tmp_path, method="pairwise", folder=str(short_sounds), instructions="First.\n\nSecond.")
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


def test_a_whole_mushra_session(open_page, short_sounds: Path, tmp_path: Path) -> None:
    toml = write_toml(tmp_path, method="mushra", folder=str(short_sounds), items=2, anchors_hz=[2000, 3500])
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


def test_abx_by_keyboard_alone(open_page, short_sounds: Path, tmp_path: Path) -> None:
    toml = write_toml(tmp_path, method="abx", folder=str(short_sounds), pairs=[["loud", "soft"]], items=1, training=0)
    with served(toml) as (address, _):
        page = open_page()
        page.goto(address)
        expect(page.get_by_label("Your id")).to_be_focused()
        page.keyboard.type("anna")
        page.keyboard.press("Enter")
        page.locator("main[data-ready]").wait_for()
        page.keyboard.press(" ")
        expect(page.locator(".sound.heard")).to_have_count(1)
        page.locator(".choices input").first.focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowUp")
        page.locator(".next").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Which one is X?")).to_be_visible()
        page.locator("main[data-ready]").wait_for()
        page.get_by_role("button", name="Play A").focus()
        for number, key in enumerate((" ", "ArrowRight", "3"), 1):
            page.keyboard.press(key)
            expect(page.locator(".sound.heard")).to_have_count(number)
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


def test_mushra_grades_only_what_is_heard_and_wants_a_hundred(open_page, short_sounds: Path, tmp_path: Path) -> None:
    """BS.1534-3: attachment 2 (only the control of the sound that is heard is enabled), attachment 1 (one gets 100)."""
    toml = write_toml(tmp_path, method="mushra", folder=str(short_sounds), anchors_hz=[2000], training=0)
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


def test_two_browsers_at_once(open_page, short_sounds: Path, tmp_path: Path) -> None:
    """Two listeners take turns on one server, each in an order and with answers of their own."""
    toml = write_toml(tmp_path, method="pairwise", folder=str(short_sounds), training=0)
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


def test_the_server_is_killed_in_the_middle(open_page, short_sounds: Path, tmp_path: Path) -> None:
    """SIGKILL between pages and within one: the open tab goes on by itself, and a new browser goes on where he was."""
    toml = write_toml(tmp_path, method="mushra", folder=str(short_sounds), anchors_hz=[2000], training=0, repeats=1)
    page = open_page()
    with served(toml) as (address, process):
        port = int(address.rsplit(":", 1)[1])
        begin(page, address, "anna")
        hear_all(page)
        grade(page, [100, 10, 20, 30])
        process.send_signal(signal.SIGKILL)
        process.wait(READY_SECONDS)
        page.locator(".next").click()
        expect(page.locator("#status")).to_contain_text("The server does not answer")
        assert stored(toml) == []
    with served(toml, port) as (address, process):
        expect(page.locator(".where")).to_have_text("Page 2 of 3")
        assert len(stored(toml)) == 1, "the answer that was given while nobody listened"
        page.locator("main[data-ready]").wait_for()
        hear(page, page.get_by_role("button", name="Play the reference"))
        kept = re.compile(r":\s*77\b")  # as a grade, not within an opaque id
        with page.expect_response(lambda reply: "/draft/" in reply.url and kept.search(reply.request.post_data or "")):
            grade(page, [77])
        key = page.locator("#listener").inner_text().split()[-1]
        process.send_signal(signal.SIGKILL)
        process.wait(READY_SECONDS)
        page.context.close()
    with served(toml) as (address, _):
        again = open_page()
        again.goto(address)
        again.get_by_label("Your id").fill("anna")
        again.get_by_role("button", name="Begin").click()
        expect(again.get_by_text("Somebody began with this id in another browser")).to_be_visible()
        enter(again, address, f"anna#{key}")
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


def test_a_reply_that_breaks_off_is_asked_for_again(open_page, short_sounds: Path, tmp_path: Path) -> None:
    """A server that ends in the middle of a reply: the answer is sent again, and counts once."""
    toml = write_toml(tmp_path, method="pairwise", folder=str(short_sounds), training=0)
    with served(toml) as (address, _):
        page = open_page()
        begin(page, address, "anna")
        hear_all(page)
        choose(page, "A")
        broken = {"status": 200, "content_type": "application/json", "body": '{"listener": "an'}
        page.route("**/api/answer/anna", lambda route: route.fulfill(**broken), times=1)
        go_on(page)
        expect(page.locator(".where")).to_have_text("Page 2 of 3")
    assert len(stored(toml)) == 1


@pytest.mark.parametrize("listener", ["a/b", "../a", "a b", " "])
def test_an_id_that_is_none_is_refused_in_words(open_page, short_sounds: Path, tmp_path: Path, listener: str) -> None:
    """Also one that would lead to another address, which has no answer for it."""
    toml = write_toml(tmp_path, method="acr", folder=str(short_sounds), id_from="who")
    with served(toml) as (address, _):
        page = open_page()
        page.goto(f"{address}/?who={quote(listener)}")
        page.locator("form").evaluate("form => { form.noValidate = true; form.requestSubmit(); }")
        expect(page.locator("#status")).to_contain_text("An id begins with a letter or digit")


def test_a_call_that_is_refused_before_it_is_heard_is_not_a_server_that_does_not_answer(
    open_page, short_sounds: Path, tmp_path: Path
) -> None:
    """A reverse proxy calls the server by a name of its own, and nobody has said --allow-host."""
    toml = write_toml(tmp_path, method="acr", folder=str(short_sounds), training=0)
    with served(toml) as (address, _):
        page = open_page()

        refusal = "a page of another site may not do this"
        page.route("**/api/setup/*", lambda route: route.fulfill(status=403, content_type="text/plain", body=refusal))
        enter(page, address, "anna")
        hear_all(page)
        choose(page, "Headphones")
        page.locator(".next").click()
        expect(page.locator("#status")).to_have_text(refusal)


def test_a_reload_and_a_second_tab_lose_and_double_nothing(open_page, short_sounds: Path, tmp_path: Path) -> None:
    toml = write_toml(tmp_path, method="pairwise", folder=str(short_sounds), training=0)
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
