"""The plan of a batch: one task for each file that was named, before anything is read or written.

Outputs keep the tree below a folder. Two inputs with one output, an output that is an input, and an output that is no
file are settled here as failed; the other files go on. What makes no sense as a whole is a `UsageError`.
"""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import gettempdir

from apps.batch.choices import IfExists
from apps.batch.discovery import Found
from apps.batch.identity import Place, mode_of, plain
from apps.batch.inputs import find_inputs
from apps.batch.naming import BESIDE, ELSEWHERE, name_output
from apps.batch.outputs import look_at_all
from apps.batch.sweeping import sweep
from enhance.io.formats import MUXERS, RARE, READ_ONLY, container_between, container_of
from enhance.io.options import Clip, DenoiseOptions
from enhance.io.remote.address import file_name, is_url, is_web, shown, without_file_scheme
from enhance.io.remote.copies import new_spool
from enhance.io.remote.store import Store, Stores
from enhance.io.task import PARTIAL, PIPE, Outcome, Status, Task, check_target, partial_of
from enhance.utils.errors import FileError, UsageError, problem_on_oserror

_APART = 'tell them apart, for example with --name "{stem}_{extension}{suffix}"'


@dataclass
class Plan:
    """Hold the tasks to do and the outcomes that are known already: missing inputs, outputs that exist."""

    tasks: list[Task] = field(default_factory=list)
    settled: list[Outcome] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)


def make_plan(
    inputs: list[str], output: str | None, name: str | None, if_exists: IfExists, settings: DenoiseOptions
) -> Plan:
    """Make one task for each file.

    Args:
        inputs: files, folders, patterns, or `-` alone.
        output: file, folder or `-`; None for beside each input.
        name: template of the output's name; None for the usual one.
        if_exists: what to do with outputs that are there.
        settings: the container is used for the suffix of the output.

    Raises:
        UsageError: when the plan cannot be carried out as a whole.
    """
    plan = Plan()
    if "" in inputs or output == "":  # as of a variable of the shell that is not set
        what = "an INPUT" if "" in inputs else "-o"
        raise UsageError(f"{what} is empty: name a file or a folder, such as . for the present one")
    inputs = [without_file_scheme(text) for text in inputs]
    output = None if output is None else without_file_scheme(output)
    if settings.raw and inputs != [PIPE]:
        raise UsageError("--raw says what comes on standard input: give - as the only INPUT")
    if settings.raw and output in (None, PIPE) and (settings.container or settings.subtype or settings.sample_rate):
        raise UsageError("with --raw, standard output is as standard input: no --format, --subtype or --sample-rate")
    if inputs == [PIPE] or output == PIPE:
        if settings.clip is Clip.RESCALE:
            raise UsageError("--clip rescale needs the whole sound before the first sample; it works on files only")
        if output in (None, PIPE) and settings.container not in (None, "wav"):
            raise UsageError(f"standard output is WAV, not {settings.container}")
    if inputs == [PIPE]:
        _plan_pipe(plan, output, name, if_exists, settings)
        return plan
    if PIPE in inputs:
        raise UsageError("standard input (-) is the only input when it is one")
    folder = None if output in (None, PIPE) else normal_output(output)
    found = find_inputs(inputs, folder, plan.settled, plan.passed_over)
    single = len(inputs) == 1 and len(found) == 1 and not found[0].searched
    if output == PIPE:
        if not single and (found or len(inputs) > 1):
            raise UsageError("standard output (-) takes one input file")
        if any(is_url(item.source) for item in found):
            sweep(gettempdir())
        plan.tasks = [_task(item, PIPE, "wav") for item in found]
        return plan
    if single and output is not None and _names_a_file(output):
        if name is not None:
            raise UsageError("--name is for outputs in folders; -o already names the file")
        targets = [normal_output(output)]
        check_target(targets[0], UsageError)
    else:
        if found and folder is not None and _kind(folder) not in (0, stat.S_IFDIR):
            raise UsageError(f"{folder} is a file, expected a folder for the outputs")
        if folder is None and any(is_web(item.source) for item in found):
            raise UsageError("beside a file on a web server nothing can be written: name an output with -o")
        usual = BESIDE if folder is None else ELSEWHERE
        template = usual if name is None else name
        targets = [name_output(item, folder, template, settings.container) for item in found]
    settle(plan, found, targets, folder, if_exists, settings)
    return plan


def _plan_pipe(plan: Plan, output: str | None, name: str | None, if_exists: IfExists, settings: DenoiseOptions) -> None:
    if name is not None:
        raise UsageError("--name needs input files, not standard input")
    if output is None or output == PIPE:
        plan.tasks.append(Task(PIPE, PIPE, "", "wav"))
        return
    target = normal_output(output)
    names_a_folder = output.endswith(("/", os.sep)) or _kind(target) == stat.S_IFDIR
    if names_a_folder or Path(target).suffix.lower() in MUXERS.keys() | READ_ONLY | RARE:
        hint = "; -o - gives samples without a header" if settings.raw else ""
        raise UsageError(f"standard input is written to a sound file such as out.wav, not to {shown(output)}{hint}")
    check_target(target, UsageError)
    refusal = _existing(target, look_at_all([target], None)[0], None, if_exists)
    if refusal is None:
        named = container_of(Path(target))
        container = settings.container or (named.name if named else None)
        plan.tasks.append(_task(None, target, container))
    else:
        plan.settled.append(Outcome(PIPE, target, *refusal))


def _names_a_file(output: str) -> bool:
    kind = _kind(normal_output(output))
    return kind != stat.S_IFDIR and not output.endswith(("/", os.sep)) and (Path(output).suffix != "" or kind != 0)


