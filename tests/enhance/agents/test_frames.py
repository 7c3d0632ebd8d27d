"""What both adapters do with int16 sound: sizes, lag, strength, failures; no framework is needed for it."""

import logging
from pathlib import Path

import numpy as np
import pytest
from helpers import lag, si_sdr_db, speech_like
from noisy_speech import noisy_speech

from enhance import Denoiser, ModelError
from enhance.agents.frames import AgentSound

LOGGER = logging.getLogger("mpeace.test")


def integers(audio: np.ndarray) -> np.ndarray:
    return np.rint(audio * 32768).astype(np.int16)


def through(sound: AgentSound, audio: np.ndarray, rate: int, size: int) -> np.ndarray:
    """int16 [channels, time] in frames of `size` samples, the sizes of which must come back."""
    out = []
    for start in range(0, audio.shape[1], size):
        frame = np.ascontiguousarray(audio[:, start : start + size].T).tobytes()
        given = sound.process(frame, rate, len(audio))
        assert len(given) == len(frame)
        out.append(np.frombuffer(given, np.int16).reshape(-1, len(audio)).T)
    return np.concatenate(out, axis=1)


@pytest.mark.parametrize(("rate", "milliseconds"), [(8000, 20), (16000, 10), (24000, 50), (44100, 10), (48000, 10)])
def test_the_sound_is_that_of_the_file_with_the_reported_lag(
    shipped_denoiser: Denoiser, rate: int, milliseconds: int
) -> None:
    """Lag by cross-correlation; at 48 kHz every sample within the rounding to int16, else as near as resamplers are."""
    audio = integers(noisy_speech(2, rate, 2))
    sound = AgentSound(shipped_denoiser, 12, 1.0, LOGGER)
    out = through(sound, audio, rate, rate * milliseconds // 1000)
    delay = round((sound.delay_seconds or 0) * rate)
    assert delay <= 0.0181 * rate
    assert [lag(given, clean) for given, clean in zip(out, audio, strict=True)] == [delay, delay]
    expected = shipped_denoiser.denoise(audio, rate, attenuation_limit_db=12) * 32768
    given, wanted = out[:, delay:], expected[:, : expected.shape[1] - delay]
    if rate == 48_000:
        np.testing.assert_allclose(given, wanted, atol=0.51)
    assert min(si_sdr_db(one, other) for one, other in zip(given, wanted, strict=True)) > 20


def test_each_rate_has_a_stream_of_its_own_which_goes_on(tiny_denoiser: Denoiser) -> None:
    """As sound from before a connection comes between that of after it."""
    sound = AgentSound(tiny_denoiser, None, 1.0, LOGGER)
    first, second = integers(speech_like(1, 24_000)), integers(speech_like(1, 48_000, seed=1))
    out: dict[int, list[np.ndarray]] = {24_000: [], 48_000: []}
    for part in range(20):
        for rate, audio in ((24_000, first), (48_000, second)):
            size = rate // 20
            out[rate].append(through(sound, audio[:, part * size : (part + 1) * size], rate, size))
    alone = AgentSound(tiny_denoiser, None, 1.0, LOGGER)
    np.testing.assert_array_equal(np.concatenate(out[24_000], axis=1), through(alone, first, 24_000, 1200))
    np.testing.assert_array_equal(np.concatenate(out[48_000], axis=1), through(alone, second, 48_000, 2400))


def test_a_rate_that_comes_back_later_begins_without_its_old_sound(tiny_denoiser: Denoiser) -> None:
    """What its stream held back half a second ago is of another time: that would be heard as a click, or a syllable."""
    sound = AgentSound(tiny_denoiser, 6, 1.0, LOGGER)
    loud, zeros = integers(0.5 * np.ones((1, 24_000))), np.zeros((1, 48_000), np.int16)
    through(sound, loud, 24_000, 240)
    through(sound, zeros, 48_000, 480)
    assert not through(sound, zeros, 24_000, 240).any()
    alone = AgentSound(tiny_denoiser, 6, 1.0, LOGGER)
    np.testing.assert_array_equal(through(sound, loud, 48_000, 480), through(alone, loud, 48_000, 480))


def test_bypass_keeps_the_delay_and_makes_no_click(tiny_denoiser: Denoiser) -> None:
    rate = 48_000
    audio = integers(0.5 * np.sin(2 * np.pi * 100 * np.arange(rate) / rate)[None])
    sound = AgentSound(tiny_denoiser, None, 1.0, LOGGER)
    on = through(sound, audio[:, :24_000], rate, 480)
    sound.bypass(True)
    out = np.concatenate([on, through(sound, audio[:, 24_000:], rate, 480)], axis=1)[0].astype(int)
    delay = round((sound.delay_seconds or 0) * rate)
    expected = tiny_denoiser.denoise(audio, rate)[0] * 32768
    np.testing.assert_allclose(out[delay:20_000], expected[: 20_000 - delay], atol=1)
    np.testing.assert_array_equal(out[30_000:], audio[0, 30_000 - delay : rate - delay])
    assert np.abs(np.diff(out[5000:])).max() <= 1.1 * np.abs(np.diff(audio[0].astype(int))).max()


def test_a_failure_is_said_once_and_counted_and_the_sound_goes_on(
    tiny_denoiser: Denoiser, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Denoiser):
        fails = True

        def step(self, block: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            if self.fails:
                raise RuntimeError("out of order")
            return super().step(block, state)

    denoiser = Broken.__new__(Broken)
    denoiser.__dict__.update(tiny_denoiser.__dict__)
    sound = AgentSound(denoiser, None, 1.0, LOGGER)
    noisy = integers(speech_like(0.5, 48_000))
    np.testing.assert_array_equal(through(sound, noisy, 48_000, 480), noisy)
    assert sound.errors == 50
    (record,) = caplog.records
    assert record.getMessage().startswith("mpeace: RuntimeError: out of order; the sound goes on as it came, noisy")
    denoiser.fails = False
    assert lag(through(sound, noisy, 48_000, 480)[0], noisy[0]) == 480


def test_a_strength_is_set_while_it_runs_and_a_wrong_one_is_refused(tiny_denoiser: Denoiser) -> None:
    rate = 48_000
    sound = AgentSound(tiny_denoiser, None, 1.0, LOGGER)
    audio = integers(speech_like(1, rate))
    through(sound, audio, rate, 480)
    sound.adjust(mix=0)
    for wrong in ({"mix": 2}, {"attenuation_limit_db": -3}, {"strength": 1}, {"mix": "much"}):
        with pytest.raises(ValueError, match=str(next(iter(wrong)))):
            sound.adjust(**wrong)
    sound.bypass(False)
    out = through(sound, audio, rate, 480)[0]
    np.testing.assert_array_equal(out[4800:], audio[0, 4800 - 480 : -480])


def test_an_empty_frame_says_nothing_of_the_delay(tiny_denoiser: Denoiser) -> None:
    sound = AgentSound(tiny_denoiser, None, 1.0, LOGGER)
    assert sound.process(b"", 48_000, 1) == b""
    assert sound.delay_seconds is None
    sound.process(bytes(960), 48_000, 1)
    assert sound.process(b"", 16_000, 1) == b""
    assert sound.delay_seconds == 0.01


def test_what_cannot_work_is_refused_when_it_is_made(tmp_path: Path, tiny_denoiser: Denoiser) -> None:
    with pytest.raises(ModelError, match="no model"):
        AgentSound("none-such", None, 1.0, LOGGER)
    with pytest.raises(ValueError, match=r"mix 1\.5"):
        AgentSound(tiny_denoiser, None, 1.5, LOGGER)
