"""From speech probabilities to segments of speech, with the rules and the defaults that users of silero-vad know.

Speech begins where the probability reaches a threshold. It ends where the probability has stayed 0.15 below for a
while; short bursts are no speech, and a little sound is left on both sides.
"""

from collections.abc import Iterable
from typing import NamedTuple

THRESHOLD = 0.5
BELOW = 0.15  # the threshold, under which speech ends
LEAST_SPEECH = 0.25  # seconds
LEAST_PAUSE = 0.1  # seconds: shorter ones are part of the speech
PAD = 0.03  # seconds before and after


class SpeechSegment(NamedTuple):
    """A stretch of speech, in seconds from the beginning of the sound."""

    start: float
    end: float

    def later(self, seconds: float) -> "SpeechSegment":
        """Return the same on a clock on which the sound begins so much later."""
        return SpeechSegment(round(self.start + seconds, 3), round(self.end + seconds, 3))


class SegmentFinder:
    """Finds segments in probabilities that come bit by bit, such as those of `Stream.take_speech`.

    Args:
        hop_seconds: from one probability to the next.
        begins: time of the first one, seconds; `-latency` of the model for `Stream.take_speech`.
        threshold: from 0 to 1.

    Raises:
        ValueError: the threshold is out of range.

    Example:
        >>> finder = SegmentFinder(hop_seconds=0.01)
        >>> finder.push([0.1] * 100 + [0.9] * 100 + [0.1] * 100)
        >>> finder.finish(seconds=3.0)
        [SpeechSegment(start=0.97, end=2.03)]
    """

    def __init__(self, hop_seconds: float, begins: float = 0.0, threshold: float = THRESHOLD) -> None:
        if not 0 <= threshold <= 1:
            raise ValueError(f"speech threshold {threshold:g}: expected a probability from 0 to 1")
        self._hop, self._begins, self._threshold = hop_seconds, begins, threshold
        self._count = 0
        self._start: int | None = None  # hop in which the present speech began
        self._pause: int | None = None  # hop in which it fell silent
        self._found: list[tuple[int, int]] = []  # hops

    def push(self, probabilities: Iterable[float]) -> None:
        """Take the next probabilities."""
        for probability in probabilities:
            self._look(float(probability))
            self._count += 1

    def finish(self, seconds: float) -> list[SpeechSegment]:
        """Return the segments of a sound of so many seconds, in order, without overlap."""
        found = self._found + ([] if self._start is None else [(self._start, self._pause or self._count)])
        long = [(a * self._hop, b * self._hop) for a, b in found if (b - a) * self._hop >= LEAST_SPEECH]
        segments: list[SpeechSegment] = []
        for index, (start, end) in enumerate(long):
            before = PAD if index == 0 else min(PAD, (start - long[index - 1][1]) / 2)
            after = PAD if index == len(long) - 1 else min(PAD, (long[index + 1][0] - end) / 2)
            edges = [min(max(edge + self._begins, 0.0), seconds) for edge in (start - before, end + after)]
            segments.append(SpeechSegment(*(round(edge, 3) for edge in edges)))
        return [segment for segment in segments if segment.end > segment.start]

    def _look(self, probability: float) -> None:
        if probability >= self._threshold:
            self._pause = None
            if self._start is None:
                self._start = self._count
        elif self._start is not None and probability < self._threshold - BELOW:
            if self._pause is None:
                self._pause = self._count
            if (self._count + 1 - self._pause) * self._hop >= LEAST_PAUSE:
                self._found.append((self._start, self._pause))
                self._start = self._pause = None
