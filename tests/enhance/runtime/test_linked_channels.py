"""A voice that two channels carry keeps its place between them; channels with different voices are left alone."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers import blocks, si_sdr_db, speech_like

from enhance import Denoiser, model_for_files
from enhance.runtime.link import Link
from enhance.runtime.linked_channels import LinkedChannels

RATE = 48_000
EVALUATION = "00_artikulate-gr_moodist-busy-street_-5dB", "05_gcompris-ca_moodist-subway-station_0dB"
OTHER = "14_gcompris-kn_moodist-laundry-room_-5dB"


def voice_and_noise(shared: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Four seconds of the voice and the noise of an evaluation mixture, [time]."""
    clean, _ = soundfile.read(shared / "eval" / "clean" / f"{name}.flac", dtype="float32", frames=4 * RATE)
    noisy, _ = soundfile.read(shared / "eval" / "noisy" / f"{name}.flac", dtype="float32", frames=4 * RATE)
    return clean, noisy - clean


def scaled(noise: np.ndarray, voice: np.ndarray, snr_db: float) -> np.ndarray:
    """The noise at a signal-to-noise ratio to the voice."""
    return noise * np.sqrt(np.mean(voice**2) / np.mean(noise**2) / 10 ** (snr_db / 10))


def wander_db(estimate: np.ndarray, voice: np.ndarray) -> float:
    """Standard deviation, over 200 ms with speech, of the level between the channels against that of the voice."""
    frames = voice.shape[1] // 9600
    before, after = (
        np.square(audio[:, : frames * 9600], dtype=np.float64).reshape(2, frames, 9600).sum(2)
        for audio in (voice, estimate)
    )
    spoken = before.sum(0) > before.sum(0).max() / 300
    return float(np.std(10 * np.log10(after[0] / after[1] * before[1] / before[0])[spoken]))


