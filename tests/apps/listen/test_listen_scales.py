"""ACR, DCR, CCR and P.835: the words of the recommendations, who grades what, and means that are known by hand."""

import csv
import json
from collections import Counter
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from command import mpeace
from listening import full_answer, open_session, started, take_set_up, write_sounds, write_toml
from matplotlib.figure import Figure
from starlette.testclient import TestClient

from apps.listen.analysis.analyse import analyse
from apps.listen.analysis.plots import draw
from apps.listen.analysis.statistics import bootstrap, bootstrap_mean, holm, sign_flip_p
from apps.listen.design.page_order import pages, scales, slots
from apps.listen.design.plan import Plan, make_plan
from apps.listen.design.texts import read_texts
from apps.listen.serving.answer_store import Answer, read_answers
from apps.listen.serving.server import make_app
from apps.listen.serving.session import Session
from enhance.utils.errors import FileError

QUALITY = ["Excellent", "Good", "Fair", "Poor", "Bad"]
WORDS = {  # ITU-T P.800 and P.835, from the highest grade to the lowest
    "acr": {"quality": QUALITY},
    "dcr": {"degradation": ["Inaudible", "Audible but not annoying", "Slightly annoying", "Annoying", "Very annoying"]},
    "ccr": {
        "comparison": [
            *("Much better", "Better", "Slightly better", "About the same", "Slightly worse", "Worse", "Much worse")
        ]
    },
    "p835": {
        "speech": [f"{word} distorted" for word in ("Not", "Slightly", "Somewhat", "Fairly", "Very")],
        "background": [
            *("Not noticeable", "Slightly noticeable", "Noticeable but not intrusive"),
            *("Somewhat intrusive", "Very intrusive"),
        ],
        "overall": QUALITY,
    },
}


@pytest.fixture
def make(sounds: Path, tmp_path: Path):
    """Writes a test with answers of its own over the common sounds."""
    return lambda method, **keys: write_toml(tmp_path, method=method, folder=str(sounds), **keys)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def grade_all(session: Session, plan: Plan, listener: str, grade, most: int = 1000) -> None:
    """Answer all pages, or the first ones; grade(stimuli as they are shown) gives the scores."""
    state = take_set_up(session, listener)
    while state["phase"] == "page" and state["position"] <= most:
        page = pages(plan, listener)[state["position"] - 1]
        shown = [slot.stimulus for slot in slots(plan, listener, page) if slot.role == "choice"]
        session.answer(listener, {**full_answer(state), "scores": grade(*shown)})
        state = session.state(listener)


@pytest.mark.parametrize("method", WORDS)
def test_a_page_has_the_words_and_sounds_of_its_recommendation_and_no_names(make, method: str) -> None:
    session, plan, stimuli = open_session(make(method))
    take_set_up(session, "anna")
    with TestClient(make_app(session), base_url="http://127.0.0.1") as browser:
        reply = browser.get("/api/state/anna")
        page = reply.json()["page"]
        found = {scale["name"]: [grade["text"] for grade in scale["grades"]] for scale in page["scales"]}
        assert found == WORDS[method]
        grades = [3, 2, 1, 0, -1, -2, -3] if method == "ccr" else [5, 4, 3, 2, 1]
        assert all([grade["value"] for grade in scale["grades"]] == grades for scale in page["scales"])
        labels = {"dcr": ["Reference", "Sound"], "ccr": ["First", "Second"]}.get(method, ["Sound"])
        assert [slot["label"] for slot in page["slots"]] == labels
        for name in ("loud", "soft", "talk"):
            assert name not in reply.text
        answer = full_answer(reply.json())
        for slot, shown in zip(page["slots"], slots(plan, "anna", pages(plan, "anna")[0]), strict=True):
            sound = np.frombuffer(browser.get(f"/api/audio/anna/{slot['id']}").content, "<f4")
            wanted = stimuli.samples("all", pages(plan, "anna")[0].item, shown.stimulus)
            np.testing.assert_array_equal(sound, wanted[:, 0])
        name = page["scales"][-1]["name"]
        for wrong in (4.0, True, "4", None, 7, [], {}, -4):
            scores = {**answer["scores"], name: wrong}
            refused = browser.post("/api/answer/anna", json={**answer, "scores": scores})
            assert (refused.status_code, name in refused.json()["problem"]) == (400, True)
            assert browser.post("/api/draft/anna", json={**answer, "scores": scores}).status_code == 200
        assert browser.get("/api/state/anna").json()["page"]["draft"]["scores"] == {
            key: value for key, value in answer["scores"].items() if key != name
        }
        assert browser.post("/api/answer/anna", json=answer).status_code == 200
    (stored,), _ = read_answers(plan.settings.answers)
    assert stored.content["scores"] == answer["scores"]


def test_the_reference_is_hidden_among_the_systems_unless_it_is_left_out(make) -> None:
    for method in ("acr", "dcr", "p835"):
        assert make_plan(make(method)).on_a_page == (("loud",), ("soft",), ("reference",))
        assert make_plan(make(method, hidden_reference=False)).on_a_page == (("loud",), ("soft",))
    assert make_plan(make("ccr")).pairs == (("reference", "loud"), ("reference", "soft"))
    assert make_plan(make("ccr", pairs=[["loud", "soft"]])).on_a_page == (("loud", "soft"),)


