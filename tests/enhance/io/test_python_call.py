"""`enhance.denoise_file`: what the command does for one file, from Python."""

import io
import os
import re
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from command import mpeace, partial_files, read, write
from helpers import level_db, speech_like
from media import look, make_m4a
from mutagen.flac import FLAC
from tiny_model import TINY_GAIN

import enhance
from enhance import Denoiser, FileError, ModelError, MpeaceError, denoise_file
from enhance.io.sound.byte_view import ByteView


def test_it_writes_the_bytes_that_the_command_writes(tmp_path: Path, tiny_model: Path, tiny_denoiser: Denoiser) -> None:
    """Tags included, and the same for a model by its path, a loaded one, and names as text or paths."""
    source = write(tmp_path / "talk.flac", speech_like(1.5, 44_100, 2), 44_100, subtype="PCM_24")
    tags = FLAC(source)
    tags["title"] = "Größe"
    tags.save()
    mpeace("denoise", source, "-o", tmp_path / "command.flac", "--model", tiny_model, "--mix", 0.5, "-q")
    denoise_file(str(source), str(tmp_path / "a.flac"), model=tiny_model, mix=0.5)
    denoise_file(source, tmp_path / "b.flac", model=tiny_denoiser, mix=0.5)
    expected = (tmp_path / "command.flac").read_bytes()
    assert (tmp_path / "a.flac").read_bytes() == (tmp_path / "b.flac").read_bytes() == expected
    assert FLAC(tmp_path / "a.flac")["title"] == ["Größe"]
    assert partial_files(tmp_path) == []


def test_the_result_has_lengths_and_levels(tmp_path: Path, tiny_denoiser: Denoiser) -> None:
    audio = speech_like(2, 16_000, 2)
    source, seen = write(tmp_path / "a.wav", audio, 16_000, subtype="FLOAT"), []
    result = denoise_file(
        source,
        tmp_path / "b.wav",
        model=tiny_denoiser,
        sample_rate=48_000,
        on_progress=lambda *progress: seen.append(progress),
    )
    assert (result.seconds, result.samples) == (2.0, 96_000)
    assert (result.sample_rate, result.channels, result.format, result.subtype) == (48_000, 2, "WAV", "FLOAT")
    assert result.input_dbfs == pytest.approx(level_db(audio), abs=0.02)
    assert result.output_dbfs == pytest.approx(level_db(read(tmp_path / "b.wav")), abs=0.02)
    assert result.output_dbfs == pytest.approx(level_db(audio) + 20 * np.log10(TINY_GAIN), abs=0.5)
    assert (result.clamped, result.gain, result.notes) == (0, 1.0, ())
    assert seen[-1] == (2.0, 2.0)


