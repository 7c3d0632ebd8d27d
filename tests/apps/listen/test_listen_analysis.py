"""`mpeace listen --analyse`: figures that are known by hand, from answers that are stored as listeners give them."""

import csv
import json
import os
from pathlib import Path
from typing import Any

import pytest
from command import as_nobody, mpeace
from listening import full_answer, open_session, take_set_up, write_sounds, write_toml
from matplotlib.axes import Axes

from apps.listen.design.page_order import pages, slots
from apps.listen.design.plan import Plan
from apps.listen.serving.answer_store import read_answers, read_design, read_forms
from enhance.utils.errors import UsageError

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sounds(tmp_path_factory.mktemp("sounds"), items=[f"talk-{number}" for number in range(5)])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def number(row: dict[str, str], name: str) -> float:
    return float(row[name])


def choose(plan: Plan, state: dict, wanted: str | None) -> dict:
    """An answer that prefers a system, wherever it is on the page."""
    answer = full_answer(state)
    page = pages(plan, state["listener"])[state["position"] - 1]
    tokens = {slot.stimulus: slot.token for slot in slots(plan, state["listener"], page) if slot.role == "choice"}
    return {**answer, "choice": tokens[wanted] if wanted else "none"}


def test_pairwise_figures(sounds: Path, tmp_path: Path) -> None:
    """Two listeners, five items: 5 for soft, 2 for loud, 3 without preference."""
    toml = write_toml(tmp_path, method="pairwise", folder=str(sounds), title="Loud or soft")
    session, plan, _ = open_session(toml)
    wishes = iter(["soft", "soft", None, "loud", "soft", "soft", None, None, "loud", "soft"])
    for listener in ("anna", "ben"):
        state = take_set_up(session, listener)
        while state["phase"] == "page":
            session.answer(listener, choose(plan, state, next(wishes)))
            state = session.state(listener)
    ended = mpeace("listen", toml, "--analyse")
    assert ended.status == 0, ended.stderr
    (row,) = rows(tmp_path / "listen-results.csv")
    assert (row["a"], row["b"], row["listeners"], row["answers"]) == ("loud", "soft", "2", "10")
    assert (row["prefer_a"], row["no_preference"], row["prefer_b"]) == ("2", "3", "5")
    assert number(row, "rate") == pytest.approx(2 / 7, abs=1e-6)
    assert (number(row, "rate_low"), number(row, "rate_high")) == pytest.approx((0.0822, 0.6411), abs=1e-4)
    assert number(row, "p") == pytest.approx(2 * (1 + 7 + 21) / 2**7, abs=1e-6)
    assert number(row, "half_rate") == pytest.approx(0.35)
    assert number(row, "none_rate") == pytest.approx(0.3)
    answers = rows(tmp_path / "listen-answers.csv")
    assert [answer["preferred"] for answer in answers[:4]] == ["soft", "soft", "no preference", "loud"]
    assert (tmp_path / "listen-results.png").read_bytes().startswith(PNG)
    assert "0.286 (0.082 to 0.641)" in ended.stdout
    assert "half" in ended.stdout


def test_abx_figures(sounds: Path, tmp_path: Path) -> None:
    """Anna finds X always, Ben never: 5 of 5, 0 of 5, for each of two pairs."""
    toml = write_toml(tmp_path, method="abx", folder=str(sounds))
    session, plan, _ = open_session(toml)
    for listener, right in (("anna", True), ("ben", False)):
        state = take_set_up(session, listener)
        while state["phase"] == "page":
            a, b, x = slots(plan, listener, pages(plan, listener)[state["position"] - 1])
            is_a = a.stimulus == x.stimulus
            session.answer(listener, {**full_answer(state), "choice": (a if is_a == right else b).token})
            state = session.state(listener)
    assert mpeace("listen", tmp_path, "--analyse", "-o", tmp_path / "out").status == 0
    found = {(row["b"], row["listener"]): row for row in rows(tmp_path / "out" / "listen-results.csv")}
    assert set(found) == {(system, name) for system in ("loud", "soft") for name in ("all", "anna", "ben")}
    assert [found["loud", name]["correct"] for name in ("all", "anna", "ben")] == ["5", "5", "0"]
    assert number(found["soft", "anna"], "p") == pytest.approx(1 / 32)
    assert number(found["soft", "all"], "p") == pytest.approx(0.623047, abs=1e-6)
    assert (tmp_path / "out" / "listen-results.png").read_bytes().startswith(PNG)


