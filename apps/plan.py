"""From what the person named to one task per file, and nothing starts before the whole plan is sound.

Outputs keep the tree below a folder. Two inputs with one output, an output that is an input, and an output that is no
file are refused here, before anything is written.
"""

import os
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from apps.find import Found, find_inputs, identity
from apps.formats import CONTAINERS, MUXERS, container_of
from apps.problems import UsageProblem
from apps.settings import Clip, IfExists, Settings
from apps.tasks import PIPE, Outcome, Status, Task

PARTIAL = ".mpeace-part"  # ends the name of an output that is not finished
_ABANDONED = 3600.0  # seconds without a write after which a partial file belongs to no running program
_BESIDE = "{stem}_denoised{suffix}"
_ELSEWHERE = "{stem}{suffix}"


@dataclass
class Plan:
    """What is to be done, and what is already settled: inputs that are missing, outputs that are there."""

    tasks: list[Task] = field(default_factory=list)
    settled: list[Outcome] = field(default_factory=list)


def make_plan(inputs: list[str], output: str | None, name: str | None, if_exists: IfExists, settings: Settings) -> Plan:
    """One task for each file.

    Args:
        inputs: files, folders, patterns, or `-` alone.
        output: file, folder or `-`; None for beside each input.
        name: template of the output's name; None for the usual one.
        if_exists: what to do with outputs that are there.
        settings: the container is used for the suffix of the output.

    Raises:
        UsageProblem: when the plan cannot be carried out as a whole.
    """
    plan = Plan()
    if inputs == [PIPE] or output == PIPE:
        if settings.clip is Clip.RESCALE:
            raise UsageProblem("--clip rescale needs the whole sound before the first sample; it works on files only")
        if output in (None, PIPE) and settings.container not in (None, "wav"):
            raise UsageProblem(f"standard output is WAV, not {settings.container}")
    if inputs == [PIPE]:
        _plan_pipe(plan, output, name, if_exists, settings)
        return plan
    if PIPE in inputs:
        raise UsageProblem("standard input (-) is the only input when it is one")
    leave_out = None if output in (None, PIPE) else Path(output or "")
    found = find_inputs(inputs, leave_out, plan.settled)
    single = len(inputs) == 1 and len(found) == 1 and not found[0].searched
    if output == PIPE:
        if not single and (found or len(inputs) > 1):
            raise UsageProblem("standard output (-) takes one input file")
        plan.tasks = [Task(str(item.path), PIPE, "", "wav") for item in found]
        return plan
    if single and output is not None and _names_a_file(output):
        if name is not None:
            raise UsageProblem("--name is for outputs in folders; -o already names the file")
        targets = [Path(output)]
    else:
        folder = None if output is None else Path(output)
        if found and folder is not None and folder.exists() and not folder.is_dir():
            raise UsageProblem(f"{folder} is a file, expected a folder for the outputs")
        template = name or (_BESIDE if folder is None else _ELSEWHERE)
        targets = [_target(item, folder, template, settings.container) for item in found]
    _settle(plan, found, targets, if_exists, settings)
    return plan


def _plan_pipe(plan: Plan, output: str | None, name: str | None, if_exists: IfExists, settings: Settings) -> None:
    if name is not None:
        raise UsageProblem("--name needs input files, not standard input")
    target = output or PIPE
    if target == PIPE:
        plan.tasks.append(Task(PIPE, PIPE, "", "wav"))
        return
    path = Path(target)
    if path.is_dir() or path.suffix.lower() in MUXERS:
        raise UsageProblem(f"standard input is written to a sound file such as out.wav, not to {target}")
    _check_target(path)
    refusal = _existing(path, None, if_exists)
    if refusal is None:
        named = container_of(path)
        container = settings.container or (named.name if named else None)
        plan.tasks.append(Task(PIPE, target, _partial(path), container))
    else:
        plan.settled.append(Outcome(PIPE, target, *refusal))


def _names_a_file(output: str) -> bool:
    path = Path(output)
    return not path.is_dir() and not output.endswith(("/", os.sep)) and (path.suffix != "" or path.exists())


