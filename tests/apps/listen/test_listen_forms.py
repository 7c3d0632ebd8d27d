"""Pages of questions before and after a listening test, and what listeners read in another language."""

import csv
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from command import mpeace
from listening import full_answer, open_session, started, take_set_up, write_toml
from starlette.testclient import TestClient

from apps.listen.design.plan import make_plan
from apps.listen.design.texts import ENGLISH, read_texts
from apps.listen.serving.answer_store import read_forms
from apps.listen.serving.server import make_app
from enhance.utils.errors import FileError

STATIC = ENGLISH.parents[1] / "static"
FORMS = """
[before]
title = "About this study"
text = "First.\\n\\nSecond."
[[before.questions]]
name = "consent"
ask = "I take part"
kind = "consent"
[[before.questions]]
name = "hearing"
ask = "How well do you hear?"
kind = "choice"
options = ["well", "not so well"]
[after]
[[after.questions]]
name = "age"
ask = "Your age"
kind = "number"
required = false
[[after.questions]]
name = "remarks"
ask = "Remarks"
kind = "text"
"""


@pytest.fixture
def make(sounds: Path, tmp_path: Path):
    """Writes a test of one page for each system, with tables behind its keys."""

    def writer(tables: str = "", **keys: Any) -> Path:
        path = write_toml(tmp_path, **{"method": "acr", "folder": str(sounds), "items": 1, "training": 0, **keys})
        path.write_text(path.read_text() + tables)
        return path

    return writer


def leaves(table: dict, where: str = "") -> Iterator[str]:
    """The names of all texts."""
    for key, value in table.items():
        yield from leaves(value, f"{where}{key}.") if isinstance(value, dict) else [f"{where}{key}"]


