"""Pages with questions before and after the test: consent, and what one wants to know of the listeners.

[before]
text = "We study ..."
[[before.questions]]
name = "consent"            # of the column in the tables
ask = "I take part of my own free will."
kind = "consent"            # must be ticked; or "choice" with options = [...], "text", "number"
[[before.questions]]
name = "age"
ask = "Your age"
kind = "number"
required = false            # true when left out
"""

import math
import re
from dataclasses import dataclass
from typing import Any

from enhance.utils.errors import FileError

KINDS = ("consent", "choice", "text", "number")
LONGEST_TEXT = 2000  # characters of an answer
_KEYS = {"name", "ask", "kind", "options", "required"}


@dataclass(frozen=True)
class Question:
    """Hold a question: its name in the tables, its words, its kind, the options of a choice."""

    name: str
    ask: str
    kind: str
    options: tuple[str, ...] = ()
    required: bool = True


@dataclass(frozen=True)
class Form:
    """Hold a page of questions."""

    title: str
    text: str
    questions: tuple[Question, ...]

    def shown(self) -> dict[str, Any]:
        """Return what the browser gets."""
        paragraphs = [part.strip() for part in re.split(r"\n\s*\n", self.text) if part.strip()]
        return {"title": self.title, "paragraphs": paragraphs, "questions": [vars(one) for one in self.questions]}


def read_form(value: object) -> Form:
    """Read a form from its table in the TOML file.

    Raises:
        ValueError: what is wrong with it.
    """
    if not isinstance(value, dict) or not set(value) <= {"title", "text", "questions"}:
        raise ValueError("expected a table with title, text and questions")
    title, text, questions = value.get("title", ""), value.get("text", ""), value.get("questions", [])
    if not isinstance(title, str) or not isinstance(text, str) or not isinstance(questions, list):
        raise ValueError("expected title and text in quotes, and questions as tables")
    found = tuple(_question(number, question) for number, question in enumerate(questions, 1))
    names = [question.name for question in found]
    if len(set(names)) < len(names):
        raise ValueError(f"two questions are called {max(names, key=names.count)!r}")
    if not text and not found:
        raise ValueError("neither text nor questions")
    return Form(title, text, found)


def _question(number: int, value: object) -> Question:
    if not isinstance(value, dict):
        raise ValueError(f"question {number} is no table")
    if unknown := sorted(set(value) - _KEYS):
        raise ValueError(f"question {number} has an unknown key {unknown[0]!r}; known are {', '.join(sorted(_KEYS))}")
    name, ask, kind = (value.get(key) for key in ("name", "ask", "kind"))
    if not isinstance(name, str) or not re.fullmatch(r"\w+", name):
        raise ValueError(f"question {number} needs a name of letters, digits and _")
    if not isinstance(ask, str) or not ask.strip():
        raise ValueError(f"question {number} needs its words: ask = ...")
    if kind not in KINDS:
        raise ValueError(f"the kind of question {number} is {kind!r}, expected one of {', '.join(KINDS)}")
    options, required = value.get("options", []), value.get("required", True)
    if not isinstance(options, list) or not all(isinstance(option, str) and option for option in options):
        raise ValueError(f"the options of question {number} have to be texts")
    if (kind == "choice") != (len(options) > 1) or len(set(options)) < len(options):
        raise ValueError(f"question {number}: a choice, and nothing else, has two options or more, all different")
    if not isinstance(required, bool):
        raise ValueError(f"required of question {number} is {required!r}, expected true or false")
    return Question(name, ask, kind, tuple(options), required)


def checked(form: Form, answers: object, no_number: str) -> dict[str, Any]:
    """Return the answers to a form by the names of the questions; None where one was left out.

    Args:
        form: the page.
        answers: to its questions, by their names.
        no_number: what is said of {answer} to {question} where a number is expected.

    Raises:
        FileError: when one that is required is missing, or is of the wrong kind.
    """
    given = answers if isinstance(answers, dict) else {}
    kept = {question.name: _kept(question, given.get(question.name), no_number) for question in form.questions}
    open_questions = [one.ask for one in form.questions if one.required and kept[one.name] in (None, False)]
    if open_questions:
        raise FileError(f"Answer every question that is not optional. Still open: {'; '.join(open_questions)}")
    return kept


def _kept(question: Question, value: object, no_number: str) -> object:
    """Return the value of an answer; None when it is none."""
    if question.kind == "consent":
        return value is True
    if question.kind == "choice":
        return value if isinstance(value, str) and value in question.options else None
    if not isinstance(value, str) or not value.strip():
        return None
    if question.kind == "text":
        return value.strip()[:LONGEST_TEXT]
    try:
        number = float(value.replace(",", "."))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        shown = {"{question}": question.ask, "{answer}": value.strip()[:40]}
        raise FileError(re.sub("|".join(shown), lambda found: shown[found[0]], no_number))
    return number
