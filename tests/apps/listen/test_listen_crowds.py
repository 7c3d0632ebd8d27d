"""Listening tests by crowds: ids from the address, completion codes, shares of the items, and traps."""

import csv
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from command import mpeace, write
from helpers import speech_like
from listening import full_answer, open_session, started, take_set_up, write_sounds, write_toml
from starlette.testclient import TestClient

from apps.listen.design.page_order import pages
from apps.listen.design.plan import Plan, make_plan
from apps.listen.serving.answer_store import read_answers
from apps.listen.serving.server import make_app
from apps.listen.serving.session import Session


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sounds(tmp_path_factory.mktemp("sounds"), items=[f"talk-{number}" for number in range(5)])


@pytest.fixture
def make(sounds: Path, tmp_path: Path):
    """Writes a test with answers of its own over the common sounds; a list of dictionaries is one of inline tables."""

    def writer(method: str, traps: str = "", **keys: Any) -> Path:
        path = write_toml(tmp_path, method=method, folder=str(sounds), **keys)
        if traps:
            path.write_text(path.read_text() + f"traps = {traps}\n")
        return path

    return writer


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def answer_all(session: Session, plan: Plan, listener: str, trap_grade: int = 2) -> dict:
    """Answer all pages with a 5, and the traps with a grade; returns the last state."""
    state = take_set_up(session, listener)
    while state["phase"] == "page":
        trap = pages(plan, listener)[state["position"] - 1].trap
        session.answer(listener, {**full_answer(state), "scores": {"quality": trap_grade if trap else 5}})
        state = session.state(listener)
    return state


def test_items_are_shared_out_evenly_and_stay_after_a_restart(make) -> None:
    toml = make("acr", items_each=2, systems=["soft"], hidden_reference=False)
    session, plan, _ = open_session(toml)
    assert plan.pages == 2
    shares = {}
    for number in range(10):
        name = f"listener-{number}"
        state = take_set_up(session, name)
        assert state["pages"] == 2
        shares[name] = [page.item for page in pages(plan, name, number)]
        assert len(set(shares[name])) == 2
    counts = Counter(item for items in shares.values() for item in items)
    assert set(counts.values()) == {4}, "ten listeners of two items each: four of each of five items"
    before = session.state("listener-7")
    again, _, _ = open_session(toml)
    assert again.state("listener-7") == before
    assert pages(plan, "a", 3) != pages(plan, "a", 4)


def test_a_share_goes_with_each_system_and_ends_the_test(make, tmp_path: Path) -> None:
    toml = make("acr", items_each=2)
    session, _, _ = open_session(toml)
    for listener in ("anna", "ben"):
        state = take_set_up(session, listener)
        while state["phase"] == "page":
            session.answer(listener, full_answer(state))
            state = session.state(listener)
        assert (state["phase"], state["position"]) == ("done", 6)
    assert mpeace("listen", toml, "--analyse").status == 0
    answers = rows(tmp_path / "listen-answers.csv")
    assert Counter(row["listener"] for row in answers) == {"anna": 6, "ben": 6}
    assert len({row["item"] for row in answers}) == 4, "two listeners share no item of five"
    assert [row["of"] for row in rows(tmp_path / "listen-listeners.csv")] == ["6", "6"]


def test_a_trap_is_in_the_analysis_and_counts_for_no_system(make, tmp_path: Path) -> None:
    toml = make("acr", "[{answer = 2}]", items=2)
    session, plan, _ = open_session(toml)
    assert plan.pages == 2 * 3 + 1
    take_set_up(session, "anna")
    places = [page.trap for page in pages(plan, "anna")]
    assert sorted(places) == [0] * 6 + [1]
    assert len({[page.trap for page in pages(plan, f"l{number}")].index(1) for number in range(20)}) > 3
    answer_all(session, plan, "anna")
    answer_all(session, plan, "ben", trap_grade=3)
    ended = mpeace("listen", toml, "--analyse")
    assert ended.status == 0, ended.stderr
    assert "ben failed 1 of 1 traps" in ended.stdout
    assert "anna failed" not in ended.stdout
    listeners = {row["listener"]: row for row in rows(tmp_path / "listen-listeners.csv")}
    assert [listeners[name]["traps_failed"] for name in ("anna", "ben")] == ["0", "1"]
    assert [listeners["anna"][name] for name in ("traps", "answered", "of")] == ["1", "7", "7"]
    found = next(row for row in rows(tmp_path / "listen-results.csv") if row["item"] == "all")
    assert (found["grades"], float(found["mean"])) == ("4", 5)
    make("acr", "[{answer = 2}]", items=2, drop_failed=True)
    assert "left out" in mpeace("listen", toml, "--analyse").stdout
    assert next(row for row in rows(tmp_path / "listen-results.csv"))["grades"] == "2"
    assert started(make("acr", "[{answer = 3}]", items=2)).status == 2, "the traps are a part of the design"


