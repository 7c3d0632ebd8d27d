"""The rules of a running test, without HTTP: which page a listener sees, and what an answer changes.

A listener is known by an id. Questions come first where the test has some, then set-up (what the sounds are heard with,
and the volume), the pages of practice, the pages of the test, and questions again. The place of a listener is never
kept: it is the first page that is not answered, so it is right after any end of the browser or of the server.

The browser learns of a page its letters and tokens, nothing of files and systems.
"""

import hashlib
import json
import re
import secrets
from dataclasses import asdict
from typing import Any

import numpy as np

from apps.listen.design.completion import completion_code, completion_link
from apps.listen.design.forms import Form, checked
from apps.listen.design.page_order import Page, Slot, page_token, pages, scales, slots, training_pages
from apps.listen.design.plan import Plan
from apps.listen.design.scales import SCALES
from apps.listen.design.settings import Method
from apps.listen.design.stable_random import digest, token
from apps.listen.design.texts import read_texts
from apps.listen.design.traps import judge
from apps.listen.serving.answer_rules import NO_PREFERENCE, begun, kept_of
from apps.listen.serving.answer_store import Answer, Store
from apps.listen.serving.stimuli import Stimuli
from enhance.utils.errors import FileError

PLAYBACK = ("headphones", "loudspeakers")  # BS.1534-3, section 8: all listeners of a test must use the same
LONGEST = 1e6  # seconds: what says that it took longer does not say how long it took

_KEY = re.compile(r"[0-9a-f]{10}")
_ID = re.compile(r"\w[\w.@+-]{0,63}")


class NotYours(FileError):
    """The id belongs to somebody who began in another browser."""


class Gone(FileError):
    """The page is not the listener's page now: it was answered, in another tab perhaps."""


def design_of(plan: Plan, stimuli: Stimuli) -> tuple[str, dict[str, Any]]:
    """Return the fingerprint of a test, and all that it is made from: what must not change once there are answers."""
    design = planned(plan) | {"sounds": stimuli.fingerprint}
    return digest(json.dumps(design, sort_keys=True)).hex(), design


def planned(plan: Plan) -> dict[str, Any]:
    """Return the design of a test without its sounds."""
    settings = plan.settings
    return {
        "method": plan.method,
        "seed": settings.seed,
        "items": plan.items,
        "pages": plan.on_a_page,
        "reference": plan.reference,
        "shows_reference": plan.shows_reference,
        "repeats": settings.repeats,
        "loudness": settings.loudness,
        "target_lufs": settings.target_lufs,
        **({"items_each": settings.items_each} if settings.items_each else {}),
        **({"traps": [trap.answer for trap in settings.traps]} if settings.traps else {}),
    }


