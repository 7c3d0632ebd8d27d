"""An input is opened by what it is, and written as the person, else the input, else the name says."""

import io
from pathlib import Path

import numpy as np
import pytest
from command import write

from enhance.io.formats import Encoding
from enhance.io.open_source import encoding_for_file, keeps_media, note_on_name, open_source
from enhance.io.options import DenoiseOptions
from enhance.io.task import PIPE, Task
from enhance.utils.errors import FileError
from enhance.utils.interrupt import Stopper


@pytest.fixture
def sine() -> np.ndarray:
    return 0.1 * np.sin(np.arange(4800))


def opened(path: Path):
    return open_source(Task(str(path), "out.wav", "partial"), DenoiseOptions(), Stopper())


def test_the_content_and_not_the_name_says_how_to_read(tmp_path: Path, sine: np.ndarray) -> None:
    flac = write(tmp_path / "a.flac", sine).rename(tmp_path / "a.wav")
    source = opened(flac)
    assert source.encoding == Encoding("FLAC", "PCM_16")
    source.close()
    assert note_on_name(flac, "WAV") == ["it is FLAC in spite of its name; the output is WAV"]


@pytest.mark.parametrize("wanted", [("deu",), ("1", "2"), ("",)])
def test_a_track_that_a_sound_file_or_a_pipe_has_not_is_refused(
    tmp_path: Path, sine: np.ndarray, monkeypatch: pytest.MonkeyPatch, wanted: tuple[str, ...]
) -> None:
    """As it is of M4A with one track; it was passed over."""
    path = write(tmp_path / "a.wav", sine)
    for source in (str(path), PIPE):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes())))
        task = Task(source, "out.wav", "partial")
        with pytest.raises(FileError, match=f"^it has no sound track '{wanted[-1]}'; it has 1$"):
            open_source(task, DenoiseOptions(tracks=wanted), Stopper())
        open_source(task, DenoiseOptions(tracks=("1",)), Stopper()).close()


def test_a_wav_called_raw_is_read_as_what_it_is(tmp_path: Path, sine: np.ndarray) -> None:
    """soundfile takes a file of that name for samples without a header."""
    source = opened(write(tmp_path / "a.wav", sine, subtype="DOUBLE").rename(tmp_path / "a.raw"))
    assert source.encoding == Encoding("WAV", "DOUBLE")
    read = np.concatenate([block.copy() for block in source.blocks()], axis=1)
    np.testing.assert_array_equal(read, sine[np.newaxis].astype(np.float32))
    source.close()


def test_what_cannot_be_read_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    (tmp_path / "a.raw").write_bytes(bytes(range(200)))
    for name, said in (("empty.wav", "empty"), ("a.raw", "whose rate nobody knows"), ("none.wav", "cannot be read")):
        with pytest.raises(FileError, match=said) as error:
            opened(tmp_path / name)
        assert "\n" not in str(error.value)


def test_a_few_frames_among_other_bytes_make_no_mp3_but_one_torn_frame_does_no_harm(
    tmp_path: Path, sine: np.ndarray
) -> None:
    write(tmp_path / "a.mp3", np.tile(sine, 10))
    content = (tmp_path / "a.mp3").read_bytes()
    (tmp_path / "torn.mp3").write_bytes(content[100:])  # as a recording of a broadcast begins
    (tmp_path / "other.mp3").write_bytes(b"a program" * 4000 + content[:2000] + b"a program" * 4000)
    opened(tmp_path / "torn.mp3").close()
    with pytest.raises(FileError, match="not a sound file: most of it is no frames"):
        opened(tmp_path / "other.mp3")


def test_a_pipe_and_a_named_container_are_no_media(tmp_path: Path, sine: np.ndarray) -> None:
    wav = write(tmp_path / "a.wav", sine)
    assert not keeps_media(Task(PIPE, "b.mp4", "partial"))
    assert not keeps_media(Task(str(wav), "b.wav", "partial"))
    assert not keeps_media(Task(str(wav), "b.mp4", "partial", container="wav"))


def test_an_output_is_as_named_else_as_the_input(tmp_path: Path, sine: np.ndarray) -> None:
    wav = write(tmp_path / "a.wav", sine, subtype="PCM_24")
    source = opened(wav)
    kept = encoding_for_file(Task(str(wav), "b.wav", "p"), source, DenoiseOptions())
    assert (kept.major, kept.subtype) == ("WAV", "PCM_24")
    named = encoding_for_file(Task(str(wav), "b.flac", "p", container="flac"), source, DenoiseOptions())
    assert (named.major, named.subtype) == ("FLAC", "PCM_24")
    chosen = encoding_for_file(Task(str(wav), "b.wav", "p"), source, DenoiseOptions(subtype="FLOAT"))
    assert chosen.subtype == "FLOAT"
    source.close()