def _target(item: Found, folder: Path | None, template: str, container: str | None) -> Path:
    suffix = CONTAINERS[container].suffixes[0] if container else item.path.suffix
    fields = {"stem": item.path.stem, "suffix": suffix, "extension": item.path.suffix.lstrip(".")}
    try:
        name = template.format(**fields)
    except (KeyError, IndexError, ValueError, AttributeError):
        known = ", ".join("{" + key + "}" for key in fields)
        raise UsageProblem(f"--name {template!r} is no template; its fields are {known}") from None
    if not name or name in (".", "..") or Path(name).name != name:
        raise UsageProblem(f"--name gives {name!r}, expected a file name without folders")
    return item.path.with_name(name) if folder is None else folder / item.below / name


def _settle(plan: Plan, found: list[Found], targets: list[Path], if_exists: IfExists, settings: Settings) -> None:
    """Refuse what collides, leave out what is there, and make tasks of the rest."""
    sources = {identity(item.path): item for item in found}
    owners: dict[str, Found] = {}
    earlier: set[str] = set()  # outputs of a former run that a search has found among the inputs
    for item, target in zip(found, targets, strict=True):
        key = identity(target)
        if key in owners:
            raise UsageProblem(
                f"{owners[key].path} and {item.path} would both become {target}; "
                'tell them apart, for example with --name "{stem}_{extension}{suffix}"'
            )
        owners[key] = item
        if key == identity(item.path):
            raise UsageProblem(f"{item.path} would be written over itself; name another output with -o or --name")
        if key in sources:
            if not sources[key].searched:
                raise UsageProblem(
                    f"{target} is an input, and would also be the output of {item.path}; "
                    "name their folder, which leaves out earlier outputs, or another output with -o or --name"
                )
            earlier.add(key)
    swept: set[Path] = set()
    for item, target in zip(found, targets, strict=True):
        if identity(item.path) in earlier:
            continue
        _check_target(target)
        if target.parent not in swept:
            swept.add(target.parent)
            _sweep(target.parent)
        refusal = _existing(target, item.path, if_exists)
        if refusal is not None:
            plan.settled.append(Outcome(str(item.path), str(target), *refusal))
            continue
        plan.tasks.append(Task(str(item.path), str(target), _partial(target), _named(item.path, target, settings)))


def _named(source: Path, target: Path, settings: Settings) -> str | None:
    """The container that the person chose, by `--format` or by the suffix of the output; None keeps the input's."""
    if settings.container is not None:
        return settings.container
    if source.suffix.lower() == target.suffix.lower():
        return None
    if target.suffix.lower() in MUXERS:
        raise UsageProblem(f"{target}: {target.suffix} is written only from {target.suffix}, not from {source.suffix}")
    container = container_of(target)
    return container.name if container else None


def _existing(target: Path, source: Path | None, if_exists: IfExists) -> tuple[Status, str] | None:
    """Status and message when the output is there and stays; None when it is to be written."""
    if if_exists is IfExists.OVERWRITE or not os.path.lexists(target):
        return None
    if if_exists is IfExists.FAIL:
        return "failed", f"the output {target} exists (--if-exists skip or overwrite)"
    if source is not None and source.stat().st_mtime > target.stat().st_mtime:
        return "failed", f"the output {target} is older than the input (--if-exists overwrite makes it again)"
    return "skipped", f"the output {target} exists"


def _check_target(target: Path) -> None:
    if os.path.lexists(target) and not target.is_file():
        raise UsageProblem(f"the output {target} is there and is no file")


def _partial(target: Path) -> str:
    return str(target.with_name(f".{secrets.token_hex(6)}{PARTIAL}"))


def _sweep(folder: Path) -> None:
    """Remove partial files that a killed program left behind."""
    if not folder.is_dir():
        return
    for path in folder.glob(f".*{PARTIAL}"):
        with suppress(OSError):  # another program has just finished or removed it
            if time.time() - path.stat().st_mtime > _ABANDONED:
                path.unlink()
