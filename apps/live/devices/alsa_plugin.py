"""Which sound server a device of ALSA leads to: ALSA is asked, as PortAudio gives only the device's name."""

import ctypes
import ctypes.util
from functools import cache
from typing import Any

from apps.live.devices import portaudio

PULSEAUDIO, PIPEWIRE = "PulseAudio", "PipeWire"
_CAPTURE, _NO_WAIT = 1, 1  # SND_PCM_STREAM_CAPTURE, SND_PCM_NONBLOCK


def server_behind(name: str) -> str | None:
    """Return the server whose plug-in of ALSA stands behind an input, `PULSEAUDIO` or `PIPEWIRE`; None for all others.

    Args:
        name: of ALSA's, as PortAudio lists it.
    """
    library = _alsa()
    if library is None:
        return None
    device = ctypes.c_void_p()
    with portaudio.quiet():
        if library.snd_pcm_open(ctypes.byref(device), name.encode(), _CAPTURE, _NO_WAIT) < 0:
            return None
        described, text = ctypes.c_void_p(), ctypes.c_char_p()
        library.snd_output_buffer_open(ctypes.byref(described))
        library.snd_pcm_dump(device, described)
        length = library.snd_output_buffer_string(described, ctypes.byref(text))
        words = ctypes.string_at(text, length).decode(errors="replace")
        library.snd_output_close(described)
        library.snd_pcm_close(device)
    return next((server for server in (PULSEAUDIO, PIPEWIRE) if f"{server} PCM I/O Plugin" in words), None)


@cache
def _alsa() -> Any:
    """Load the library that PortAudio uses too; None on systems without it."""
    found = ctypes.util.find_library("asound")
    if found is None:
        return None
    library = ctypes.CDLL(found)
    library.snd_output_buffer_string.restype = ctypes.c_size_t
    return library
