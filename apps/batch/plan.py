"""The plan of a batch: one task for each file that was named, before anything is read or written.

Outputs keep the tree below a folder. Two inputs with one output, an output that is an input, and an output that is no
file are settled here as failed; the other files go on. What makes no sense as a whole is a `UsageError`.
"""

import os
import stat
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from apps.batch.discovery import Found, find_inputs, identity, mode_of
from apps.batch.if_exists import IfExists
from enhance.io.content import is_read_only
from enhance.io.formats import CONTAINERS, MUXERS, container_between, container_of
from enhance.io.options import Clip, DenoiseOptions
from enhance.io.task import PARTIAL, PIPE, Outcome, Status, Task, partial_of
from enhance.utils.errors import UsageError, one_line, problem_on_oserror

_ABANDONED = 3600.0  # seconds without a write after which a partial file belongs to no running program
_BESIDE = "{stem}_denoised{suffix}"
_ELSEWHERE = "{stem}{suffix}"


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
    leave_out = None if output in (None, PIPE) else Path(output or "")
    found = find_inputs(inputs, leave_out, plan.settled, plan.passed_over)
    single = len(inputs) == 1 and len(found) == 1 and not found[0].searched
    if output == PIPE:
        if not single and (found or len(inputs) > 1):
            raise UsageError("standard output (-) takes one input file")
        plan.tasks = [Task(str(item.path), PIPE, "", "wav") for item in found]
        return plan
    if single and output is not None and _names_a_file(output):
        if name is not None:
            raise UsageError("--name is for outputs in folders; -o already names the file")
        targets = [Path(output)]
        _check_target(targets[0])
    else:
        folder = None if output is None else Path(output)
        if found and folder is not None and _kind(folder) not in (0, stat.S_IFDIR):
            raise UsageError(f"{folder} is a file, expected a folder for the outputs")
        template = name or (_BESIDE if folder is None else _ELSEWHERE)
        targets = [_target(item, folder, template, settings.container) for item in found]
    _settle(plan, found, targets, if_exists, settings)
    return plan


def _plan_pipe(plan: Plan, output: str | None, name: str | None, if_exists: IfExists, settings: DenoiseOptions) -> None:
    if name is not None:
        raise UsageError("--name needs input files, not standard input")
    target = output or PIPE
    if target == PIPE:
        plan.tasks.append(Task(PIPE, PIPE, "", "wav"))
        return
    path = Path(target)
    if _kind(path) == stat.S_IFDIR or path.suffix.lower() in MUXERS:
        raise UsageError(f"standard input is written to a sound file such as out.wav, not to {target}")
    _check_target(path)
    refusal = _existing(path, None, if_exists)
    if refusal is None:
        named = container_of(path)
        container = settings.container or (named.name if named else None)
        plan.tasks.append(Task(PIPE, target, partial_of(path), container))
    else:
        plan.settled.append(Outcome(PIPE, target, *refusal))


def _names_a_file(output: str) -> bool:
    path = Path(output)
    kind = _kind(path)
    return kind != stat.S_IFDIR and not output.endswith(("/", os.sep)) and (path.suffix != "" or kind != 0)


def _target(item: Found, folder: Path | None, template: str, container: str | None) -> Path:
    suffix = CONTAINERS[container].suffixes[0] if container else item.path.suffix
    if container is None and is_read_only(item.path):
        suffix += ".wav"
    fields = {"stem": item.path.stem, "suffix": suffix, "extension": item.path.suffix.lstrip(".")}
    try:
        name = template.format(**fields)
    except (KeyError, IndexError, ValueError, AttributeError):
        known = ", ".join("{" + key + "}" for key in fields)
        raise UsageError(f"--name {template!r} is no template; its fields are {known}") from None
    if not name or name in (".", "..") or Path(name).name != name:
        raise UsageError(f"--name gives {name!r}, expected a file name without folders")
    return item.path.with_name(name) if folder is None else folder / item.below / name


