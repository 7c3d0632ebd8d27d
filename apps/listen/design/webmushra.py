"""Configurations of webMUSHRA (audiolabs), read into tests of ours: a TOML file for each kind of page, copied sounds.

| page of webMUSHRA | here |
| --- | --- |
| `mushra` | MUSHRA, with the low-pass anchors that are asked for |
| `paired_comparison` | pairwise, every two conditions; with one condition and a reference ABX |
| `likert_single_stimulus` with five answers | ACR, with the words of P.800 |
| `generic` | a paragraph of the instructions |
| `consent`, the questionnaire of `finish` | a page before, a page after |
| `volume` | the set-up that each test has |

Pages with the same conditions become one test. Anything else is left out, and a line says so.

Reference: webMUSHRA, doc/experimenter.md (https://github.com/audiolabs/webMUSHRA).
"""

import html
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from apps.listen.design.settings import FILE
from apps.listen.design.stimulus_folder import USUAL_REFERENCES
from enhance.utils.errors import UsageError, problem_on_oserror

_PLAIN = re.compile(r"^(\s*(?:- )?[\w ]+:\s+)([^\s\"'|>\[{&*!#].*:(?:\s.*)?)$")  # a key, and a text with a colon in it
_BLOCKS = re.compile(r"</?(?:p|div|li|ul|ol|h[1-6]|hr|br|table|tr|blockquote|pre|section)\b[^>]*>", re.IGNORECASE)
_ANCHORS = {"createAnchor35": 3500, "createAnchor70": 7000}


def convert(config: Path, folder: Path) -> tuple[list[Path], list[str]]:
    """Write the tests of a configuration into a folder, with their sounds.

    Args:
        config: the YAML file.
        folder: made when missing.

    Returns:
        The TOML files, and notes on what is different here.

    Raises:
        UsageError: when the file is no such configuration, a sound is missing, or the folder holds a test already.
    """
    content = _read(config)
    pages = list(_flat(config, content.get("pages")))
    groups, notes = _groups(config, pages)
    if not groups:
        raise UsageError(f"{config} has no page that mpeace knows; {'; '.join(notes) or 'it has none at all'}")
    common = {"title": str(content.get("testname") or config.stem), **_words(pages)}
    tests = []
    for number, ((method, conditions, reference, anchors), members) in enumerate(groups.items(), 1):
        path = folder / (FILE if len(groups) == 1 else f"listen-{number}-{method}.toml")
        if path.exists():
            raise UsageError(f"{path} is there already: name another folder, or move it away")
        tests.append((path, method, conditions, reference, anchors, members))
    written = []
    with problem_on_oserror(f"{folder} cannot be written", UsageError):
        for path, method, conditions, reference, anchors, members in tests:
            sounds = folder / f"sounds-{path.stem}"
            for page in members:
                named = {**page["stimuli"], **({"reference": page["reference"]} if reference else {})}
                for condition, file in named.items():
                    source = _sound(config, file)
                    target = sounds / _folder(condition, reference) / f"{page['id']}{source.suffix}"
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(source, target)
            keys: dict[str, Any] = {
                "method": method,
                "folder": sounds.name,
                "systems": [_folder(name, reference) for name in conditions],
            }
            keys |= {"reference": "reference"} if reference else {}
            keys |= {"anchors_hz": list(anchors)} if method == "mushra" else {}
            keys |= {"training": 0, "loudness": "none", **common}
            path.write_text("".join(f"{key} = {_toml(value)}\n" for key, value in keys.items()), encoding="utf-8")
            written.append(path)
    return written, notes


