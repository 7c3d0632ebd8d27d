"""libsndfile is shown a header with the right number of frames, whatever the file's own says."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from enhance.io.sound.mp3_frames import scan
from enhance.io.sound.mp3_view import view


def test_a_header_with_too_few_frames_is_put_right(tmp_path: Path) -> None:
    rate, path = 44_100, tmp_path / "a.mp3"
    with soundfile.SoundFile(path, "w", rate, 1, format="MP3") as file:
        file.write(0.1 * np.sin(np.arange(2 * rate) / 20))
    right = soundfile.read(path)[0]
    content = path.read_bytes()
    place = max(content.find(b"Info", 0, 2000), content.find(b"Xing", 0, 2000))
    assert place > 0
    (frames,) = struct.unpack_from(">I", content, place + 8)
    path.write_bytes(content[: place + 8] + struct.pack(">I", frames // 2) + content[place + 12 :])
    found = scan(path)
    (recording,) = found.recordings
    assert recording.frames == frames
    shown: Any = view(path, found, 0)
    with soundfile.SoundFile(shown) as file:
        heard = file.read()
    shown.close()
    np.testing.assert_array_equal(heard[: recording.samples], right[: recording.samples])
    assert recording.samples == len(right) == 2 * rate
