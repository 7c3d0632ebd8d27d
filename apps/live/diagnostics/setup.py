"""`mpeace live --setup`: a virtual microphone for other programs, and a test of the whole way to them.

The test plays what the person would say: a tone, then a noisy spoken sample through the network, in the callback of the
real device, and records from the virtual microphone as another program would.
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

from apps.live.devices import devices, portaudio
from apps.live.devices import pulseaudio as pulse
from apps.live.devices import virtual_microphone as virtual
from apps.live.devices.devices import INPUT, OUTPUT
from apps.live.devices.endpoints import Endpoint, common_rate
from apps.live.devices.virtual_microphone import Cable
from apps.live.diagnostics.loopback_probe import Probe
from apps.live.engine.block_processor import BlockProcessor, Controls
from apps.live.engine.latency import SAFE
from apps.live.engine.streams import BLOCKS_PER_SECOND, PairLink
from apps.live.session.session import LiveSettings
from enhance import Denoiser
from enhance.dsp.resampling import resample
from enhance.runtime.adaptive import AdaptiveModel, model_ladder
from enhance.runtime.stream import LOUDEST
from enhance.utils.errors import FileError

_TONE = 440.0  # Hz
_SECONDS = 1.0
_PURE = 0.98  # share of power that must be the tone
_PATIENCE = 10.0  # seconds
_ALIKE = 0.9  # correlation of the spoken sample with the same sample denoised as a file
_SPOKEN = (3.0, 10.0, 10.0)  # seconds of each try: a busy machine loses sound now and then, a broken way each time
_PIECE, _LATEST = 0.5, 2.0  # seconds that are compared at a time, and that they may come late
_SAMPLE = Path(__file__).with_name("sample.flac")
_SAMPLE_IN_CHECKOUT = Path(__file__).parents[3] / "tests" / "data" / "noisy.flac"


def run_setup(settings: LiveSettings) -> int:
    """Prepare, explain and test. Returns the exit status: 0 when other programs can hear the clean voice.

    Raises:
        UsageError: when PortAudio is missing.
        FileError: when the way exists and the test fails.
    """
    system = portaudio.system()
    with portaudio.quiet():
        portaudio.load()
        cable = _prepare(system)
        if cable is None:
            return 1
        portaudio.rescan()
        check(cable, settings)
    print(f"Ready. Start: mpeace live --output {_quoted(cable.target)}")
    chosen = virtual.SOURCE_TITLE if cable.source == virtual.SOURCE else cable.source
    print(f"In the other program choose the microphone {chosen!r}.")
    return 0


def check(cable: Cable, settings: LiveSettings) -> None:
    """Send the tone and the spoken sample through a cable, printing what arrives.

    Raises:
        FileError: when something else arrives.
    """
    found = devices.list_devices()
    if cable.target == virtual.SINK and not any(device.server_name for device in found):
        install = pulse.INSTALL_PLUGIN[pulse.is_pipewire()]
        raise FileError(f"PortAudio does not reach the sound server: {install}")
    source = Endpoint(devices.choose(cable.source, INPUT, found), INPUT, 1)
    target = Endpoint(devices.choose(cable.target, OUTPUT, found), OUTPUT, 1)
    rate = common_rate(source, target, settings.sample_rate)
    block = round(rate / BLOCKS_PER_SECOND)
    samples = np.arange(round(_SECONDS * rate))
    tone = (0.1 * np.sin(2 * np.pi * _TONE * samples / rate)).astype(np.float32)
    late = np.zeros(round(_LATEST * rate), np.float32)
    probe = Probe(np.concatenate([tone, late]), rate, block)
    heard = _through(probe, source, target, lambda sound: tone_share(sound, rate) >= _PURE)
    purity = tone_share(heard, rate)
    if purity < _PURE:
        what = "nothing" if not heard.any() else f"{100 * purity:.0f} % of the tone"
        raise FileError(f"the test tone went into {target.device.name}, and {what} came out of {source.device.name}")
    print(f"tone: {100 * purity:.1f} % of what arrives is the tone")
    noisy = np.tile(_sample(rate), 2)
    limit, mix = settings.attenuation_limit_db, settings.mix
    expected = Denoiser(settings.model).denoise(noisy, rate, attenuation_limit_db=limit, mix=mix)
    alike = 0.0
    for seconds in _SPOKEN:
        model = AdaptiveModel(model_ladder(settings.model), allowance=_PATIENCE)  # this is no test of speed
        network = BlockProcessor(model, rate, 1, block, Controls(attenuation_limit_db=limit, mix=mix))
        spoken = round(seconds * rate)
        probe = Probe(np.concatenate([noisy[:spoken], late]), rate, block, network)
        heard = _through(probe, source, target, partial(_alike, expected=expected[:spoken], sample_rate=rate))
        alike = max(alike, likeness(heard, expected[:spoken], rate))
        if alike >= _ALIKE:
            print(f"speech: what arrives is the denoised sample (correlation {alike:.4f})")
            return
    raise FileError(
        f"the spoken sample arrived damaged {len(_SPOKEN)} times (best correlation {alike:.2f}): is the machine busy?"
    )


def tone_share(heard: np.ndarray, sample_rate: int) -> float:
    """Return the share of the power within 10 Hz of the tone, in the half second of [samples] where it is greatest."""
    length = sample_rate // 2
    near = np.abs(np.fft.rfftfreq(length, 1 / sample_rate) - _TONE) <= 10
    best = 0.0
    for start in range(0, len(heard) - length, sample_rate // 10):
        spectrum = np.abs(np.fft.rfft(heard[start : start + length] * np.hanning(length))) ** 2
        best = max(best, float(spectrum[near].sum() / max(spectrum.sum(), 1e-9)))
    return best


def likeness(heard: np.ndarray, expected: np.ndarray, sample_rate: int) -> float:
    """Return the median over half seconds of the highest normalised cross-correlation of two signals [samples].

    Piece by piece, each up to two seconds late: a sound server shifts the sound while it finds the size of its buffers,
    and what is lost in one place must not count against the rest.
    """
    found, length = [], round(_PIECE * sample_rate)
    heard = np.where(np.abs(heard) <= LOUDEST, heard, 0)  # what is no sound is silence, as in `BlockProcessor`
    for start in range(0, len(expected) - length + 1, length):
        piece = expected[start : start + length].astype(np.float64)
        near = np.pad(heard[start : start + length + round(_LATEST * sample_rate)].astype(np.float64), (0, length))
        correlation = np.fft.irfft(np.fft.rfft(near) * np.conj(np.fft.rfft(piece, len(near))), len(near))
        total = np.cumsum(np.pad(near**2, (1, 0)))
        energy = total[length:] - total[:-length]  # of as many samples from each place on
        scale = np.sqrt(np.sum(piece**2) * np.maximum(energy, 1e-3 * energy.max() + 1e-20))
        found.append(np.max(correlation[: len(energy)] / scale))
    return float(np.median(found))


def _prepare(system: str) -> Cable | None:
    """Return the virtual cable of this system, or None after explaining how to get one."""
    if system == "Linux":
        try:
            cable, new = virtual.make_cable()
        except pulse.PulseError as error:
            print("\n".join((f"No virtual microphone: {error}.", *virtual.guide(system))))
            return None
        print(f"Virtual microphone {virtual.SOURCE_TITLE!r}: {'made' if new else 'was there'}.")
        print("\n".join(virtual.keep_advice()))
        return cable
    cable = virtual.known_cable(system, devices.list_devices())
    if cable is None:
        print("\n".join(virtual.guide(system)))
    return cable


def _alike(heard: np.ndarray, expected: np.ndarray, sample_rate: int) -> bool:
    """Return whether all of the expected sound may have come, and what has come is like it."""
    return len(heard) >= len(expected) and likeness(heard, expected, sample_rate) >= _ALIKE


def _through(probe: Probe, source: Endpoint, target: Endpoint, enough: Callable[[np.ndarray], bool]) -> np.ndarray:
    """Play a probe into a cable and return what comes out, until it is enough: the two ends have one clock."""
    link = PairLink(probe, source, target, SAFE, one_clock=True)  # begins sooner than one stream for both
    deadline = time.monotonic() + 10 + 2 * len(probe.heard) / probe.sample_rate
    try:
        while not probe.done and link.active and time.monotonic() < deadline and not enough(probe.heard[: probe.place]):
            time.sleep(0.2)
    finally:
        link.close()
    return probe.heard


def _sample(sample_rate: int) -> np.ndarray:
    """Read the noisy spoken sample that comes along, float32 [samples]."""
    path = _SAMPLE if _SAMPLE.exists() else _SAMPLE_IN_CHECKOUT
    try:
        audio, own_rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise FileError(f"the spoken sample {path} is missing: install mpeace again") from error
    return resample(np.ascontiguousarray(audio[:, :1].T), own_rate, sample_rate)[0]


def _quoted(text: str) -> str:
    return f'"{text}"' if " " in text else text
