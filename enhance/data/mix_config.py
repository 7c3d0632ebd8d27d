"""What noisy speech is made of, how often and how strongly: one frozen dataclass for `enhance.data.mixing`."""

from dataclasses import dataclass

from enhance.dsp.rate import SAMPLE_RATE
from enhance.utils.ranges import check_ordered, check_ranges

SUBGROUP = 8  # examples among which noises are exchanged when a processed batch is used again
MOST_NOISES = 3
POSITIVE = ("speeds", "noise_speeds", "low_pass_hz")  # settings of one number or more
RANGES = ("formant_range", "onset", "early_seconds", "tail_db", "noise_swing_db", "snr_db", "level_db", "clip_db")
PARTS = (  # probabilities and shares
    *("formants", "join", "late_onset", "onset", "room", "noises", "disguise", "noise_backwards", "noise_steady"),
    *("noise_swing", "noise_room", "synthetic", "babble", "noise_only", "clean_only", "clip", "band_limit"),
    "telephone",
)
LENGTHS = ("speech_eq_db", "noise_eq_db", "early_seconds", "noise_level_db", "noise_swing_db", "clip_db")  # 0 or more


@dataclass(frozen=True)
class MixConfig:
    """Mixtures: what is in them, how often and how strongly.

    Raises:
        ValueError: a setting is out of range.

    Example:
        >>> MixConfig(segment_seconds=2.0).samples
        96000
    """

    segment_seconds: float = 3.0  # length of an example, s
    speeds: tuple[float, ...] = (0.85, 0.9, 0.95, 1.0, 1.0, 1.06, 1.12, 1.18)  # factors on speed and pitch
    formants: float = 0.5  # probability that formants are moved apart from the pitch
    formant_range: tuple[float, float] = (0.85, 1.18)  # factors on their frequencies
    join: float = 0.1  # probability that an example is made of two crops of speech
    late_onset: float = 0.1  # probability that the speech begins late
    onset: tuple[float, float] = (0.15, 0.65)  # when it then begins, as a share of the segment
    speech_eq_db: float = 8.0  # largest gain of the equaliser on speech and on the target, +- dB
    noise_eq_db: float = 10.0  # the same on noise
    room: float = 0.3  # probability of reverberation
    early_seconds: tuple[float, float] = (0.03, 0.05)  # length of the response that the target keeps, s
    tail_db: tuple[float, float] = (-6.0, 3.0)  # gain of the rest of the response, dB
    noises: tuple[float, ...] = (0.6, 0.3, 0.1)  # probabilities of one, two, three noises
    noise_level_db: float = 10.0  # the second and third noise are up to this much weaker than the first, dB
    disguise: float = 1.0  # part of the recorded noises that the next five change; 0 leaves all as they were recorded
    noise_speeds: tuple[float, ...] = (0.5, 0.7, 0.85, 1.0, 1.0, 1.0, 1.2, 1.5)  # factors on speed and pitch
    noise_backwards: float = 0.2  # probability that a noise is played backwards
    noise_steady: float = 0.1  # probability that a noise is made steady: its spectrum with random phases
    noise_swing: float = 0.4  # probability that the level of a noise moves
    noise_room: float = 0.3  # probability that all noise of an example is heard in a room of its own
    noise_swing_db: tuple[float, float] = (3.0, 25.0)  # how far a level that moves may fall, dB
    synthetic: float = 0.15  # probability that a noise is synthetic, not recorded
    babble: float = 0.08  # probability that the first noise is 3 to 8 other voices
    snr_db: tuple[float, float] = (-5.0, 25.0)  # power of active speech over power of noise, dB
    noise_only: float = 0.04  # probability of no speech: the target is silence
    clean_only: float = 0.04  # probability of no noise: the input is the target
    level_db: tuple[float, float] = (-45.0, -15.0)  # RMS of the input, dB relative to full scale
    clip: float = 0.03  # probability that the input is clipped
    clip_db: tuple[float, float] = (1.0, 12.0)  # how far below its peak it is clipped, dB
    band_limit: float = 0.12  # probability that input and target are limited in band
    telephone: float = 0.3  # probability that such a limit is 300 to 3400 Hz, else a low-pass
    # cut-off frequencies of such a low-pass, Hz
    low_pass_hz: tuple[float, ...] = (4000.0, 5500.0, 7000.0, 8000.0, 10_000.0, 12_000.0, 14_000.0, 16_000.0)
    reuse: int = 1  # successive steps that share processed speech and noise, differently combined (1 to 8)
    synthetic_seconds: float = 6.0  # length of each synthetic noise, s
    synthetic_count: int = 120  # synthetic noises, made when the mixer is made

    def __post_init__(self) -> None:
        check_ranges(self, PARTS, 0, 1)
        check_ranges(self, LENGTHS, 0)
        for name in POSITIVE:
            if not getattr(self, name) or min(getattr(self, name)) <= 0:
                raise ValueError(f"{name} must be one number or more, each above 0; got {list(getattr(self, name))}")
        check_ordered(self, RANGES)
        if self.segment_seconds < 0.1:
            raise ValueError(f"a segment must last 0.1 s or more; got {self.segment_seconds} s")
        if self.synthetic_count < 1 or self.synthetic_seconds < 0.1:
            made = f"{self.synthetic_count} of {self.synthetic_seconds} s"
            raise ValueError(f"synthetic noises must be one or more, of 0.1 s or more; got {made}")
        if not 1 <= self.reuse <= SUBGROUP:
            raise ValueError(f"reuse must be 1 to {SUBGROUP}; got {self.reuse}")
        if not 1 <= len(self.noises) <= MOST_NOISES or abs(sum(self.noises) - 1) > 1e-6:
            raise ValueError(f"noises must be one to {MOST_NOISES} probabilities with sum 1; got {self.noises}")
        if self.onset[1] >= 1:
            raise ValueError(f"speech would begin after the end of the segment: onset {self.onset}")

    @property
    def samples(self) -> int:
        """Samples of an example."""
        return round(self.segment_seconds * SAMPLE_RATE)
