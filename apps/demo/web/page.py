"""The page: examples, upload, recorder and controls on one side, the player on the other, a tab for the microphone."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.events import api
from gradio.themes import Base
from starlette.concurrency import run_in_threadpool

from apps.demo.service.service import DemoService
from apps.demo.service.session import DenoisedFile
from apps.demo.web import components as parts
from apps.demo.web.api import Api, problems_as_gradio_errors, strength_of, upload_at
from apps.demo.web.player_state import view
from enhance.io.formats import CONTAINERS, MUXERS
from enhance.runtime.strength import Strength

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
HIGHEST_LIMIT = 40  # dB, right end of the slider
TITLE = "mpeace: noise out of speech"
_LEAD = (
    "Removes background noise from recorded and live speech. "
    "Hear it: switch between **noisy** and **cleaned** at the same place, at the same gain."
)
_IN_A_WORD = {
    "studio": "cleanest, for files",
    "small": "live and files",
    "tiny": "fastest",
}  # what each of the usual models is for
_SUFFIXES = sorted({suffix for container in CONTAINERS.values() for suffix in container.suffixes} | set(MUXERS))
_CSS = Path(__file__).parents[1] / "static" / "page.css"
PROGRESS = gr.Progress()  # stands for the progress of whichever job has it as an argument


def example_files() -> list[Path]:
    """Return the sounds that the page offers, in its order."""
    return sorted(path for path in EXAMPLES.iterdir() if path.suffix != ".md")


def theme() -> Base:
    """Return the theme: colours and fonts of the system, so that nothing is downloaded."""
    return Base(
        primary_hue="teal",
        neutral_hue="slate",
        radius_size="lg",
        font=("system-ui", "sans-serif"),
        font_mono=("ui-monospace", "monospace"),
    ).set(body_text_color_subdued="*neutral_500", block_info_text_color="*neutral_500")


def css() -> str:
    """Return the style of the page, beside that of its components."""
    return _CSS.read_text(encoding="utf-8")


class Page:
    """Build the page over a service.

    Args:
        service: denoises.
        functions: for programs, and for the live tab.
        uploads: folder in which Gradio puts uploads.
        engine: with which the live tab denoises in the browser; None to denoise on the server.
    """

    def __init__(
        self, service: DemoService, functions: Api, uploads: Path, engine: dict[str, Any] | None = None
    ) -> None:
        self._service, self._api, self._uploads, self._engine = service, functions, uploads, engine
        self._writers = asyncio.Semaphore(service.limits.jobs)

    def blocks(self) -> gr.Blocks:
        """Build the page as a Gradio app."""
        limits = self._service.limits
        with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=limits.sweeping) as blocks:
            gr.Markdown(f"# mpeace\n{_LEAD}", elem_id="lead")
            with gr.Row(elem_id="columns"):
                with gr.Column(elem_id="sources"):
                    sources = self._sources()
                with gr.Column(elem_id="stage"):
                    with gr.Tab("File"):
                        player = parts.player()
                    with gr.Tab("Live"):
                        value = {"attenuation_limit": None, "mix": 1.0, "model": next(iter(self._service.models))}
                        live = parts.live(self._api.for_the_page(), value, self._service.live, self._engine)
                with gr.Column(elem_id="controls"):
                    controls = self._controls()
            self._wire(sources, controls, player, live)
            self._for_programs()
            blocks.unload(self._leave)
        blocks.queue(max_size=limits.waiting, default_concurrency_limit=limits.jobs)
        return blocks

    def _sources(self) -> tuple[list[tuple[gr.Button, Path]], gr.File, gr.HTML]:
        gr.Markdown("## Examples")
        with gr.Row(elem_id="examples"):
            examples = [
                (gr.Button(path.stem.replace("_", " ").capitalize(), min_width=80, elem_classes="example"), path)
                for path in example_files()
            ]
        gr.Markdown("## Your own")
        recorder = parts.recorder(min(self._service.limits.minutes, 2.0))
        upload = gr.File(label="Sound file or video", file_types=_SUFFIXES, height=130, elem_id="upload")
        gr.HTML(self._service.limits.in_words(), apply_default_css=False, elem_id="limits")
        return examples, upload, recorder

    def _controls(self) -> list[Any]:
        gr.Markdown("## Strength")
        limited = gr.Checkbox(False, label="Limit the attenuation", elem_id="limited")
        limit = gr.Slider(
            0, HIGHEST_LIMIT, 12, step=1, label="Noise is lowered by at most (dB)", visible=False, elem_id="limit"
        )
        mix = gr.Slider(0, 1, 1, step=0.01, label="Mix, from 0 (noisy) to 1 (cleaned)", elem_id="mix")
        models = list(self._service.models)
        words = [(f"{name}: {word}" if (word := _IN_A_WORD.get(name)) else name, name) for name in models]
        model = gr.Dropdown(words, value=models[0], label="Model", elem_id="model")
        return [limited, limit, mix, model]

    def _wire(self, sources: Any, controls: list[Any], player: gr.HTML, live: gr.HTML) -> None:
        examples, upload, recorder = sources
        limited, limit, mix, model = controls
        job: dict[str, Any] = {
            "outputs": player, "api_visibility": "private", "concurrency_id": "job", "show_progress": "full",
            "concurrency_limit": self._service.limits.jobs,
        }  # fmt: skip
        quick: dict[str, Any] = {  # beside the queue, which is for jobs
            "outputs": player, "api_visibility": "private", "queue": False, "show_progress": "hidden",
        }  # fmt: skip
        opened = [button.click(self._example(path), controls, **job) for button, path in examples]
        opened.append(upload.upload(self._given, [upload, *controls], **job))
        opened.append(recorder.submit(self._given, [recorder, *controls], **job))
        opened.append(model.input(self._again, controls, trigger_mode="always_last", **job))
        for event in opened:  # the controls may have been moved meanwhile
            event.success(self._show, controls, js=_IN_RANGE, **quick).then(self._write, None, **quick)
        limited.input(
            lambda on: gr.update(visible=on), limited, limit, api_visibility="private", show_progress="hidden"
        )
        for control in (limited, limit, mix):
            shown = control.input(self._show, controls, trigger_mode="always_last", js=_IN_RANGE, **quick)
            shown.then(self._write, None, trigger_mode="always_last", **quick)
            control.input(None, controls, live, js=_STRENGTH, api_visibility="private", show_progress="hidden")
        model.input(None, controls, live, js=_STRENGTH, api_visibility="private", show_progress="hidden")

    def _for_programs(self) -> None:
        jobs = self._service.limits.jobs
        api(self._api.denoise, api_name="denoise", concurrency_id="job", concurrency_limit=jobs)
        api(self._api.models, api_name="models", queue=False)
        api(self._api.live_open, api_name="live_open", queue=False)
        api(self._api.live_block, api_name="live_block", queue=False)
        api(self._api.live_adjust, api_name="live_adjust", queue=False)
        api(self._api.live_close, api_name="live_close", queue=False)

    def _example(self, path: Path) -> Callable[..., dict[str, Any]]:
        def example(
            limited: bool, limit: float, mix: float, model: str, request: gr.Request,
            progress: gr.Progress = PROGRESS,
        ) -> dict[str, Any]:  # fmt: skip
            with problems_as_gradio_errors():
                session, strength = _session(request), _strength(limited, limit, mix)
                work = self._service.open_example(session, path, strength, model, _on_progress(progress))
                return view(work) | {"tour": True}

        return example

    def _given(
        self, file: Any, limited: bool, limit: float, mix: float, model: str, request: gr.Request,
        progress: gr.Progress = PROGRESS,
    ) -> dict[str, Any]:  # fmt: skip
        """Take an upload or a recording."""
        with problems_as_gradio_errors():
            path = upload_at(file, self._uploads)
        return self._open(path, _strength(limited, limit, mix), model, request, progress)

    def _again(
        self, limited: bool, limit: float, mix: float, model: str, request: gr.Request,
        progress: gr.Progress = PROGRESS,
    ) -> dict[str, Any]:  # fmt: skip
        """Denoise the same file with another model."""
        work = self._work(request)
        if work is None:
            return gr.skip()  # type: ignore[return-value]
        return self._open(work.source, _strength(limited, limit, mix), model, request, progress)

    def _open(
        self, path: Path, strength: Strength, model: str, request: gr.Request, progress: gr.Progress
    ) -> dict[str, Any]:
        with problems_as_gradio_errors():
            return view(self._service.open(_session(request), path, strength, model, _on_progress(progress)))

    def _show(self, limited: bool, limit: float, mix: float, model: str, request: gr.Request) -> Any:
        """Show another strength: pictures and sound at once; the download follows."""
        work, strength = self._work(request), _strength(limited, limit, mix)
        if work is None or work.strength == strength:
            return gr.skip()
        work.strength = strength
        work.version += 1
        return self._view(work, request)

    async def _write(self, request: gr.Request) -> Any:
        work = self._work(request)
        if work is None or work.written == work.strength:
            return gr.skip()
        async with self._writers:
            return await run_in_threadpool(self._write_now, work, request)

    def _write_now(self, work: DenoisedFile, request: gr.Request) -> Any:
        try:
            with problems_as_gradio_errors():
                return self._view(work, request) if self._service.write(work) else gr.skip()
        except gr.Error:
            if self._work(request) is not work:
                return gr.skip()
            raise

    def _view(self, work: DenoisedFile, request: gr.Request) -> Any:
        """Return what the player shows of a file; nothing when another file has taken its place meanwhile."""
        try:
            shown = view(work)
        except FileNotFoundError:
            shown = None
        return gr.skip() if shown is None or self._work(request) is not work else shown

    def _work(self, request: gr.Request) -> DenoisedFile | None:
        """Return the file that a page works with, None when it has none.

        Raises:
            gr.Error: when it was removed.
        """
        sessions, session = self._service.sessions, _session(request)
        work = sessions.get(session)
        if work is None and (reason := sessions.why_removed(session)):
            raise gr.Error(reason, duration=None, print_exception=False)
        return work

    def _leave(self, request: gr.Request) -> None:
        self._service.sessions.drop(_session(request))


# The field of a slider takes any number, and shows the nearest in range when it is left.
_IN_RANGE = f"""(limited, limit, mix, model) =>
  [limited, Math.min(Math.max(limit, 0), {HIGHEST_LIMIT}), Math.min(Math.max(mix, 0), 1), model]"""
_STRENGTH = f"""(...controls) => {{
  const [limited, limit, mix, model] = ({_IN_RANGE})(...controls);
  return {{ attenuation_limit: limited ? limit : null, mix, model }};
}}"""


def _strength(limited: bool, limit: float, mix: float) -> Strength:
    with problems_as_gradio_errors():
        return strength_of(limit if limited else None, mix)


def _on_progress(progress: gr.Progress) -> Callable[[float, float | None], None]:
    def on_progress(seconds: float, total: float | None) -> None:
        progress((seconds, total), desc="Denoising", unit="s")  # type: ignore[arg-type]

    return on_progress


def _session(request: gr.Request) -> str:
    if not request.session_hash:
        raise gr.Error("this is for the page; programs call /denoise", print_exception=False)
    return request.session_hash
