"""What `mpeace listen` does: run a test, write its first TOML file or its texts, or analyse its answers."""

from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

from apps.listen.design.plan import make_plan
from apps.listen.design.settings import Method
from apps.listen.design.template import write_starter
from apps.listen.design.texts import ENGLISH
from apps.listen.serving.answer_store import Store
from apps.listen.serving.bs1534_advice import advice
from apps.listen.serving.session import Session, design_of
from apps.listen.serving.stimuli import Stimuli
from enhance.utils.errors import UsageError, problem_on_oserror

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def run_test(path: Path, host: str, port: int, allow_hosts: Sequence[str] = ()) -> None:
    """Serve a test until Ctrl-C.

    Args:
        path: the TOML file, or a folder with a `listen.toml`.
        host: address to listen on.
        port: 0 for any that is free.
        allow_hosts: further names by which the page may be called.

    Raises:
        UsageError: when the test cannot be run.
    """
    from apps.listen.serving.server import serve

    plan = make_plan(path)
    stimuli = Stimuli(plan)
    store = Store(plan.settings.answers, *design_of(plan, stimuli))

    def ready(address: str) -> None:
        print(f"{plan.settings.title}: {plan.method}, {_pages(plan.pages)} for each listener")
        for line in advice(plan, stimuli):
            print(f"note: {line}")
        if host not in LOOPBACK:
            print("note: everybody who reaches this machine can take part")
        print(f"answers go to {store.path}\nopen {address}  (Ctrl-C ends; started again, it goes on)", flush=True)

    with closing(store):
        with suppress(KeyboardInterrupt):
            serve(Session(plan, stimuli, store), host, port, ready, allow_hosts)
        print("ended; all answers are kept")


def _pages(number: int) -> str:
    return "1 page" if number == 1 else f"{number} pages"


def write_test(folder: Path, method: str, reference: str | None) -> None:
    """Write the first TOML file of a test into a folder of sounds.

    Raises:
        UsageError: as in `write_starter`.
    """
    path, pages = write_starter(folder, Method(method), reference)
    print(f"wrote {path}: {_pages(pages)} for each listener; edit it, then run mpeace listen {path}")


def convert_test(config: Path, folder: Path) -> None:
    """Write the tests of a webMUSHRA configuration into a folder.

    Raises:
        UsageError: as in `convert`.
    """
    from apps.listen.design.webmushra import convert

    paths, notes = convert(config, folder)
    for note in notes:
        print(f"note: {note}")
    for path in paths:
        try:
            pages = _pages(make_plan(path).pages)
            print(f"wrote {path}: {pages} for each listener; run it with mpeace listen {path}")
        except UsageError as problem:
            print(f"wrote {path}, which has to be edited first: {problem}")


def write_english(place: Path) -> None:
    """Write what listeners read, in English, beside a test.

    Args:
        place: the folder, or a TOML file in it.

    Raises:
        UsageError: when there is no such folder, or the file is there already.
    """
    path = (place if place.is_dir() else place.parent) / "texts.toml"
    with problem_on_oserror(f"{path} cannot be written", UsageError), path.open("xb") as file:
        file.write(ENGLISH.read_bytes())
    print(f'wrote {path}: translate it, and name it in the TOML file of the test: texts = "{path.name}"')


def analyse_test(path: Path, out: Path | None) -> None:
    """Write tables and a picture of the answers, and print the main figures.

    Raises:
        UsageError: when there are no answers.
    """
    from apps.listen.analysis.analyse import analyse_files
    from apps.listen.analysis.terminal_tables import print_results

    found, written = analyse_files(path, out)
    print_results(found)
    for file in written:
        print(f"wrote {file}")