def test_speech_comes_first_for_half_of_the_listeners_and_overall_last(make) -> None:
    plan = make_plan(make("p835"))
    orders = Counter(tuple(scale.name for scale in scales(plan, f"listener {number}")) for number in range(200))
    assert set(orders) == {("speech", "background", "overall"), ("background", "speech", "overall")}
    assert min(orders.values()) >= 70


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"method": "dcr", "reference": "original"}, ("reference", "original")),
        ({"method": "acr", "pairs": [["loud", "soft"]]}, ("pairs", "acr")),
        ({"method": "p808"}, ("method", '"acr"', '"p835"')),
        ({"method": "p835", "hidden_reference": "yes"}, ("hidden_reference", "true or false")),
    ],
)
def test_a_wrong_test_is_refused_in_one_line(make, keys: dict, words: tuple[str, ...]) -> None:
    ended = started(make(**keys))
    assert ended.status == 2
    (line,) = ended.stderr.splitlines()
    assert all(word in line for word in words)


def test_dcr_without_a_reference_is_refused(tmp_path: Path) -> None:
    write_sounds(tmp_path)
    (tmp_path / "reference").rename(tmp_path / "third")
    ended = started(write_toml(tmp_path, method="dcr"))
    assert ended.status == 2
    assert "DCR needs a reference" in ended.stderr
    assert started(write_toml(tmp_path, method="acr")).status == 0


def test_mos_and_its_intervals_and_comparisons(make, tmp_path: Path) -> None:
    """Two listeners and three items: loud gets 4 and 2, soft 3 and 3, the reference 5 and 5."""
    toml = make("acr")
    session, plan, _ = open_session(toml)
    for listener, loud in (("anna", 4), ("ben", 2)):
        given = {"loud": loud, "soft": 3, "reference": 5}
        grade_all(session, plan, listener, lambda system, given=given: {"quality": given[system]})
    ended = mpeace("listen", toml, "--analyse")
    assert ended.status == 0, ended.stderr
    table = {(row["system"], row["item"]): row for row in rows(tmp_path / "listen-results.csv")}
    loud = table["loud", "all"]
    assert (loud["measure"], loud["listeners"], loud["grades"]) == ("MOS", "2", "6")
    found = [float(loud[name]) for name in ("mean", "mean_low", "mean_high", "sd", "ci95")]
    assert found == pytest.approx([3, 2, 4, np.sqrt(6 / 5), 2.570582 * np.sqrt(6 / 5 / 6)], abs=1e-4)
    assert [float(table["reference", "talk-2"][name]) for name in ("mean", "mean_low", "ci95")] == [5, 5, 0]
    compared = {(row["a"], row["b"]): row for row in rows(tmp_path / "listen-comparisons.csv")}
    assert float(compared["soft", "reference"]["mean_difference"]) == -2
    assert [float(row["p"]) for row in compared.values()] == [1, 0.5, 0.5]
    assert [float(row["p_holm"]) for row in compared.values()] == [1, 1, 1]
    assert "3.00 (2.00 to 4.00)" in ended.stdout
    answers = rows(tmp_path / "listen-answers.csv")
    assert Counter((row["system"], row["MOS"]) for row in answers)["loud", "2"] == 3
    assert (tmp_path / "listen-results.png").read_bytes().startswith(b"\x89PNG")


def test_the_picture_of_a_test_that_runs_has_each_set_beside_its_own_names(tmp_path: Path) -> None:
    """Of the first set all has been answered, of the second one page, of the third nothing."""
    sets = {name: {"systems": {"loud": "loud", "soft": "soft"}, "items": ["talk"]} for name in ("one", "three", "two")}
    for name in sets:
        write_sounds(tmp_path / "sounds" / name, items=["talk"])
    (tmp_path / "sounds" / "manifest.json").write_text(
        json.dumps({"layout": "SET/SYSTEM/ITEM.wav", "sets": sets}), encoding="utf-8"
    )
    keys = {"folder": str(tmp_path / "sounds"), "sets": ["one", "two", "three"], "hidden_reference": False}
    plan = make_plan(write_toml(tmp_path, method="p835", **keys))
    scores = {"speech": 5, "background": 4, "overall": 3}
    answers = [
        Answer("anna", f"{place}", name, "talk", 0, place, {"system": system, "scores": scores}, 1.0)
        for place, (name, system) in enumerate((("one", "loud"), ("one", "soft"), ("two", "soft")))
    ]
    with mock.patch.object(Figure, "savefig", autospec=True) as saved:
        draw(analyse(plan, answers, {}, ""))
    panels = saved.call_args.args[0].axes
    assert [[label.get_text() for label in panels[row].get_yticklabels()] for row in (0, 3, 6)] == [
        ["loud", "soft"],
        ["soft"],
        [],
    ]
    assert panels[0].get_ylim() == pytest.approx((-0.6, 1.6))


