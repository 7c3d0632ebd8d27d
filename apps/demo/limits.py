"""The limits of the demo: how much one person may ask for, and what happens beyond it.

Sound is held on the disk at its own rate as float32 while a person works with it; the limits bound that, the time of
one job, and how many people work at the same time.
"""

from dataclasses import dataclass

from enhance.utils.errors import FileError

USUAL_MINUTES = 5.0
USUAL_VALUES_PER_SECOND = 2 * 48_000  # stereo at 48 kHz; files with more are limited to as many samples
BEYOND = "denoise it with the command: mpeace denoise FILE"


@dataclass(frozen=True)
class Limits:
    """Caps of the demo.

    Attributes:
        minutes: length of a file (of stereo at 48 kHz; shorter for more channels or a higher rate).
        megabytes: size of an upload.
        uploads: of that size that are on their way or held at the same time; more are turned away.
        visitor_uploads: of them, of one visitor.
        jobs: files denoised at the same time; the others wait in the queue. As many outputs are written anew.
        waiting: jobs in the queue before new ones are turned away.
        sessions: people whose sound is held; beyond, the one who was idle for longest is forgotten.
        idle_seconds: after which a session is forgotten.
        upload_seconds: after which an upload is removed: longer than the queue can last with files of `USUAL_MINUTES`.
        live: microphones at the same time.
        visitor_live: of them, of one visitor.
        live_minutes: of one microphone.
        job_megabytes: of memory that the process of one job may take beside its libraries.
        job_seconds: after which that process is ended if no more sound came of it.
    """

    minutes: float = USUAL_MINUTES
    megabytes: int = 200
    uploads: int = 20
    visitor_uploads: int = 5
    jobs: int = 2
    waiting: int = 16
    sessions: int = 16
    idle_seconds: float = 1800.0
    upload_seconds: int = 300
    live: int = 4
    visitor_live: int = 2
    live_minutes: float = 30.0
    job_megabytes: int = 1000
    job_seconds: float = 60.0

    @property
    def sweeping(self) -> tuple[int, int]:
        """Seconds between two looks for old uploads, and the age of an old one: more where longer files may wait.

        Example:
            >>> Limits().sweeping, Limits(minutes=60).sweeping
            ((30, 300), (30, 3600))
        """
        age = round(self.upload_seconds * max(1, self.minutes / USUAL_MINUTES))
        return min(30, age), age

    @property
    def upload_bytes(self) -> int:
        """Size of the largest upload."""
        return self.megabytes * 1_000_000

    @property
    def values(self) -> int:
        """Samples over all channels that one file may have."""
        return round(60 * self.minutes * USUAL_VALUES_PER_SECOND)

    def check(self, seconds: float, sample_rate: int, channels: int) -> None:
        """Refuse a sound that is too long.

        Args:
            seconds: its length, or what was read of it so far.
            sample_rate: Hz.
            channels: number of channels.

        Raises:
            FileError: that names the limit and what to do.

        Example:
            >>> Limits(minutes=1).check(61, 48_000, 1)
            Traceback (most recent call last):
                ...
            enhance.utils.errors.FileError: longer than the demo takes (1 min); denoise it with the command: mpeace
            denoise FILE
        """
        if seconds > 60 * self.minutes:
            raise FileError(f"longer than the demo takes ({self.minutes:g} min); {BEYOND}")
        if seconds * sample_rate * channels > self.values:
            most = self.values / (sample_rate * channels * 60)
            raise FileError(
                f"{channels} channels at {sample_rate} Hz are longer than the demo takes "
                f"({most:.1f} min of such sound); {BEYOND}"
            )

    def in_words(self) -> str:
        """Return the limits as a sentence for the page."""
        minutes = "1 minute" if self.minutes == 1 else f"{self.minutes:g} minutes"
        return f"Up to {minutes} and {self.megabytes} MB. For more: <code>mpeace denoise FILE</code>"