def listeners(folder: Path) -> list[dict[str, str]]:
    """The rows of the table of listeners."""
    with (folder / "listen-listeners.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_questions_come_before_and_after_and_into_the_table_of_listeners(make, tmp_path: Path) -> None:
    toml = make(FORMS, completion_code="C1")
    session, plan, _ = open_session(toml)
    with TestClient(make_app(session), base_url="http://127.0.0.1") as browser:

        def fill_in(place: str, **answers: object) -> tuple[int, dict]:
            reply = browser.post("/api/form/anna", json={"place": place, "answers": answers})
            return reply.status_code, reply.json()

        state = browser.get("/api/state/anna").json()
        assert state["phase"] == "before"
        assert (state["form"]["title"], state["form"]["paragraphs"]) == ("About this study", ["First.", "Second."])
        assert [question["name"] for question in state["form"]["questions"]] == ["consent", "hearing"]
        assert fill_in("after", remarks="x")[0] == 409, "it is not its turn"
        for wrong in ({}, {"consent": "yes"}, {"consent": False}):
            assert fill_in("before", hearing="well", **wrong)[0] == 400, "nobody goes on without consent"
        status, reply = fill_in("before", consent=True, hearing="badly")
        assert (status, "How well do you hear?" in reply["problem"]) == (400, True)
        assert fill_in("before", consent=True, hearing="well", other="x")[1]["phase"] == "setup"
        assert fill_in("before", consent=True, hearing="not so well")[0] == 409, "the first answer stands"
        again, _, _ = open_session(toml)
        assert again.state("anna")["phase"] == "setup", "after a restart, too"
        state = take_set_up(session, "anna")
        while state["phase"] == "page":
            session.answer("anna", full_answer(state))
            state = session.state("anna")
        assert (state["phase"], state["form"]["title"]) == ("after", "")
        assert mpeace("listen", toml, "--analyse").status == 0
        assert listeners(tmp_path)[0]["completion_code"] == "", "nobody has it yet"
        assert fill_in("after", age="forty", remarks="none")[0] == 400
        assert fill_in("after", age="40,5", remarks="  ")[0] == 400
        assert fill_in("after", age="", remarks=" fine, \n thank you ")[1]["phase"] == "done"
    assert read_forms(plan.settings.answers) == {
        ("anna", "before"): {"consent": True, "hearing": "well"},
        ("anna", "after"): {"age": None, "remarks": "fine, \n thank you"},
    }
    assert mpeace("listen", toml, "--analyse").status == 0
    (row,) = listeners(tmp_path)
    assert row["completion_code"] == "C1"
    given = {key: value for key, value in row.items() if key.startswith(("before_", "after_"))}
    assert given == {
        **{"before_consent": "True", "before_hearing": "well"},
        **{"after_age": "", "after_remarks": "fine, \n thank you"},
    }


def test_answers_of_a_test_from_before_there_were_questions_are_read(make) -> None:
    session, plan, _ = open_session(make())
    session.answer("anna", full_answer(take_set_up(session, "anna")))
    with closing(sqlite3.connect(plan.settings.answers)) as base:
        base.execute("DROP TABLE forms")
    assert read_forms(plan.settings.answers) == {}
    assert mpeace("listen", plan.settings.path, "--analyse").status == 0
    assert open_session(plan.settings.path)[0].state("anna")["position"] == 2


@pytest.mark.parametrize("method", ["acr", "mushra"])
def test_who_answers_the_questions_before_and_no_more_is_in_the_table_of_listeners(
    make, tmp_path: Path, method: str
) -> None:
    toml = make(FORMS.partition("[after]")[0], method=method, completion_code="C1", anchors_hz=[3500])
    session, plan, _ = open_session(toml)
    session.fill_in("bert", "before", {"consent": True, "hearing": "not so well"})
    session.fill_in("anna", "before", {"consent": True, "hearing": "well"})
    state = take_set_up(session, "anna")
    while state["phase"] == "page":
        session.answer("anna", full_answer(state))
        state = session.state("anna")
    assert mpeace("listen", toml, "--analyse").status == 0
    anna, bert = listeners(tmp_path)
    assert (anna["listener"], anna["answered"], anna["before_hearing"]) == ("anna", str(plan.pages), "well")
    assert (bert["listener"], bert["answered"], bert["before_hearing"]) == ("bert", "0", "not so well")
    assert (anna["completion_code"], bert["completion_code"], bert["playback"]) == ("C1", "", "")


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ("before = 3\n", ("before", "a table")),
        ("[before]\n", ("before", "neither text nor questions")),
        ("[after]\nwords = 1\n", ("after", "title, text and questions")),
        ('[before]\nquestions = [{ask = "a", kind = "text"}]\n', ("question 1", "name")),
        ('[before]\nquestions = [{name = "a", kind = "text"}]\n', ("question 1", "ask")),
        (
            '[before]\nquestions = [{name = "a", ask = "a", kind = "tick"}]\n',
            ("'tick'", "consent, choice, text, number"),
        ),
        ('[before]\nquestions = [{name = "a", ask = "a", kind = "choice"}]\n', ("question 1", "two options")),
        ('[before]\nquestions = [{name = "a", ask = "a", kind = "text", option = 1}]\n', ("'option'", "options")),
        (
            '[before]\nquestions = [{name = "a", ask = "a", kind = "text", required = 1}]\n',
            ("required", "true or false"),
        ),
        (
            '[before]\nquestions = [{name = "a", ask = "a", kind = "text"}, {name = "a", ask = "b", kind = "text"}]\n',
            ("'a'", "two questions"),
        ),
        ('texts = "none.toml"\n', ("none.toml", "cannot be read")),
        ("texts = 3\n", ("texts", "name of a file")),
    ],
)
def test_a_wrong_form_is_refused_in_one_line(make, tables: str, words: tuple[str, ...]) -> None:
    ended = started(make(tables))
    assert ended.status == 2
    (line,) = ended.stderr.splitlines()
    assert all(word in line for word in words), line
    assert len(line) < 300