def test_cmos_has_one_sign_whichever_sound_came_first(make, tmp_path: Path) -> None:
    toml = make("ccr", repeats=2, pairs=[["loud", "soft"]])
    session, plan, _ = open_session(toml)
    for listener in ("anna", "ben", "cleo"):
        grade_all(session, plan, listener, lambda first, second: {"comparison": 2 if second == "soft" else -2})
    assert mpeace("listen", toml, "--analyse").status == 0
    found = next(row for row in rows(tmp_path / "listen-results.csv") if row["item"] == "all")
    assert (found["a"], found["b"], found["measure"], found["grades"]) == ("loud", "soft", "CMOS", "18")
    assert [float(found[name]) for name in ("mean", "mean_low", "mean_high", "p", "p_holm")] == [2, 2, 2, 0.25, 0.25]
    assert len({row["first"] for row in rows(tmp_path / "listen-answers.csv")}) == 2
    assert (tmp_path / "listen-results.png").read_bytes().startswith(b"\x89PNG")


def test_the_p_of_cmos_is_that_of_the_mean_beside_it_where_somebody_left_early(make, tmp_path: Path) -> None:
    """Their grades add to 3, 3 and -1: of the eight ways to turn them, four reach the 5 that was found."""
    toml = make("ccr", pairs=[["loud", "soft"]])
    session, plan, _ = open_session(toml)
    for listener, grade, most in (("anna", 1, 3), ("ben", 1, 3), ("cleo", -1, 1)):
        sides = {"soft": grade, "loud": -grade}
        grade_all(session, plan, listener, lambda _, second, sides=sides: {"comparison": sides[second]}, most)
    assert mpeace("listen", toml, "--analyse").status == 0
    found = next(row for row in rows(tmp_path / "listen-results.csv") if row["item"] == "all")
    assert (found["grades"], float(found["mean"]), float(found["p"])) == ("7", pytest.approx(5 / 7, abs=1e-5), 0.5)


def test_p835_has_three_means_for_each_system(make, tmp_path: Path) -> None:
    toml = make("p835", hidden_reference=False)
    session, plan, _ = open_session(toml)
    given = {"loud": {"speech": 5, "background": 2, "overall": 3}, "soft": {"speech": 3, "background": 4, "overall": 3}}
    grade_all(session, plan, "anna", given.__getitem__)
    ended = mpeace("listen", toml, "--analyse")
    assert ended.status == 0, ended.stderr
    means = {
        (row["system"], row["measure"]): float(row["mean"])
        for row in rows(tmp_path / "listen-results.csv")
        if row["item"] == "all"
    }
    assert means == {
        **{("loud", "SIG"): 5, ("loud", "BAK"): 2, ("loud", "OVRL"): 3},
        **{("soft", "SIG"): 3, ("soft", "BAK"): 4, ("soft", "OVRL"): 3},
    }
    assert all(word in ended.stdout for word in ("SIG", "BAK", "OVRL"))
    assert (tmp_path / "listen-results.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("method", WORDS)
def test_new_writes_a_test_of_each_method(sounds: Path, tmp_path: Path, method: str) -> None:
    for system in ("loud", "reference", "soft"):
        (tmp_path / system).symlink_to(sounds / system)
    assert mpeace("listen", "--new", tmp_path, "--method", method).status == 0
    assert make_plan(tmp_path).method == method


def test_nothing_goes_on_before_the_sound_was_heard(make) -> None:
    session, _, _ = open_session(make("p835"))
    state = take_set_up(session, "anna")
    with pytest.raises(FileError, match="not heard Sound"):
        session.answer("anna", {**full_answer(state), "played": []})
    assert session.state("anna") == state


def test_signs_are_turned_exactly_or_drawn() -> None:
    rng = np.random.default_rng(0)
    assert sign_flip_p(np.ones(8), rng) == 2 / 2**8
    assert sign_flip_p(np.array([1.0, -1.0]), rng) == 1
    assert sign_flip_p(np.array([-0.4, 1.0, -0.4, 0.4, -0.6]), rng) == 1, "their mean is 0 but for the rounding"
    assert sign_flip_p(np.ones(40), rng) == pytest.approx(1 / 10_000)
    assert 0.3 < sign_flip_p(np.random.default_rng(3).standard_normal(60), rng) <= 1


def test_holm_and_the_mean_of_listeners_are_right() -> None:
    assert holm([0.01, 0.02, 0.03]) == pytest.approx([0.03, 0.04, 0.04])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    grades = np.random.default_rng(1).integers(1, 6, (12, 5)).astype(float)
    grades[3, 2:] = np.nan
    _, slow = bootstrap(grades, np.random.default_rng(0))
    fast = bootstrap_mean(grades, np.random.default_rng(0))
    assert fast.value == slow.value
    assert fast == pytest.approx(slow, abs=0.03)


def test_each_scale_has_a_word_for_each_grade() -> None:
    texts = read_texts()
    assert {name: texts["scales"][name]["answers"] for words in WORDS.values() for name in words} == {
        name: answers for words in WORDS.values() for name, answers in words.items()
    }