def test_what_is_called_all_is_not_taken_for_all_together(tmp_path: Path) -> None:
    """A listener, an item and a set of that name have figures of their own, and the rows of all together come once."""
    (tmp_path / "abx").mkdir()
    (tmp_path / "acr").mkdir()
    write_sounds(tmp_path / "sounds" / "all", items=["all", "talk"])
    write_sounds(tmp_path / "sounds" / "other", items=["all", "talk"])
    described = {"systems": {"loud": "loud", "soft": "soft"}, "items": ["all", "talk"]}
    manifest = {"layout": "SET/SYSTEM/ITEM.wav", "sets": {"all": described, "other": described}}
    (tmp_path / "sounds" / "manifest.json").write_text(json.dumps(manifest))
    folder = str(tmp_path / "sounds")
    for method in ("abx", "acr"):
        session, _, _ = open_session(write_toml(tmp_path / method, method=method, folder=folder, training=0))
        for listener in ("all", "ben"):
            state = take_set_up(session, listener)
            while state["phase"] == "page":
                session.answer(listener, full_answer(state))
                state = session.state(listener)
        assert mpeace("listen", tmp_path / method, "--analyse").status == 0
    table = rows(tmp_path / "abx" / "listen-results.csv")
    found = {(row["set"], row["listener"]): row["answers"] for row in table if row["b"] == "loud"}
    one, everything = "all (a name)", "all"
    assert found == {
        **{(name, everything): "4" for name in (one, "other")},
        **{(name, person): "2" for name in (one, "other") for person in (one, "ben")},
        **{(everything, everything): "8", (everything, one): "4", (everything, "ben"): "4"},
    }
    assert len(table) == 2 * len(found)
    table = rows(tmp_path / "acr" / "listen-results.csv")
    found = {row["item"]: row["grades"] for row in table if (row["set"], row["system"]) == ("other", "loud")}
    assert found == {"all": "4", one: "2", "talk": "2"}
    assert len(table) == 2 * 3 * len(found)


def test_mushra_figures_and_who_is_screened(sounds: Path, tmp_path: Path) -> None:
    """Six listeners; the last grades the hidden reference 80 on each item and does not count."""
    toml = write_toml(tmp_path, method="mushra", folder=str(sounds), anchors_hz=[2000, 3500])
    session, plan, _ = open_session(toml)
    for index, listener in enumerate(("a", "b", "c", "d", "e", "late")):
        state = take_set_up(session, listener)
        while state["phase"] == "page":
            page = pages(plan, listener)[state["position"] - 1]
            tokens = {s.stimulus: s.token for s in slots(plan, listener, page) if s.role == "choice"}
            given = {"reference": 100, "loud": 40 + 5 * index, "soft": 70, "anchor-2000": 10, "anchor-3500": 30}
            if listener == "late":
                given |= {"reference": 80, "loud": 100}
            session.answer(listener, {**full_answer(state), "ratings": {tokens[name]: given[name] for name in tokens}})
            state = session.state(listener)
    ended = mpeace("listen", toml, "--analyse")
    assert ended.status == 0, ended.stderr
    assert "late is excluded: hidden reference below 90 on 100% of the items" in ended.stdout
    table = {(row["system"], row["item"]): row for row in rows(tmp_path / "listen-results.csv")}
    loud = table["loud", "all"]
    assert (loud["listeners"], loud["grades"]) == ("5", "25")
    assert [number(loud, name) for name in ("median", "q1", "q3", "iqr", "mean")] == [50, 45, 55, 10, 50]
    assert 40 <= number(loud, "median_low") <= 45
    assert 55 <= number(loud, "median_high") <= 60
    assert number(table["soft", "talk-3"], "median_low") == number(table["soft", "talk-3"], "median_high") == 70
    grades = rows(tmp_path / "listen-answers.csv")
    assert len(grades) == 6 * 5 * 5
    assert {row["excluded"] for row in grades if row["listener"] == "late"} == {"True"}
    compared = {(row["a"], row["b"]): row for row in rows(tmp_path / "listen-comparisons.csv")}
    assert number(compared["loud", "soft"], "median_difference") == -20
    assert number(compared["loud", "soft"], "p") < 0.01
    p, holm = ([number(row, name) for row in compared.values()] for name in ("p", "p_holm"))
    assert min(holm) == pytest.approx(len(compared) * min(p), rel=1e-5)
    listeners = {row["listener"]: row for row in rows(tmp_path / "listen-listeners.csv")}
    assert (listeners["late"]["reference_below_90"], listeners["late"]["excluded"]) == ("1", "True")
    assert (tmp_path / "listen-results.png").read_bytes().startswith(PNG)
    first = (tmp_path / "listen-results.csv").read_bytes()
    assert mpeace("listen", toml, "--analyse").status == 0
    assert (tmp_path / "listen-results.csv").read_bytes() == first, "the bootstrap is seeded"