def test_the_question_of_a_trap_says_what_to_choose_and_its_sound_is_its_own(make, tmp_path: Path) -> None:
    said = speech_like(0.7, 16_000, seed=5)
    write(tmp_path / "choose.wav", said.astype(np.float32), 16_000)
    toml = make("acr", '[{answer = 2}, {answer = 5, sound = "choose.wav"}]', items=1, loudness="none", training=0)
    session, plan, _ = open_session(toml)
    state = take_set_up(session, "anna")
    seen = {}
    while state["phase"] == "page":
        page = pages(plan, "anna")[state["position"] - 1]
        sound = np.frombuffer(session.audio("anna", state["page"]["slots"][0]["id"]), "<f4")
        seen[page.trap] = (state["page"]["question"], sound)
        session.answer("anna", full_answer(state))
        state = session.state("anna")
    assert seen[1][0] == "This is a check of your attention. Whatever you hear, choose: Poor"
    assert seen[0][0] == seen[2][0] == ""
    assert len(seen[2][1]) == round(0.7 * 16_000)
    np.testing.assert_allclose(seen[2][1], said[0], atol=1e-4)


@pytest.mark.parametrize(
    ("method", "right", "wrong", "word"), [("pairwise", "none", 0, "No preference"), ("abx", "B", 0, "choose: B")]
)
def test_a_trap_of_a_pair_wants_a_side(make, method: str, right: str, wrong: int, word: str) -> None:
    session, plan, _ = open_session(make(method, f'[{{answer = "{right}"}}]', items=1, training=0))
    for listener, good in (("anna", True), ("ben", False)):
        state = take_set_up(session, listener)
        while state["phase"] == "page":
            answer = full_answer(state, wrong)
            if pages(plan, listener)[state["position"] - 1].trap:
                assert word in state["page"]["question"]
                if good:
                    answer["choice"] = "none" if right == "none" else full_answer(state, 1)["choice"]
            session.answer(listener, answer)
            state = session.state(listener)
    answers, _ = read_answers(plan.settings.answers)
    judged = {answer.listener: answer.content for answer in answers if "trap" in answer.content}
    assert judged["anna"] == {"trap": 1, "expected": right, "given": right, "passed": True}
    assert judged["ben"] == {"trap": 1, "expected": right, "given": "A", "passed": False}


@pytest.mark.parametrize(
    ("method", "keys", "traps", "words"),
    [
        ("acr", {}, "[{answer = 6}]", ("trap 1", "6", "5, 4, 3, 2, 1")),
        ("acr", {}, '[{answer = "Poor"}]', ("trap 1", "'Poor'")),
        ("pairwise", {}, "[{answer = 2}]", ("trap 1", "'A', 'none', 'B'")),
        ("mushra", {}, "[{answer = 2}]", ("traps", "mushra")),
        ("acr", {}, "[{}]", ("traps", "answer = 2")),
        ("acr", {}, "[{answer = 2, sond = 1}]", ("traps", "answer = 2")),
        ("acr", {}, "3", ("traps", "[[traps]]")),
        ("acr", {}, '[{answer = 2, sound = "none.wav"}]', ("trap 1", "none.wav", "not there")),
        ("acr", {"items_each": 6}, "", ("items_each", "6", "5 items")),
        ("acr", {"items_each": -1}, "", ("items_each",)),
        ("acr", {"id_from": "a b"}, "", ("id_from", "PROLIFIC_PID")),
        ("acr", {"completion_link": "javascript:alert(1)"}, "", ("completion_link", "https://")),
        ("acr", {"completion_code": 7}, "", ("completion_code", "text")),
        ("acr", {"completion_link": "https://a.org/{code}"}, "", ("completion_link has {code}", "set completion_code")),
        ("acr", {"drop_failed": 1}, "", ("drop_failed", "true or false")),
    ],
)
def test_what_a_crowd_test_cannot_have_is_refused_in_one_line(make, method, keys, traps, words) -> None:
    ended = started(make(method, traps, **keys))
    assert ended.status == 2
    (line,) = ended.stderr.splitlines()
    assert all(word in line for word in words), line


def test_each_listener_gets_a_code_that_only_the_analysis_knows_too(make, tmp_path: Path) -> None:
    link = "https://example.org/done?cc={code}"
    toml = make("acr", items=1, completion_code="auto", completion_link=link, id_from="PROLIFIC_PID")
    session, plan, _ = open_session(toml)
    with TestClient(make_app(session), base_url="http://127.0.0.1") as browser:
        assert browser.get("/api/about").json()["id_from"] == "PROLIFIC_PID"
    codes = {name: answer_all(session, plan, name)["completion"] for name in ("anna", "ben")}
    assert codes["anna"]["code"] != codes["ben"]["code"]
    assert len(codes["anna"]["code"]) == 10
    assert codes["anna"]["link"] == f"https://example.org/done?cc={codes['anna']['code']}"
    session.answer("late", full_answer(take_set_up(session, "late")))
    assert mpeace("listen", toml, "--analyse").status == 0
    told = {row["listener"]: row["completion_code"] for row in rows(tmp_path / "listen-listeners.csv")}
    assert told == {"anna": codes["anna"]["code"], "ben": codes["ben"]["code"], "late": ""}


def test_one_code_for_all_or_none(make) -> None:
    session, plan, _ = open_session(make("acr", items=1, completion_code="C1A2B3"))
    assert answer_all(session, plan, "anna")["completion"] == {"code": "C1A2B3", "link": ""}
    assert make_plan(make("acr")).settings.completion_code == ""


def test_a_code_of_any_letters_is_one_part_of_the_link(make) -> None:
    link = "https://example.org/done?cc={code}&study=3"
    session, plan, _ = open_session(make("acr", items=1, completion_code="50% & more", completion_link=link))
    linked = answer_all(session, plan, "anna")["completion"]["link"]
    assert parse_qs(urlsplit(linked).query) == {"cc": ["50% & more"], "study": ["3"]}
