"""Configurations of webMUSHRA become tests of ours; p-values are corrected for the number of comparisons."""

import csv
import shutil
from pathlib import Path

import pytest
from command import mpeace
from listening import full_answer, open_session, take_set_up, write_sounds, write_toml

from apps.listen.design.plan import make_plan
from apps.listen.serving.bs1534_advice import advice

CONFIG = """
testname: Codecs
testId: codecs
pages:
    - type: generic
      id: welcome
      content: <p>Welcome!</p>Listen well. Remember: there is no wrong answer<br/>at all.
    - type: consent
      id: consent
      mustConsent: true
      content: <p>We keep your answers &amp; nothing else.</p>
    - type: volume
      id: volume
      stimulus: configs/resources/audio/reference.wav
    -
      - random
      - type: mushra
        id: trial 1
        reference: configs/resources/audio/reference.wav
        createAnchor35: true
        createAnchor70: false
        stimuli:
            C1: configs/resources/audio/loud.wav
            C2: configs/resources/audio/soft.wav
      - type: mushra
        id: trial 2
        reference: configs/resources/audio/reference.wav
        createAnchor35: true
        createAnchor70: false
        stimuli:
            C1: configs/resources/audio/soft.wav
            C2: configs/resources/audio/loud.wav
    - type: paired_comparison
      id: pair
      unforced: I don't know
      reference: configs/resources/audio/reference.wav
      stimuli:
          C1: configs/resources/audio/loud.wav
          C2: configs/resources/audio/soft.wav
    - type: spatial
      id: where
    - type: finish
      name: Thank you
      questionnaire:
          - type: number
            label: Age
            name: age
            optional: true
          - type: likert
            name: gender
            label: Gender
            response:
             - value: female
               label: Female
             - value: male
               label: Male
"""


@pytest.fixture
def config(sounds: Path, tmp_path: Path) -> Path:
    """A webMUSHRA folder with a configuration and its sounds."""
    audio = tmp_path / "web" / "configs" / "resources" / "audio"
    audio.mkdir(parents=True)
    for system in ("loud", "soft", "reference"):
        shutil.copyfile(sounds / system / "talk-1.wav", audio / f"{system}.wav")
    path = tmp_path / "web" / "configs" / "test.yaml"
    path.write_text(CONFIG)
    return path


def test_a_configuration_becomes_a_test_of_each_kind_of_page(config: Path, sounds: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ended = mpeace("listen", "--new", out, "--from", config)
    assert ended.status == 0, ended.stderr
    assert "page where (spatial) is left out" in ended.stdout
    session, plan, stimuli = open_session(out / "listen-1-mushra.toml")
    assert (plan.systems, plan.items, plan.anchors) == (("C1", "C2"), {"all": ("trial_1", "trial_2")}, ("anchor-3500",))
    assert plan.settings.title == "Codecs"
    assert plan.settings.instructions == "Welcome!\n\nListen well. Remember: there is no wrong answer\n\nat all."
    assert plan.sets["all"].files["C1", "trial_2"].read_bytes() == (sounds / "soft" / "talk-1.wav").read_bytes()
    assert set(stimuli.gains["all", "trial_1"]) == {"reference", "C1", "C2", "anchor-3500"}
    assert len(set(stimuli.gains["all", "trial_1"].values())) == 1, "as loud as in the files, but for one common factor"
    state = session.state("anna")
    assert state["form"]["questions"][0]["ask"] == "We keep your answers & nothing else."
    after = plan.settings.after
    assert after is not None
    assert [(one.kind, one.required, one.options) for one in after.questions] == [
        ("number", False, ()),
        ("choice", True, ("Female", "Male")),
    ]
    pair = make_plan(out / "listen-2-pairwise.toml")
    assert (pair.pairs, pair.shows_reference, pair.items) == ((("C1", "C2"),), True, {"all": ("pair",)})
    again = mpeace("listen", "--new", out, "--from", config)
    assert again.status == 2
    assert "already" in again.stderr


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("pages:", "sites:"), ("test.yaml", "no list of pages")),
        (("audio/soft.wav", "audio/mild.wav"), ("audio/mild.wav", "not there")),
        (("    - type: spatial", "    - kind: spatial"), ("a page without a type",)),
        (("testname: Codecs", "testname: [Codecs"), ("not YAML",)),
        (("C2: configs/resources/audio/soft.wav", "reference: configs/resources/audio/soft.wav"), ("called the same",)),
        (("        reference: configs/resources/audio/reference.wav\n", ""), ("trial 1", "reference")),
    ],
)
def test_a_wrong_configuration_is_refused_in_one_line(config: Path, tmp_path: Path, change, words) -> None:
    text = CONFIG.replace(*change)
    assert text != CONFIG
    config.write_text(text)
    ended = mpeace("listen", "--new", tmp_path / "out", "--from", config)
    assert ended.status == 2
    (line,) = ended.stderr.splitlines()
    assert all(word in line for word in words), line


