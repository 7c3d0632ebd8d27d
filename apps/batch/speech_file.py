"""`--speech-segments FILE.json`: where somebody speaks, of each file.

A batch that goes on keeps what is known of the files that it skips, since they are not listened to again.
"""

from pathlib import Path
from typing import Any

from apps.batch.json_file import check_place, read_former, write_json
from enhance.io.remote.address import shown
from enhance.io.task import Outcome
from enhance.runtime.speech_segments import BELOW, LEAST_PAUSE, LEAST_SPEECH, PAD
from enhance.utils.environment import own_version

OPTION = "--speech-segments"


def known_segments(path: Path) -> dict[str, Any]:
    """Return what the file says of each input so far; nothing when there is no file.

    Raises:
        UsageError: it cannot be written, or there is a file, and it is none that this option wrote.
    """
    check_place(path, OPTION, (".json",))
    content = read_former(path, OPTION, "threshold_of_the_end", "files")
    return {entry["input"]: entry for entry in content.get("files", ()) if entry["segments"] is not None}


def write_segments(path: Path, outcomes: list[Outcome], known: dict[str, Any], threshold: float) -> None:
    """Write the segments of all files that were done or skipped, in one step.

    Args:
        path: of the JSON file.
        outcomes: of all inputs.
        known: of `known_segments`, for those that were skipped.
        threshold: of the speech probability.

    Raises:
        UsageError: it cannot be written.
    """
    settled = [outcome for outcome in outcomes if outcome.status != "failed"]
    content = {
        "mpeace": own_version(),
        "threshold": threshold,
        "threshold_of_the_end": max(0.0, round(threshold - BELOW, 6)),
        "least_speech_seconds": LEAST_SPEECH,
        "least_pause_seconds": LEAST_PAUSE,
        "pad_seconds": PAD,
        "files": [_entry(outcome, known.get(shown(outcome.input))) for outcome in settled],
    }
    write_json(path, content, OPTION)


def _entry(outcome: Outcome, known: Any) -> dict[str, Any]:
    if outcome.speech is None:
        return known or {"input": shown(outcome.input), "seconds": None, "segments": None}
    several = len(outcome.speech) > 1
    segments = [
        {**({"track": track} if several else {}), "start": start, "end": end}
        for track, found in enumerate(outcome.speech, 1)
        for start, end in found
    ]
    return {"input": shown(outcome.input), "seconds": round(outcome.seconds, 3), "segments": segments}
