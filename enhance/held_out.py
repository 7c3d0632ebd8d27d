"""`python -m enhance.held_out`: mixtures to choose by, written as a set of pairs for `enhance.evaluate`.

What is chosen among trainings must not be chosen on the set that is reported, so this makes another one from held-out
recordings: each mixture has six seconds of one speaker group's speech, files joined until they fill it, and one noise.
Every noise, every SNR and every speaker group comes equally often, however many files it has; all else is drawn by the
seed. Half of the speech is taken from each folder that is named.

`--sentences DIR` takes whole recordings instead, each beside a text of the same name with its words, at each of four
SNRs with one noise after the other, and writes the words down for `enhance.evaluate --recognition`.
"""

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

from enhance.data.decoding import Kind, decode
from enhance.data.levels import active_power
from enhance.data.recordings import require_recordings
from enhance.dsp.int16 import LARGEST
from enhance.dsp.rate import SAMPLE_RATE
from enhance.evaluation.recognition import WORDS
from enhance.utils.atomic import write_bytes
from enhance.utils.command import run
from enhance.utils.errors import fail
from enhance.utils.file_names import native_name

Audio = NDArray[np.float64]

SECONDS = 6.0
GAP_SECONDS = 0.15  # of silence between joined recordings
SNR_DB = (-5.0, 0.0, 5.0, 10.0, 15.0)  # power of active speech over power of noise
SENTENCE_SNR_DB = (0.0, 5.0, 10.0, 20.0)
SPEECH_DB = -26.0  # dBFS, of active speech
PEAK = 0.99


def groups(files: Sequence[Path]) -> dict[str, list[Path]]:
    """Return files by speaker group, which is the name without its number.

    Example:
        >>> list(groups([Path("gcompris-nb-003.opus"), Path("gcompris-nb-010.opus"), Path("artikulate-gr-001.opus")]))
        ['gcompris-nb', 'artikulate-gr']
    """
    found: dict[str, list[Path]] = {}
    for path in files:
        found.setdefault(path.stem.rstrip("0123456789").rstrip("-_"), []).append(path)
    return found


def read(path: Path, kind: Kind) -> Audio:
    """Return the first piece of a recording, mono at 48 kHz; long pauses of speech are shortened as in training.

    Raises:
        ValueError: it cannot be read.
    """
    pieces = decode(path, kind)
    if isinstance(pieces, Exception):
        raise ValueError(f"'{path}': {pieces}")
    return pieces[0][0] / LARGEST


def speech(files: Sequence[Path], draw: np.random.Generator) -> Audio:
    """Return `SECONDS` of recordings of one group in random order, the first begun anywhere if it is long enough."""
    length, parts = round(SECONDS * SAMPLE_RATE), list[Audio]()
    while sum(part.size for part in parts) < length:
        for index in draw.permutation(len(files)):
            audio = read(files[int(index)], "speech")
            start = int(draw.integers(max(1, audio.size - length + 1)))
            parts += [audio[start : start + length], np.zeros(round(GAP_SECONDS * SAMPLE_RATE))]
            if sum(part.size for part in parts) >= length:
                break
    return np.concatenate(parts)[:length]


