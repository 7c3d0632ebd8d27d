"""The samples of a sound track on the clock of its file: holes are filled, and a clock that drifts is followed.

Every frame says when it begins. Where that time jumps from one frame to the next and stays there, sound is missing
(silence is put in) or doubled (it is left out). Where it runs away slowly, as with cameras and browsers whose sound
card is .1 to 1 % faster or slower than their clock, nothing is missing: the sound is resampled by that little, so that
it stays whole and in step with the picture. Time stamps that only tremble around the count of samples change nothing.

Resampling at a rate that glides: a windowed sinc (Kaiser, beta 9, 32 taps), read from a table of phases, J. O. Smith,
"Digital Audio Resampling Home Page".
"""

from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from statistics import median

import numpy as np

from enhance.io.pcm import silence

OUT_OF_STEP = 0.04  # seconds; the eye forgives about 45 ms
_LEAST_HOLE = 0.012  # seconds, where time stamps are steady: less than a packet of Opus or AAC
_STEADY = 8  # times the usual tremble of time stamps are a jump: 1 ms for Matroska
_TREMBLES = 50  # frames by which the tremble is known
_RESTART = 2.0  # seconds back from which on a clock began again: recordings were joined
_SHORT_RESTART = 0.2  # the same where it goes back to its very beginning
_DRIFT = 0.015  # seconds that a slow drift may reach before it is followed
_LOOK_AHEAD = 2.0  # seconds of sound that wait, to tell a jump from a tremble and a drift from both
_STEEPEST = 0.03  # change of speed at most, however far the clock is away
_NEIGHBOURS = 0.5  # seconds before and behind a jump by which it is judged
_HALF = 16  # taps of the resampler on each side
_PHASES = 1024


class SoundClock:
    """Puts decoded frames on a line of samples.

    Args:
        sample_rate: in Hz.
        channels: number of channels.

    Attributes:
        start: time of the first sample in seconds; None before it is known.
        drifts: whether the sound is being resampled to follow the clock.
        restarts: how often the clock began again.
        holes: where sound is missing: seconds on the clock of the file, and how many.
    """

    def __init__(self, sample_rate: int, channels: int) -> None:
        self._rate, self._channels = sample_rate, channels
        self._waiting: deque[tuple[np.ndarray, float]] = deque()  # frames, and by how many seconds each is late
        self._before: deque[float] = deque()  # lateness of the last frames that were placed
        self._trembles: deque[float] = deque(maxlen=_TREMBLES)  # by how many seconds lateness changes each time
        self._held = 0  # samples that wait
        self._heard = 0  # samples that came
        self._shift = 0.0  # seconds by which holes moved what follows
        self._bend = 0.0  # seconds by which the sound was stretched
        self._debt = 0  # samples still to be left out
        self._last = 0.0
        self._before_restart = 0.0  # seconds on the clock of what was joined before
        self.restarts = 0
        self.holes: list[tuple[float, float]] = []
        self._placed = 0  # samples, with those of holes
        self._warp: _Warp | None = None
        self._past = np.zeros((channels, _HALF - 1), np.float32)  # the last samples that came out
        self.start: Fraction | None = None

    @property
    def drifts(self) -> bool:
        return self._warp is not None

    @property
    def seconds(self) -> float:
        """Time up to which frames came, on the clock of the file."""
        return float(self.start or 0) + self._heard / self._rate + self._last

    def push(self, samples: np.ndarray, time: Fraction | None) -> Iterator[np.ndarray]:
        """Take a frame, float32 [channels, samples], with its time in seconds. Yields what is ready."""
        if time is not None and self.start is None:
            self.start = time
        if time is not None and self.start is not None:
            late = float(time - self.start) + self._before_restart - self._heard / self._rate
            back = self._last - late
            if back > _RESTART or (back > _SHORT_RESTART and time <= self.start):
                self._before_restart += self._last - late
                self.restarts += 1
                late = self._last
            self._trembles.append(abs(late - self._last))
            self._last = late
        self._waiting.append((samples, self._last))
        self._held += samples.shape[1]
        self._heard += samples.shape[1]
        while self._held > _LOOK_AHEAD * self._rate and len(self._waiting) > 1:
            yield from self._place()

    def flush(self) -> Iterator[np.ndarray]:
        """Yield the rest."""
        while self._waiting:
            yield from self._place()
        if self._warp is not None:
            yield self._warp.flush()

    def _place(self) -> Iterator[np.ndarray]:
        samples, late = self._waiting.popleft()
        self._held -= samples.shape[1]
        step = self._step(samples, late)
        if step:
            self._shift += step / self._rate
            self._before.clear()
            if step > 0:
                self.holes.append((float(self.start or 0) + self._placed / self._rate, step / self._rate))
                self._placed += step
                if self._warp is not None:
                    self._warp.stretch = 1.0  # a hole is as long as the clock says
                for zeros in silence(self._channels, step, self._rate):
                    yield from self._stretch(zeros)
            else:
                self._debt -= step
        left_out = min(self._debt, samples.shape[1])
        self._debt -= left_out
        self._placed += samples.shape[1] - left_out
        self._before.append(late - self._shift)
        if len(self._before) > max(1, round(_NEIGHBOURS * self._rate / max(samples.shape[1], 1))):
            self._before.popleft()
        self._follow(late)
        yield from self._stretch(samples[:, left_out:])

    def _step(self, samples: np.ndarray, late: float) -> int:
        """Return samples that are missing before a frame, negative when it overlaps what came before."""
        jump = late - self._shift - (self._before[-1] if self._before else 0.0)
        least = self._least_hole() if jump > 0 else OUT_OF_STEP
        if abs(jump) <= least:
            return 0
        before = median(self._before) if self._before else 0.0
        count = max(1, round(_NEIGHBOURS * self._rate / max(samples.shape[1], 1)))
        after = median([late, *(later for _, later in list(self._waiting)[: count - 1])]) - self._shift
        if abs(after - before) <= least:
            return 0  # the next frames are back where they were
        away = late - self._shift
        return round((away if abs(before) < _DRIFT else away - before) * self._rate)

    def _least_hole(self) -> float:
        """Return seconds from which on a gap is a hole: the steadier the time stamps, the less."""
        if len(self._trembles) < _TREMBLES // 4:
            return OUT_OF_STEP
        return min(OUT_OF_STEP, max(_LEAST_HOLE, _STEADY * median(self._trembles)))

    def _follow(self, late: float) -> None:
        """Choose the speed at which the clock is followed, by where it will be in a second or so."""
        if self._warp is None:
            if abs(late - self._shift) <= _DRIFT or not self._waiting:
                return
            if abs(median(self._before)) <= _DRIFT or abs(self._ahead()[0]) <= _DRIFT:
                return
            self._warp = _Warp(self._past)
        late, seconds = self._ahead()
        if seconds > _NEIGHBOURS / 2:  # else the next jump, or the end, is too near to say
            self._warp.stretch = 1 + min(max((late - self._bend) / seconds, -_STEEPEST), _STEEPEST)

    def _ahead(self) -> tuple[float, float]:
        """Return how late the waiting frames are, up to the next jump, and when the middle one comes, in seconds."""
        lates: list[float] = []
        count, least = 0, self._least_hole()
        for samples, late in self._waiting:
            if lates and abs(late - lates[-1]) > least:
                break
            lates.append(late)
            count += samples.shape[1]
        return (median(lates) - self._shift if lates else 0.0), count / self._rate / 2

    def _stretch(self, samples: np.ndarray) -> Iterator[np.ndarray]:
        if self._warp is None:
            self._past = np.concatenate([self._past, samples], axis=1)[:, -_HALF + 1 :]
            yield samples
            return
        self._bend += (self._warp.stretch - 1) * samples.shape[1] / self._rate
        yield self._warp.process(samples)


