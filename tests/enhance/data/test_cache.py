"""The cache of decoded recordings: every format and rate, bad files, reuse, bandwidth, rooms, pauses, and crops."""

import os
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers import level_db
from recordings import RATE, room_response, sine, white, write

from enhance.data import cache as cache_module
from enhance.data import decoding
from enhance.data.cache import AudioCache, build_cache

HALF_STEP = 0.6 / 32767  # rounding to 16 bits, and the gain of 32767 / 32768 that comes of it
BAND_HZ = 250.0  # bandwidths are read off in bands of 246 Hz
CODEC_SAMPLES = 3000  # MP3 pads its ends with up to two frames of silence


def whole(cache: AudioCache, recording: int) -> np.ndarray:
    return cache.crop(recording, 0, int(cache.lengths[recording]))


def by_name(cache: AudioCache) -> dict[str, int]:
    return {recording.name: number for number, recording in enumerate(cache.recordings)}


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> AudioCache:
    """Noise of 1000, 2000 and 5000 samples."""
    folder = tmp_path_factory.mktemp("three")
    for length in (1000, 2000, 5000):
        write(folder / "audio" / f"{length}.wav", white(length / RATE, seed=length))
    return build_cache([folder / "audio"], folder / "cache", kind="noise")


@pytest.mark.parametrize(
    ("name", "rate"),
    [(name, rate) for name in ("a.wav", "a.flac", "a.ogg", "deeply/nested/A.WAV") for rate in (8000, 44_100, 96_000)]
    + [("a.mp3", rate) for rate in (8000, 22_050, 44_100, 48_000)],  # MP3 has no 96 kHz
)
def test_any_format_and_rate_becomes_48_khz_mono(tmp_path: Path, name: str, rate: int) -> None:
    """A 1 kHz sine in the left channel only comes back as that sine at half its level."""
    left = sine(1000, 0.5, rate)
    named = {} if name.endswith(("ogg", "mp3")) else {"subtype": "PCM_16"}
    write(tmp_path / "audio" / name, np.stack([left, 0 * left], axis=1), rate, **named or {"format": name[-3:].upper()})
    cache = build_cache([tmp_path / "audio"], tmp_path / "cache", kind="noise")
    assert [recording.name for recording in cache.recordings] == [name]
    audio = whole(cache, 0)
    assert audio.dtype == np.float32
    assert abs(audio.size - RATE // 2) <= (CODEC_SAMPLES * RATE // rate if name.endswith("mp3") else 1)
    inside = audio[8000:16_000]  # 8 kHz MP3 starts late
    assert level_db(inside) == pytest.approx(20 * np.log10(0.25 / np.sqrt(2)), abs=0.5)
    spectrum = np.abs(np.fft.rfft(inside * np.hanning(inside.size)))
    assert np.argmax(spectrum) * RATE / inside.size == pytest.approx(1000, abs=RATE / inside.size)


def test_lossless_audio_at_48_khz_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    audio = white(0.2)
    write(tmp_path / "audio" / "a.wav", audio)
    cache = build_cache([tmp_path / "audio"], tmp_path / "cache", kind="noise")
    np.testing.assert_allclose(whole(cache, 0), audio * 32767 / 32768, atol=HALF_STEP)


def test_audio_above_full_scale_is_scaled_not_clipped(tmp_path: Path) -> None:
    audio = 20 * white(0.2)
    write(tmp_path / "audio" / "a.wav", audio)
    cache = build_cache([tmp_path / "audio"], tmp_path / "cache", kind="noise")
    np.testing.assert_allclose(whole(cache, 0), audio * 0.5 / np.abs(audio).max(), atol=2 * HALF_STEP)


def test_bad_files_are_named_on_standard_error_and_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "audio"
    write(folder / "good.wav", white(0.1))
    write(folder / "zero-samples.wav", np.zeros(0))
    write(folder / "silent.wav", np.zeros(4800))
    write(folder / "nan.wav", np.where(np.arange(4800) == 9, np.nan, 0.1))
    (folder / "empty.wav").write_bytes(b"")
    (folder / "text.flac").write_text("this is no audio\n")
    (folder / "notes.txt").write_text("not taken for audio at all\n")
    truncated = write(folder / "cut.flac", white(0.1), subtype="PCM_16")
    truncated.write_bytes(truncated.read_bytes()[:30])
    cache = build_cache([folder], tmp_path / "cache", kind="speech")
    assert list(by_name(cache)) == ["good.wav"]
    lines = capsys.readouterr().err.splitlines()
    for name, reason in {
        "zero-samples.wav": "no samples",
        "silent.wav": "nothing but zeros",
        "nan.wav": "NaN",
        "empty.wav": "",
        "text.flac": "",
        "cut.flac": "",
    }.items():
        assert [line for line in lines if name in line and "skipped" in line and reason in line], (name, lines)
    assert not any("notes.txt" in line or "good.wav" in line for line in lines)


def test_sound_in_the_last_samples_only_is_a_recording_like_others(tmp_path: Path) -> None:
    """The bandwidth is read off whole windows, in all of which this one is silent."""
    audio = np.zeros(5000)
    audio[4500:] = white(500 / RATE)
    write(tmp_path / "audio" / "late.wav", audio)
    write(tmp_path / "audio" / "other.wav", white(0.1))
    cache = build_cache([tmp_path / "audio"], tmp_path / "cache", kind="noise")
    assert [recording.name for recording in cache.recordings] == ["late.wav", "other.wav"]
    assert cache.recordings[0].bandwidth == RATE / 2


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux alone")
def test_a_recording_whose_name_is_not_utf_8_is_one_like_others(tmp_path: Path) -> None:
    """As in archives of Latin-1 systems."""
    folder = tmp_path / "sounds"
    write(folder / "cafe.wav", sine(440.0, 1.0)).rename(folder / os.fsdecode(b"caf\xe9.wav"))
    for _ in range(2):
        cache = build_cache([folder], tmp_path / "cache", kind="noise")
        assert [os.fsencode(recording.name) for recording in cache.recordings] == [b"caf\xe9.wav"]


def test_nothing_readable_and_missing_folders_are_errors(tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.wav").write_bytes(b"RIFF")
    with pytest.raises(ValueError, match=f"none of the 1 audio files in {tmp_path / 'bad'}"):
        build_cache([tmp_path / "bad"], tmp_path / "cache", kind="noise")
    with pytest.raises(FileNotFoundError, match=r"no such folder of recordings: '.*nowhere'"):
        build_cache([tmp_path / "nowhere"], tmp_path / "cache", kind="noise")
    with pytest.raises(FileNotFoundError, match="no audio cache in"):
        AudioCache(tmp_path / "cache")
    assert not (tmp_path / "cache.partial").exists()


def test_an_unchanged_folder_is_not_decoded_again_and_a_changed_one_is(tmp_path: Path) -> None:
    folder, directory = tmp_path / "audio", tmp_path / "cache"
    write(folder / "a.wav", white(0.1, seed=1))

    def stamp() -> tuple[int, int]:
        status = (directory / "audio.i16").stat()
        return status.st_ino, status.st_mtime_ns

    first = whole(build_cache([folder], directory, kind="noise"), 0)
    made = stamp()
    build_cache([folder], directory, kind="noise")
    assert stamp() == made
    write(folder / "a.wav", white(0.1, seed=2))  # the same size, another content and time
    second = whole(build_cache([folder], directory, kind="noise"), 0)
    assert stamp() != made
    assert not np.array_equal(first, second)
    write(folder / "b.wav", white(0.1, seed=3))
    assert len(build_cache([folder], directory, kind="noise")) == 2
    (folder / "a.wav").unlink()
    assert list(by_name(build_cache([folder], directory, kind="noise"))) == ["b.wav"]
    assert build_cache([folder], directory, kind="speech").kind == "speech"


def test_a_damaged_cache_is_refused_and_built_again(tmp_path: Path) -> None:
    write(tmp_path / "audio" / "a.wav", white(0.1))
    directory = tmp_path / "cache"
    build_cache([tmp_path / "audio"], directory, kind="noise")
    samples = (directory / "audio.i16").read_bytes()
    (directory / "audio.i16").write_bytes(samples[:1000])
    with pytest.raises(ValueError, match="holds 500 samples, its index 4800; delete it"):
        AudioCache(directory)
    assert build_cache([tmp_path / "audio"], directory, kind="noise").total == 4800
    (directory / "index.json").write_text('{"version": 0}')
    with pytest.raises(ValueError, match="has version 0, not"):
        AudioCache(directory)
    build_cache([tmp_path / "audio"], directory, kind="noise")
    assert (directory / "audio.i16").read_bytes() == samples


def test_two_that_build_at_once_decode_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Each file is decoded by one of them only: the bad one is named once."""
    write(tmp_path / "audio" / "good.wav", white(0.5))
    (tmp_path / "audio" / "bad.wav").write_bytes(b"no audio")
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(build_cache, [tmp_path / "audio"], tmp_path / "cache", kind="noise") for _ in range(4)]
        audio = [whole(job.result(), 0) for job in jobs]
    assert all(np.array_equal(audio[0], other) for other in audio)
    assert capfd.readouterr().err.count("skipped 'bad.wav'") == 1


@pytest.mark.parametrize(
    ("rate", "cut", "expected"), [(16_000, None, 8000), (48_000, 6000, 6000), (48_000, None, 24_000)]
)
def test_the_bandwidth_of_a_recording_is_measured(tmp_path: Path, rate: int, cut: int | None, expected: float) -> None:
    audio = white(1.0, rate)
    if cut:
        spectrum = np.fft.rfft(audio)
        spectrum[int(cut * audio.size / rate) :] = 0
        audio = np.fft.irfft(spectrum, n=audio.size)
    write(tmp_path / "audio" / "a.wav", audio, rate)
    cache = build_cache([tmp_path / "audio"], tmp_path / "cache", kind="noise")
    assert expected - BAND_HZ <= cache.bandwidths[0] <= min(expected + 2 * BAND_HZ, rate / 2)


def test_rooms_start_with_their_direct_sound(tmp_path: Path) -> None:
    """1 ms after the start, peak 0.5; the first channel alone; the end of a long one is faded out at 1 s."""
    response = room_response(1.5, 3000)
    response[100_000 - 3000 :] = 0
    write(tmp_path / "audio" / "late.wav", np.stack([response, white(1.5)], axis=1))
    early = np.zeros(4800)
    early[[0, 40]] = 0.5, 1.0  # the direct sound comes first, though a reflection is 6 dB stronger
    write(tmp_path / "audio" / "at-once.wav", early)
    cache = build_cache([tmp_path / "audio"], tmp_path / "cache", kind="rooms")
    number = by_name(cache)
    late = whole(cache, number["late.wav"])
    np.testing.assert_array_equal(late[:48], 0)
    assert late[48] == np.abs(late).max() == pytest.approx(0.5, abs=1e-4)
    assert late.size == RATE
    np.testing.assert_allclose(late[49:40_000], 0.5 * response[3001 : 3001 + 39_951], atol=1e-4)
    assert late[-1] == 0
    at_once = whole(cache, number["at-once.wav"])
    assert np.flatnonzero(at_once).tolist() == [48, 88]


def test_long_pauses_are_shortened_in_speech_only(tmp_path: Path) -> None:
    voice = sine(300, 0.2)
    write(tmp_path / "audio" / "a.wav", np.concatenate([voice, np.zeros(2 * RATE), voice]))
    speech = build_cache([tmp_path / "audio"], tmp_path / "speech", kind="speech")
    noise = build_cache([tmp_path / "audio"], tmp_path / "noise", kind="noise")
    assert speech.total == pytest.approx((0.2 + 0.6 + 0.2) * RATE, abs=480)
    assert noise.total == round(2.4 * RATE)
    np.testing.assert_allclose(whole(speech, 0)[-9600:], voice, atol=2 * HALF_STEP)


def test_long_files_become_several_recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "PIECE_SECONDS", 1)
    monkeypatch.setattr(cache_module, "PIECE_SECONDS", 1)
    audio = white(2.5)
    write(tmp_path / "audio" / "a.wav", audio)
    cache = build_cache([tmp_path / "audio"], tmp_path / "cache", kind="noise")
    assert [recording.name for recording in cache.recordings] == ["a.wav@0s", "a.wav@1s", "a.wav@2s"]
    np.testing.assert_allclose(np.concatenate([whole(cache, i) for i in range(3)]), audio, atol=2 * HALF_STEP)


@pytest.mark.parametrize("start", [0, 700, 999, 1000, 2500])
@pytest.mark.parametrize("length", [1, 300, 1000, 3456])
def test_crops_begin_again_past_the_end_or_are_filled_with_zeros(three: AudioCache, start: int, length: int) -> None:
    """Against numpy: `take` with indices that wrap, and slices of a padded array."""
    audio = whole(three, 0)
    position = np.arange(start, start + length)
    np.testing.assert_array_equal(three.crop(0, start, length), audio.take(position, mode="wrap"))
    padded = np.pad(audio, (0, start + length))
    np.testing.assert_array_equal(three.crop(0, start, length, wrap=False), padded[start : start + length])


@pytest.mark.parametrize("wrap", [True, False])
def test_gathered_rows_are_crops_whether_held_in_memory_or_not(three: AudioCache, wrap: bool) -> None:
    recordings, starts = np.array([2, 0, 1, 2]), np.array([4900, 0, 1999, 17])
    expected = np.stack([three.crop(r, s, 2600, wrap=wrap) for r, s in zip(recordings, starts, strict=True)])
    mapped = three.gather(recordings, starts, 2600, wrap=wrap)
    resident = AudioCache(three.directory).to("cpu").gather(recordings, starts, 2600, wrap=wrap)
    np.testing.assert_array_equal(mapped.numpy(), expected)
    np.testing.assert_array_equal(resident.numpy(), expected)


def test_recordings_are_chosen_in_proportion_to_their_length(three: AudioCache) -> None:
    chosen = three.choose((np.arange(8000) + 0.5) / 8000)
    assert np.bincount(chosen).tolist() == [1000, 2000, 5000]
    assert three.choose(np.array([0.0, np.nextafter(1.0, 0.0)])).tolist() == [0, 2]


def test_a_cache_sent_to_another_process_is_opened_there_not_copied(three: AudioCache) -> None:
    sent = pickle.dumps(three)
    assert len(sent) < 1000
    np.testing.assert_array_equal(whole(pickle.loads(sent), 1), whole(three, 1))


def test_every_format_that_soundfile_reads_is_looked_for() -> None:
    for name in soundfile.available_formats():
        assert (f".{name.lower()}" in decoding.SUFFIXES) == (name != "RAW")  # which says nothing of its rate
    assert {".aif", ".opus", ".mp3", ".oga"} <= decoding.SUFFIXES
