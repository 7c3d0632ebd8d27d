"""The demo without its page: the same job as the command line, remembered sound, pictures, limits, sessions."""

import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from command import mpeace, read, write, write_silence
from helpers import level_db, speech_like
from recordings import sine
from tiny_model import tiny_result

from apps.demo.limits import Limits
from apps.demo.pictures.preview import common_gain
from apps.demo.pictures.spectra import Analysis, shares
from apps.demo.service.downloads import Results
from apps.demo.service.server_folder import own_folder
from apps.demo.service.service import DemoService
from apps.demo.service.session import DenoisedFile, Sessions
from apps.demo.service.worker_pool import WorkerPool
from enhance.runtime.strength import Strength, blend
from enhance.utils.errors import FileError

pytest.importorskip("PIL", reason="needs Pillow, which comes with Gradio")
STRENGTHS = (Strength(), Strength(12.0, 0.8), Strength(None, 0.0))


@pytest.fixture(scope="module")
def workers() -> Iterator[WorkerPool]:
    """One pool for all tests here: a process takes a second to start."""
    pool = WorkerPool(1000, 60)
    yield pool
    pool.close()


@pytest.fixture
def service(tmp_path: Path, tiny_model: Path, workers: WorkerPool) -> DemoService:
    return DemoService(tmp_path / "demo", Limits(minutes=0.5), {"tiny": str(tiny_model)}, workers)


def opened(service: DemoService, path: Path, strength: Strength | None = None) -> DenoisedFile:
    return service.open("session", path, strength or Strength(), None)


def options_of(strength: Strength) -> list[object]:
    limit = strength.attenuation_limit_db
    return ["--mix", strength.mix, *([] if limit is None else ["--attenuation-limit", limit])]


FORMATS = [
    ("a.wav", "PCM_16", 44_100, 2),
    ("a.wav", "PCM_24", 96_000, 1),
    ("a.wav", "FLOAT", 8_000, 3),
    ("a.flac", "PCM_16", 22_050, 1),
    ("a.ogg", "VORBIS", 48_000, 2),
    ("a.opus", "OPUS", 16_000, 1),
    ("a.mp3", "MPEG_LAYER_III", 44_100, 2),
    ("a.aiff", "PCM_24", 32_000, 1),
    ("a.caf", "PCM_16", 48_000, 2),
]


@pytest.mark.parametrize(("name", "subtype", "rate", "channels"), FORMATS, ids=[f"{n}-{s}" for n, s, _, _ in FORMATS])
def test_promise_12_the_download_is_what_the_command_line_writes(
    service: DemoService, tmp_path: Path, tiny_model: Path, name: str, subtype: str, rate: int, channels: int
) -> None:
    form = {"format": "OGG"} if name.endswith("opus") else {}
    source = write(tmp_path / name, speech_like(5, rate, channels), rate, subtype=subtype, **form)
    work = opened(service, source)
    for number, strength in enumerate(STRENGTHS):
        work.strength = strength
        assert service.write(work)
        expected = tmp_path / str(number) / name
        ended = mpeace("denoise", source, "-o", expected, "--model", tiny_model, *options_of(strength), "-q")
        assert ended.status == 0, ended.stderr
        np.testing.assert_array_equal(read(work.target), read(expected))
        if subtype not in ("FLOAT", "VORBIS", "OPUS"):  # whose files hold the time or a number drawn by chance
            assert work.target.read_bytes() == expected.read_bytes()
    assert work.target.name == f"a_denoised{source.suffix}"


def test_promise_12_also_for_the_sound_of_m4a(service: DemoService, tmp_path: Path, tiny_model: Path) -> None:
    pytest.importorskip("av", reason="needs PyAV")
    from media import make_m4a

    source = make_m4a(tmp_path / "a.m4a")
    work = opened(service, source)
    work.strength = Strength(6.0)
    assert service.write(work)
    mpeace("denoise", source, "-o", tmp_path / "cli.m4a", "--model", tiny_model, "--attenuation-limit", 6, "-q")
    assert work.target.read_bytes() == (tmp_path / "cli.m4a").read_bytes()


