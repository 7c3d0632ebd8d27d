"""Measures of speech enhancement, each `(estimate, target, sample_rate)` on mono audio of shape [time] in [-1, 1].

- PESQ wide-band (ITU-T P.862.2, package `pesq`), STOI and ESTOI (doi:10.1109/TASL.2011.2114881 and
  doi:10.1109/TASLP.2016.2585878, package `pystoi`), SNR and SI-SDR (arXiv:1811.02508).
- DNSMOS P.835 (arXiv:2110.01763): the network's weights come inside the package `speechmos`; they are run here
  directly.
- CSIG, CBAK, COVL: `enhance.evaluation.composite`.
- Log-spectral distance over the full band at 48 kHz, as in VoiceFixer (arXiv:2109.13731).
- Two plain levels that perception models hide: what happened to the speech, and what is left in its pauses.

Everything is computed at 16 kHz (resampled by soxr) except the log-spectral distance and the two levels. PESQ fails
where it finds no speech, for example on digital silence: it is nan then, and so are the composite measures built on
it. STOI and ESTOI are nan where the target has less than 0.4 s of speech, SNR and SI-SDR where it is silent. Read PESQ
and DNSMOS together with the levels: silence can outscore a very noisy recording.
"""

import warnings
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime
import soxr
from numpy.typing import ArrayLike, NDArray
from pesq import PesqError
from pesq import pesq as _pesq
from pystoi import stoi as _stoi

Array = NDArray[np.float64]

METRIC_RATE = 16000  # Hz
DNSMOS_SECONDS = 9.01  # length of the network's input
DNSMOS_HOP_SECONDS = 1
# From the network's raw outputs to ratings: polynomials published with it, highest power first.
DNSMOS_CALIBRATION = {
    "sig": (-0.08397278, 1.22083953, 0.0052439),
    "bak": (-0.13166888, 1.60915514, -0.39604546),
    "ovrl": (-0.06766283, 1.11546468, 0.04602535),
}
LSD_RATE = 48000  # Hz
LSD_WINDOW, LSD_HOP = 2048, 512  # samples
LSD_FLOOR = 1e-8  # added to the power of a bin (a full-scale sine has 2.6e5)
LEVEL_FRAME_SECONDS = 0.020
SPEECH_RANGE_DB = 35.0  # a frame is speech when it is at most this far below the loud frames of the target
PAUSE_RANGE_DB = 50.0  # and a pause when it is further below them than this


@dataclass(frozen=True)
class Dnsmos:
    """DNSMOS P.835 ratings from 1 to 5: speech signal, background, overall."""

    sig: float
    bak: float
    ovrl: float


def at_metric_rate(audio: ArrayLike, sample_rate: int) -> Array:
    """Return audio of shape [time] at 16 kHz, in double."""
    return _at_rate(audio, sample_rate, METRIC_RATE)


def si_sdr(estimate: ArrayLike, target: ArrayLike, sample_rate: int) -> float:
    """Return the scale-invariant signal-to-distortion ratio in dB, at 16 kHz; nan for a silent target.

    Example:
        >>> tone = np.sin(np.arange(16000))
        >>> round(si_sdr(0.5 * tone + 0.05 * np.cos(np.arange(16000)), tone, 16000))
        20
    """
    estimates, targets = _pair_at_metric_rate(estimate, target, sample_rate)
    if not targets.any():
        return float("nan")
    eps = np.finfo(np.float64).eps
    projection = (estimates @ targets + eps) / (targets @ targets + eps) * targets
    return _ratio_db(projection, estimates - projection)


def snr(estimate: ArrayLike, target: ArrayLike, sample_rate: int) -> float:
    """Return the signal-to-noise ratio in dB at 16 kHz: the target over all that differs from it, level included.

    nan for a silent target, which has none.
    """
    estimates, targets = _pair_at_metric_rate(estimate, target, sample_rate)
    return _ratio_db(targets, estimates - targets) if targets.any() else float("nan")


