"""The first TOML file of a test, written from what is in a folder of sounds."""

import json
from pathlib import Path

from apps.listen.design.plan import make_plan
from apps.listen.design.scales import IN_PAIRS
from apps.listen.design.settings import FILE, Method
from apps.listen.design.stimulus_folder import read_corpus
from enhance.utils.errors import UsageError, problem_on_oserror

SYSTEMS, ITEMS = 4, 6  # that a first test takes of what is there

_TEXT = """\
# A blind listening test of mpeace. Run it:  mpeace listen {file}
# Answers are kept beside this file, in {answers}; once there are some, the test must stay as it is.

title = "Listening test"
method = "{method}"             # "pairwise" (A, B or no preference), "abx", "mushra" (ITU-R BS.1534-3), "acr", "dcr",
                                # "ccr" (ITU-T P.800, P.808), "p835" (speech, background, overall)
seed = 1                        # the order for each listener is drawn from it
folder = "."                    # of the sounds, relative to this file

sets = {sets}
systems = {systems}
{pairs}{no}reference = {reference}
items = {items}                 # of each set; the others are for practice; 0 for all
items_each = 0                  # of each set that one listener gets, shared out evenly; 0 for all
repeats = 1                     # of each page; sides are swapped
training = 1                    # pages of practice, not kept
open_reference = true           # pairwise: the reference can be heard on each page
hidden_reference = true         # ACR, DCR, P.835: the reference is graded as one more system

loudness = "bs1770"             # each sound at target_lufs; "bs1770-reference": all of a page by the reference; "none"
target_lufs = -23.0
anchors_hz = [3500, 7000]       # MUSHRA: low-pass anchors, made from the reference

# id_from = "PROLIFIC_PID"      # the listener's id is taken from ...?PROLIFIC_PID=ID in the address; else ?listener=ID
# completion_code = "auto"      # shown at the end: another one for each listener, or "C1A2B3" for all
# completion_link = "https://example.org/done?cc={{code}}"
# texts = "de.toml"             # what listeners read in another language; mpeace listen TEST --texts writes the English
# drop_failed = true            # the analysis leaves out who failed a trap, a question whose answer is known:
# traps = [{{answer = 2}}, {{answer = 5, sound = "traps/choose-excellent.wav"}}]   # for pairs "A", "B" or "none"

# question = "Which one sounds better?"
instructions = \"\"\"
You will hear short recordings that were processed in different ways.

Use headphones in a quiet room. Listen to every sound as often as you like before you answer.
\"\"\"

# A page before the test, and [after] likewise. Kinds: "consent", "choice", "text", "number".
# [before]
# text = "What the study is about."
# questions = [
#   {{name = "consent", ask = "I take part of my own free will.", kind = "consent"}},
#   {{name = "hearing", ask = "How well do you hear?", kind = "choice", options = ["well", "not so well"]}},
# ]
"""


def write_starter(folder: Path, method: Method = Method.PAIRWISE, reference: str | None = None) -> tuple[Path, int]:
    """Write `listen.toml` into a folder of sounds.

    Args:
        folder: with a `manifest.json`, or `FOLDER/SYSTEM/ITEM.wav`.
        method: of the test.
        reference: the folder of the reference; without it, that of the manifest or one with a usual name.

    Returns:
        The file, and how many pages each listener will answer.

    Raises:
        UsageError: when the folder holds no sounds in a known layout, there is no such reference or none for MUSHRA,
            too few to compare, or the file is there already. A file that was written stays, to be edited.
    """
    corpus = read_corpus(folder, reference)
    path = folder / FILE
    if path.exists():
        raise UsageError(f"{path} is there already: edit it, or move it away")
    first = next(iter(corpus.values()))
    systems = [name for name in first.labels if all(name in entry.labels for entry in corpus.values())][:SYSTEMS]
    fewest = min(len(entry.items) for entry in corpus.values())
    has_reference = all((entry.reference, entry.items[0]) in entry.files for entry in corpus.values())
    if reference is not None and not has_reference:
        raise UsageError(f"--reference {reference}: {folder} has no such folder with all items")
    if method in (Method.MUSHRA, Method.DCR) and not has_reference:
        raise UsageError(
            f"{method.upper()} needs a reference: name its folder by --reference, one of {', '.join(first.labels)}"
        )
    alone = len(systems) < 2 and (method is Method.PAIRWISE or (method in IN_PAIRS and not has_reference))
    if alone or not systems:
        there = " and ".join(sorted({name for name, _ in first.files}))
        raise UsageError(f"{method} needs another folder of sounds beside {there} in {folder}")
    pairs = ""
    if method is Method.PAIRWISE and len(systems) > 2:
        against = [[systems[0], other] for other in systems[1:]]
        pairs = f'pairs = {_toml(against)}  # "all": every two systems\n'
    text = _TEXT.format(
        file=FILE,
        answers=path.with_suffix(".sqlite").name,
        method=method,
        sets=_toml(list(corpus)),
        systems=_toml(systems),
        pairs=pairs,
        no="" if has_reference else "# ",
        reference=_toml(first.reference),
        items=min(ITEMS, max(1, fewest - 1)),
    )
    with problem_on_oserror(f"{path} cannot be written", UsageError), path.open("x", encoding="utf-8") as file:
        file.write(text)
    try:
        return path, make_plan(path).pages
    except UsageError as error:
        raise UsageError(f"{path} is written, but has to be edited first: {error}") from error


def _toml(value: object) -> str:
    """Write a text or a list of texts in TOML, which looks as in JSON."""
    return json.dumps(value, ensure_ascii=False)
