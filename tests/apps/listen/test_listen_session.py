"""The rules of a listening test: blind, nothing skipped, nothing lost, nothing twice; by calls and over HTTP."""

import json
import mimetypes
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from listening import full_answer, open_session, started, take_set_up, write_toml
from starlette.testclient import TestClient

from apps.listen.serving import server
from apps.listen.serving.answer_store import read_answers
from apps.listen.serving.bs1534_advice import advice
from apps.listen.serving.server import LARGEST_CALL, make_app
from apps.listen.serving.session import Gone
from enhance.utils.errors import FileError

METHODS = ("pairwise", "abx", "mushra")


@pytest.fixture
def make(sounds: Path, tmp_path: Path):
    """Writes a test with answers of its own over the common sounds."""
    return lambda method, **keys: write_toml(tmp_path, method=method, folder=str(sounds), **keys)


@pytest.mark.parametrize("method", METHODS)
def test_names_never_reach_the_browser(make, method: str, sounds: Path) -> None:
    """No name of a system, set, item or file is in any reply, and no length or header tells sounds apart."""
    session, plan, _ = open_session(make(method))
    with TestClient(make_app(session), base_url="http://127.0.0.1") as browser:
        replies = [browser.get("/api/about").text]
        browser.post("/api/setup/anna", json={"playback": "headphones"})
        while (state := browser.get("/api/state/anna").json())["phase"] != "done":
            replies.append(json.dumps(state))
            sounds_of_page = [browser.get(f"/api/audio/anna/{slot['id']}") for slot in state["page"]["slots"]]
            assert {len(reply.content) for reply in sounds_of_page} == {4 * 16_000}
            assert len({json.dumps(dict(reply.headers)) for reply in sounds_of_page}) == 1
            replies.append(browser.post("/api/answer/anna", json=full_answer(state)).text)
    everything = "".join(replies)
    for name in ("loud", "soft", *plan.items["all"], "anchor", ".wav", str(sounds), '"all"'):
        assert name not in everything.replace("loudspeakers", "")


@pytest.mark.parametrize("method", METHODS)
def test_audio_is_the_very_sound(make, method: str) -> None:
    session, plan, stimuli = open_session(make(method))
    state = take_set_up(session, "anna")
    answer = full_answer(state)
    sent = {slot["label"]: np.frombuffer(session.audio("anna", slot["id"]), "<f4") for slot in state["page"]["slots"]}
    session.answer("anna", answer)
    (stored,), _ = read_answers(plan.settings.answers)
    names = {
        "pairwise": lambda: {"A": stored.content["first"], "B": stored.content["second"], "Reference": "reference"},
        "abx": lambda: {"A": stored.content["a"], "B": stored.content["b"], "X": stored.content["x"]},
        "mushra": lambda: {
            "Reference": "reference",
            **{str(n): name for n, name in enumerate(stored.content["order"], 1)},
        },
    }[method]()
    assert set(names) == set(sent)
    for label, name in names.items():
        np.testing.assert_array_equal(sent[label], stimuli.samples("all", stored.item, name)[:, 0])
    with pytest.raises(Gone):
        session.audio("anna", state["page"]["slots"][0]["id"])


@pytest.mark.parametrize("method", METHODS)
def test_nothing_goes_on_before_all_was_heard_and_answered(make, method: str) -> None:
    session, _, _ = open_session(make(method))
    state = take_set_up(session, "anna")
    whole = full_answer(state)
    with pytest.raises(FileError, match=f"not heard {state['page']['slots'][1]['label']}"):
        session.answer("anna", {**whole, "played": whole["played"][:1] + whole["played"][2:]})
    for wrong in ({"choice": None}, {"choice": "x"}) if method != "mushra" else ({"ratings": {}}, {"ratings": None}):
        with pytest.raises(FileError):
            session.answer("anna", {**whole, **wrong})
    if method == "mushra":
        low = {name: min(grade, 99) for name, grade in whole["ratings"].items()}
        with pytest.raises(FileError, match="100"):
            session.answer("anna", {**whole, "ratings": low})
        for grade in (101, -1, 50.5, True, "50", None):
            with pytest.raises(FileError, match="still missing"):
                session.answer("anna", {**whole, "ratings": {**whole["ratings"], list(low)[1]: grade}})
    if method == "abx":
        with pytest.raises(FileError):
            session.answer("anna", {**whole, "choice": "none"})
    assert session.state("anna") == state


@pytest.mark.parametrize("method", METHODS)
def test_an_answer_is_stored_by_name_and_the_first_one_stands(make, method: str) -> None:
    session, plan, _ = open_session(make(method))
    state = take_set_up(session, "anna")
    session.answer("anna", full_answer(state, choice=1))
    with pytest.raises(Gone):
        session.answer("anna", full_answer(state, choice=0))
    (stored,), playback = read_answers(plan.settings.answers)
    assert (stored.listener, stored.position, stored.seconds) == ("anna", 1, 3.2)
    assert playback == {"anna": "headphones"}
    if method == "pairwise":
        assert stored.content["preferred"] == stored.content["second"] != stored.content["first"]
    elif method == "abx":
        assert stored.content["answered"] == stored.content["b"]
    else:
        assert stored.content["ratings"][stored.content["order"][1]] == 100
        assert set(stored.content["ratings"]) == {"loud", "soft", "reference", "anchor-3500", "anchor-7000"}