def pesq_wb(estimate: ArrayLike, target: ArrayLike, sample_rate: int) -> float:
    """Return wide-band PESQ (MOS-LQO, 1.02 to 4.64); nan where PESQ finds no speech or the signal is too short."""
    estimates, targets = _pair_at_metric_rate(estimate, target, sample_rate)
    if not estimates.any() or not targets.any():
        return float("nan")
    try:
        return float(_pesq(METRIC_RATE, targets, estimates, "wb"))
    except PesqError:
        return float("nan")


def stoi(estimate: ArrayLike, target: ArrayLike, sample_rate: int) -> float:
    """Return the short-time objective intelligibility, 0 to 1; nan where the target has less than 0.4 s of speech."""
    return _intelligibility(*_pair_at_metric_rate(estimate, target, sample_rate), extended=False)


def estoi(estimate: ArrayLike, target: ArrayLike, sample_rate: int) -> float:
    """Return the extended short-time objective intelligibility, 0 to 1; nan as for `stoi`."""
    return _intelligibility(*_pair_at_metric_rate(estimate, target, sample_rate), extended=True)


def dnsmos(estimate: ArrayLike, sample_rate: int) -> Dnsmos:
    """Return DNSMOS P.835 of one recording; it needs no target.

    As the published script does (`speechmos`): recordings shorter than 9.01 s are doubled until they are long enough;
    longer ones are rated every second and averaged, in windows that begin up to 9.01 s before their last whole second.

    Raises:
        ValueError: if the recording is empty.
        FileNotFoundError: if the package `speechmos`, which carries the network, is missing.
    """
    audio = at_metric_rate(estimate, sample_rate)
    if audio.size == 0:
        raise ValueError("expected a recording of at least one sample, got an empty one")
    length = int(DNSMOS_SECONDS * METRIC_RATE)
    while audio.size < length:
        audio = np.concatenate([audio, audio])
    windows = int(audio.size // METRIC_RATE - DNSMOS_SECONDS) // DNSMOS_HOP_SECONDS + 1
    starts = range(0, windows * DNSMOS_HOP_SECONDS * METRIC_RATE, DNSMOS_HOP_SECONDS * METRIC_RATE)
    session = _dnsmos_session()
    segments = (audio[None, start : start + length].astype(np.float32) for start in starts)
    raw = np.concatenate([np.asarray(session.run(None, {"input_1": segment})[0]) for segment in segments])
    ratings = (
        np.polyval(polynomial, raw[:, index]).mean() for index, polynomial in enumerate(DNSMOS_CALIBRATION.values())
    )
    return Dnsmos(*map(float, ratings))


def lsd(estimate: ArrayLike, target: ArrayLike, sample_rate: int) -> float:
    """Return the log-spectral distance over the full band, in decades of power; nan for recordings under 44.1 kHz.

    Per frame, the root of the mean squared difference of log10(power + 1e-8) over bins, then the mean over frames: Hann
    window of 2048 samples, hop of 512, at 48 kHz. A recording of a lower rate has no band above its own to compare.

    Example:
        >>> noise = np.random.default_rng(0).standard_normal(48000)
        >>> round(lsd(noise * 10**0.5, noise, 48000), 3)  # ten times the power: one decade
        1.0
    """
    if sample_rate < 44100:
        return float("nan")
    _check(estimate, target)
    window = np.hanning(LSD_WINDOW + 1)[:-1]

    def log_power(audio: ArrayLike) -> Array:
        signal = _at_rate(audio, sample_rate, LSD_RATE)
        signal = np.pad(signal, (0, max(LSD_WINDOW - signal.size, 0)))
        frames = np.lib.stride_tricks.sliding_window_view(signal, LSD_WINDOW)[::LSD_HOP]
        return np.log10(np.abs(np.fft.rfft(frames * window, axis=-1)) ** 2 + LSD_FLOOR)

    distance = np.sqrt(np.mean((log_power(estimate) - log_power(target)) ** 2, axis=-1))
    return float(distance.mean())


def speech_gain_db(estimate: ArrayLike, target: ArrayLike, sample_rate: int) -> float:
    """Return the gain of what correlates with the target in the estimate, during speech; 0 dB keeps its level.

    The measure of over-suppression: it falls when speech is removed, and noise does not raise it. nan without speech.

    Example:
        >>> speech = np.random.default_rng(0).standard_normal(16000)
        >>> round(speech_gain_db(0.5 * speech, speech, 16000), 2)
        -6.02
    """
    estimates, targets = _check(estimate, target)
    speech, _ = _speech_and_pauses(targets, sample_rate)
    if not speech.any():
        return float("nan")
    gain = (estimates[speech] @ targets[speech]) / (targets[speech] @ targets[speech])
    return float(20 * np.log10(max(gain, np.finfo(np.float64).eps)))


def pause_residual_db(estimate: ArrayLike, target: ArrayLike, noisy: ArrayLike, sample_rate: int) -> float:
    """Return the level in dB of the estimate in the target's pauses, over that of the input; 0 dB removes nothing.

    nan where the target has no pause or the input has no noise there. Limited to -120 dB for digital silence.
    """
    estimates, targets = _check(estimate, target)
    inputs, _ = _check(noisy, target)
    _, pauses = _speech_and_pauses(targets, sample_rate)
    if not inputs[pauses].any():
        return float("nan")
    return max(_ratio_db(estimates[pauses], inputs[pauses]), -120.0)


def level_change_db(estimate: ArrayLike, reference: ArrayLike) -> float:
    """Return the level of a recording relative to another, in dB, over the full band and all of the time.

    Example:
        >>> round(level_change_db([0.1, 0.1], [1.0, -1.0]), 1)
        -20.0
    """
    return _ratio_db(*_check(estimate, reference))


def _intelligibility(estimates: Array, targets: Array, *, extended: bool) -> float:
    if not targets.any():  # pystoi takes all of it for speech
        return float("nan")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Not enough STFT frames", RuntimeWarning)  # pystoi would return 1e-5 then
        try:
            return float(_stoi(targets, estimates, METRIC_RATE, extended=extended))
        except (RuntimeWarning, np.exceptions.AxisError):  # the latter for less than one frame
            return float("nan")


def _speech_and_pauses(target: Array, sample_rate: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return two masks over a target's samples, by the level of its frames against its loud ones (95th percentile)."""
    length = round(LEVEL_FRAME_SECONDS * sample_rate)
    frames = target[: target.size // length * length].reshape(-1, length)
    power = np.mean(frames**2, axis=-1)
    nowhere = np.zeros(target.size, bool)
    if not power.any():
        return nowhere, nowhere
    level = 10 * np.log10(np.maximum(power, 1e-20) / np.percentile(power[power > 0], 95))

    def samples(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        whole = nowhere.copy()
        whole[: frames.size] = np.repeat(mask, length)
        return whole

    return samples(level > -SPEECH_RANGE_DB), samples(level < -PAUSE_RANGE_DB)


def _ratio_db(signal: Array, noise: Array) -> float:
    eps = np.finfo(np.float64).eps
    return float(10 * np.log10((signal @ signal + eps) / (noise @ noise + eps)))


def _check(estimate: ArrayLike, target: ArrayLike) -> tuple[Array, Array]:
    estimates, targets = np.asarray(estimate, np.float64), np.asarray(target, np.float64)
    if estimates.shape != targets.shape or targets.ndim != 1:
        raise ValueError(f"expected two signals of one shape [time], got {estimates.shape} and {targets.shape}")
    return estimates, targets


def _pair_at_metric_rate(estimate: ArrayLike, target: ArrayLike, sample_rate: int) -> tuple[Array, Array]:
    _check(estimate, target)
    return at_metric_rate(estimate, sample_rate), at_metric_rate(target, sample_rate)


def _at_rate(audio: ArrayLike, sample_rate: int, wanted: int) -> Array:
    signal = np.asarray(audio, np.float64)
    return signal if sample_rate == wanted else soxr.resample(signal, sample_rate, wanted)


@lru_cache(maxsize=1)
def _dnsmos_session() -> onnxruntime.InferenceSession:
    package = find_spec("speechmos")  # found, not imported: importing it would need librosa
    if package is None or package.origin is None:
        raise FileNotFoundError("DNSMOS needs the package speechmos: pip install 'mpeace[eval]'")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    path = Path(package.origin).parent / "dnsmos_models" / "sig_bak_ovr.onnx"
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
