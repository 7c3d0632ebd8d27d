"""The TOML file and the folder of a listening test: what is refused, in one line, and what becomes of defaults."""

from pathlib import Path

import numpy as np
import pytest
from command import mpeace, write
from listening import open_session, started, write_sounds, write_toml

from apps.listen.design.plan import make_plan
from apps.listen.design.settings import KEYS


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    return write_sounds(tmp_path / "sounds")


def refused(toml: Path, *words: str) -> None:
    """`mpeace listen` starts nothing and says why in one line."""
    ended = started(toml)
    assert ended.status == 2
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    for word in words:
        assert word in ended.stderr
    assert not list(toml.parent.glob("*.sqlite*"))


def test_an_unknown_key_is_named_with_the_known_ones(sounds: Path) -> None:
    refused(write_toml(sounds, method="abx", sytems=["loud"]), "'sytems'", *KEYS)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("method", "blind"),
        ("seed", -1),
        ("seed", True),
        ("title", 3),
        ("systems", []),
        ("systems", ["loud", "loud"]),
        ("systems", "loud"),
        ("pairs", [["loud"]]),
        ("pairs", [["loud", "loud"]]),
        ("pairs", [["loud", "soft"], ["soft", "loud"]]),
        ("items", -1),
        ("items", 4),
        ("items", 1.5),
        ("repeats", 0),
        ("open_reference", "yes"),
        ("loudness", "rms"),
        ("target_lufs", 3),
        ("anchors_hz", [7000, 3500]),
        ("folder", ""),
        ("folder", "nowhere"),
        ("sets", ["speech"]),
        ("systems", ["louder"]),
        ("pairs", [["loud", "louder"]]),
        ("items", ["four"]),
        ("reference", "original"),
    ],
)
def test_a_wrong_value_is_named(sounds: Path, key: str, value: object) -> None:
    refused(write_toml(sounds, **{"method": "pairwise", key: value}), key)


def test_files_that_are_missing_or_not_toml(sounds: Path, tmp_path: Path) -> None:
    refused(sounds, "listen.toml", "--new")
    refused(tmp_path / "none.toml", "none.toml")
    (sounds / "listen.toml").write_text("method = ")
    refused(sounds, "not TOML")
    refused(write_toml(sounds, title="x"), "method", "pairwise")
    refused(write_toml(tmp_path / "sounds" / "loud", method="abx"), "manifest.json", "FOLDER/SYSTEM/ITEM.wav")


def test_sounds_that_do_not_fit(sounds: Path) -> None:
    toml = write_toml(sounds, method="pairwise")
    good = (sounds / "soft" / "talk-2.wav").read_bytes()
    wrong = sounds / "soft" / "talk-2.wav"
    for audio, rate, words in (
        (np.zeros(15_999, np.float32), 16_000, ("15999 samples", "16000 samples")),
        (np.zeros(16_000, np.float32), 8_000, ("8000 Hz", "16000 Hz")),
        (np.zeros((2, 16_000), np.float32), 16_000, ("2 channels", "1 channel")),
        (np.zeros(16_000, np.float32), 16_000, ("silent",)),
    ):
        write(wrong, audio, rate)
        refused(toml, str(wrong), *words)
    wrong.write_bytes(good[:20])
    refused(toml, str(wrong), "cannot be read")
    wrong.unlink()
    write_toml(sounds, method="pairwise", items=["talk-2"])
    refused(toml, "items", "'talk-2'", "talk-1, talk-3")


def test_sounds_too_short_for_bs1770(tmp_path: Path) -> None:
    toml = write_toml(write_sounds(tmp_path, seconds=0.3), method="pairwise")
    refused(toml, "too short for BS.1770", 'loudness = "none"')
    write_toml(tmp_path, method="pairwise", loudness="none")
    open_session(toml)


def test_an_anchor_above_the_sample_rate(tmp_path: Path) -> None:
    refused(write_toml(write_sounds(tmp_path, rate=8_000), method="mushra"), "3500 Hz", "8000 Hz", "anchors_hz")


def test_more_sounds_than_the_standard_allows(tmp_path: Path) -> None:
    write_sounds(tmp_path, [f"s{number}" for number in range(10)], ["talk-1"])
    refused(write_toml(tmp_path, method="mushra"), "13 sounds", "12", "at most 9")
    plan = make_plan(write_toml(tmp_path, method="mushra", systems=[f"s{number}" for number in range(9)]))
    assert len(plan.on_a_page[0]) == 12


def test_a_port_that_is_taken(sounds: Path) -> None:
    toml = write_toml(sounds, method="pairwise")
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = mpeace("listen", toml, "--port", taken.getsockname()[1])
    assert ended.status == 2
    assert "--port" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert mpeace("listen", toml, "--port", 99_999).status == 2
    for options in (("--new", "--analyse"), ("--method", "abx"), ("-o", "x"), ("--new", "--method", "blind")):
        assert mpeace("listen", toml, *options).status == 2


def test_new_writes_a_test_that_runs(sounds: Path) -> None:
    for method, pages in (("pairwise", 2), ("abx", 4), ("mushra", 2)):
        ended = mpeace("listen", "--new", sounds, "--method", method)
        assert ended.status == 0, ended.stderr
        assert f"{pages} pages" in ended.stdout
        _, plan, _ = open_session(sounds / "listen.toml")
        assert plan.method == method
        assert plan.pages == pages
        again = mpeace("listen", "--new", sounds)
        assert again.status == 2
        assert "already" in again.stderr
        for path in sounds.glob("listen.*"):
            path.unlink()
    assert mpeace("listen", "--new", sounds / "loud").status == 2
    assert not (sounds / "loud" / "listen.toml").exists()


def test_a_manifest_that_promises_too_much(tmp_path: Path) -> None:
    folder = write_sounds(tmp_path / "set")
    manifest = tmp_path / "manifest.json"
    toml = write_toml(tmp_path, method="pairwise")
    for content, word in (
        ("{", "not a manifest"),
        ('{"sets": []}', "not a manifest"),
        ('{"sets": {}}', "names no set"),
        ('{"sets": {"set": {"systems": {"loud": "Loud"}, "items": ["ninth"]}}}', "ninth.flac"),
    ):
        manifest.write_text(content)
        refused(toml, str(manifest), word)
    sets = '{"set": {"systems": {"loud": "L", "soft": "S"}, "items": ["talk-1"]}}'
    manifest.write_text(f'{{"layout": "SET/SYSTEM/ITEM.wav", "sets": {sets}}}')
    assert make_plan(toml).sets["set"].files["soft", "talk-1"] == folder / "soft" / "talk-1.wav"
