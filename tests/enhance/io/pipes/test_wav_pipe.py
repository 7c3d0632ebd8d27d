"""WAV through a pipe: read without seeking, written with a header that needs no second visit."""

import io
import struct

import numpy as np
import pytest
import soundfile

from enhance.io.formats import Encoding
from enhance.io.pipes.wav_pipe import PipeReader, PipeWriter
from enhance.utils.errors import FileError
from enhance.utils.interrupt import Stopper

SOUND = 0.1 * np.sin(np.arange(2 * 999, dtype=np.float32)).reshape(2, 999)


def written(subtype: str, frames: int | None) -> bytes:
    pipe = io.BytesIO()
    writer = PipeWriter(pipe, Stopper(), Encoding("WAV", subtype), 44_100, 2, frames)
    for start in range(0, 999, 100):
        writer.write(SOUND[:, start : start + 100])
    writer.close()
    return pipe.getvalue()


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_what_is_written_is_a_wav_for_libsndfile_and_for_the_reader(subtype: str) -> None:
    data = written(subtype, 999)
    audio, rate = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    assert (rate, soundfile.info(io.BytesIO(data)).subtype) == (44_100, subtype)
    reader = PipeReader(io.BytesIO(data), Stopper())
    assert (reader.sample_rate, reader.channels, reader.frames, reader.encoding.subtype) == (44_100, 2, 999, subtype)
    np.testing.assert_array_equal(np.concatenate(list(reader.blocks()), axis=1), audio.T)
    step = {"PCM_U8": 2.0**-7, "PCM_16": 2.0**-15}.get(subtype, 2.0**-23)
    np.testing.assert_allclose(audio.T, SOUND, rtol=0, atol=0.501 * step)


def test_a_length_that_nobody_knows_is_until_the_end() -> None:
    data = written("PCM_16", None)
    assert data[40:44] == b"\xff" * 4
    reader = PipeReader(io.BytesIO(data), Stopper())
    assert reader.frames is None
    assert sum(block.shape[1] for block in reader.blocks()) == 999


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty: nothing came"),
        (b"RIFF", "cut off before a WAV header"),
        (b"OggS" + bytes(100), "not WAV"),
        (b"RIFF" + bytes(4) + b"WAVE" + b"data" + bytes(4), "without a format before its samples"),
        (b"RIFF" + bytes(4) + b"WAVE" + struct.pack("<4sI", b"fmt ", 8) + bytes(8), "a format of 8 bytes"),
    ],
)
def test_what_is_no_wav_is_said_in_one_line(data: bytes, said: str) -> None:
    with pytest.raises(FileError, match=said):
        PipeReader(io.BytesIO(data), Stopper())


@pytest.mark.parametrize("subtype", ["ULAW", "ALAW"])
def test_a_wav_in_another_codec_is_refused_with_the_way_to_convert_it(subtype: str) -> None:
    data = io.BytesIO()
    soundfile.write(data, SOUND.T, 8000, format="WAV", subtype=subtype)
    with pytest.raises(FileError, match="expected PCM or float; convert it on its way, for example: ffmpeg"):
        PipeReader(io.BytesIO(data.getvalue()), Stopper())
