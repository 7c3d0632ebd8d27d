"""The work of the demo: files through `enhance.io.denoise_file`, once with the network and then by memory.

The first rendering runs the network and keeps its output (`apps.demo.remix`). Another strength is shown at once from
the analysis and written anew by the same job, so the download is what `mpeace denoise` writes with these settings.
The examples are the same for everybody: for each of them the network runs once for each model.
"""

import shutil
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from apps.demo.limits import Limits
from apps.demo.pictures.plots import draw
from apps.demo.pictures.preview import write_previews
from apps.demo.pictures.spectra import Analysis
from apps.demo.remix import CachedDenoiser, Track
from apps.demo.service.session import DenoisedFile, Sessions, new_folder, take
from apps.demo.service.worker_pool import Job, WorkerPool
from enhance import Denoiser
from enhance.io.options import DenoiseOptions
from enhance.io.task import Outcome, Task
from enhance.runtime.strength import Strength
from enhance.utils.errors import FileError

if TYPE_CHECKING:
    from enhance.io.task import OnProgress


KEPT = "kept"  # name of the folder of examples
BLOCKS_PER_SECOND = 100  # of live sound


class Outdated(Exception):
    """The strength was changed while its output was written."""


class DemoService:
    """Denoises for everybody who has the page open.

    Args:
        folder: for what people work with.
        limits: caps.
        models: name on the page -> name or path for `Denoiser`. Nobody can name another.
        workers: the processes for files; of its own when None.
        live: those of the names that the live tab may use; all when None.
    """

    def __init__(
        self,
        folder: Path,
        limits: Limits,
        models: dict[str, str],
        workers: WorkerPool | None = None,
        live: Iterable[str] | None = None,
    ) -> None:
        self.workers = workers or WorkerPool(limits.job_megabytes, limits.job_seconds)
        self.sessions = Sessions(folder / "sessions", limits)
        self.limits = limits
        self.models = models
        self.live = list(models if live is None else live)
        self._denoisers: dict[str, Denoiser] = {}
        self._folder = folder / KEPT
        self._examples: dict[tuple[Path, str], DenoisedFile] = {}
        self._making: dict[tuple[Path, str], threading.Lock] = {}
        self._lock = threading.Lock()

    def denoiser(self, name: str | None) -> Denoiser:
        """Return a model of the page; the first one for None.

        Raises:
            FileError: for another name.
        """
        name = name or next(iter(self.models))
        if name not in self.models:
            raise FileError(f"no model {name!r}: the models are {', '.join(self.models)}")
        with self._lock:
            if name not in self._denoisers:
                self._denoisers[name] = Denoiser(self.models[name])
            return self._denoisers[name]

    def open(
        self, session: str, upload: Path, strength: Strength, model: str | None, on_progress: "OnProgress | None" = None
    ) -> DenoisedFile:
        """Denoise a file and let the session work with it.

        Raises:
            FileError: what is wrong with the file or the settings, in one line.
        """
        begun = time.monotonic()
        work = self._new_work(self.sessions.new_folder(), upload, strength, model)
        self._make(work, on_progress)
        self.sessions.put(session, work, begun)
        return work

    def open_example(
        self, session: str, path: Path, strength: Strength, model: str | None, on_progress: "OnProgress | None" = None
    ) -> DenoisedFile:
        """Open an example: as `open`, but the network runs only for the first session. Its output is not written.

        Raises:
            FileError: what is wrong with the file or the settings, in one line.
        """
        begun = time.monotonic()
        _settings(strength)
        example = self.example(path, model, on_progress)
        folder = self.sessions.new_folder()
        try:
            work = example.again(folder, strength)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self.sessions.put(session, work, begun)
        return work

    def example(self, path: Path, model: str | None, on_progress: "OnProgress | None" = None) -> DenoisedFile:
        """Return a denoised example; it is denoised when it is asked for the first time."""
        key = path, model or next(iter(self.models))
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        with making:
            if key not in self._examples:
                work = self._work(new_folder(self._folder), path, Strength(), model)
                self._make(work, on_progress)
                for name in ("in", "out"):
                    shutil.rmtree(work.folder / name)
                self._examples[key] = work
            return self._examples[key]

    def write(self, work: DenoisedFile) -> bool:
        """Write the output with the strength that the person wants now.

        Returns:
            Whether the output on the disk is up to date; False when the strength was changed meanwhile.
        """
        with work.busy:
            strength = work.strength
            if work.written == strength:
                return True
            work.written = None

            def on_progress(seconds: float, total: float | None) -> None:
                if work.strength != strength:
                    raise Outdated

            try:
                self._render(work, strength, on_progress, work.cached.tracks)
            except Outdated:
                return False
            work.written = strength
            return True

    def once(self, upload: Path, strength: Strength, model: str | None, keep: Callable[[Path], Path]) -> Outcome:
        """Denoise a file for a program. `keep` puts the output elsewhere; all else that was made is removed.

        Raises:
            FileError: what is wrong with the file or the settings, in one line.
        """
        work = self._new_work(self.sessions.new_folder(), upload, strength, model)
        try:
            outcome = self._render(work, strength, None)
            outcome.output = str(keep(work.target))
            return outcome
        finally:
            shutil.rmtree(work.folder, ignore_errors=True)

    def _make(self, work: DenoisedFile, on_progress: "OnProgress | None") -> None:
        """Run the network, and make all that the page shows."""
        strength = work.strength
        try:
            work.outcome = self._render(work, strength, on_progress)
            work.written = strength
            track = work.cached.tracks[0]
            work.analysis = Analysis(track)
            work.drawing = draw(work.analysis, strength.weight)
            work.gain = write_previews(track, work.folder / "noisy.wav", work.folder / "wet.wav")
            if work.model in self.live:
                work.delay_seconds = self._delay(work.model, track.sample_rate)
        except BaseException:
            shutil.rmtree(work.folder, ignore_errors=True)
            raise

    def _delay(self, model: str, sample_rate: int) -> float:
        """Return the seconds that `mpeace live` adds: a block is filled, and the stream has a delay of its own."""
        block = round(sample_rate / BLOCKS_PER_SECOND)
        stream = self.denoiser(model).stream(sample_rate, live_block=block)
        return (block + stream.latency_samples) / sample_rate

    def _new_work(self, folder: Path, upload: Path, strength: Strength, model: str | None) -> DenoisedFile:
        try:
            _settings(strength)  # refuses values out of range before anything is copied
            return self._work(folder, take(upload, folder), strength, model)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _work(self, folder: Path, source: Path, strength: Strength, model: str | None) -> DenoisedFile:
        cached, outcome = CachedDenoiser(self.denoiser(model), folder), Outcome(str(source), None, "failed")
        return DenoisedFile(folder, source, cached, outcome, strength, model or next(iter(self.models)))

    def _render(
        self,
        work: DenoisedFile,
        strength: Strength,
        on_progress: "OnProgress | None",
        tracks: list[Track] | None = None,
    ) -> Outcome:
        """Denoise as the command line does, in a process that checks the limits after each block.

        With the `tracks` of a former rendering the network need not run again.
        """
        task = Task(str(work.source), str(work.target), str(work.target.with_suffix(".part")))
        job = Job(self.models[work.model], work.folder, tracks, task, _settings(strength), self.limits)
        outcome, work.cached.tracks = self.workers.run(job, on_progress or (lambda *_: None))
        if outcome.status != "done":
            raise FileError(outcome.message.replace("(--salvage", "(mpeace denoise --salvage"))
        return outcome


def _settings(strength: Strength) -> DenoiseOptions:
    return DenoiseOptions(attenuation_limit_db=strength.attenuation_limit_db, mix=strength.mix)
