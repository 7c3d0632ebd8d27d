"""`--speech-segments FILE.json`: where somebody speaks, of each file.

A batch that goes on keeps what is known of the files that it skips, since they are not listened to again.
"""

import json
from pathlib import Path
from typing import Any

from apps.batch.json_file import write_json
from enhance.io.remote.address import shown
from enhance.io.task import Outcome
from enhance.runtime.speech_segments import BELOW, LEAST_PAUSE, LEAST_SPEECH, PAD
from enhance.utils.environment import own_version
from enhance.utils.errors import UsageError, one_line

OPTION = "--speech-segments"


def known_segments(path: Path) -> dict[str, Any]:
    """Return what the file says of each input so far; nothing when there is no file.

    Raises:
        UsageError: there is a file, and it is none that this command wrote.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {entry["input"]: entry for entry in content["files"] if entry["segments"] is not None}
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsageError(f"{OPTION} {path}: {one_line(error)}") from None
    except (ValueError, KeyError, TypeError):
        raise UsageError(f"{OPTION} {path}: this file was not written by this option; name another") from None


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
