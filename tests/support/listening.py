"""Little listening tests: folders of sounds, TOML files, and the `mpeace listen` command in a process of its own."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import numpy as np
from command import Ended, mpeace, start, write
from helpers import speech_like

from apps.listen.design.plan import Plan, make_plan
from apps.listen.serving.answer_store import Store
from apps.listen.serving.session import Session, design_of
from apps.listen.serving.stimuli import Stimuli

RATE = 16_000  # Hz
READY_SECONDS = 60  # that a busy machine may take to start a server


def write_sounds(
    folder: Path,
    systems: Sequence[str] = ("loud", "soft"),
    items: Sequence[str] = ("talk-1", "talk-2", "talk-3"),
    seconds: float = 1.0,
    rate: int = RATE,
) -> Path:
    """FOLDER/SYSTEM/ITEM.wav and FOLDER/reference/ITEM.wav; each system is the reference with more noise of its own."""
    for number, item in enumerate(items):
        clean = speech_like(seconds, rate, seed=number) + speech_like(seconds, rate, seed=99 + number)[:, ::-1]
        for place, system in enumerate(("reference", *systems)):
            rng = np.random.default_rng(100 * number + place)
            noise = 0.004 * place * rng.standard_normal(clean.shape)
            write(folder / system / f"{item}.wav", ((1 + place) / 2 * (clean + noise)).astype(np.float32), rate)
    return folder


def write_toml(place: Path, name: str = "listen.toml", **keys: object) -> Path:
    """A test beside its sounds. JSON is TOML here but for tables."""
    path = place / name
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in keys.items()]
    path.write_text("".join(lines), encoding="utf-8")
    return path


def open_session(toml: Path) -> tuple[Session, Plan, Stimuli]:
    """A test without a server."""
    plan = make_plan(toml)
    stimuli = Stimuli(plan)
    return Session(plan, stimuli, Store(plan.settings.answers, *design_of(plan, stimuli))), plan, stimuli


def started(toml: Path) -> Ended:
    """`mpeace listen TOML` up to where it would serve: status 0 means that it would."""
    with mock.patch("apps.listen.serving.server.serve"):
        return mpeace("listen", toml)


def take_set_up(session: Session, listener: str) -> dict:
    """Enter, choose headphones, and do the practice; returns the state with the first page."""
    session.state(listener)
    session.set_up(listener, "headphones")
    while (state := session.state(listener))["phase"] == "training":
        session.answer(listener, full_answer(state))
    return state


def full_answer(state: dict, choice: int = 0) -> dict:
    """An answer that leaves nothing out; `choice` is the place of the sound that is preferred, or of the grade."""
    slots = state["page"]["slots"]
    choices = [slot["id"] for slot in slots if slot["role"] == "choice"]
    ratings = {name: 100 - 10 * ((place - choice) % len(choices)) for place, name in enumerate(choices)}
    heard = [slot["id"] for slot in slots]
    scores = {scale["name"]: scale["grades"][choice]["value"] for scale in state["page"]["scales"]}
    given = {"choice": choices[min(choice, len(choices) - 1)], "ratings": ratings, "scores": scores}
    return {"page": state["page"]["id"], "played": heard, "seconds": 3.2, **given}


@contextmanager
def served(toml: Path, port: int = 0, *options: object) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """`mpeace listen` in a process of its own: its address, and the process, which is killed at the end."""
    process = start("listen", toml, "--port", port, *options, stdout=subprocess.PIPE)
    try:
        yield address_of(process), process
    finally:
        process.kill()
        process.wait(READY_SECONDS)


def address_of(process: subprocess.Popen[bytes]) -> str:
    """Where the page is; waits until it can be opened."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(b"open "):
            return line.split()[1].decode().rstrip("/")
    assert process.stderr is not None
    raise AssertionError(f"the server did not start: {process.stderr.read().decode()}")