@pytest.fixture(scope="module")
def recordings(shared: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A voice, two noises, and another voice."""
    (_, noise), (voice, _) = (voice_and_noise(shared, name) for name in EVALUATION)
    other, more = voice_and_noise(shared, OTHER)
    return voice, scaled(noise, voice, 0), scaled(more, voice, 0), other


def names(shared: Path) -> list[str]:
    """Names of the evaluation mixtures, in order."""
    return sorted(path.stem for path in (shared / "eval" / "clean").glob("*.flac"))


def crowd(shared: Path, seed: int) -> np.ndarray:
    """Six other voices at once, [time]."""
    order = np.random.default_rng(seed)
    voices = [
        voice_and_noise(shared, names(shared)[place])[0] for place in order.choice(range(15, 32), 6, replace=False)
    ]
    return np.sum([np.roll(voice / np.std(voice), order.integers(RATE)) for voice in voices], axis=0)


@pytest.mark.parametrize(
    "scene",
    [
        "noise on one side",
        "to the left",
        "to the left, one noise",
        "before a crowd",
        "before a crowd on one side",
        "spaced microphones",
        "spaced microphones, noise on one side",
    ],
)
def test_a_voice_keeps_its_place(
    shared: Path, shipped_denoiser: Denoiser, recordings: tuple[np.ndarray, ...], scene: str
) -> None:
    voice, noise, more, _ = recordings
    people = scaled(crowd(shared, 5), voice, 0)
    spoken, beside = {
        "noise on one side": (np.stack([voice, voice]), np.stack([0 * noise, noise])),
        "to the left": (np.stack([voice, 0.5 * voice]), np.stack([noise, more])),
        "to the left, one noise": (np.stack([voice, 0.5 * voice]), np.stack([noise, noise])),
        "before a crowd": (np.stack([voice, 0.5 * voice]), np.stack([people, people])),
        "before a crowd on one side": (np.stack([voice, voice]), np.stack([0 * people, people])),
        "spaced microphones": (np.stack([voice, 0.5 * np.roll(voice, 70)]), np.stack([noise, more])),
        "spaced microphones, noise on one side": (np.stack([voice, np.roll(voice, 20)]), np.stack([0 * noise, noise])),
    }[scene]
    alone = shipped_denoiser.denoise(spoken + beside, RATE)
    linked = shipped_denoiser.denoise(spoken + beside, RATE, link=Link.AUTO)
    assert wander_db(linked, spoken) < 1 < wander_db(alone, spoken)
    assert si_sdr_db(linked[1], spoken[1]) > si_sdr_db(alone[1], spoken[1]) + 3


def test_the_model_for_files_keeps_the_place_of_a_voice(shared: Path, recordings: tuple[np.ndarray, ...]) -> None:
    """Also before a crowd at one side, of whom it leaves less than the model of streams does."""
    voice, noise, more, _ = recordings
    people = scaled(crowd(shared, 5), voice, 0)
    denoiser = Denoiser(model_for_files())
    for spoken, beside in (
        (np.stack([voice, voice]), np.stack([0 * noise, noise])),
        (np.stack([voice, 0.5 * voice]), np.stack([noise, more])),
        (np.stack([voice, voice]), np.stack([0 * people, people])),
    ):
        linked = denoiser.denoise(spoken + beside, RATE, link=Link.AUTO)
        assert wander_db(linked, spoken) < 1


def test_different_voices_are_left_as_they_are(shipped_denoiser: Denoiser, recordings: tuple[np.ndarray, ...]) -> None:
    voice, noise, more, other = recordings
    noisy = np.stack([voice + 0.5 * noise, other + 0.3 * more])
    alone = shipped_denoiser.denoise(noisy, RATE)
    linked = shipped_denoiser.denoise(noisy, RATE, link=Link.AUTO)
    for channel, clean in enumerate((voice, other)):
        assert si_sdr_db(linked[channel], clean) > si_sdr_db(alone[channel], clean) - 0.1
    together = shipped_denoiser.denoise(noisy, RATE, link=Link.ON)
    assert np.abs(together - alone).max() > 0.01  # one mask for both


@pytest.mark.parametrize("model", ["streams", "files"])
def test_two_people_who_speak_at_once_keep_their_places(
    shipped_denoiser: Denoiser, recordings: tuple[np.ndarray, ...], model: str
) -> None:
    """One to the left, one to the right, each also in the other channel, 12 dB softer."""
    voice, noise, more, other = recordings
    other = scaled(other, voice, 0)
    spoken = np.stack([voice + 0.25 * other, 0.25 * voice + other])
    noisy = spoken + 0.3 * np.stack([noise, more])
    denoiser = shipped_denoiser if model == "streams" else Denoiser(model_for_files())
    alone = denoiser.denoise(noisy, RATE)
    linked = denoiser.denoise(noisy, RATE, link=Link.AUTO)
    for channel in (0, 1):
        assert si_sdr_db(linked[channel], spoken[channel]) > si_sdr_db(alone[channel], spoken[channel]) - 0.1


def test_noise_that_passes_as_a_voice_for_a_moment_moves_nothing(shared: Path) -> None:
    """A voice to the left; for a quarter of a second the right channel's estimate is louder than what it explains."""
    (voice, _), (_, noise), (_, more) = (voice_and_noise(shared, names(shared)[place]) for place in (29, 9, 6))
    spoken = np.stack([voice, 0.5 * voice])
    noisy = spoken + np.stack([scaled(noise, voice, 0), scaled(more, voice, 0)])
    linked = Denoiser(model_for_files()).denoise(noisy, RATE, link=Link.AUTO)
    assert wander_db(linked, spoken) < 1


def test_the_delay_between_microphones_is_known_before_the_first_word(shared: Path, shipped_denoiser: Denoiser) -> None:
    """In this scene it took a second of speech to show; until then the voice wandered."""
    (voice, _), (_, noise), (_, more) = (voice_and_noise(shared, names(shared)[place]) for place in (22, 31, 28))
    spoken = np.stack([voice, 0.5 * np.roll(voice, 70)])
    noisy = spoken + np.stack([scaled(noise, voice, 0), scaled(more, voice, 0)])
    alone = shipped_denoiser.denoise(noisy, RATE)
    linked = shipped_denoiser.denoise(noisy, RATE, link=Link.AUTO)
    assert wander_db(linked, spoken) < 0.5 < wander_db(alone, spoken)
    assert si_sdr_db(linked[1], spoken[1]) > si_sdr_db(alone[1], spoken[1]) + 3


def test_a_delay_that_is_taken_wrongly_costs_nothing(shared: Path) -> None:
    """The noise hides by how much the second of two spaced microphones is later, for two seconds."""
    (voice, noise), (_, more) = (voice_and_noise(shared, names(shared)[place]) for place in (11, 28))
    spoken = np.stack([voice, 0.5 * np.roll(voice, 70)])
    noisy = spoken + np.stack([scaled(noise, voice, 0), scaled(more, voice, 0)])
    denoiser = Denoiser(model_for_files())
    alone = denoiser.denoise(noisy, RATE)
    linked = denoiser.denoise(noisy, RATE, link=Link.AUTO)
    for channel in (0, 1):
        assert si_sdr_db(linked[channel], spoken[channel]) > si_sdr_db(alone[channel], spoken[channel]) - 1


def test_a_voice_that_one_channel_has_alone_stays(
    shipped_denoiser: Denoiser, recordings: tuple[np.ndarray, ...]
) -> None:
    voice, noise, more, other = recordings
    spoken = np.stack([voice, 0.5 * voice + scaled(other, voice, 0)])
    noisy = spoken + 0.5 * np.stack([noise, more])
    alone = shipped_denoiser.denoise(noisy, RATE)
    linked = shipped_denoiser.denoise(noisy, RATE, link=Link.AUTO)
    for channel in (0, 1):
        assert si_sdr_db(linked[channel], spoken[channel]) > si_sdr_db(alone[channel], spoken[channel]) - 1


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
@pytest.mark.parametrize("size", [97, 480, 100_000])
def test_linked_streams_do_not_depend_on_the_blocks(tiny_denoiser: Denoiser, rate: int, size: int) -> None:
    audio = speech_like(2.3, rate)
    audio = np.concatenate([audio, 0.5 * audio + speech_like(2.3, rate, seed=1)])
    whole = tiny_denoiser.denoise(audio, rate, link="auto")
    stream = tiny_denoiser.stream(rate, 2, link="auto")
    given, parts = 0, []
    for number, part in enumerate(blocks(audio, size)):
        parts.append(stream.process(part))
        given += parts[-1].shape[1]
        assert given >= number * size - stream.latency_samples
    streamed = np.concatenate([*parts, stream.flush()], axis=1)
    assert streamed.shape == audio.shape
    np.testing.assert_allclose(streamed, whole, rtol=0, atol=1e-6)


def test_linking_takes_two_seconds_as_the_help_says(tiny_denoiser: Denoiser) -> None:
    linked, alone = (tiny_denoiser.stream(RATE, 2, link=link) for link in ("auto", "off"))
    assert (linked.latency_samples - alone.latency_samples) / RATE == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize("samples", [0, 1, 479, 480, 9001])
def test_length_out_is_length_in(tiny_denoiser: Denoiser, samples: int) -> None:
    for channels, link in ((1, "auto"), (2, "auto"), (6, "auto"), (6, "on")):
        audio = np.full((channels, samples), 0.1, np.float32)
        assert tiny_denoiser.denoise(audio, 44_100, link=link).shape == audio.shape


def test_channels_alike_or_apart_come_out_aligned(tiny_denoiser: Denoiser) -> None:
    """A model that halves all leaves nothing to link: linked or not, half of the input comes out, in its place."""
    one = speech_like(2, RATE)
    for audio in (np.concatenate([one, -0.3 * one]), speech_like(2, RATE, channels=2)):
        for mix in (1.0, 0.4):
            linked = tiny_denoiser.denoise(audio, RATE, mix=mix, link="auto")
            np.testing.assert_allclose(linked, tiny_denoiser.denoise(audio, RATE, mix=mix), rtol=0, atol=1e-5)


def test_reset_begins_a_new_signal() -> None:
    rng = np.random.default_rng(0)
    noisy, estimate = rng.standard_normal((2, 2, RATE)).astype(np.float32)
    linked = LinkedChannels(RATE, 480, 2)
    first = linked.process(noisy, estimate)
    linked.process(noisy[:, :777], estimate[:, :777])
    linked.reset()
    np.testing.assert_array_equal(linked.process(noisy, estimate), first)


def test_live_channels_cannot_be_linked(tiny_denoiser: Denoiser) -> None:
    with pytest.raises(ValueError, match="live channels cannot be linked"):
        tiny_denoiser.stream(RATE, 2, live_block=480, link="auto")
    with pytest.raises(ValueError, match="link 'both': expected auto, on, off"):
        tiny_denoiser.stream(RATE, 2, link="both")


@pytest.mark.parametrize("link", ["auto", "on"])
@pytest.mark.parametrize("decibels", [-10, -30, -50])
def test_a_softer_recording_gives_the_same_softer(tiny_denoiser: Denoiser, link: str, decibels: int) -> None:
    voice = speech_like(2, RATE)
    noise = 0.3 * np.std(voice) * np.random.default_rng(0).standard_normal((2, voice.shape[1]))
    audio = (np.concatenate([voice, 0.5 * voice]) + noise).astype(np.float32)
    factor = np.float32(10 ** (decibels / 20))
    loud = tiny_denoiser.denoise(audio, RATE, link=link)
    soft = tiny_denoiser.denoise(factor * audio, RATE, link=link)
    np.testing.assert_allclose(soft / factor, loud, rtol=0, atol=1e-5 * np.abs(loud).max())
    assert np.abs(loud - tiny_denoiser.denoise(audio, RATE)).max() > 0.01 * np.abs(loud).max(), "linked"