def test_no_preference_is_an_answer(make) -> None:
    session, plan, _ = open_session(make("pairwise"))
    session.answer("anna", {**full_answer(take_set_up(session, "anna")), "choice": "none"})
    assert read_answers(plan.settings.answers)[0][0].content["preferred"] is None


def test_practice_is_not_kept(make) -> None:
    session, plan, _ = open_session(make("mushra", training=2))
    take_set_up(session, "anna")
    assert read_answers(plan.settings.answers)[0] == []


def test_a_listener_goes_on_where_he_was_after_a_restart(make) -> None:
    toml = make("pairwise", repeats=2)
    states, answers = [], []
    for _ in range(6):
        session, plan, _ = open_session(toml)  # a new one each time, as after the end of the server
        state = take_set_up(session, "ben")
        begun = {"played": [state["page"]["slots"][0]["id"]], "choice": "none"}
        session.draft("ben", {"page": state["page"]["id"], "secret": 1, **begun})
        again, _, _ = open_session(toml)
        assert again.state("ben")["page"]["draft"] == begun
        assert again.state("ben")["page"]["id"] == state["page"]["id"]
        again.answer("ben", full_answer(state))
        states.append(state["position"])
        answers = read_answers(plan.settings.answers)[0]
    assert states == [answer.position for answer in answers] == [1, 2, 3, 4, 5, 6]
    assert len({answer.page for answer in answers}) == 6
    assert open_session(toml)[0].state("ben")["phase"] == "done"
    with sqlite3.connect(toml.with_suffix(".sqlite")) as base:
        assert base.execute("SELECT count(*) FROM drafts").fetchone() == (0,)


def test_a_test_that_changed_is_not_continued(make, sounds: Path) -> None:
    toml = make("pairwise")
    open_session(toml)
    make("pairwise", seed=2)
    open_session(toml)  # nothing was answered yet
    session, _, _ = open_session(make("pairwise"))
    session.answer("anna", full_answer(take_set_up(session, "anna")))
    for change in ({"seed": 2}, {"items": 2}, {"loudness": "none"}, {"repeats": 3}, {"pairs": [["loud", "reference"]]}):
        ended = started(make("pairwise", **change))
        assert ended.status == 2
        assert "undo the change" in ended.stderr
    open_session(make("pairwise", title="Another title"))


def test_a_file_of_answers_that_is_something_else(make) -> None:
    toml = make("pairwise")
    answers = toml.with_suffix(".sqlite")
    answers.write_bytes(b"no database at all, but long enough to be looked at" * 100)
    assert str(answers) in started(toml).stderr
    answers.unlink()
    with closing(sqlite3.connect(answers)) as base:
        base.execute("CREATE TABLE recipes (name TEXT)")
    ended = started(toml)
    assert ended.status == 2
    assert "something else" in ended.stderr
    with closing(sqlite3.connect(answers)) as base:
        assert base.execute("SELECT name FROM sqlite_master").fetchall() == [("recipes",)]