def normal_output(output: str, stores: Stores | None = None) -> str:
    """Return a path or URL in the form in which it is compared with others.

    Args:
        output: path or URL.
        stores: for many of them.

    Raises:
        UsageError: it is a URL to which nothing can be written.
    """
    if not is_url(output):
        return plain(output)
    if is_web(output):
        raise UsageError(f"{shown(output)}: web servers are read and not written to; name another output")
    return (stores or Stores()).normal(output)


def _task(item: Found | None, target: str, container: str | None, options: DenoiseOptions | None = None) -> Task:
    """Return the task for an input, standard input when None."""
    source, size = (PIPE, 0) if item is None else (item.source, item.size)
    spool = new_spool() if is_url(source) or is_url(target) else ""
    if target == PIPE:
        return Task(source, target, "", container, size, spool)
    partial = str(Path(spool, PARTIAL)) if is_url(target) else partial_of(target)
    return Task(source, target, partial, container, size, spool, options)


def settle(
    plan: Plan,
    found: list[Found],
    targets: list[str],
    root: str | None,
    if_exists: IfExists,
    settings: DenoiseOptions,
    rows: list[DenoiseOptions] | None = None,
) -> None:
    """Leave out what is there, settle what collides, and make tasks of the rest.

    Args:
        plan: to which the tasks and the outcomes that are known are added.
        found: the inputs.
        targets: their outputs.
        root: folder of all outputs, if there is one.
        if_exists: what to do with outputs that are there.
        settings: name the container.
        rows: of a manifest, the options of each input.

    Raises:
        UsageError: a store of outputs cannot be listed, or the only file cannot become its output.
    """
    try:
        places = look_at_all(targets, root)
    except FileError as error:
        raise UsageError(str(error)) from None
    advice = "give each row an output of its own" if rows else _APART
    earlier, faults = _collisions(found, targets, places, advice)
    swept: set[str] = set()
    for number, (item, target) in enumerate(zip(found, targets, strict=True)):
        if number in earlier:
            continue
        remote = is_url(item.source)
        for folder in (
            "" if is_url(target) else os.path.dirname(target) or ".",  # noqa: PTH120 - quick
            gettempdir() if remote or is_url(target) else "",
        ):
            if folder and folder not in swept:
                swept.add(folder)
                sweep(folder)
        place = places[number]
        refusal = ("failed", faults[number]) if number in faults else _existing(target, place, item, if_exists)
        if refusal is not None:
            plan.settled.append(Outcome(item.source, target, *refusal))
            continue
        options = rows[number] if rows else None
        source = file_name(item.source) if remote else item.source  # without what may follow it, as ?token=...
        try:
            container = container_between(source, target, (options or settings).container)
        except UsageError as error:
            if len(found) == 1 and rows is None:
                raise
            plan.settled.append(Outcome(item.source, target, "failed", str(error)))
            continue
        plan.tasks.append(_task(item, target, container, options))


def _collisions(
    found: list[Found], targets: list[str], places: list[Place], apart: str
) -> tuple[set[int], dict[int, str]]:
    """Return the inputs that are outputs of an earlier run, and those that cannot be written, with the reason.

    Both are given by their places in `found`. An output of a former run is one that a search came upon. One that the
    person named is wanted as an input: then neither it nor the file that would become it is touched.
    """
    sources, outputs = [item.identity for item in found], [place.identity for place in places]
    written = {output for source, output in zip(sources, outputs, strict=True) if output != source}
    earlier = {place for place, source in enumerate(sources) if source in written and found[place].searched}
    inputs = {source: place for place, source in enumerate(sources) if place not in earlier}
    faults: dict[int, str] = {}
    owners: dict[str, int] = {}
    for place, (source, output) in enumerate(zip(sources, outputs, strict=True)):
        if place in earlier:
            continue
        path, target, owner = shown(found[place].source), targets[place], owners.setdefault(output, place)
        if output == source:
            faults[place] = "would be written over itself; name another output with -o or --name"
        elif output in inputs:
            advice = "name their folder, which leaves out earlier outputs, or another output with -o or --name"
            faults[place] = f"its output {target} is an input; {advice}"
            faults[inputs[output]] = f"is an input, and would be the output of {path}; {advice}"
        elif owner != place:
            faults[place] = f"it and {shown(found[owner].source)} would both become {target}; {apart}"
            faults.setdefault(owner, f"it and {path} would both become {target}; {apart}")
    return earlier, faults


def _existing(target: str, place: Place, source: Found | None, if_exists: IfExists) -> tuple[Status, str] | None:
    """Return the status and a message when the output is there and stays; None when it is to be written."""
    if place.kind == "nothing":
        return None
    if place.kind == "hidden":
        return "failed", f"the output {target} cannot be reached: {place.problem}"
    if place.kind == "other":
        return "failed", f"the output {target} is there and is no file"
    if if_exists is IfExists.OVERWRITE:
        return None
    if if_exists is IfExists.FAIL:
        return "failed", f"the output {target} exists (--if-exists skip or overwrite)"
    if source and source.modified and place.modified and source.modified > place.modified:
        return "failed", f"the output {target} is older than the input (--if-exists overwrite makes it again)"
    return "skipped", f"the output {target} exists"


def _kind(output: str) -> int:
    """Return the type of what exists under the output's name (S_IFDIR, S_IFREG, ...), 0 for nothing."""
    if is_url(output):
        try:
            return {"file": stat.S_IFREG, "folder": stat.S_IFDIR, "nothing": 0}[Store(output).kind(output)]
        except FileError as error:
            raise UsageError(str(error)) from None
    with problem_on_oserror(f"the output {output} cannot be reached", UsageError):
        return stat.S_IFMT(mode_of(Path(output)))
