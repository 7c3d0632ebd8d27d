"""The parts of the page that Gradio does not have: player, recorder and live microphone, as HTML components.

Each is a folder's worth of `NAME.html`, `NAME.css` and `NAME.js` in `static/`; nothing is fetched from elsewhere.
"""

from collections.abc import Callable

import gradio as gr

from apps.demo.static_files import live_script, static_text


def player() -> gr.HTML:
    """Make the player, which shows the value of `apps.demo.web.player_state.view`."""
    return gr.HTML(
        value=None,
        html_template=static_text("player.html"),
        css_template=static_text("player.css"),
        js_on_load=static_text("player.js"),
        apply_default_css=False,
        elem_id="player",
    )


def recorder(minutes: float) -> gr.HTML:
    """Make the recorder. `submit` brings `{"path": ...}` of the upload; it stops by itself after so many minutes."""
    return gr.HTML(
        value=None,
        html_template=static_text("recorder.html"),
        css_template=static_text("recorder.css"),
        js_on_load=static_text("microphone.js") + static_text("recorder.js"),
        apply_default_css=False,
        elem_id="recorder",
        minutes=minutes,
    )


def live(
    functions: list[Callable], value: dict[str, object], models: list[str], engine: dict[str, object] | None
) -> gr.HTML:
    """Make the live tab.

    Args:
        functions: those of `apps.demo.web.api`.
        value: the strength and the model.
        models: those that it can use; the first one takes the place of another.
        engine: what `apps.demo.browser.files.BrowserFiles.for_page` gives; None to denoise on the server.
    """
    return gr.HTML(
        value=value,
        html_template=static_text("live.html"),
        css_template=static_text("live.css"),
        js_on_load=live_script(),
        apply_default_css=False,
        elem_id="live",
        server_functions=functions,
        models=models,
        engine=engine,
    )