def test_many_listeners_at_once(make) -> None:
    session, plan, _ = open_session(make("pairwise", repeats=3))
    problems: list[BaseException] = []

    def listen(name: str) -> None:
        try:
            state = take_set_up(session, name)
            while state["phase"] == "page":
                session.answer(name, full_answer(state, choice=len(name) % 2))
                state = session.state(name)
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=listen, args=("p" * number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    answers, _ = read_answers(plan.settings.answers)
    assert len(answers) == 8 * 9
    for answer in answers:
        side = "second" if len(answer.listener) % 2 else "first"
        assert answer.content["preferred"] == answer.content[side]


def test_an_id_alone_is_no_key_to_the_answers_of_another(make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "WRONG_KEY_SECONDS", 0.0)
    session, plan, _ = open_session(make("pairwise", training=0))
    app = make_app(session)
    with (
        TestClient(app, base_url="http://127.0.0.1") as anna,
        TestClient(app, base_url="http://127.0.0.1") as other,
        TestClient(app, base_url="http://127.0.0.1") as elsewhere,
    ):
        assert anna.post("/api/setup/anna", json={"playback": "headphones"}).status_code == 200
        state = anna.get("/api/state/anna").json()
        page = state["page"]
        answer = full_answer(state)
        for wrong in ("", "?key=", "?key=0123456789", "?key=anna"):
            assert other.get(f"/api/state/anna{wrong}").status_code == 403
            assert other.get(f"/api/audio/anna/{page['slots'][0]['id']}{wrong}").status_code == 403
            for call in ("setup", "draft", "answer"):
                refused = other.post(f"/api/{call}/anna{wrong}", json={**answer, "playback": "loudspeakers"})
                assert refused.status_code == 403
                assert "another browser" in refused.json()["problem"]
        assert read_answers(plan.settings.answers)[0] == []
        assert other.get("/api/state/berta").json()["key"] != state["key"]
        assert elsewhere.get(f"/api/state/anna?key={state['key']}").json()["page"]["id"] == page["id"]
        assert elsewhere.post("/api/answer/anna", json=answer).json()["position"] == 2, "its cookie is kept"
        assert anna.get("/api/state/anna").json()["position"] == 2
    assert state["key"].encode() not in plan.settings.answers.read_bytes()


def test_calls_that_are_wrong_are_refused_in_one_line(make) -> None:
    session, _, _ = open_session(make("pairwise"))
    with TestClient(make_app(session), base_url="http://127.0.0.1") as browser:
        for listener in ("a b", "a;b", "x" * 65, "%20", ".hidden"):
            reply = browser.get(f"/api/state/{listener}")
            assert reply.status_code == 400
            assert "\n" not in reply.json()["problem"]
        assert browser.post("/api/setup/anna", json={"playback": "a radio"}).status_code == 400
        assert browser.post("/api/setup/anna", content='{"playback": "headphones"}').status_code == 400, "not as JSON"
        assert browser.post("/api/setup/anna", json=["headphones"]).status_code == 400
        assert browser.post("/api/answer/anna", json={"page": "x" * LARGEST_CALL}).status_code == 400
        assert browser.post("/api/answer/anna", json={}).status_code == 409
        assert browser.get("/api/audio/anna/0123").status_code == 409
        for path in ("/static/../session.py", "/static/%2e%2e/session.py", "/listen.toml", "/api/answer/anna"):
            assert browser.get(path).status_code in (404, 405)
        page = browser.get("/")
        assert "default-src 'self'" in page.headers["content-security-policy"]
        assert "http" not in page.text.replace("http-equiv", ""), "nothing is fetched from elsewhere"
        assert browser.get("/static/player.js").headers["content-type"].startswith("text/javascript")


def test_scripts_are_run_on_any_system_and_are_those_of_the_server(make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The registry of Windows may call them plain text, and a browser would keep those of a former mpeace for days."""
    monkeypatch.setattr(mimetypes, "_db", mimetypes.MimeTypes())
    mimetypes.add_type("text/plain", ".js")
    session, _, _ = open_session(make("abx"))
    with TestClient(make_app(session), base_url="http://127.0.0.1") as browser:
        script = browser.get("/static/app.js")
        assert script.headers["content-type"].startswith("text/javascript")
        assert script.headers["cache-control"] == "no-cache"
        again = browser.get("/static/app.js", headers={"If-None-Match": script.headers["etag"]})
        assert (again.status_code, again.headers["cache-control"]) == (304, "no-cache")


@pytest.mark.parametrize("method", METHODS)
def test_what_makes_no_sense_ends_no_page(make, method: str) -> None:
    """A value of the wrong kind is refused or left out: no error comes, on which the page would try again."""
    session, plan, _ = open_session(make(method))
    state = take_set_up(session, "anna")
    good = full_answer(state)
    name = good["choice"]
    odd = ["[]", "{}", "1e400", "NaN", "1" + 400 * "0", '"\\ud800"', "null", f'["{name}", []]', f'{{"{name}": NaN}}']
    with TestClient(make_app(session), base_url="http://127.0.0.1") as browser:

        def post(call: str, text: str) -> int:
            return browser.post(
                f"/api/{call}/anna", content=text, headers={"Content-Type": "application/json"}
            ).status_code

        for key in ("played", "choice", "ratings"):
            for value in odd:
                wrong = json.dumps({**good, key: 0}).replace(f'"{key}": 0', f'"{key}": {value}')
                assert post("draft", wrong) == 200
        assert post("draft", 30_000 * "[") == 400
        assert browser.get("/api/state/anna").json()["page"]["id"] == state["page"]["id"]
        asked = "ratings" if method == "mushra" else "choice"
        for value in odd:
            assert post("answer", json.dumps({**good, asked: 0}).replace(f'"{asked}": 0', f'"{asked}": {value}')) == 400
        assert post("answer", json.dumps({**good, "seconds": 10**400})) == 200
    (stored,), _ = read_answers(plan.settings.answers)
    assert stored.seconds is None


def test_what_leaves_the_standard_is_said(make) -> None:
    _, plan, stimuli = open_session(make("mushra"))
    said = " ".join(advice(plan, stimuli))
    assert "3 items" in said
    assert "7000 Hz anchor is nearly the reference" in said
    _, plan, stimuli = open_session(make("pairwise", items=2))
    assert advice(plan, stimuli) == []
    _, plan, stimuli = open_session(make("pairwise", items=2, loudness="none"))
    assert "none" in " ".join(advice(plan, stimuli))