def _read(config: Path) -> dict[str, Any]:
    """Return the content. webMUSHRA's own reader takes a text with a colon without quotes, which YAML does not."""
    with problem_on_oserror(f"{config} cannot be read", UsageError):
        text = config.read_text(encoding="utf-8", errors="replace")
    try:
        try:
            content = yaml.safe_load(text)
        except yaml.YAMLError:
            content = yaml.safe_load("\n".join(map(_quoted, text.splitlines())))
    except yaml.YAMLError as error:
        raise UsageError(f"{config} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict) or not isinstance(content.get("pages"), list):
        raise UsageError(f"{config} is no configuration of webMUSHRA: it has no list of pages")
    return content


def _quoted(line: str) -> str:
    return _PLAIN.sub(lambda found: found[1] + json.dumps(found[2].strip(), ensure_ascii=False), line)


def _tables(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _flat(config: Path, pages: object) -> Iterator[dict[str, Any]]:
    """Yield all pages, also those in lists that begin with "random"; here pages always come in random order."""
    for page in pages if isinstance(pages, list) else [pages]:
        if isinstance(page, list):
            yield from _flat(config, page)
        elif isinstance(page, dict) and isinstance(page.get("type"), str):
            yield page
        elif page != "random":
            raise UsageError(f"{config} has a page without a type: {str(page)[:60]}")


def _groups(config: Path, pages: list[dict[str, Any]]) -> tuple[dict[tuple, list[dict[str, Any]]], list[str]]:
    """Return the pages by method, conditions, whether there is a reference, and anchors; and notes."""
    groups: dict[tuple, list[dict[str, Any]]] = {}
    notes: list[str] = []
    for number, page in enumerate(pages, 1):
        kind, name = page["type"], str(page.get("id") or page.get("name") or number)
        if kind in ("generic", "volume", "finish", "consent"):
            continue
        stimuli, reference = page.get("stimuli"), bool(page.get("reference"))
        method = {"mushra": "mushra", "paired_comparison": "pairwise"}.get(kind)
        if kind == "likert_single_stimulus" and len(_tables(page.get("response"))) == 5:
            method = "acr"
            notes.append(f"page {name}: the five answers are those of P.800, from Excellent to Bad")
        if method is None:
            notes.append(f"page {name} ({kind}) is left out: there is nothing like it here")
            continue
        if not isinstance(stimuli, dict) or not stimuli or (method == "mushra" and not reference):
            raise UsageError(f"{config}: page {name} lacks its stimuli or its reference")
        if len({*map(_name, stimuli), *(["reference"] if reference else [])}) < len(stimuli) + reference:
            raise UsageError(f"{config}: two sounds of page {name} would be called the same here")
        if method == "pairwise" and len(stimuli) == 1 and reference:
            method = "abx"
        if method == "pairwise" and not page.get("unforced"):
            notes.append(f"page {name}: no preference can be answered here, too")
        anchors = tuple(hertz for key, hertz in _ANCHORS.items() if page.get(key)) if method == "mushra" else ()
        members = groups.setdefault((method, tuple(map(str, stimuli)), reference, anchors), [])
        item = _name(name)
        members.append({**page, "id": f"{item}-{number}" if any(one["id"] == item for one in members) else item})
    return groups, notes


def _words(pages: list[dict[str, Any]]) -> dict[str, Any]:
    """Return instructions, and the pages before and after, as keys of ours."""
    keys: dict[str, Any] = {}
    texts = [_plain(page.get("content")) for page in pages if page["type"] == "generic"]
    if any(texts):
        keys["instructions"] = "\n\n".join(text for text in texts if text)
    asked = []
    for number, page in enumerate((page for page in pages if page["type"] == "consent"), 1):
        question = {"name": f"consent_{number}", "ask": _plain(page.get("content")) or "I agree.", "kind": "consent"}
        asked.append(question | ({"required": False} if page.get("mustConsent") is False else {}))
    if asked:
        keys["before"] = {"questions": asked}
    questions = []
    for page in pages:
        if page["type"] == "finish":
            for number, one in enumerate(_tables(page.get("questionnaire")), 1):
                question = _question(number, one)
                if question["name"] in [other["name"] for other in questions]:
                    question["name"] += f"_{len(questions) + 1}"
                questions.append(question)
    if questions:
        keys["after"] = {"questions": questions}
    return keys


def _question(number: int, one: dict[str, Any]) -> dict[str, Any]:
    name = re.sub(r"\W", "_", str(one.get("name") or f"question_{number}"))
    question: dict[str, Any] = {"name": name, "ask": _plain(one.get("label")) or name}
    answers = [str(answer.get("label") or answer.get("value")) for answer in _tables(one.get("response"))]
    options = list(dict.fromkeys(answers))
    if len(options) > 1:
        question |= {"kind": "choice", "options": options}
    else:
        question["kind"] = "number" if one.get("type") == "number" else "text"
    return question | ({"required": False} if one.get("optional") else {})


def _sound(config: Path, file: object) -> Path:
    """Return a sound; its path is relative to webMUSHRA's root, in whose folder `configs` the configuration is."""
    for base in (config.absolute().parent.parent, config.absolute().parent, Path.cwd()):
        path = base / str(file)
        if path.is_file():
            return path
    raise UsageError(f"{config} names {file}, which is not there: paths are relative to the folder above its own")


def _plain(text: object) -> str:
    """Return HTML as plain text."""
    spaced = _BLOCKS.sub("\n\n", str(text or ""))
    return re.sub(r"\n\s*\n+", "\n\n", html.unescape(re.sub(r"<[^>]*>", "", spaced))).strip()


def _folder(condition: object, reference: bool) -> str:
    """Return the folder of a condition; where there is no reference, none may be called as one is."""
    name = _name(condition)
    return name if reference or name.lower() not in USUAL_REFERENCES else f"condition_{name}"


def _name(text: object) -> str:
    return re.sub(r"[^\w.+-]", "_", str(text)).strip(".") or "_"


def _toml(value: object) -> str:
    """Write a value in TOML: texts and lists look as in JSON, tables stand in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