class _Warp:
    """A resampler whose ratio glides: `stretch` samples come out for each that goes in; at 1 they are the same.

    Args:
        past: samples before the first, float32 [channels, _HALF - 1].
    """

    def __init__(self, past: np.ndarray) -> None:
        self.stretch = 1.0
        self._held = past
        self._place = float(_HALF - 1)  # of the next sample that comes out, in what is held
        taps = np.arange(1 - _HALF, _HALF + 1) - np.arange(_PHASES + 1)[:, np.newaxis] / _PHASES
        window = np.i0(9 * np.sqrt(np.maximum(0, 1 - (taps / _HALF) ** 2))) / np.i0(9)
        table = np.sinc(taps) * window
        self._table = (table / table.sum(axis=1, keepdims=True)).astype(np.float32)

    def process(self, samples: np.ndarray) -> np.ndarray:
        """Take float32 [channels, samples], give what is ready, float32 [channels, any]."""
        self._held = np.concatenate([self._held, samples], axis=1)
        end = self._held.shape[1] - _HALF  # places before it have all their neighbours
        count = max(0, int(np.ceil((end - self._place) * self.stretch)))
        places = self._place + np.arange(count + 1) / self.stretch
        if count and places[count - 1] >= end:
            places = places[:-1]
        self._place = float(places[-1])
        whole = np.floor(places[:-1]).astype(np.int64)
        phase = (places[:-1] - whole) * _PHASES
        row = phase.astype(np.int64)
        part = (phase - row).astype(np.float32)[:, np.newaxis]
        weights = self._table[row] * (1 - part) + self._table[np.minimum(row + 1, _PHASES)] * part
        around = whole[:, np.newaxis] + np.arange(1 - _HALF, _HALF + 1)
        made = np.einsum("cnt,nt->cn", self._held[:, around], weights)
        done = int(self._place) - (_HALF - 1)
        self._held, self._place = self._held[:, done:], self._place - done
        return made

    def flush(self) -> np.ndarray:
        """Return the rest, as long as the input lasts."""
        return self.process(np.zeros((self._held.shape[0], _HALF), np.float32))