@pytest.mark.parametrize("problem", [RuntimeError("of the caller"), OSError(5, "of the caller"), StopIteration()])
def test_what_on_progress_raises_ends_the_work_and_comes_out_as_it_is(
    tmp_path: Path, tiny_denoiser: Denoiser, problem: Exception
) -> None:
    def on_progress(*_: object) -> None:
        raise problem

    source = write(tmp_path / "a.wav", speech_like(0.1, 48_000))
    with pytest.raises(type(problem)) as caught:
        denoise_file(source, tmp_path / "b.wav", model=tiny_denoiser, on_progress=on_progress)
    assert caught.value is problem
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.skipif(sys.platform == "win32", reason="signal.raise_signal(SIGINT) ends a process there")
def test_ctrl_c_inside_a_callback_of_libsndfile_is_not_lost(
    tmp_path: Path, tiny_denoiser: Denoiser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ended in a shorter file that counted as done: what a callback raises is lost, and it returns nothing."""
    piece = write(tmp_path / "piece.ogg", speech_like(1, 48_000), 48_000)
    source = tmp_path / "joined.ogg"  # read by callbacks, a view of each piece
    source.write_bytes(2 * piece.read_bytes())
    former, readinto, calls = signal.signal(signal.SIGINT, signal.default_int_handler), ByteView.readinto, []

    def interrupted(view: ByteView, buffer: bytearray) -> int:
        calls.append(view)
        if len(calls) == 8:
            signal.raise_signal(signal.SIGINT)
        return readinto(view, buffer)

    monkeypatch.setattr(ByteView, "readinto", interrupted)
    try:
        with pytest.raises(KeyboardInterrupt):
            denoise_file(source, tmp_path / "clean.ogg", model=tiny_denoiser)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, former)
    assert sorted(tmp_path.iterdir()) == [source, piece]


class Slow(io.RawIOBase):
    """A target that takes a little at a time, as a raw file or pipe may; `full`: nothing any more."""

    def __init__(self, full: bool = False) -> None:
        self.content = b""
        self.full = full

    def writable(self) -> bool:
        return True

    def write(self, data: bytes, /) -> int | None:  # type: ignore[override]
        if self.full:
            return None
        taken = data[:1000]
        self.content += taken
        return len(taken)


def test_a_target_that_takes_a_little_at_a_time_gets_all(tmp_path: Path, tiny_denoiser: Denoiser) -> None:
    source = write(tmp_path / "a.wav", speech_like(0.2, 48_000), 48_000)
    denoise_file(source, tmp_path / "b.wav", model=tiny_denoiser)
    target = Slow()
    denoise_file(source, target, model=tiny_denoiser)  # type: ignore[arg-type]
    assert target.content == (tmp_path / "b.wav").read_bytes()
    with pytest.raises(FileError, match="takes no more bytes for now"):
        denoise_file(source, Slow(full=True), model=tiny_denoiser)  # type: ignore[arg-type]


def test_a_source_that_has_nothing_for_now_is_not_at_its_end(tmp_path: Path, tiny_denoiser: Denoiser) -> None:
    class Pausing(io.RawIOBase):
        def __init__(self, content: bytes) -> None:
            self._parts: list[bytes | None] = [content[:16], content[16:5000], None, content[5000:]]

        def readable(self) -> bool:
            return True

        def read(self, size: int = -1, /) -> bytes | None:
            return self._parts.pop(0) if self._parts else b""

    source = write(tmp_path / "a.mp3", speech_like(2, 48_000), 48_000)
    with pytest.raises(FileError, match="has no bytes for now"):
        denoise_file(Pausing(source.read_bytes()), tmp_path / "b.mp3", model=tiny_denoiser)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == [source]


def test_a_file_called_as_a_pipe_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_denoiser: Denoiser
) -> None:
    source = write(tmp_path / "a.wav", speech_like(0.1, 48_000))
    monkeypatch.chdir(tmp_path)
    denoise_file(source, "-", model=tiny_denoiser, format="wav")
    denoise_file("-", "b.wav", model=tiny_denoiser, mix=0)
    assert (tmp_path / "b.wav").read_bytes() == (tmp_path / "-").read_bytes()


def test_a_program_that_wants_to_hear_of_underflow_gets_its_file(tmp_path: Path, tiny_denoiser: Denoiser) -> None:
    fading = 0.1 * speech_like(1.0, 44_100, seed=3).astype(np.float64) * np.geomspace(1, 1e-45, 44_100)
    soundfile.write(tmp_path / "in.wav", fading.T, 44_100, subtype="DOUBLE")
    with np.errstate(all="raise"):
        result = denoise_file(tmp_path / "in.wav", tmp_path / "out.wav", model=tiny_denoiser, link="on")
    assert result.samples == 44_100


def test_silence_has_no_level_and_no_sound_has_no_length(tmp_path: Path, tiny_denoiser: Denoiser) -> None:
    silence = write(tmp_path / "silence.wav", np.zeros(4800))
    result = denoise_file(silence, tmp_path / "a.wav", model=tiny_denoiser)
    assert (result.samples, result.input_dbfs, result.output_dbfs) == (4800, None, None)
    nothing = write(tmp_path / "nothing.wav", np.zeros(0))
    assert denoise_file(nothing, tmp_path / "b.wav", model=tiny_denoiser).samples == 0


def test_file_objects_go_in_and_come_out(tmp_path: Path, tiny_denoiser: Denoiser) -> None:
    """A sound that is nowhere on the disk, an open file, and a name that no suffix tells anything about."""
    audio, noisy, clean = speech_like(1, 48_000), io.BytesIO(), io.BytesIO()
    soundfile.write(noisy, audio.T, 48_000, format="FLAC")
    source = tmp_path / "a.flac"
    source.write_bytes(noisy.getvalue())
    denoise_file(source, tmp_path / "b.flac", model=tiny_denoiser)
    noisy.seek(0)
    denoise_file(noisy, clean, model=tiny_denoiser)
    assert clean.getvalue() == (tmp_path / "b.flac").read_bytes()
    with source.open("rb") as reading, (tmp_path / "c").open("wb") as writing:
        result = denoise_file(reading, writing, model=tiny_denoiser, format="wav")
    assert result.format == "WAV"
    np.testing.assert_array_equal(read(tmp_path / "c"), read(tmp_path / "b.flac"))
    noisy.seek(0)
    denoise_file(noisy, tmp_path / "d.opus", model=tiny_denoiser)
    assert soundfile.info(tmp_path / "d.opus").subtype == "OPUS"


def test_a_file_object_goes_to_the_url_of_a_local_file_without_the_library_of_stores(
    tmp_path: Path, tiny_denoiser: Denoiser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    noisy = io.BytesIO()
    soundfile.write(noisy, speech_like(0.1, 48_000).T, 48_000, format="FLAC")
    noisy.seek(0)
    denoise_file(noisy, (tmp_path / "a.wav").as_uri(), model=tiny_denoiser)
    assert read(tmp_path / "a.wav").shape == (1, 4800)


def test_an_m4a_is_known_by_its_content(tmp_path: Path, tiny_denoiser: Denoiser) -> None:
    pytest.importorskip("av")
    source, clean = make_m4a(tmp_path / "a.m4a"), io.BytesIO()
    result = denoise_file(io.BytesIO(source.read_bytes()), clean, model=tiny_denoiser)
    (tmp_path / "b.m4a").write_bytes(clean.getvalue())
    assert look(tmp_path / "b.m4a").codecs == look(source).codecs
    assert result.output_dbfs is not None


def test_what_is_read_and_not_written_says_so(tmp_path: Path, tiny_denoiser: Denoiser) -> None:
    """A file of GSM, whose name alone says what it is, and another in its form to write."""
    source = tmp_path / "call.gsm"
    soundfile.write(str(source), speech_like(0.2, 8000)[0], 8000, format="RAW", subtype="GSM610")
    for target, said in (
        (tmp_path / "x.gsm", r"x\.gsm: \.gsm is not written; name an output like out\.wav"),
        (tmp_path / "x", r"call\.gsm: such a file is not written; name an output like out\.wav"),
    ):
        with pytest.raises(MpeaceError, match=said):
            denoise_file(source, target, model=tiny_denoiser)
    with source.open("rb") as file, pytest.raises(FileError, match=r"it is a \.gsm, and cannot be .* pass format"):
        denoise_file(file, io.BytesIO(), model=tiny_denoiser)
    assert [path.name for path in tmp_path.iterdir()] == ["call.gsm"]
    assert denoise_file(source, tmp_path / "x.wav", model=tiny_denoiser).samples == 1600


def test_what_cannot_be_read_is_one_line_with_its_name_and_nothing_is_written(
    tmp_path: Path, tiny_denoiser: Denoiser
) -> None:
    (tmp_path / "text.wav").write_text("no sound at all, whatever the name says")
    output = write(tmp_path / "out.wav", np.ones(10))
    before = output.read_bytes()
    for source, message in (("text.wav", "not a sound file"), ("missing.wav", "no such file or directory")):
        with pytest.raises(FileError, match=message) as caught:
            denoise_file(tmp_path / source, output, model=tiny_denoiser)
        assert str(caught.value).startswith(f"{tmp_path / source}: ")
        assert "\n" not in str(caught.value)
        assert isinstance(caught.value, MpeaceError)
    with pytest.raises(FileError, match="the file object: the file is empty"):
        denoise_file(io.BytesIO(), output, model=tiny_denoiser)
    with pytest.raises(FileError, match="opened in binary mode"):
        denoise_file(io.StringIO("text"), output, model=tiny_denoiser)  # type: ignore[arg-type]
    assert output.read_bytes() == before
    assert partial_files(tmp_path) == []


def test_a_target_that_takes_no_bytes_is_refused_before_the_work(tmp_path: Path) -> None:
    closed = io.BytesIO()
    closed.close()
    with (tmp_path / "a").open("w") as text, (tmp_path / "a").open("rb") as to_read:
        for target, message in (
            (text, "the target must be a file object opened in binary mode to write"),
            (to_read, "the target must be a file object opened in binary mode to write"),
            (closed, "the target is a file object that is closed"),
            ("a\0.wav", r"the output 'a\\x00.wav' is no name of a file: there is a NUL in it"),
        ):
            with pytest.raises(FileError, match=f"^missing.wav: {message}$"):
                denoise_file("missing.wav", target)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "reason"), [("a\0.wav", "there is a NUL in it"), ("\ud800.wav", "there is half a char")]
)
def test_a_text_that_names_no_file_is_said_to(name: str, reason: str) -> None:
    for source, target, what in ((name, "b.wav", "source"), (Path(name), "b.wav", "source"), ("a.wav", name, "output")):
        with pytest.raises(FileError) as error:
            denoise_file(source, target)
        assert f"the {what} {name!r} is no name of a file: {reason}" in str(error.value)


def test_a_file_is_not_written_over_itself(tmp_path: Path, tiny_denoiser: Denoiser) -> None:
    source = write(tmp_path / "a.wav", np.ones(10))
    before = source.read_bytes()
    (tmp_path / "link.wav").symlink_to(source)
    for target in (source, tmp_path / "link.wav"):
        with pytest.raises(FileError, match="written over itself"):
            denoise_file(source, target, model=tiny_denoiser)
    assert source.read_bytes() == before
    both = io.BytesIO(before)
    with pytest.raises(FileError, match="written over itself"):
        denoise_file(both, both, model=tiny_denoiser)
    assert both.getvalue() == before


def test_what_is_no_file_is_not_replaced_by_one(tmp_path: Path) -> None:
    """A pipe stands for devices such as /dev/null, which only root may make."""
    source = write(tmp_path / "a.wav", np.ones(10))
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    for name in ("pipe", "folder", "link"):
        with pytest.raises(FileError, match=f"^{source}: the output {tmp_path / name} is there and is no file$"):
            denoise_file(source, tmp_path / name)
    assert (tmp_path / "pipe").is_fifo()
    assert (tmp_path / "link").is_symlink()
    for folder in (f"{tmp_path}/new/", "s3://bucket/new/"):
        with pytest.raises(FileError, match=f"the output {folder} is a folder; name a file"):
            denoise_file(source, folder)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"mix": 1.5}, "mix 1.5: expected a number from 0"),
        ({"attenuation_limit_db": -1}, "attenuation limit -1 dB"),
        ({"sample_rate": 10}, "sample rate 10 Hz"),
        ({"format": "docx"}, "format 'docx': expected one of wav"),
        ({"link": "both"}, "link 'both': expected auto, on, off"),
        ({"format": ["wav"]}, "format ['wav']: expected one of wav"),
        ({"clip": "loud"}, "clip 'loud': expected clamp, rescale, fail"),
        ({"link": None}, "link None: expected auto, on, off"),
        ({"subtype": 16}, "subtype 16: expected a name of libsndfile, such as 'PCM_24'"),
        ({"subtype": ""}, "subtype '': expected a name of libsndfile, such as 'PCM_24'"),
        ({"salvage": "no"}, "salvage 'no': expected True or False"),
        ({"target": ""}, "target '': expected a path or a URL"),
        (
            {"target": b"out.wav"},
            "target of type bytes: expected a path, a URL, or a file object opened in binary mode",
        ),
        ({"source": np.zeros(9)}, "source of type ndarray: expected a path, a URL, or a file object"),
        *(
            (
                {"channels": wrong},
                f"channels {wrong!r}: expected a list of whole numbers from 1, as [1, 3]; empty for all",
            )
            for wrong in ([0], [-1], [1, -5], [1.0], ["left"], "12", 1, None)
        ),
        *(
            (
                {"tracks": wrong},
                f"tracks {wrong!r}: expected a list of texts, each a number from 1, a language or a title",
            )
            for wrong in ("eng", [2], 2, [None])
        ),
    ],
)
def test_values_out_of_range_are_refused_before_anything_is_read(
    tmp_path: Path, wrong: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        denoise_file(**{"source": tmp_path / "missing.wav", "target": tmp_path / "out.wav", **wrong})  # type: ignore[arg-type]


def test_channels_are_named_by_numbers_of_any_kind(tmp_path: Path, tiny_denoiser: Denoiser) -> None:
    audio = speech_like(0.2, 48_000, 2)
    source = write(tmp_path / "a.wav", audio, subtype="FLOAT")
    denoise_file(source, tmp_path / "b.wav", model=tiny_denoiser, channels=np.array([2]))  # type: ignore[arg-type]
    kept = read(tmp_path / "b.wav")
    assert [np.array_equal(out, given) for out, given in zip(kept, audio, strict=True)] == [True, False]


def test_a_model_that_is_not_there_is_a_model_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model 'huge'"):
        denoise_file(tmp_path / "a.wav", tmp_path / "b.wav", model="huge")


def test_it_is_part_of_the_package() -> None:
    assert {"denoise_file", "DenoisedFile", "FileError", "MpeaceError"} <= set(enhance.__all__)
    assert [getattr(enhance, name).__name__ for name in enhance.__all__] == enhance.__all__
    assert enhance.__version__[0].isdecimal()


@pytest.mark.parametrize(
    ("name", "format", "note"),
    [
        ("a.wav", "flac", ("the output is FLAC, as asked for, in spite of its name .wav",)),
        ("a.M4A", "wav", ("the output is WAV, as asked for, in spite of its name .m4a",)),
        ("a.wav", "rf64", ()),
        ("a.ogg", "opus", ()),
        ("a.part", "flac", ()),
    ],
)
def test_an_output_that_is_not_what_its_name_says_is_noted(
    tmp_path: Path, tiny_denoiser: Denoiser, name: str, format: str, note: tuple[str, ...]
) -> None:
    source = write(tmp_path / "noisy.wav", speech_like(0.2, 48_000)[0])
    assert denoise_file(source, tmp_path / name, model=tiny_denoiser, format=format).notes == note