def _settle(plan: Plan, found: list[Found], targets: list[Path], if_exists: IfExists, settings: DenoiseOptions) -> None:
    """Leave out what is there, settle what collides, and make tasks of the rest."""
    earlier, faults = _collisions(found, targets)
    swept: set[Path] = set()
    for place, (item, target) in enumerate(zip(found, targets, strict=True)):
        if place in earlier:
            continue
        if target.parent not in swept:
            swept.add(target.parent)
            _sweep(target.parent)
        refusal = ("failed", faults[place]) if place in faults else _existing(target, item.path, if_exists)
        if refusal is not None:
            plan.settled.append(Outcome(str(item.path), str(target), *refusal))
            continue
        plan.tasks.append(
            Task(
                str(item.path),
                str(target),
                partial_of(target),
                container_between(item.path, target, settings.container),
            )
        )


def _collisions(found: list[Found], targets: list[Path]) -> tuple[set[int], dict[int, str]]:
    """Return the inputs that are outputs of an earlier run, and those that cannot be written, with the reason.

    Both are given by their places in `found`. An output of a former run is one that a search came upon. One that the
    person named is wanted as an input: then neither it nor the file that would become it is touched.
    """
    sources, outputs = [identity(item.path) for item in found], [identity(target) for target in targets]
    written = {output for source, output in zip(sources, outputs, strict=True) if output != source}
    earlier = {place for place, source in enumerate(sources) if source in written and found[place].searched}
    inputs = {source: place for place, source in enumerate(sources) if place not in earlier}
    faults: dict[int, str] = {}
    owners: dict[str, int] = {}
    for place, (source, output) in enumerate(zip(sources, outputs, strict=True)):
        if place in earlier:
            continue
        path, target, owner = found[place].path, targets[place], owners.setdefault(output, place)
        if output == source:
            faults[place] = "would be written over itself; name another output with -o or --name"
        elif output in inputs:
            advice = "name their folder, which leaves out earlier outputs, or another output with -o or --name"
            faults[place] = f"its output {target} is an input; {advice}"
            faults[inputs[output]] = f"is an input, and would be the output of {path}; {advice}"
        elif owner != place:
            advice = 'tell them apart, for example with --name "{stem}_{extension}{suffix}"'
            faults[place] = f"it and {found[owner].path} would both become {target}; {advice}"
            faults.setdefault(owner, f"it and {path} would both become {target}; {advice}")
    return earlier, faults


def _existing(target: Path, source: Path | None, if_exists: IfExists) -> tuple[Status, str] | None:
    """Return the status and a message when the output is there and stays; None when it is to be written."""
    try:
        if not os.path.lexists(target):
            return None
        if not stat.S_ISREG(mode_of(target)):
            return "failed", f"the output {target} is there and is no file"
        if if_exists is IfExists.OVERWRITE:
            return None
        if if_exists is IfExists.FAIL:
            return "failed", f"the output {target} exists (--if-exists skip or overwrite)"
        if source is not None and source.stat().st_mtime > target.stat().st_mtime:
            return "failed", f"the output {target} is older than the input (--if-exists overwrite makes it again)"
    except OSError as error:
        return "failed", f"the output {target} cannot be reached: {one_line(error)}"
    return "skipped", f"the output {target} exists"


def _check_target(target: Path) -> None:
    if os.path.lexists(target) and _kind(target) != stat.S_IFREG:
        raise UsageError(f"the output {target} is there and is no file")


def _kind(output: Path) -> int:
    """Return the type of what exists under the output's name (S_IFDIR, S_IFREG, ...), 0 for nothing."""
    with problem_on_oserror(f"the output {output} cannot be reached", UsageError):
        return stat.S_IFMT(mode_of(output))


def _sweep(folder: Path) -> None:
    """Remove partial files that a killed program left behind."""
    with suppress(OSError):  # there is no such folder, or it is shut: whoever writes there will say so
        for path in folder.glob(f".*{PARTIAL}"):
            with suppress(OSError):  # another program has just finished or removed it
                if time.time() - path.stat().st_mtime > _ABANDONED:
                    path.unlink()
