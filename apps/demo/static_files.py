"""The texts in `static/`: HTML, CSS and JavaScript of the page's own parts."""

from pathlib import Path

STATIC = Path(__file__).parent / "static"
_LIVE = ("microphone.js", "on_server.js", "in_browser.js", "live.js")


def static_text(name: str) -> str:
    """Return the text of a file below `static/`."""
    return (STATIC / name).read_text(encoding="utf-8")


def live_script() -> str:
    """Return the JavaScript of the live tab.

    It is the body of a function with `element`, `props`, `server` (null where there is none) and `watch`.
    """
    return "".join(map(static_text, _LIVE))