def test_a_configuration_without_reference_may_have_a_condition_of_that_name(config: Path, tmp_path: Path) -> None:
    """Also headings, and two questions whose names are alike here."""
    config.write_text("""
testname: Pairs
pages:
  - type: generic
    content: <H1>Welcome</H1>Listen<P>well.</P>
  - type: paired_comparison
    id: 1
    stimuli: {original: configs/resources/audio/loud.wav, C1: configs/resources/audio/soft.wav}
  - type: finish
    questionnaire:
      - {type: text, label: Mail, name: e-mail}
      - {type: text, label: Other mail, name: e_mail}
""")
    out = tmp_path / "out"
    assert mpeace("listen", "--new", out, "--from", config).status == 0
    _, plan, _ = open_session(out / "listen.toml")
    assert (plan.pairs, plan.reference) == ((("condition_original", "C1"),), None)
    assert plan.settings.instructions == "Welcome\n\nListen\n\nwell."
    assert plan.settings.after is not None
    assert [question.name for question in plan.settings.after.questions] == ["e_mail", "e_mail_2"]


def test_from_belongs_to_new_and_knows_its_method(config: Path, tmp_path: Path) -> None:
    assert mpeace("listen", tmp_path / "out", "--from", config).status == 2
    assert mpeace("listen", "--new", tmp_path / "out", "--from", config, "--method", "acr").status == 2
    assert mpeace("listen", "--new", tmp_path / "out", "--from", tmp_path / "none.yaml").status == 2
    assert not (tmp_path / "out").exists()


def test_a_mushra_test_may_have_no_anchors_and_a_note_says_so(sounds: Path, tmp_path: Path) -> None:
    _, plan, stimuli = open_session(write_toml(tmp_path, method="mushra", folder=str(sounds), anchors_hz=[]))
    assert plan.on_a_page == (("loud", "soft", "reference"),)
    assert "no anchor" in " ".join(advice(plan, stimuli))


def test_all_pairs_of_systems_can_be_named_as_all_and_are_corrected_by_holm(tmp_path: Path) -> None:
    write_sounds(tmp_path, ("x", "y", "z"), [f"talk-{number}" for number in range(6)])
    toml = write_toml(tmp_path, method="pairwise", pairs="all", training=0)
    session, plan, _ = open_session(toml)
    assert plan.pairs == (("x", "y"), ("x", "z"), ("y", "z"))
    state = take_set_up(session, "anna")
    while state["phase"] == "page":
        session.answer("anna", full_answer(state))
        state = session.state("anna")
    assert mpeace("listen", toml, "--analyse").status == 0
    with (tmp_path / "listen-results.csv").open(newline="") as file:
        found = [(float(row["p"]), float(row["p_holm"])) for row in csv.DictReader(file)]
    assert all(p <= corrected <= 1 for p, corrected in found)
    least = min(p for p, _ in found)
    assert min(corrected for _, corrected in found) == pytest.approx(min(1, 3 * least))
