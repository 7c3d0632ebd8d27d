"""Does denoising help speech recognition? Word error rates of noisy, cleaned and clean sentences whose words are known.

The recogniser is PocketSphinx with the model for US English in its package: small, and far behind those of today in
words, but there without a download. Each file is decoded on its own. Where a sentence occurs in several noises, its
mixtures are drawn together in the bootstrap, as they share their words.

Reference: word error rate as in NIST's scoring (substitutions, deletions and insertions per word spoken), by jiwer.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enhance.dsp.resampling import resample
from enhance.evaluation.bootstrap import RESAMPLES, percentiles
from enhance.evaluation.pairs import Audio, find_pairs, read_pair
from enhance.evaluation.scoring import Pair, loaded, of_each
from enhance.reporting.markdown import markdown_table
from enhance.utils.environment import machine, versions
from enhance.utils.errors import DatasetError

WORDS = "words.txt"  # of a set: lines of a file's name, a tab, and what is said in it
RATE = 16_000  # Hz, of the recogniser
LIMITS_DB: tuple[float | None, ...] = (6.0, 12.0, 24.0, None)
PACKAGES = ("mpeace", "onnxruntime", "pocketsphinx", "jiwer")
Counts = NDArray[np.int64]


def plain_words(text: str) -> str:
    """Return lower-case words with nothing between them but spaces.

    Example:
        >>> plain_words("We'll go - on Wednesday!")
        "we'll go on wednesday"
    """
    return " ".join(re.sub(r"[^\w' ]", " ", text.lower()).split())


def read_words(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """Return what is said in each file of a set.

    Raises:
        DatasetError: the set has no words, or a file has none.
    """
    path = folder / WORDS
    if not path.is_file():
        raise DatasetError(f"{path}: expected lines of a file's name, a tab, and the words said in it")
    lines = [line.partition("\t") for line in path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()]
    said = {name: plain_words(words) for name, _, words in lines}
    missing = [name for name in names if not said.get(name)]
    if missing:
        raise DatasetError(
            f"{path}: no words for {missing[0]}" + (f" and {len(missing) - 1} more" * (len(missing) > 1))
        )
    return said


@cache
def _package(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise DatasetError(f"--recognition needs a package: pip install '.[recognition]' ({name})") from None


def recognised(audio: Audio, sample_rate: int) -> str:
    """Return the words that PocketSphinx hears in float32 [time]."""
    decoder = _package("pocketsphinx").Decoder(cmn="batch", loglevel="FATAL")  # each file alone: no running mean
    samples = resample(audio[np.newaxis], sample_rate, RATE)[0]
    decoder.start_utt()
    decoder.process_raw((32767 * samples.clip(-1, 1)).astype("<i2").tobytes(), full_utt=True)
    decoder.end_utt()
    best = decoder.hyp()
    return plain_words(best.hypstr) if best else ""


def word_errors(said: str, heard: str) -> int:
    """Return the fewest words to replace, leave out and add."""
    found = _package("jiwer").process_words(said, heard)
    return int(found.substitutions + found.deletions + found.insertions)


def errors_of_file(model: str, said: Mapping[str, str], pair: Pair) -> list[int]:
    """Return the errors in the noisy file, at each of `LIMITS_DB`, and in the clean file."""
    clean, noisy, rate = read_pair(*pair)
    denoiser = loaded(model)
    cleaned = [denoiser.denoise(noisy, rate, attenuation_limit_db=limit) for limit in LIMITS_DB]
    return [word_errors(said[pair[0].name], recognised(audio, rate)) for audio in (noisy, *cleaned, clean)]


def recognition(model: str, folder: Path, jobs: int = 1) -> str:
    """Return the table of word error rates of a set, in Markdown.

    Args:
        model: a registered name, or the path of an ONNX file.
        folder: the set, with clean/, noisy/ and words.txt.
        jobs: processes.

    Raises:
        DatasetError: the set cannot be used, or a package is missing.
        ModelError: the model cannot be loaded.
    """
    pairs = find_pairs(folder)
    said = read_words(folder, [clean.name for clean, _ in pairs])
    for name in ("pocketsphinx", "jiwer"):
        _package(name)
    rows = of_each(partial(errors_of_file, model, said), pairs, jobs, "recognising")
    return table(np.array(rows), [said[clean.name] for clean, _ in pairs])


def table(errors: Counts, said: Sequence[str]) -> str:
    """Return error rates and their differences to the noisy input, with 95 % intervals, in Markdown.

    Args:
        errors: ``[files, noisy + limits + clean]``.
        said: the words of each file; files with the same ones belong together.
    """
    sentences = list(dict.fromkeys(said))
    totals = np.zeros((len(sentences), errors.shape[1] + 1))
    for row, words in zip(errors, said, strict=True):
        totals[sentences.index(words)] += [*row, len(words.split())]
    drawn = np.random.default_rng(0).integers(len(sentences), size=(RESAMPLES, len(sentences)))
    sums = totals[drawn].sum(axis=1)
    rates, drawn_rates = (100 * x[..., :-1] / x[..., -1:] for x in (totals.sum(axis=0), sums))
    limits = [f"cleaned, at most {limit:g} dB" if limit else "cleaned, no limit" for limit in LIMITS_DB]
    rows = []
    for column, name in enumerate(("noisy", *limits, "clean")):
        low, high = percentiles(drawn_rates[:, column])
        less, more = percentiles(drawn_rates[:, column] - drawn_rates[:, 0])
        change = f"{rates[column] - rates[0]:+.1f} ({less:+.1f} to {more:+.1f})" if column else "-"
        rows.append([name, f"{rates[column]:.1f} ({low:.1f} to {high:.1f})", change])
    packages = ", ".join(f"{name} {number}" for name, number in versions(PACKAGES).items())
    what = f"{len(said)} mixtures of {len(sentences)} sentences with {sum(len(s.split()) for s in sentences)} words"
    head = markdown_table(["sound", "word error rate, %", "change to noisy"], rows)
    return f"{head}\n\n{what}; intervals of 95 % over sentences. {packages}; {machine()}.\n"
