"""The sounds of a test as they are played: read, anchors made, loudness matched, all of an item equally long.

Everything is read once at the start, so that a problem is reported before the first listener comes; then only the items
that are being listened to are kept in memory.
"""

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock

import numpy as np
import soundfile

from apps.listen.design.page_order import training_pages
from apps.listen.design.plan import Plan, anchor_name
from apps.listen.design.settings import Loudness
from apps.listen.design.traps import SET as TRAPS
from apps.listen.design.traps import SOUND as TRAP_SOUND
from apps.listen.serving.anchors import anchor
from apps.listen.serving.loudness import gains, integrated
from enhance.utils.errors import FileError, UsageError

LOWEST_RATE, HIGHEST_RATE = 8_000, 96_000  # Hz: what every browser must be able to play (Web Audio, section 1.9)
_KEPT = 4  # items in memory


@dataclass(frozen=True)
class Shape:
    """Hold what the sounds of an item have in common."""

    sample_rate: int  # Hz
    frames: int
    channels: int


class Stimuli:
    """The sounds of a test.

    Args:
        plan: the test. All its sounds are read and measured here.

    Attributes:
        shapes: (set, item): rate, length and channels.
        gains: (set, item): stimulus: factor that the loudness rule puts on it.
        fingerprint: of all files, hexadecimal.

    Raises:
        UsageError: when a sound cannot be read or does not fit to the others of its item; it names the file.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.shapes: dict[tuple[str, str], Shape] = {}
        self.gains: dict[tuple[str, str], dict[str, float]] = {}
        places = [(name, item) for name, items in plan.items.items() for item in items]
        places += [(page.set_name, page.item) for page in training_pages(plan)]
        places += [(TRAPS, f"trap {number}") for number, trap in enumerate(plan.settings.traps, 1) if trap.sound]
        content = hashlib.sha256()
        for place in dict.fromkeys(places):
            self._measure(*place, content.update)
        self.fingerprint = content.hexdigest()
        self._item = lru_cache(_KEPT)(self._read_item)
        self._lock = Lock()

    def samples(self, set_name: str, item: str, stimulus: str) -> np.ndarray:
        """Return a sound as it is played, float32 [time, channels], within full scale."""
        with self._lock:  # a browser fetches all sounds of an item at once: the first call reads them for the others
            return self._item(set_name, item)[stimulus]

    def _measure(self, set_name: str, item: str, note: Callable[[bytes], None]) -> None:
        sounds, shape = self._load(set_name, item, note)
        rule, target = self._plan.settings.loudness, self._plan.settings.target_lufs
        if set_name == TRAPS and rule is Loudness.REFERENCE:
            rule = Loudness.EACH
        measured = {Loudness.NONE: (), Loudness.REFERENCE: (self._plan.reference,), Loudness.EACH: tuple(sounds)}[rule]
        levels = {}
        for stimulus in measured:
            assert stimulus is not None
            try:
                levels[stimulus] = integrated(sounds[stimulus], shape.sample_rate)
            except FileError as problem:
                raise UsageError(f"{self._name(set_name, item, stimulus)}: {problem}") from None
        peaks = {stimulus: float(np.abs(audio).max(initial=0)) for stimulus, audio in sounds.items()}
        self.shapes[set_name, item] = shape
        self.gains[set_name, item] = gains(levels, peaks, self._plan.reference, rule, target)

    def _read_item(self, set_name: str, item: str) -> dict[str, np.ndarray]:
        sounds, _ = self._load(set_name, item)
        factors = self.gains[set_name, item]
        return {stimulus: audio * np.float32(factors[stimulus]) for stimulus, audio in sounds.items()}

    def _load(self, set_name: str, item: str, note: Callable[[bytes], None] | None = None) -> tuple[dict, Shape]:
        """Load all sounds of an item as they are in their files, and make the anchors; `note` gets their digests."""
        plan, paths = self._plan, self._paths(set_name, item)
        sounds: dict[str, np.ndarray] = {}
        shape: Shape | None = None
        for name, path in paths.items():
            try:
                data = path.read_bytes()
                audio, rate = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
            except (OSError, soundfile.LibsndfileError) as error:
                raise UsageError(f"{path} cannot be read: {getattr(error, 'error_string', error)}") from None
            found = Shape(rate, *audio.shape)
            if shape is None:
                _check(path, audio, found)
                shape = found
            if found != shape:
                first = next(iter(paths.values()))
                raise UsageError(
                    f"{path} has {_described(found)}, but {first} has {_described(shape)}: they must be alike"
                )
            if not np.isfinite(audio).all():
                raise UsageError(f"{path} has NaN or infinite samples")
            if note is not None:
                note(hashlib.sha256(data).digest())
            sounds[name] = audio
        assert shape is not None
        if plan.reference in sounds:
            for hertz in plan.settings.anchors_hz if plan.anchors else ():
                sounds[anchor_name(hertz)] = anchor(sounds[plan.reference], hertz, shape.sample_rate)
        return sounds, shape

    def _paths(self, set_name: str, item: str) -> dict[str, Path]:
        """Return the file of each stimulus of an item, or the one of a trap, whose item ends with its number."""
        plan = self._plan
        if set_name == TRAPS:
            sound = plan.settings.traps[int(item.split()[-1]) - 1].sound
            assert sound is not None
            return {TRAP_SOUND: sound}
        names = [*([plan.reference] if plan.reference else []), *plan.systems]
        return {name: plan.sets[set_name].files[name, item] for name in names}

    def _name(self, set_name: str, item: str, stimulus: str) -> str:
        path = self._paths(set_name, item).get(stimulus)
        return str(path) if path else f"the {stimulus} of {item}"


def _check(path: object, audio: np.ndarray, shape: Shape) -> None:
    if not LOWEST_RATE <= shape.sample_rate <= HIGHEST_RATE:
        raise UsageError(
            f"{path} has {shape.sample_rate} Hz; browsers play {LOWEST_RATE} to {HIGHEST_RATE} Hz: convert it"
        )
    if shape.channels > 2:
        raise UsageError(f"{path} has {shape.channels} channels, expected 1 or 2")
    if not len(audio):
        raise UsageError(f"{path} is empty")


def _described(shape: Shape) -> str:
    return f"{shape.frames} samples at {shape.sample_rate} Hz in {shape.channels} channel{'s'[: shape.channels - 1]}"
