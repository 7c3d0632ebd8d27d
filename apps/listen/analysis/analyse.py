"""Tables (CSV) and a picture (PNG) of the stored answers, at any time, also while the test runs.

Written beside the TOML file, or into another folder:

- `NAME-results.csv`: the figures (`apps.listen.analysis.paired`, `.mushra`, `.opinion`);
- `NAME-answers.csv`: every answer, one line each (for MUSHRA one a grade), by the names of the systems;
- `NAME-listeners.csv`: what each listener did, also who only answered the questions before, who failed traps, and for
  MUSHRA what the post-screening says;
- `NAME-comparisons.csv`: MUSHRA, ACR, DCR and P.835: system against system;
- `NAME-results.png`.
"""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from apps.listen.analysis.attention import attention
from apps.listen.analysis.mushra import comparisons, marks_of, summary
from apps.listen.analysis.opinion import opinion_comparisons, opinions
from apps.listen.analysis.paired import discriminations, preferences
from apps.listen.analysis.plots import draw
from apps.listen.analysis.results import Analysis, Marks, Row
from apps.listen.analysis.screening import Screened, screen
from apps.listen.design.completion import completion_code
from apps.listen.design.plan import Plan, make_plan
from apps.listen.design.scales import SCALES
from apps.listen.design.settings import Method
from apps.listen.serving.answer_store import Answer, read_answers, read_design, read_forms
from apps.listen.serving.session import planned
from enhance.utils.atomic import write_bytes
from enhance.utils.errors import UsageError, problem_on_oserror

Forms = dict[tuple[str, str], dict[str, Any]]  # listener and "before" or "after": name of a question: answer


def analyse(
    plan: Plan, everything: Sequence[Answer], playback: dict[str, str], sounds: str, forms: Forms | None = None
) -> Analysis:
    """Make all tables of a test.

    Args:
        plan: the test.
        everything: all answers, at least one.
        playback: what each listener listened with.
        sounds: fingerprint of the sounds.
        forms: answers to the pages before and after the test; None for none.
    """
    found = attention(plan, everything)
    answers = found.answers
    marks: Marks = {}
    compared: list[Row] = []
    screened: dict[str, Screened] = {}
    people = len({answer.listener for answer in everything})
    notes = [f"{len(everything)} pages answered by {people} listeners", *found.notes]
    kinds = {playback.get(answer.listener, "") for answer in answers}
    if len(kinds) > 1:
        notes.append("headphones and loudspeakers were mixed, which BS.1534-3 (8) does not allow within a test")
    if plan.method is Method.PAIRWISE:
        results = preferences(plan, answers)
        notes.append("rate leaves no-preference answers out; half_rate counts each as half a preference for either")
    elif plan.method is Method.ABX:
        results = discriminations(plan, answers)
    elif plan.method in SCALES:
        results, compared = opinions(plan, answers), opinion_comparisons(plan, answers)
        notes.append("mean with 95 % by resampling of listeners; ci95 in the table: by Student's t over all grades")
    else:
        assert plan.reference is not None
        marks = marks_of(answers)
        screened, exempt = screen(marks, plan.reference, plan.anchors)
        marks = {listener: given for listener, given in marks.items() if not screened[listener].excluded}
        notes += [f"{listener} is excluded: {found.reason}" for listener, found in screened.items() if found.excluded]
        if exempt:
            notes.append(f"items without a say on the mid-range anchor (over 25 % grade it above 90): {len(exempt)}")
        results, compared = summary(plan, marks), comparisons(plan, marks)
    forms = forms or {}
    listeners = _listeners(plan, everything, playback, screened, forms)
    for row in listeners:
        row |= found.columns(row["listener"]) if plan.settings.traps else {}
        row |= _filled_in(plan, forms, row["listener"])
        if plan.settings.completion_code:
            filled_in = plan.settings.after is None or (row["listener"], "after") in forms
            done = row["answered"] == row["of"] and filled_in
            row["completion_code"] = completion_code(plan.settings, sounds, row["listener"]) if done else ""
    return Analysis(plan, results, _flat(plan, answers, screened), listeners, compared, marks, notes)


