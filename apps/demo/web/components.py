"""The parts of the page that Gradio does not have: player, recorder and live microphone, as HTML components.

Each is a folder's worth of `NAME.html`, `NAME.css` and `NAME.js` beside this file; nothing is fetched from elsewhere.
"""

from collections.abc import Callable
from pathlib import Path

import gradio as gr

_HERE = Path(__file__).resolve().parents[1] / "static"


def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def player() -> gr.HTML:
    """Make the player, which shows the value of `apps.demo.web.player_state.view`."""
    return gr.HTML(
        value=None,
        html_template=_text("player.html"),
        css_template=_text("player.css"),
        js_on_load=_text("player.js"),
        apply_default_css=False,
        elem_id="player",
    )


def recorder(minutes: float) -> gr.HTML:
    """Make the recorder. `submit` brings `{"path": ...}` of the upload; it stops by itself after so many minutes."""
    return gr.HTML(
        value=None,
        html_template=_text("recorder.html"),
        css_template=_text("recorder.css"),
        js_on_load=_text("microphone.js") + _text("recorder.js"),
        apply_default_css=False,
        elem_id="recorder",
        minutes=minutes,
    )


def live(functions: list[Callable], value: dict[str, object]) -> gr.HTML:
    """Make the live tab; its value is the strength and the model, its functions are those of `apps.demo.web.api`."""
    return gr.HTML(
        value=value,
        html_template=_text("live.html"),
        css_template=_text("live.css"),
        js_on_load=_text("microphone.js") + _text("live.js"),
        apply_default_css=False,
        elem_id="live",
        server_functions=functions,
    )