def noise(path: Path, draw: np.random.Generator, length: int = round(SECONDS * SAMPLE_RATE)) -> Audio:
    """Return so many samples of a recording from a random place where it is not silent; a short one is repeated."""
    audio = read(path, "noise")
    audio = np.tile(audio, -(-(length + 1) // audio.size))
    piece = np.zeros(length)
    while not piece.any():
        start = int(draw.integers(audio.size - length + 1))
        piece = audio[start : start + length]
    return piece


def mix(target: Audio, added: Audio, snr_db: float) -> tuple[Audio, Audio]:
    """Return target and noisy recording, active speech at SPEECH_DB, lower if the sum would exceed PEAK."""
    active = float(active_power(torch.from_numpy(target)[None]))
    target = target * 10 ** (SPEECH_DB / 20) / np.sqrt(active)
    added = added * 10 ** ((SPEECH_DB - snr_db) / 20) / np.sqrt(np.mean(added**2))
    noisy = target + added
    gain = min(1.0, PEAK / float(np.abs(noisy).max()))
    return gain * target, gain * noisy


def write_pair(out: Path, name: str, target: Audio, noisy: Audio) -> None:
    """Write one pair of a set as 16-bit FLAC."""
    for part, audio in (("clean", target), ("noisy", noisy)):
        (out / part).mkdir(parents=True, exist_ok=True)
        soundfile.write(native_name(out / part / name), audio, SAMPLE_RATE, subtype="PCM_16", format="FLAC")


def refuse_others(out: Path, names: Sequence[str]) -> None:
    """Check that a folder holds no pairs but those that are about to be written: two sets in one are none.

    Raises:
        ValueError: it holds others.
    """
    for part in ("clean", "noisy"):
        there = (out / part).iterdir() if (out / part).is_dir() else ()
        if others := sorted(path for path in there if path.name[0] != "." and path.name not in names):
            raise ValueError(f"'{others[0]}' is of another set; name another --out")


def write_set(speech_folders: Sequence[Path], noise_folder: Path, out: Path, count: int, seed: int) -> None:
    """Write `count` pairs as 16-bit FLAC.

    Raises:
        ValueError: a folder holds no recordings, one cannot be read, or `out` holds another set.
    """
    voices = [groups(require_recordings(folder)) for folder in speech_folders]
    noises = require_recordings(noise_folder)
    planned: dict[str, tuple[list[Path], Path, float]] = {}
    for number in range(count):
        noise_file, shifted = noises[number % len(noises)], number + number // len(noises)
        found, snr_db = voices[shifted % len(voices)], SNR_DB[shifted % len(SNR_DB)]
        name, files = list(found.items())[number // len(voices) % len(found)]
        planned[f"{number:02d}_{name}_{noise_file.stem}_{snr_db:g}dB.flac"] = files, noise_file, snr_db
    refuse_others(out, list(planned))
    for number, (file, (files, noise_file, snr_db)) in enumerate(planned.items()):
        draw = np.random.default_rng((seed, number))
        write_pair(out, file, *mix(speech(files, draw), noise(noise_file, draw), snr_db))


def write_sentences(folder: Path, noise_folder: Path, out: Path, seed: int) -> None:
    """Write a mixture of each sentence at each of `SENTENCE_SNR_DB` as 16-bit FLAC, and the words.

    Raises:
        ValueError: a folder holds no recordings, one cannot be read, or `out` holds another set.
        OSError: a recording has no text beside it.
    """
    noises, said = require_recordings(noise_folder), require_recordings(folder)
    words = [" ".join(path.with_suffix(".txt").read_text(encoding="utf-8").split()) for path in said]
    planned: dict[str, tuple[int, int, Path, float]] = {}
    for (number, path), (order, snr_db) in itertools.product(enumerate(said), enumerate(SENTENCE_SNR_DB)):
        noise_file = noises[(number + 3 * order) % len(noises)]
        planned[f"{number:02d}_{path.stem}_{noise_file.stem}_{snr_db:g}dB.flac"] = number, order, noise_file, snr_db
    refuse_others(out, list(planned))
    for file, (number, order, noise_file, snr_db) in planned.items():
        draw, sentence = np.random.default_rng((seed, number, order)), read(said[number], "speech")
        write_pair(out, file, *mix(sentence, noise(noise_file, draw, sentence.size), snr_db))
    lines = (f"{file}\t{words[number]}\n" for file, (number, *_) in planned.items())
    write_bytes(out / WORDS, "".join(lines).encode("utf-8", "surrogateescape"))  # a name may be in another code


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m enhance.held_out", description=(__doc__ or "").partition("\n")[0])
    voices = parser.add_mutually_exclusive_group(required=True)
    voices.add_argument("--speech", type=Path, nargs="+", help="folders of speech", metavar="DIR")
    voices.add_argument("--sentences", type=Path, help="a folder of sentences, a .txt beside each", metavar="DIR")
    parser.add_argument("--noise", type=Path, required=True, help="folder of noise", metavar="DIR")
    parser.add_argument("--out", type=Path, required=True, help="folder for clean/ and noisy/", metavar="DIR")
    parser.add_argument("--count", type=int, default=48, help="mixtures (default 48)")
    parser.add_argument("--seed", type=int, default=0, help="random seed (default 0)")
    arguments = parser.parse_args(argv)
    try:
        if arguments.count < 1:
            raise ValueError(f"--count: expected 1 or more, got {arguments.count}")
        if arguments.sentences:
            write_sentences(arguments.sentences, arguments.noise, arguments.out, arguments.seed)
            return 0
        write_set(arguments.speech, arguments.noise, arguments.out, arguments.count, arguments.seed)
    except (ValueError, OSError) as error:
        return fail("enhance.held_out", error)
    return 0


if __name__ == "__main__":
    run("enhance.held_out", main)