def test_texts_in_another_language_reach_the_page_and_the_rest_stays_english(make, tmp_path: Path) -> None:
    (tmp_path / "de.toml").write_text(
        'language = "de"\n[page]\nnext = "Weiter"\n[scales.quality]\nquestion = "Die Sprache ist"\n'
        'answers = ["Ausgezeichnet", "Gut", "Ordentlich", "Dürftig", "Schlecht"]\n',
        encoding="utf-8",
    )
    session, _, _ = open_session(make(texts="de.toml"))
    texts = session.about()["texts"]
    assert (texts["language"], texts["page"]["next"], texts["page"]["play"]) == ("de", "Weiter", "Play")
    (scale,) = take_set_up(session, "anna")["page"]["scales"]
    assert (scale["question"], scale["grades"][1]) == ("Die Sprache ist", {"value": 4, "text": "Gut"})


def test_a_number_that_is_none_is_refused_in_the_words_of_the_test(make, tmp_path: Path) -> None:
    (tmp_path / "de.toml").write_text('[server]\nnumber = "{question} Bitte eine Zahl, nicht {answer}."\n')
    age = '[before]\nquestions = [{name = "age", ask = "Wie alt {answer}?", kind = "number"}]\n'
    for texts, said in (
        ({"texts": "de.toml"}, "Wie alt {answer}? Bitte eine Zahl, nicht dreißig."),
        ({}, "Wie alt {answer}?: expected a number, not dreißig."),
    ):
        session, _, _ = open_session(make(age, **texts))
        with pytest.raises(FileError, match=f"^{re.escape(said)}$"):
            session.fill_in("anna", "before", {"age": " dreißig "})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('[page]\nnxt = "Weiter"\n', ("'page.nxt'", "en.toml")),
        ("[page]\nnext = 3\n", ("page.next is 3", "'Next'")),
        ('[scales.quality]\nanswers = ["Gut", "Schlecht"]\n', ("scales.quality.answers", "5 texts")),
        ("[page\n", ("not TOML",)),
        ('language = "de_DE"\n', ("language is 'de_DE'", "pt-BR")),
    ],
)
def test_wrong_texts_are_refused_in_one_line(make, tmp_path: Path, content: str, words: tuple[str, ...]) -> None:
    (tmp_path / "de.toml").write_text(content)
    ended = started(make(texts="de.toml"))
    assert ended.status == 2
    (line,) = ended.stderr.splitlines()
    assert all(word in line for word in ("de.toml", *words)), line


def test_the_english_texts_are_written_to_be_translated_and_work_as_they_are(make, tmp_path: Path) -> None:
    toml = make()
    assert mpeace("listen", tmp_path, "--texts").status == 0
    assert mpeace("listen", toml, "--texts").status == 2, "nothing is overwritten"
    assert read_texts(make_plan(make(texts="texts.toml")).settings.texts) == read_texts()


def test_each_page_has_one_heading_of_the_first_level() -> None:
    html = (STATIC / "index.html").read_text()
    for name, content in re.findall(r'<template id="(\w+)">(.*?)</template>', html, re.DOTALL):
        wanted = [] if name in ("timeline", "stimulus") else ["h1"]
        assert re.findall(r"<(h\d)", content) == wanted, name


def test_the_page_asks_for_texts_that_are_there_and_has_none_of_its_own() -> None:
    names = set(leaves(read_texts()))
    html = (STATIC / "index.html").read_text()
    scripts = "".join(path.read_text() for path in STATIC.glob("*.js"))
    asked = set(re.findall(r'data-(?:text|aria)="([\w.]+)"', html))
    quoted = set(re.findall(r'"([a-z_]+\.[a-z_]+)"', scripts))
    tables = {name.partition(".")[0] for name in names}
    asked |= {name for name in quoted if name.partition(".")[0] in tables}
    assert asked <= names, "the page would break"
    unused = {name for name in names - asked if name.partition(".")[0] not in ("questions", "scales", "server")}
    assert unused == {"language", "form.before", "form.after"}, "by other ways than their names"
    body = re.sub(r"<kbd[^>]*>.*?</kbd>|<!doctype[^>]*>|<title>.*?</title>", "", html)
    shown = [text.strip() for text in re.findall(r">([^<]+)<", body) if text.strip(" \n–")]
    assert shown == ["Listening test"], "the title of the frame, until that of the test comes"
