"""`--speech-segments FILE.json`: where somebody speaks, of each file.

A run keeps what is known of the files that it skips, since they are not listened to again, and of files of former runs.
What it finds waits in FILE.json.jsonl, a line a file, so that a batch that is killed loses nothing.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from apps.batch.json_file import check_place, escaped, read_former, write_json
from apps.batch.report_rows import mend, read_lines
from enhance.io.remote.address import shown
from enhance.io.task import Outcome, Task
from enhance.runtime.speech_segments import BELOW, LEAST_PAUSE, LEAST_SPEECH, PAD
from enhance.utils.environment import own_version
from enhance.utils.errors import UsageError, one_line

OPTION = "--speech-segments"


class SpeechFile:
    """The segments of one run, and of those before it.

    Args:
        path: of the JSON file.
        threshold: of the speech probability.
        goes_on: whether files may be skipped, which then keep what is known of them.

    Raises:
        UsageError: it cannot be written, there is a file that this option did not write, or one with another threshold.
    """

    def __init__(self, path: Path, threshold: float, goes_on: bool) -> None:
        self._path, self._threshold = path, threshold
        self._journal = path.with_name(path.name + ".jsonl")
        check_place(path, OPTION, (".json",))
        content = read_former(path, OPTION, "threshold", "threshold_of_the_end", "files")
        written = [{"threshold": content["threshold"], **entry} for entry in content.get("files", ())]
        entries = [entry for entry in written + self._waiting() if entry["segments"] is not None]
        known = {(entry["input"], entry.get("output")): entry for entry in entries}
        others = [entry["threshold"] for entry in known.values() if entry["threshold"] != threshold]
        if others and goes_on:
            raise UsageError(
                f"{OPTION} {path}: it was made with --speech-threshold {others[0]:g}, not {threshold:g}; "
                "name another file, or --if-exists overwrite"
            )
        self._others = {key: entry for key, entry in known.items() if entry["threshold"] != threshold}
        self._known = {key: {**entry} for key, entry in known.items() if key not in self._others}
        for entry in self._known.values():
            del entry["threshold"]  # it stands above them all

    def check(self, tasks: Iterable[Task]) -> None:
        """Check that all that was found with another threshold is found anew.

        Args:
            tasks: of the run.

        Raises:
            UsageError: something would be lost.
        """
        anew = {names for task in tasks for names in _both_names(task.source, task.target)}
        for (source, target), entry in self._others.items():
            if (source, target) not in anew:
                raise UsageError(
                    f"{OPTION} {self._path}: what it says of {source} was made with --speech-threshold "
                    f"{entry['threshold']:g}, not {self._threshold:g}; name another file"
                )

    def add(self, outcome: Outcome) -> None:
        """Keep what was found in a file, in case that the run is killed.

        Raises:
            UsageError: it cannot be written.
        """
        if outcome.speech is None:
            return
        line = escaped(json.dumps({"threshold": self._threshold, **_entry(outcome)}, ensure_ascii=False)) + "\n"
        try:
            with self._journal.open("a", encoding="utf-8") as file:
                file.write(line)
        except OSError as error:
            raise UsageError(f"{OPTION} {self._path} cannot be written: {one_line(error)}") from None

    def close(self, outcomes: list[Outcome]) -> None:
        """Write the segments of all files that were done or skipped, and what is known of others, in one step.

        What was to be found anew and was not, since its file failed or the run was stopped, stays with its threshold.

        Args:
            outcomes: of all inputs to which the run came.

        Raises:
            UsageError: it cannot be written.
        """
        settled = [outcome for outcome in outcomes if outcome.status != "failed"]
        told = {names for outcome in settled for names in _both_names(outcome.input, outcome.output)}
        content = {
            "mpeace": own_version(),
            "threshold": self._threshold,
            "threshold_of_the_end": max(0.0, round(self._threshold - BELOW, 6)),
            "least_speech_seconds": LEAST_SPEECH,
            "least_pause_seconds": LEAST_PAUSE,
            "pad_seconds": PAD,
            "files": [
                *(self._entry(outcome) for outcome in settled),
                *(entry for names, entry in (self._known | self._others).items() if names not in told),
            ],
        }
        write_json(self._path, content, OPTION)
        self._journal.unlink(missing_ok=True)

    def _waiting(self) -> list[dict[str, Any]]:
        """Return what a run that was killed has found."""
        try:
            entries = [entry for entry in read_lines(self._journal) if entry["threshold"] is not None]
            mend(self._journal)  # only now is it known to be ours
            return entries
        except OSError as error:
            raise UsageError(f"{OPTION} {self._journal}: {one_line(error)}") from None
        except (ValueError, KeyError, TypeError):
            raise UsageError(f"{OPTION} {self._journal}: this file was not written by this option; move it") from None

    def _entry(self, outcome: Outcome) -> dict[str, Any]:
        known = self._find(outcome.input, outcome.output) if outcome.speech is None else None
        return known or _entry(outcome)

    def _find(self, source: str, target: str | None) -> dict[str, Any] | None:
        """Return what is known of a file; former versions did not tell two outputs of one input apart."""
        own, former = _both_names(source, target)
        return self._known.get(own) or self._known.get(former)


def _both_names(source: str, target: str | None) -> tuple[tuple[str, str | None], tuple[str, None]]:
    """Return the names under which a file may be known: input and output, and in files of former versions the input."""
    return (shown(source), None if target is None else shown(target)), (shown(source), None)


def _entry(outcome: Outcome) -> dict[str, Any]:
    names = {"input": shown(outcome.input), "output": None if outcome.output is None else shown(outcome.output)}
    if outcome.speech is None:
        return {**names, "seconds": None, "segments": None}
    several = list(outcome.speech) != [1]
    segments = [
        {**({"track": track} if several else {}), "start": start, "end": end}
        for track, found in outcome.speech.items()
        for start, end in found
    ]
    return {**names, "seconds": round(outcome.seconds, 3), "segments": segments}
