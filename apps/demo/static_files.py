"""The texts in `static/`: HTML, CSS and JavaScript of the page's own parts."""

from pathlib import Path

STATIC = Path(__file__).parent / "static"
_ALONE = ("microphone.js", "in_browser.js")  # what denoises in the browser, without a page


def static_text(name: str) -> str:
    """Return the text of a file below `static/`."""
    return (STATIC / name).read_text(encoding="utf-8")


def live_script() -> str:
    """Return the JavaScript of the live tab.

    It is the body of a function with `element`, `props`, `server` (null where there is none) and `watch`.
    """
    return "".join(map(static_text, (*_ALONE, "on_server.js", "live.js")))


def browser_module() -> str:
    """Return the JavaScript module for pages of others, over a constant `ENGINE` as `props.engine` of the live tab."""
    return "".join(map(static_text, (*_ALONE, "export/module.js")))
