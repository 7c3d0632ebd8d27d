"""A microphone that gives exact zeros: it is muted, or the system keeps it from this program. What to do about it."""

import sys

SECONDS = 3.0  # of exact zeros before it is said; no real microphone is that quiet for one sample

_ADVICE = {
    "darwin": "allow this terminal under System Settings > Privacy & Security > Microphone, then start it anew",
    "win32": "allow desktop apps under Settings > Privacy & security > Microphone, and look at the mute key",
    "linux": "unmute it (pactl set-source-mute NAME 0, or alsamixer, F4), look at a mute switch, or choose another",
}


def advice(device: str, platform: str = sys.platform) -> str:
    """Return one line for a person whose microphone gives zeros.

    Example:
        >>> advice("Built-in", "darwin").startswith("Built-in gives exact silence: allow this terminal under System")
        True
    """
    return f"{device} gives exact silence: {_ADVICE.get(platform, _ADVICE['linux'])}"