def analyse_files(path: Path, out: Path | None = None) -> tuple[Analysis, list[Path]]:
    """Analyse the answers of a test and write the tables and the picture; former ones that have no rows now go.

    Args:
        path: the TOML file, or its folder.
        out: folder to write into; that of the TOML file when None.

    Returns:
        The analysis, and the files that were written.

    Raises:
        UsageError: when there are no answers, or they are to another version of the test.
    """
    plan = make_plan(path)
    answers, playback = read_answers(plan.settings.answers)
    if not answers:
        raise UsageError(f"no answers yet in {plan.settings.answers}")
    now, then = json.loads(json.dumps(planned(plan))), read_design(plan.settings.answers)
    sounds = then.pop("sounds")
    if changed := [key for key in {**now, **then} if now.get(key) != then.get(key)]:
        raise UsageError(
            f"{plan.settings.answers} has answers to another version of this test ({', '.join(changed)}): "
            "undo the change of its TOML file or folders"
        )
    found = analyse(plan, answers, playback, sounds, read_forms(plan.settings.answers))
    out = plan.settings.path.parent if out is None else out
    stem = out / plan.settings.path.stem
    tables = {
        "results": found.results,
        "answers": found.answers,
        "listeners": found.listeners,
        "comparisons": found.comparisons,
    }
    picture, written = Path(f"{stem}-results.png"), list[Path]()
    with problem_on_oserror(f"the results cannot be written into {out}", UsageError):
        out.mkdir(parents=True, exist_ok=True)
        for name, rows in tables.items():
            table = Path(f"{stem}-{name}.csv")
            if rows:
                written.append(_replace(table, _csv(rows)))
            else:
                table.unlink(missing_ok=True)  # of an analysis before these answers
        if found.results:
            written.append(_replace(picture, draw(found)))
        else:
            picture.unlink(missing_ok=True)
    return found, written


def _listeners(
    plan: Plan, answers: Sequence[Answer], playback: dict[str, str], screened: dict[str, Screened], forms: Forms
) -> list[Row]:
    """Return a row for each listener who answered a page, then for each who answered questions alone."""
    rows = []
    for listener in dict.fromkeys([*(answer.listener for answer in answers), *(listener for listener, _ in forms)]):
        own = sum(answer.listener == listener for answer in answers)
        row = {"listener": listener, "playback": playback.get(listener, ""), "answered": own, "of": plan.pages}
        if (found := screened.get(listener)) is not None:
            row |= {"reference_below_90": found.reference_below, "anchor_above_90": found.anchor_above}
            row |= {"excluded": found.excluded, "reason": found.reason}
        rows.append(row)
    return rows


def _filled_in(plan: Plan, forms: Forms, listener: str) -> Row:
    """Return what a listener answered before and after the test, a column each."""
    row: Row = {}
    for place, form in (("before", plan.settings.before), ("after", plan.settings.after)):
        given = forms.get((listener, place), {})
        row |= {f"{place}_{question.name}": given.get(question.name) for question in (form.questions if form else ())}
    return row


def _flat(plan: Plan, answers: Sequence[Answer], screened: dict[str, Screened]) -> list[Row]:
    """Return every answer as plain columns."""
    rows: list[Row] = []
    for answer in answers:
        row: Row = {
            "listener": answer.listener,
            "position": answer.position,
            "set": answer.set_name,
            "item": answer.item,
            "repeat": answer.repeat,
            "seconds": answer.seconds,
        }
        if plan.method in SCALES:
            shown = {key: value for key, value in answer.content.items() if key != "scores"}
            measures = {scale.measure: answer.content["scores"][scale.name] for scale in SCALES[plan.method]}
            rows.append({**row, **shown, **measures})
            continue
        if plan.method is not Method.MUSHRA:
            rows.append({**row, **{key: value or "no preference" for key, value in answer.content.items()}})
            continue
        excluded = screened[answer.listener].excluded
        for place, system in enumerate(answer.content["order"], 1):
            grade = answer.content["ratings"][system]
            rows.append({**row, "place": place, "system": system, "grade": grade, "excluded": excluded})
    return rows


def _csv(rows: list[Row]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _shown(value) for key, value in row.items()} for row in rows)
    return text.getvalue().encode("utf-8")


def _shown(value: object) -> object:
    """Write a fraction with six digits, and nothing where there is no value."""
    if isinstance(value, float):
        return "" if value != value else f"{value:.6g}"
    return "" if value is None else value


def _replace(path: Path, content: bytes) -> Path:
    write_bytes(path, content)
    return path