def test_when_all_are_screened_the_tables_say_so(sounds: Path, tmp_path: Path) -> None:
    """Figures of an analysis before the last answers do not stay beside them."""
    toml = write_toml(tmp_path, method="mushra", folder=str(sounds), items=1, seed=3)
    session, plan, _ = open_session(toml)
    state = take_set_up(session, "anna")
    choices = [slot["id"] for slot in state["page"]["slots"] if slot["role"] == "choice"]
    hidden = next(
        s.token for s in slots(plan, "anna", pages(plan, "anna")[0]) if s.role == "choice" and s.stimulus == "reference"
    )
    session.answer("anna", {**full_answer(state), "ratings": {name: 0 if name == hidden else 100 for name in choices}})
    former = [tmp_path / f"listen-{name}" for name in ("results.csv", "comparisons.csv", "results.png")]
    for path in former:
        path.write_text("former")
    ended = mpeace("listen", toml, "--analyse")
    assert ended.status == 0, ended.stderr
    assert "anna is excluded" in ended.stdout
    assert rows(tmp_path / "listen-listeners.csv")[0]["excluded"] == "True"
    assert not [path.name for path in former if path.exists()]


@pytest.mark.parametrize(
    ("method", "change", "words"),
    [
        ("mushra", {"anchors_hz": [2000]}, "(pages)"),
        ("pairwise", {"pairs": [["loud", "reference"]]}, "(pages)"),
        ("pairwise", {"items_each": 0}, "(items_each)"),
        ("pairwise", {"traps": []}, "(traps)"),
    ],
)
def test_answers_to_another_version_of_the_test_are_refused(
    sounds: Path, tmp_path: Path, method: str, change: dict, words: str
) -> None:
    keys: dict[str, Any] = {"items_each": 2} if "items_each" in change else {}
    toml = write_toml(tmp_path, method=method, folder=str(sounds), **keys)
    former = toml.read_text()
    if "traps" in change:
        former += '[[traps]]\nanswer = "A"\n'
        toml.write_text(former)
    session, _, _ = open_session(toml)
    session.answer("anna", full_answer(take_set_up(session, "anna")))
    write_toml(tmp_path, method=method, folder=str(sounds), **change)
    ended = mpeace("listen", toml, "--analyse")
    assert ended.status == 2
    (line,) = ended.stderr.splitlines()
    assert f"answers to another version of this test {words}: undo the change" in line
    toml.write_text(f'title = "Another title"\n{former}')
    assert mpeace("listen", toml, "--analyse").status == 0


