"""`mpeace denoise --speech-segments`: where somebody speaks, in files of any rate, kept when a batch goes on."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import ROOT, mpeace, read, write
from helpers import speech_like
from media import make

from apps.batch.speech_file import SpeechFile
from enhance.dsp.resampling import resample
from enhance.io.task import Outcome, Task
from enhance.runtime.speech_segments import SpeechSegment
from enhance.utils.errors import UsageError

CLEAN = ROOT / "tests" / "data" / "clean.flac"


def spoken(path: Path, rate: int, channels: int = 1) -> Path:
    """Noise for 1.5 s, speech from there to 3.5 s, noise to 5 s."""
    speech = resample(read(CLEAN)[:1], 16_000, 48_000)[:, 30_000:126_000]
    sound = 2e-3 * np.random.default_rng(0).standard_normal((1, 5 * 48_000)).astype(np.float32)
    sound[:, 72_000 : 72_000 + speech.shape[1]] += 0.3 * speech / np.abs(speech).max()
    sound = sound if rate == 48_000 else resample(sound, 48_000, rate)
    return write(path, np.repeat(sound, channels, axis=0), rate)


def segments(path: Path) -> dict[str, Any]:
    return {entry["input"]: entry["segments"] for entry in json.loads(path.read_text(encoding="utf-8"))["files"]}


def is_right(found: list[dict[str, float]]) -> bool:
    """Speech in no other place, but for .3 s before it, and for most of the time."""
    inside = all(1.2 < segment["start"] < segment["end"] < 3.75 for segment in found)
    return inside and found[0]["start"] < 1.75 and sum(part["end"] - part["start"] for part in found) > 1


@pytest.mark.parametrize(("name", "muxer"), [("a.mkv", "matroska"), ("a.mp4", "mp4"), ("a.ts", "mpegts")])
def test_segments_of_a_video_are_on_its_clock_by_the_numbers_of_its_tracks(
    tmp_path: Path, name: str, muxer: str
) -> None:
    sound = [speech_like(1, 48_000), speech_like(1, 48_000, seed=1)]
    source = make(tmp_path / name, muxer, "aac", "mpeg4", 48_000, sound, offset=0.6)
    listed = tmp_path / "speech.json"
    anything = ("--model", "tiny", "--speech-segments", listed, "--speech-threshold", 0, "--track", 2)
    for output in (tmp_path / f"out_{name}", tmp_path / "out.wav"):
        assert mpeace("denoise", source, *anything, "-o", output, "--if-exists", "overwrite").status == 0
        (entry,) = (each for each in json.loads(listed.read_text())["files"] if each["output"] == str(output))
        (segment,) = entry["segments"]
        assert segment["track"] == 2
        assert segment["start"] == pytest.approx(0.6, abs=0.03)
        assert segment["end"] == pytest.approx(1.6, abs=0.05)


def test_one_file_lists_where_speech_is_in_each_and_a_batch_that_goes_on_keeps_it(tmp_path: Path) -> None:
    first, second = spoken(tmp_path / "a.wav", 44_100, 2), spoken(tmp_path / "b.wav", 16_000)
    out, listed = tmp_path / "out", tmp_path / "speech.json"
    assert mpeace("denoise", first, "-o", out, "--speech-segments", listed).status == 0
    before = segments(listed)
    assert is_right(before[str(first)])
    ended = mpeace("denoise", first, second, tmp_path / "no.wav", "-o", out, "--speech-segments", listed)
    assert ended.status == 1, "one is not there"
    after = segments(listed)
    assert after[str(first)] == before[str(first)], "it was skipped, and is known"
    assert is_right(after[str(second)])
    assert set(after) == {str(first), str(second)}
    listed.unlink()
    assert mpeace("denoise", first, "-o", out, "--speech-segments", listed).status == 0
    assert segments(listed) == {str(first): None}, "it was skipped, and nobody has listened to it"
    high = ("--if-exists", "overwrite", "--speech-threshold", 1)
    assert mpeace("denoise", first, "-o", out, "--speech-segments", listed, *high).status == 0
    assert segments(listed) == {str(first): []}
    assert json.loads(listed.read_text())["threshold"] == 1


def test_two_outputs_of_one_input_keep_each_its_own(tmp_path: Path) -> None:
    left = Outcome("a.wav", "left.wav", "done", seconds=2.0, speech={1: [SpeechSegment(0.5, 1.5)]})
    right = Outcome("a.wav", "right.wav", "done", seconds=2.0, speech={1: []})
    listed = tmp_path / "speech.json"
    SpeechFile(listed, 0.5, goes_on=True).close([left, right])
    before = listed.read_bytes()
    skipped = [Outcome("a.wav", output, "skipped") for output in ("left.wav", "right.wav")]
    SpeechFile(listed, 0.5, goes_on=True).close(skipped)
    assert listed.read_bytes() == before
    assert [entry["output"] for entry in json.loads(before)["files"]] == ["left.wav", "right.wav"]


def test_segments_of_another_threshold_are_not_mixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.wav", np.zeros((1, 480), np.float32))
    command = ("denoise", "a.wav", "-o", "b.wav", "--model", "tiny", "--speech-segments", "speech.json")
    assert mpeace(*command).status == 0
    before = (tmp_path / "speech.json").read_bytes()
    ended = mpeace(*command, "--speech-threshold", 0.7)
    assert (ended.status, len(ended.problems)) == (2, 1)
    assert "it was made with --speech-threshold 0.5, not 0.7; name another file" in ended.problems[0]
    assert (tmp_path / "speech.json").read_bytes() == before


def test_a_run_over_other_files_keeps_what_the_file_says_of_the_former(tmp_path: Path) -> None:
    """Also where the former ones fail, or would have to be listened to with another threshold."""
    first = Outcome("a.wav", "out/a.wav", "done", seconds=2.0, speech={1: [SpeechSegment(0.5, 1.5)]})
    second = Outcome("b.wav", "out/b.wav", "done", seconds=2.0, speech={1: []})
    listed, both = tmp_path / "speech.json", {"a.wav": [{"start": 0.5, "end": 1.5}], "b.wav": []}
    SpeechFile(listed, 0.5, goes_on=True).close([first])
    for outcomes in ([second], [Outcome("a.wav", "out/a.wav", "failed")], [Outcome("b.wav", "out/b.wav", "skipped")]):
        SpeechFile(listed, 0.5, goes_on=True).close(outcomes)
        assert segments(listed) == both
    tasks = [Task(f"{name}.wav", f"out/{name}.wav", "") for name in "ab"]
    SpeechFile(listed, 0.7, goes_on=False).check(tasks)
    with pytest.raises(
        UsageError, match=r"says of a\.wav was made with --speech-threshold 0\.5, not 0\.7; name another"
    ):
        SpeechFile(listed, 0.7, goes_on=False).check(tasks[1:])


def test_a_file_that_fails_with_another_threshold_keeps_what_was_found_with_the_former(tmp_path: Path) -> None:
    """So does one to which a run that is stopped does not come, until it is found anew."""
    first = Outcome("a.wav", "out/a.wav", "done", seconds=2.0, speech={1: [SpeechSegment(0.5, 1.5)]})
    second = Outcome("b.wav", "out/b.wav", "done", seconds=2.0, speech={1: []})
    tasks = [Task(f"{name}.wav", f"out/{name}.wav", "") for name in "abc"]
    listed = tmp_path / "speech.json"
    SpeechFile(listed, 0.5, goes_on=True).close([first, second])
    for outcomes in ([Outcome("a.wav", "out/a.wav", "failed"), second], [second]):
        again = SpeechFile(listed, 0.7, goes_on=False)
        again.check(tasks)
        again.close(outcomes)
        content = json.loads(listed.read_text())
        assert content["threshold"] == 0.7
        found, kept = content["files"]
        assert (found["input"], "threshold" in found) == ("b.wav", False)
        assert (kept["input"], kept["threshold"], kept["segments"]) == ("a.wav", 0.5, [{"start": 0.5, "end": 1.5}])
    with pytest.raises(UsageError, match=r"made with --speech-threshold 0\.5, not 0\.7"):
        SpeechFile(listed, 0.7, goes_on=True)
    SpeechFile(listed, 0.7, goes_on=False).close([first, second])
    assert all("threshold" not in entry for entry in json.loads(listed.read_text())["files"])
    SpeechFile(listed, 0.7, goes_on=True)


def test_a_batch_that_was_killed_or_stopped_loses_no_segments(tmp_path: Path) -> None:
    first = Outcome("a.wav", "out/a.wav", "done", seconds=2.0, speech={1: [SpeechSegment(0.5, 1.5)]})
    second = Outcome("b.wav", "out/b.wav", "done", seconds=2.0, speech={1: []})
    listed = tmp_path / "speech.json"
    SpeechFile(listed, 0.5, goes_on=True).add(first)  # and killed: nothing is closed
    with (tmp_path / "speech.json.jsonl").open("a") as file:
        file.write('{"threshold": 0.5, "inp')  # within a line
    again = SpeechFile(listed, 0.5, goes_on=True)
    again.add(second)
    again.close([Outcome("a.wav", "out/a.wav", "skipped"), second])
    assert segments(listed) == {"a.wav": [{"start": 0.5, "end": 1.5}], "b.wav": []}
    SpeechFile(listed, 0.5, goes_on=False).close([second])  # stopped before it came to the first
    assert segments(listed) == {"a.wav": [{"start": 0.5, "end": 1.5}], "b.wav": []}
    assert list(tmp_path.iterdir()) == [listed]


def test_a_pipe_of_samples_has_segments_too(tmp_path: Path) -> None:
    samples = np.rint(32767 * read(spoken(tmp_path / "a.wav", 16_000))[0]).astype("<i2").tobytes()
    listed = tmp_path / "speech.json"
    command = ["denoise", "--raw", "s16le:16000:1", "-", "-o", "-", "-q", "--speech-segments", str(listed)]
    done = subprocess.run([sys.executable, "-m", "apps.cli", *command], input=samples, capture_output=True, cwd=ROOT)
    assert (done.returncode, len(done.stdout)) == (0, len(samples))
    assert is_right(segments(listed)["-"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--speech-segments", "nowhere/s.json"], "--speech-segments nowhere/s.json cannot be written: "),
        (["--speech-segments", "other.json"], "this file was not written by this option; name another"),
        (["--speech-threshold", 0.4], "--speech-threshold belongs to --speech-segments FILE.json"),
        (["--speech-segments", "s.json", "--speech-threshold", 2], "expected a probability from 0 to 1"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[object], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    source = write(tmp_path / "a.wav", np.zeros((1, 480), np.float32))
    (tmp_path / "other.json").write_text('{"name": "a file of somebody"}')
    ended = mpeace("denoise", source, "-o", tmp_path / "out.wav", *options)
    assert (ended.status, len(ended.problems)) == (2, 1)
    assert message in ended.problems[0]
    assert {path.name for path in tmp_path.iterdir()} == {"a.wav", "other.json"}