class Session:
    """A test that is being run.

    Args:
        plan: the test.
        stimuli: its sounds.
        store: its answers.
    """

    def __init__(self, plan: Plan, stimuli: Stimuli, store: Store) -> None:
        self._plan = plan
        self._stimuli = stimuli
        self._store = store
        self._training = training_pages(plan)
        self._texts = read_texts(plan.settings.texts)

    def about(self) -> dict[str, Any]:
        """Return what anybody may know of the test."""
        settings, method = self._plan.settings, self._plan.method
        closer = method is Method.PAIRWISE and self._plan.shows_reference
        question = self._texts["questions"]["pairwise_reference" if closer else method]
        return {
            "title": settings.title,
            "method": method,
            "instructions": settings.instructions,
            "question": settings.question or question,
            "id_from": settings.id_from,
            "texts": self._texts,
            "pages": self._plan.pages,
            "training": len(self._training),
        }

    def admit(self, listener: str, offered: str) -> str:
        """Return the resume key that lets a listener go on; it is drawn at the first visit, and kept by the browser.

        Args:
            listener: the id.
            offered: what comes with it; empty for nothing.

        Raises:
            FileError: when the id is not one.
            NotYours: when somebody has it already, and another key.
        """
        if not _ID.fullmatch(listener):
            raise FileError(self._texts["server"]["id"])
        key = offered if _KEY.fullmatch(offered) else secrets.token_hex(5)
        known_by = hashlib.sha256(key.encode()).digest()
        if not secrets.compare_digest(known_by, self._store.key(listener, known_by)):
            raise NotYours(self._texts["server"]["not_yours"])
        self._store.listener(listener)  # enters who is new
        return key

    def state(self, listener: str) -> dict[str, Any]:
        """Return the listener's place in the test, and the page to show."""
        phase, page, position = self._place(listener)
        state: dict[str, Any] = {"listener": listener, "phase": phase, "position": position, "pages": self._plan.pages}
        form = self._form(phase)
        if form is not None:
            return {**state, "form": form.shown()}
        if page is None:
            code = completion_code(self._plan.settings, self._stimuli.fingerprint, listener)
            state["completion"] = {"code": code, "link": completion_link(self._plan.settings, code)}
            return state
        shape = self._stimuli.shapes[page.set_name, page.item]
        shown = slots(self._plan, listener, page) if phase != "setup" else [self._setup_slot(listener)]
        state["page"] = {
            "id": page_token(self._plan, listener, page),
            "sample_rate": shape.sample_rate,
            "frames": shape.frames,
            "channels": shape.channels,
            "slots": [{"id": slot.token, "role": slot.role, "label": slot.label} for slot in shown],
            "question": self._trap_question(page),
            "scales": self._scales(listener) if phase != "setup" else [],
            "draft": self._store.draft(listener, page.key) if phase == "page" else {},
        }
        return state

    def audio(self, listener: str, name: str) -> bytes:
        """Return the samples behind a token of the listener's page now: float32, little-endian, channel after channel.

        Raises:
            Gone: when the page has no such token.
        """
        phase, page, _ = self._place(listener)
        if page is not None:
            shown = [self._setup_slot(listener)] if phase == "setup" else slots(self._plan, listener, page)
            for slot in shown:
                if slot.token == name:
                    samples = self._stimuli.samples(page.set_name, page.item, slot.stimulus)
                    return np.ascontiguousarray(samples.T, "<f4").tobytes()
        raise Gone("This sound is not on your page any more. Load the page again.")

    def set_up(self, listener: str, playback: str) -> None:
        """End the set-up.

        Raises:
            FileError: when `playback` is not one of `PLAYBACK`.
        """
        if playback not in PLAYBACK:
            raise FileError(f"Say what you listen with: {' or '.join(PLAYBACK)}.")
        self._store.set_playback(listener, playback)

    def fill_in(self, listener: str, place: object, answers: object) -> None:
        """Take the answers to the page before or after the test.

        Raises:
            FileError: when one is missing or of the wrong kind.
            Gone: when it is not the listener's page now.
        """
        phase, _, _ = self._place(listener)
        form = self._form(phase)
        if form is None or place != phase:
            raise Gone("This page is answered already. The next one comes.")
        self._store.add_form(listener, phase, checked(form, answers, self._texts["server"]["number"]))

    def draft(self, listener: str, content: dict[str, Any]) -> None:
        """Keep what the listener has begun on the page.

        Raises:
            Gone: when it is not the listener's page now.
        """
        phase, page, _ = self._on_page(listener, content)
        if phase == "page":
            names = {slot.token for slot in slots(self._plan, listener, page)}
            self._store.set_draft(listener, page.key, begun(self._plan, names, content))

    def answer(self, listener: str, content: dict[str, Any]) -> None:
        """Take the answer to a page; when it returns, the answer is on the disk. Practice is only counted.

        Raises:
            FileError: when the answer is not complete, with what is missing.
            Gone: when it is not the listener's page now.
        """
        phase, page, position = self._on_page(listener, content)
        shown = slots(self._plan, listener, page)
        kept = kept_of(self._plan, listener, shown, content)
        if page.trap:
            expected = self._plan.settings.traps[page.trap - 1].answer
            judged = judge(self._plan.method, expected, content, {slot.token: slot.label for slot in shown})
            kept = {"trap": page.trap, **asdict(judged)}
        if phase == "training":
            self._store.set_trained(listener, self._training.index(page) + 1)
            return
        seconds = content.get("seconds")
        seconds = round(float(seconds), 1) if isinstance(seconds, int | float) and 0 <= seconds < LONGEST else None
        where = (page.set_name, page.item, page.repeat, position)
        self._store.add(Answer(listener, page.key, *where, kept, seconds))

    def _place(self, listener: str) -> tuple[str, Page | None, int]:
        """Return the phase, the page and its number from 1."""
        known = self._store.listener(listener)
        forms = self._store.forms(listener)
        if self._plan.settings.before is not None and "before" not in forms:
            return "before", None, 0
        if known.playback is None:
            first = (
                self._training[0] if self._training else next(page for page in self._pages(listener) if not page.trap)
            )
            return "setup", first, 0
        if known.trained < len(self._training):
            return "training", self._training[known.trained], known.trained + 1
        answered = self._store.answered(listener)
        for number, page in enumerate(self._pages(listener), 1):
            if page.key not in answered:
                return "page", page, number
        if self._plan.settings.after is not None and "after" not in forms:
            return "after", None, self._plan.pages
        return "done", None, self._plan.pages

    def _pages(self, listener: str) -> list[Page]:
        number = self._store.number(listener) if self._plan.settings.items_each else 0
        return pages(self._plan, listener, number)

    def _form(self, phase: str) -> Form | None:
        return {"before": self._plan.settings.before, "after": self._plan.settings.after}.get(phase)

    def _on_page(self, listener: str, content: dict[str, Any]) -> tuple[str, Page, int]:
        phase, page, position = self._place(listener)
        if page is None or phase == "setup" or content.get("page") != page_token(self._plan, listener, page):
            raise Gone("This page is answered already. The next one comes.")
        return phase, page, position

    def _setup_slot(self, listener: str) -> Slot:
        name = self._plan.reference or self._plan.systems[0]
        return Slot(name, "choice", "Sound", token(self._plan.settings.seed, listener, "setup"))

    def _trap_question(self, page: Page) -> str:
        """Return the question of a trap that has no sound to say it; "" for the usual one."""
        trap = self._plan.settings.traps[page.trap - 1] if page.trap else None
        if trap is None or trap.sound is not None:
            return ""
        if self._plan.method in SCALES:
            scales_of_page = SCALES[self._plan.method]
            answers = [self._texts["scales"][scale.name]["answers"] for scale in scales_of_page]
            place = scales_of_page[0].grades.index(int(trap.answer))
            named = ", ".join(dict.fromkeys(words[place] for words in answers))
        else:
            named = self._texts["answers"]["none"] if trap.answer == NO_PREFERENCE else str(trap.answer)
        return self._texts["questions"]["trap"].replace("{answer}", named)

    def _scales(self, listener: str) -> list[dict[str, Any]]:
        """Return the scales of a page as they are shown."""
        found = []
        for scale in scales(self._plan, listener):
            words = self._texts["scales"][scale.name]
            grades = [
                {"value": value, "text": text} for value, text in zip(scale.grades, words["answers"], strict=True)
            ]
            found.append({"name": scale.name, "question": words["question"], "grades": grades})
        return found