def test_an_example_runs_the_network_once_for_everybody(
    service: DemoService, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path / "a.flac", speech_like(3, 44_100, 2), 44_100)
    first = service.open_example("one", source, Strength(), None)
    monkeypatch.setattr(service.denoiser(None), "stream", None)  # it cannot run again
    second = service.open_example("two", source, STRENGTHS[1], None)
    assert first.folder != second.folder
    for name in ("noisy.wav", "wet.wav"):
        assert (first.folder / name).read_bytes() == (second.folder / name).read_bytes()
    kept = next((tmp_path / "demo" / "kept").iterdir())
    assert {path.name for path in kept.iterdir()} == {"0.dry", "0.wet", "noisy.wav", "wet.wav"}
    for work, strength in ((first, STRENGTHS[0]), (second, STRENGTHS[1])):
        assert work.written is None
        assert service.write(work)
        expected = tmp_path / str(strength.mix) / "a.flac"
        mpeace("denoise", source, "-o", expected, "--model", tiny_model, *options_of(strength), "-q")
        assert work.target.read_bytes() == expected.read_bytes()
    service.sessions.drop("one")
    assert not first.folder.exists()
    assert service.open_example("one", source, Strength(), None).folder.exists()


def test_an_example_that_is_wrong_leaves_nothing_behind(service: DemoService, tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_text("no sound")
    for _ in range(2):
        with pytest.raises(FileError, match="not a sound file"):
            service.open_example("one", tmp_path / "bad.wav", Strength(), None)
    assert not list((tmp_path / "demo" / "kept").iterdir())


def test_promise_32_the_browser_plays_16_bits_with_one_common_gain(service: DemoService, tmp_path: Path) -> None:
    audio = speech_like(3, 48_000)
    work = opened(service, write(tmp_path / "a.wav", audio, subtype="FLOAT"))
    noisy, wet = read(work.folder / "noisy.wav"), read(work.folder / "wet.wav")
    assert soundfile.info(work.folder / "wet.wav").subtype == "PCM_16"
    gain = work.gain
    assert gain == pytest.approx(0.9 / np.abs(audio).max(), rel=1e-3)
    np.testing.assert_allclose(noisy, gain * audio, atol=2**-15)
    np.testing.assert_allclose(wet, gain * tiny_result(audio), atol=2**-15)


def test_silence_gets_no_gain() -> None:
    assert common_gain(np.zeros((5, 1)), np.zeros((5, 1))) == 1


def test_levels_and_pictures_of_a_mix_need_no_sound(service: DemoService, tmp_path: Path) -> None:
    """They are computed from what input and output of the network are, and must be those of the mixed sound."""
    audio = sine(1000, 4)[np.newaxis].astype(np.float32)
    work = opened(service, write(tmp_path / "a.wav", audio, subtype="FLOAT"))
    assert work.analysis is not None
    dry, wet = (np.asarray(samples) for samples in work.cached.tracks[0].sound())
    weight = Strength(6.0, 0.5).weight
    mixed = blend(dry, wet, np.float32(weight))
    share = shares(weight)
    middle = slice(10, -10)
    np.testing.assert_allclose(work.analysis.level_db(share["cleaned"])[middle], level_db(mixed), atol=0.1)
    np.testing.assert_allclose(work.analysis.level_db(share["removed"])[middle], level_db(dry - mixed), atol=0.1)
    power = work.analysis.power(share["noisy"])
    hertz = np.argmax(power[len(power) // 2]) * 48_000 / work.analysis.window
    assert hertz == pytest.approx(1000, abs=48_000 / work.analysis.window)
    assert 10 * np.log10(power.max()) == pytest.approx(20 * np.log10(0.5), abs=1.5), "a sine shows its peak"


@pytest.mark.parametrize("samples", [0, 1, 480, 10_007])
def test_short_sounds(service: DemoService, tmp_path: Path, samples: int) -> None:
    from apps.demo.web.player_state import view

    source = write(tmp_path / "a.wav", speech_like(1, 48_000)[:, :samples])
    work = opened(service, source)
    assert read(work.target).shape == (1, samples)
    assert view(work)["seconds"] == samples / 48_000


def test_promise_25_the_latency_is_that_of_mpeace_live_and_none_for_files_alone(
    tmp_path: Path, workers: WorkerPool
) -> None:
    """As the table in apps/live/README.md has it; the resampling of files would add a third of a second at 8 kHz."""
    from apps.demo.web.player_state import view

    models = {name: name for name in ("studio", "tiny")}
    service = DemoService(tmp_path / "demo", Limits(), models, workers, live=["tiny"])
    expected = {8_000: "28 ms", 16_000: "24 ms", 44_100: "21 ms", 48_000: "20 ms", 96_000: "21 ms"}
    for rate, delay in expected.items():
        source = write(tmp_path / f"{rate}.wav", speech_like(0.2, rate), rate)
        shown = dict(view(service.open("session", source, Strength(), "tiny"))["figures"])["Latency"]
        assert shown == f"{delay}, live at this rate"
    shown = dict(view(service.open("session", source, Strength(), "studio"))["figures"])["Latency"]
    assert shown == "for files alone, it hears seconds ahead"


def test_limits_are_named_with_what_to_do(service: DemoService, tmp_path: Path) -> None:
    with pytest.raises(
        FileError, match=r"longer than the demo takes \(0.5 min\); denoise it with .* mpeace denoise FILE"
    ):
        opened(service, write_silence(tmp_path / "long.wav", seconds=3600))
    many = write(tmp_path / "many.wav", np.zeros((12, 48_000 * 10)))
    with pytest.raises(
        FileError, match=r"12 channels at 48000 Hz are longer than the demo takes \(0.1 min of such sound\)"
    ):
        opened(service, many)
    headerless = write(tmp_path / "a.mp3", np.zeros((1, 48_000 * 40)))
    with pytest.raises(FileError, match="longer than the demo takes"):
        opened(service, headerless)
    assert not list((tmp_path / "demo" / "sessions").iterdir()), "what was refused leaves nothing behind"


def test_damaged_files_leave_nothing_behind(service: DemoService, tmp_path: Path) -> None:
    good = write(tmp_path / "good.wav", speech_like(20, 48_000)).read_bytes()
    for content, words in ((b"", "empty"), (b"no sound", "not a sound file"), (good[:-50_000], "cut off or damaged")):
        (tmp_path / "bad.wav").write_bytes(content)
        with pytest.raises(FileError, match=words):
            opened(service, tmp_path / "bad.wav")
    with pytest.raises(FileError, match="not there any more"):
        opened(service, tmp_path / "gone.wav")
    with pytest.raises(FileError, match="no model 'etc'"):
        service.open("session", tmp_path / "good.wav", Strength(), "etc")
    assert not list((tmp_path / "demo" / "sessions").iterdir())


def test_a_change_while_the_output_is_written_wins(service: DemoService, tmp_path: Path) -> None:
    work = opened(service, write(tmp_path / "a.wav", speech_like(20, 48_000)))
    work.strength = Strength(1.0)
    done: list[bool] = []
    with work.busy:
        writers = [threading.Thread(target=lambda: done.append(service.write(work))) for _ in range(3)]
        for writer in writers:
            writer.start()
        work.strength = Strength(2.0)
    for writer in writers:
        writer.join()
    assert done == [True] * 3
    assert work.written == Strength(2.0)
    source, kept = read(work.source), 10 ** (-2 / 20)
    expected = kept * source + (1 - kept) * tiny_result(source)
    np.testing.assert_allclose(read(work.target), expected, atol=2**-15)


def test_sessions_end_when_idle_too_many_or_closed(tmp_path: Path, tiny_model: Path, workers: WorkerPool) -> None:
    service = DemoService(tmp_path / "demo", Limits(sessions=2), {"tiny": str(tiny_model)}, workers)
    source = write(tmp_path / "a.wav", speech_like(0.5, 48_000))
    works = [service.open(name, source, Strength(), None) for name in ("one", "two", "three")]
    assert [work.folder.exists() for work in works] == [False, True, True], "the one idle for longest made room"
    assert service.sessions.get("one") is None
    service.sessions.drop("two")
    assert not works[1].folder.exists()
    again = service.open("three", source, Strength(), None)
    assert not works[2].folder.exists(), "another file takes the place of the former"
    assert again.folder.stat().st_mode & 0o077 == 0
    assert source.exists()
    late = service.open("four", source, Strength(), None, lambda *_: service.sessions.drop("four"))
    assert not late.folder.exists(), "the page was closed while its file was denoised"
    assert service.open("four", source, Strength(), None).folder.exists()
    idle = Sessions(tmp_path / "idle", Limits(idle_seconds=-1))
    idle.put("one", again)
    idle.sweep()
    assert not again.folder.exists()


def test_what_a_killed_server_left_is_removed_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    killed = tmp_path / "mpeace-demo-killed"
    (killed / "sessions").mkdir(parents=True)
    with own_folder() as alive:
        for folder in (killed, alive):
            os.utime(folder, (0, 0))
        with own_folder() as folder:
            assert not killed.exists()
            assert alive.exists()
            assert folder.exists()
    assert not list(tmp_path.iterdir())


def test_looks_for_what_is_old_do_not_disturb_each_other(tmp_path: Path) -> None:
    results = Results(tmp_path, seconds=-1)
    faults: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(200):
                results.new_folder()
        except OSError as fault:
            faults.append(fault)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults


def test_an_old_view_does_not_win_over_another_file(
    service: DemoService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apps.demo.web import page as pages

    source = write(tmp_path / "a.wav", speech_like(1, 48_000))
    page = pages.Page(service, None, tmp_path)  # type: ignore[arg-type]
    request: Any = SimpleNamespace(session_hash="session")
    opened(service, source)
    assert page._show(False, 12, 0.5, "tiny", request)["version"] == 1
    view = pages.view

    def another_comes_before(work: DenoisedFile) -> dict[str, Any]:
        opened(service, source)
        return view(work)

    def another_comes_after(work: DenoisedFile) -> dict[str, Any]:
        shown = view(work)
        opened(service, source)
        return shown

    for meanwhile in (another_comes_before, another_comes_after):
        monkeypatch.setattr(pages, "view", meanwhile)
        assert "version" not in page._show(False, 12, 0.5, "tiny", request)


def test_a_page_whose_file_was_removed_says_so(
    service: DemoService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gradio = pytest.importorskip("gradio")
    from apps.demo.web.page import Page

    source = write(tmp_path / "a.wav", speech_like(0.2, 48_000))
    page = Page(service, None, tmp_path)  # type: ignore[arg-type]
    request: Any = SimpleNamespace(session_hash="session")
    assert "version" not in page._show(False, 12, 0.5, "tiny", request), "it had none"
    opened(service, source)
    monkeypatch.setattr(service.sessions, "_limits", Limits(idle_seconds=-60))
    with pytest.raises(
        gradio.Error, match="Your sound is not held any more, since it was not used for -1 minutes: open"
    ):
        page._show(False, 12, 0.5, "tiny", request)
    monkeypatch.setattr(service.sessions, "_limits", Limits(sessions=1))
    opened(service, source)
    assert page._show(False, 12, 0.5, "tiny", request)["version"] == 1
    service.open("another", source, Strength(), None)
    with pytest.raises(gradio.Error, match="since many people came after you: open it again"):
        page._show(False, 12, 0.5, "tiny", request)


def test_people_who_work_at_the_same_time_do_not_mix(service: DemoService, tmp_path: Path) -> None:
    sources = [write(tmp_path / f"{n}.wav", speech_like(5, 48_000, seed=n)) for n in range(4)]
    works: dict[int, DenoisedFile] = {}

    def run(number: int) -> None:
        works[number] = service.open(f"person {number}", sources[number], Strength(), None)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, source in enumerate(sources):
        np.testing.assert_allclose(read(works[number].target), tiny_result(read(source)), atol=2**-15)


def test_the_analysis_of_a_long_sound_stays_small(service: DemoService, tmp_path: Path) -> None:
    work = opened(service, write(tmp_path / "a.wav", speech_like(29, 48_000, 2)))
    assert isinstance(work.analysis, Analysis)
    assert work.analysis.power(shares(1)["noisy"]).shape[0] <= 800
