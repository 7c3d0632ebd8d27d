"""The demo for programs: the functions behind the page, with plain arguments, for `gradio_client`.

What comes from outside is checked here: a file must be an upload, a model must be one of the page, numbers numbers.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr

from apps.demo.service.live_streams import LiveDesk
from apps.demo.service.service import DemoService
from enhance.runtime.strength import Strength
from enhance.utils.errors import FileError, ModelError


@contextmanager
def problems_as_gradio_errors() -> Iterator[None]:
    """Turn a `FileError` into Gradio's error, which the page and programs show in one line."""
    try:
        yield
    except (FileError, ModelError) as problem:
        raise gr.Error(str(problem), duration=None, print_exception=False) from None


def strength_of(attenuation_limit: Any, mix: Any) -> Strength:
    """Check the values and return them as `Strength`.

    Raises:
        FileError: when they are not numbers in range.

    Example:
        >>> strength_of(None, 1), strength_of("12", 0.5)
        (Strength(attenuation_limit_db=None, mix=1.0), Strength(attenuation_limit_db=12.0, mix=0.5))
    """
    try:
        limit = None if attenuation_limit is None else float(attenuation_limit)
        share = float(mix)
    except (TypeError, ValueError):
        raise FileError(f"attenuation limit {attenuation_limit!r} and mix {mix!r}: expected numbers") from None
    try:
        return Strength(None if limit == float("inf") else limit, share)
    except ValueError as error:
        raise FileError(str(error)) from None


def upload_at(given: Any, uploads: Path) -> Path:
    """Return the path of an upload that the browser or a client names.

    Args:
        given: a path, or what Gradio makes of one: a dictionary with "path".
        uploads: folder in which uploads are.

    Raises:
        FileError: for any other place, links out of the folder included.
    """
    path = given.get("path") if isinstance(given, dict) else given
    if isinstance(path, str) and path:
        place = Path(path).resolve()
        if place.is_relative_to(uploads.resolve()) and place.is_file():
            return place
    raise FileError("this file was not uploaded here: send it with gradio_client's handle_file(PATH)")


class Api:
    """The functions, each raising `gr.Error` with one line.

    Args:
        service: does the work on files.
        desk: has the live streams.
        uploads: folder in which Gradio puts uploads.
        results: folder for what programs fetch.
    """

    def __init__(self, service: DemoService, desk: LiveDesk, uploads: Path, results: Callable[[], Path]) -> None:
        self._service, self._desk = service, desk
        self._uploads, self._results = uploads, results

    def denoise(
        self, file: dict, attenuation_limit: float | None = None, mix: float = 1.0, model: str | None = None
    ) -> tuple[dict, dict]:
        """Denoise one file. Gives the cleaned file, in the format of the input, and figures."""

        def keep(output: Path) -> Path:
            return Path(shutil.move(output, self._results() / output.name))

        with problems_as_gradio_errors():
            upload = upload_at(file, self._uploads)
            outcome = self._service.once(upload, strength_of(attenuation_limit, mix), model, keep)
        figures = {"seconds": outcome.seconds, "elapsed": outcome.elapsed, "speed": outcome.speed}
        figures |= {"sample_rate": outcome.sample_rate, "channels": outcome.channels, "notes": outcome.notes}
        cleaned = {"path": outcome.output, "orig_name": Path(outcome.output or "").name}
        return cleaned | {"meta": {"_type": "gradio.FileData"}}, figures

    def models(self) -> list[str]:
        """Return the models that `denoise` takes; the first one is the default, for files. `live_open` has its own."""
        return list(self._service.models)

    def live_open(
        self,
        sample_rate: int,
        block: int = 1,
        attenuation_limit: float | None = None,
        mix: float = 1.0,
        model: str | None = None,
    ) -> dict:
        """Begin a live stream of one channel, in blocks of multiples of `block` samples. Gives its token and delay."""
        with problems_as_gradio_errors():
            return self._desk.open(sample_rate, block, strength_of(attenuation_limit, mix), model)

    def live_block(self, token: str, number: int, samples: str) -> dict:
        """Denoise the next block: base64 of int16, numbered from 0. Gives as many samples, and the milliseconds."""
        with problems_as_gradio_errors():
            return self._desk.block(token, number, samples)

    def live_adjust(self, token: str, attenuation_limit: float | None = None, mix: float = 1.0) -> None:
        """Change the strength of a live stream."""
        with problems_as_gradio_errors():
            self._desk.adjust(token, strength_of(attenuation_limit, mix))

    def live_close(self, token: str) -> None:
        """End a live stream."""
        self._desk.close(token)

    def for_the_page(self) -> list[Callable[[dict], dict]]:
        """Return the live functions with one dictionary as argument; problems come back under "problem"."""

        def live_open(values: dict) -> dict:
            return _answer(self.live_open, values)

        def live_block(values: dict) -> dict:
            return _answer(self.live_block, values)

        def live_adjust(values: dict) -> dict:
            return _answer(self.live_adjust, values)

        def live_close(values: dict) -> dict:
            return _answer(self.live_close, values)

        return [live_open, live_block, live_adjust, live_close]


def _answer(function: Callable[..., Any], values: dict) -> dict:
    try:
        return function(**values) or {}
    except gr.Error as error:
        return {"problem": error.message}
    except TypeError:
        return {"problem": f"unexpected arguments {', '.join(map(str, values))}"}