@pytest.mark.parametrize("method", ["acr", "mushra"])
def test_names_are_shown_as_they_are(tmp_path: Path, method: str) -> None:
    """What terminals and matplotlib take for a style, a smiley or a formula."""
    systems = ("small [v1]", "small [v2]", "a:smile:", "$\\frac$")
    write_sounds(tmp_path, systems=systems, items=["talk"])
    title = "Ten $ or $ twenty: $\\frac$"
    toml = write_toml(tmp_path, method=method, title=title, training=0, anchors_hz=[])
    session, plan, _ = open_session(toml)
    state = take_set_up(session, "anna")
    while state["phase"] == "page":
        shown = slots(plan, "anna", pages(plan, "anna")[state["position"] - 1])
        ratings = {slot.token: 100 if slot.stimulus == "reference" else 50 for slot in shown if slot.role == "choice"}
        session.answer("anna", {**full_answer(state), "ratings": ratings})
        state = session.state("anna")
    ended = mpeace("listen", toml, "--analyse")
    assert ended.status == 0, ended.stderr
    assert all(name in ended.stdout for name in systems), ended.stdout
    assert (tmp_path / "listen-results.png").read_bytes().startswith(PNG)


def test_the_boxes_of_the_picture_are_those_of_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """BS.1534-3 has quartiles of its own, which differ from matplotlib's where listeners are few."""
    write_sounds(tmp_path, items=["talk"])
    toml = write_toml(tmp_path, method="mushra", training=0, anchors_hz=[])
    session, plan, _ = open_session(toml)
    for listener, grade in (("a", 10), ("b", 20), ("c", 30), ("d", 90)):
        state = take_set_up(session, listener)
        shown = slots(plan, listener, pages(plan, listener)[0])
        given = {"reference": 100, "loud": grade, "soft": grade}
        ratings = {slot.token: given[slot.stimulus] for slot in shown if slot.role == "choice"}
        session.answer(listener, {**full_answer(state), "ratings": ratings})
    drawn, bxp = [], Axes.bxp

    def watched(self: Axes, stats: list[dict], **options: Any) -> dict:
        drawn.extend(stats)
        return bxp(self, stats, **options)

    monkeypatch.setattr(Axes, "bxp", watched)
    assert mpeace("listen", toml, "--analyse").status == 0
    table = {row["system"]: row for row in rows(tmp_path / "listen-results.csv") if row["item"] == "all"}
    assert [number(table["loud"], name) for name in ("q1", "median", "q3")] == [15, 25, 60]
    loud = drawn[list(plan.on_a_page[0]).index("loud")]
    assert [loud[name] for name in ("q1", "med", "q3", "whislo", "whishi")] == [15, 25, 60, 10, 90]


def test_before_the_first_answer(sounds: Path, tmp_path: Path) -> None:
    toml = write_toml(tmp_path, method="mushra", folder=str(sounds))
    ended = mpeace("listen", toml, "--analyse")
    assert ended.status == 2
    assert "no answers yet" in ended.stderr
    open_session(toml)
    ended = mpeace("listen", toml, "--analyse")
    assert ended.status == 2
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions of this system are of another kind")
def test_answers_are_read_where_nothing_may_be_written(sounds: Path, tmp_path: Path) -> None:
    """As on a share of somebody else; those that lie in the log of a server that was killed are not left out."""
    folder = tmp_path / "shut"
    folder.mkdir()
    toml = write_toml(folder, method="acr", folder=str(sounds), training=0)
    session, plan, _ = open_session(toml)
    session.answer("anna", full_answer(take_set_up(session, "anna")))
    session._store.close()
    answers = plan.settings.answers
    for parent in (tmp_path, *tmp_path.parents):
        if parent.owner() == tmp_path.owner() and any("pytest-" in part for part in parent.parts):
            parent.chmod(0o755)  # pytest makes its folders for their owner only
    answers.chmod(0o444)
    folder.chmod(0o555)
    with as_nobody():
        (answer,), playback = read_answers(answers)
        assert (answer.listener, playback, read_forms(answers)) == ("anna", {"anna": "headphones"}, {})
        assert read_design(answers)["method"] == "acr"
    folder.chmod(0o755)
    answers.with_name(f"{answers.name}-wal").write_bytes(b"not looked into")
    folder.chmod(0o555)
    with as_nobody(), pytest.raises(UsageError, match="holds no answers"):
        read_answers(answers)
    folder.chmod(0o755)
