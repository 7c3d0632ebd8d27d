"""One file from input to output: cleaned by block into a partial file, which takes its name when it is whole.

Whatever goes wrong, the input was only read, the partial file is removed, and the output is either the finished new
file or what was there before.
"""

import hashlib
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from pathlib import Path
from time import perf_counter, process_time
from typing import TYPE_CHECKING

from enhance.dsp.underflow import may_vanish
from enhance.io.bitrate import compression_like, usual_compression
from enhance.io.formats import BYTES, CONTAINERS, FLOATING, IN_BLOCKS, SAMPLE_BITS, Encoding, choose_encoding, fit_size
from enhance.io.open_source import encoding_for_file, keeps_media, note_on_name, notes_on, open_source
from enhance.io.options import DenoiseOptions
from enhance.io.pipes.raw_pcm import RawWriter
from enhance.io.pipes.wav_pipe import PipeWriter
from enhance.io.read_back import check_sound, check_tracks
from enhance.io.remote.copies import local_copies, with_signs_of_life
from enhance.io.sound.chunk_copy import Chunks, append, for_rf64, gather, note_length, note_odd_length
from enhance.io.sound.chunk_values import Change
from enhance.io.sound.mp3_length import state_length
from enhance.io.sound.sound_file import Sink, SoundReader, SoundWriter, Source
from enhance.io.sound.speakers import with_mask, write_speakers
from enhance.io.tag_fields import from_general
from enhance.io.tags import Beside, carry_tags, chunk_family, gather_fields, note_of, shares_tags, write_fields
from enhance.io.task import PIPE, OnProgress, Outcome, Task, decibels
from enhance.io.track_pipeline import LEFT_APART, Chain
from enhance.io.write_behind import WriteBehind
from enhance.utils.atomic import finish
from enhance.utils.errors import FileError, one_line, problem_on_oserror
from enhance.utils.interrupt import Stopper

if TYPE_CHECKING:
    from enhance.runtime.denoiser import Denoiser

_PIPED = frozenset({"PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"})


class _Again(Exception):
    """The peak must fit and does not: what was written is thrown away, and done again with this gain."""

    def __init__(self, gain: float) -> None:
        super().__init__(gain)
        self.gain = gain


def run_task(
    denoiser: "Denoiser",
    task: Task,
    settings: DenoiseOptions,
    stopper: Stopper,
    on_progress: OnProgress,
    on_bytes: Callable[[], object] = lambda: None,
) -> Outcome:
    """Denoise one file. What goes wrong is in the outcome; only `Stopped` is raised.

    Args:
        denoiser: the model.
        task: what to read and where to write.
        settings: how.
        stopper: looked at between blocks.
        on_progress: called after each block.
        on_bytes: called after each block that comes from a store or goes there.
    """
    outcome = Outcome(task.source, task.target, "failed")
    settings = task.options or settings
    if task.spool:
        on_progress, on_bytes = (with_signs_of_life(task.spool, call) for call in (on_progress, on_bytes))
    started, cpu = perf_counter(), process_time()
    try:
        with local_copies(task, stopper, on_bytes) if task.spool else nullcontext(task) as here:
            perform(denoiser, here, settings, stopper, on_progress, outcome)
            outcome.status = "failed"  # until a store has it all
            if settings.sha256 and here.target != PIPE:
                with Path(here.target).open("rb") as file:
                    outcome.sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        outcome.status = "done"
    except Exception as error:  # one bad file must not stop the others, whatever is wrong with it
        outcome.message = one_line(error)
    outcome.elapsed, outcome.cpu_seconds = perf_counter() - started, process_time() - cpu
    return outcome


def perform(
    denoiser: "Denoiser",
    task: Task,
    settings: DenoiseOptions,
    stopper: Stopper,
    on_progress: OnProgress,
    outcome: Outcome,
) -> None:
    """Denoise one file and fill in `outcome`; whatever goes wrong is raised."""
    while outcome.status != "done":
        outcome.notes = []
        stopper.unfinished = None if task.target == PIPE else Path(task.partial)
        try:
            with may_vanish():
                _attempt(denoiser, task, settings, stopper, on_progress, outcome)
            outcome.notes += _notes_on_silence(outcome)
            outcome.status = "done"
        except _Again as again:
            outcome.gain = again.gain


def describe(denoiser: "Denoiser") -> dict[str, str]:
    """Return what a report says about the model."""
    return {"name": denoiser.info.name, "file": str(denoiser.path)}


def _attempt(
    denoiser: "Denoiser",
    task: Task,
    settings: DenoiseOptions,
    stopper: Stopper,
    on_progress: OnProgress,
    outcome: Outcome,
) -> None:
    """Denoise once with `outcome.gain`; `_Again` comes out of it before anything takes the name of the target."""
    if keeps_media(task):
        from enhance.io.media.remux import clean_tracks

        with replacing(task) as partial:
            _check_fit(clean_tracks(denoiser, task, partial, settings, stopper, on_progress, outcome))
            _check_rest(outcome.samples, outcome.notes)
            check_tracks(partial, tracks=1)
        outcome.notes += note_on_name(Path(task.source), str(outcome.format))
        return
    with closing(open_source(task, settings, stopper)) as source:
        encoding = _encoding(source, task, settings)
        holds_over = encoding.subtype in FLOATING
        live = task.source == task.target == PIPE and source.frames is None
        chain = Chain(denoiser, source.sample_rate, source.channels, settings, holds_over, outcome.gain, live)
        frames = None if source.frames is None else chain.output_length(source.frames)
        if task.target == PIPE:
            if settings.raw:
                sink: Sink = RawWriter(sys.stdout.buffer, stopper, encoding.subtype)
            else:
                rate, speakers = chain.output_rate, source.speakers
                sink = PipeWriter(sys.stdout.buffer, stopper, encoding, rate, source.channels, frames, speakers)
            _pour(source, chain, sink, stopper, on_progress)
            if chain.left_apart and not settings.raw:  # of raw sound it is said before it flows
                outcome.notes.append(f"its {LEFT_APART}")
        else:
            encoding = fit_size(with_mask(encoding, source.speakers, source.channels), frames, source.channels)
            with replacing(task) as partial:
                level = settings.mix > 0 or outcome.gain != 1
                change = Change(chain.sample_rate, chain.output_rate, level, _new_bits(source, encoding))
                chunks = _chunks(task, source, encoding, change)
                beside = _beside(task, source, encoding, change, chunks)
                with WriteBehind(_writer(partial, task, encoding, source, chain.output_rate, chunks, beside)) as sink:
                    _pour(source, chain, sink, stopper, on_progress)
                _check_rest(chain.samples_in, getattr(source, "notes", []))
                _check_fit(chain.gain_to_fit())
                _note_length(partial, encoding, source.channels, chain.samples_out)
                _finish(task, partial, source, encoding, change, chunks, beside, chain.samples_in, outcome)
                check_sound(partial, chain.output_rate, source.channels, chain.samples_out)
        outcome.notes += [*notes_on(task, source, encoding, settings), *getattr(source, "notes", [])]
    outcome.seconds, outcome.samples = chain.samples_in / chain.sample_rate, chain.samples_out
    outcome.input_dbfs = decibels(chain.energy_in, chain.samples_in * source.channels)
    outcome.output_dbfs = decibels(chain.energy_out, chain.samples_out * source.channels)
    if (segments := chain.speech) is not None:
        late = getattr(source, "seconds_late", 0.0)  # of a track of M4A or video
        outcome.speech = {getattr(source, "number", 1): [segment.later(late) for segment in segments]}
    outcome.sample_rate, outcome.channels = chain.output_rate, source.channels
    outcome.format, outcome.subtype, outcome.clamped = encoding.major, encoding.subtype, chain.clamped


def _check_fit(gain: float | None) -> None:
    if gain is not None:
        raise _Again(gain)


def _check_rest(samples: int, notes: list[str]) -> None:
    """Check that something is left of a file that was salvaged."""
    if samples == 0 and any(note.startswith("salvaged") for note in notes):
        raise FileError("nothing of its sound can be read: it is damaged from the beginning on")


def _notes_on_silence(outcome: Outcome) -> list[str]:
    """Return a note when there is nothing to hear, so that "done" does not hide it."""
    if outcome.samples == 0:
        return ["it has no sound: 0 samples"]
    if outcome.input_dbfs is None:
        return ["there is no sound in it: all samples are 0"]
    return ["nothing is left of its sound: all samples of the output are 0"] if outcome.output_dbfs is None else []


@contextmanager
def replacing(task: Task) -> Iterator[Path]:
    """Yield the partial file of a task: it takes the target's name when the block ends well, and is removed if not."""
    partial, target = Path(task.partial), Path(task.target)
    try:
        with problem_on_oserror(f"cannot write {target}"):
            target.parent.mkdir(parents=True, exist_ok=True)
            yield partial
            finish(partial, target, durable=True)  # after a power cut the name must not stand for an empty file
    finally:
        with suppress(OSError):  # where nothing could be written, nothing can be removed
            partial.unlink()


def _pour(source: Source, chain: Chain, sink: Sink, stopper: Stopper, on_progress: OnProgress) -> None:
    """Move all sound from source to sink."""
    total = None if source.frames is None else source.frames / source.sample_rate
    try:
        for block in source.blocks():
            stopper.check()
            sink.write(chain.process(block))
            on_progress(chain.samples_in / source.sample_rate, total)
        stopper.check()
        sink.write(chain.flush())
        sink.close()
    except BaseException:
        sink.abort()
        raise


def _encoding(source: Source, task: Task, settings: DenoiseOptions) -> Encoding:
    if task.target != PIPE:
        return encoding_for_file(task, source, settings)
    encoding = choose_encoding(source.encoding, CONTAINERS["wav"], settings.subtype)
    if encoding.subtype in _PIPED:
        return encoding
    if settings.subtype is not None:
        raise FileError(f"standard output takes the subtypes {', '.join(sorted(_PIPED))}, not {encoding.subtype}")
    return Encoding("WAV", "PCM_16")


def _new_bits(source: Source, encoding: Encoding) -> int | None:
    """Return the bits of a sample of the output; None where it is encoded as it was, or in no whole number of bits."""
    as_it_was = source.encoding is not None and source.encoding.subtype == encoding.subtype
    return None if as_it_was else SAMPLE_BITS.get(encoding.subtype)


def _chunks(task: Task, source: Source, encoding: Encoding, change: Change) -> Chunks:
    """Return the chunks beside the sound that the output takes as they are; none between containers of two families."""
    family = chunk_family(encoding)
    if task.source == PIPE or not family or (source.encoding and chunk_family(source.encoding) != family):
        return Chunks()
    chunks = gather(Path(task.source), change)
    if source.encoding is None and chunks.family != family:
        return Chunks()
    return for_rf64(chunks) if encoding.major == "RF64" else chunks


def _beside(task: Task, source: Source, encoding: Encoding, change: Change, chunks: Chunks) -> Beside | None:
    """Return what goes to tags of another kind; None between containers that share theirs, and from a pipe."""
    if task.source == PIPE or chunks.family or shares_tags(source.encoding, encoding):
        return None
    if isinstance(source, SoundReader):
        return gather_fields(Path(task.source), source.encoding, source.strings(), change)
    if getattr(source, "is_flac", False):  # of 32 bits, which libsndfile does not read
        return gather_fields(Path(task.source), Encoding("FLAC", "PCM_24"), {}, change)
    fields, lost, untrue = from_general(getattr(source, "metadata", dict)())
    return Beside(fields, lost, notes=note_of(untrue))


def _writer(
    partial: Path,
    task: Task,
    encoding: Encoding,
    source: Source,
    sample_rate: int,
    chunks: Chunks,
    beside: Beside | None,
) -> SoundWriter:
    compression = usual_compression(encoding, source.channels)
    if isinstance(source, SoundReader) and source.encoding.subtype == encoding.subtype:
        seconds = None if source.frames is None else source.frames / source.sample_rate
        compression = compression_like(Path(task.source), encoding, seconds, source.channels, sample_rate)
    strings = {} if beside is None else beside.strings(encoding)
    front = b"".join(chunk for _, chunk in chunks.before)
    return SoundWriter(partial, encoding, sample_rate, source.channels, compression, strings, front)


def _note_length(partial: Path, encoding: Encoding, channels: int, samples: int) -> None:
    """Write the length where libsndfile does not: sound in frames and blocks is filled up to the end of the last."""
    if encoding.major == "MP3" and samples:
        state_length(partial, samples)
    elif encoding.subtype in IN_BLOCKS:
        note_length(partial, samples)
    elif encoding.major == "AIFF" and encoding.subtype in BYTES and channels == 1 and samples % 2:
        note_odd_length(partial, samples)


def _finish(
    task: Task,
    partial: Path,
    source: Source,
    encoding: Encoding,
    change: Change,
    chunks: Chunks,
    beside: Beside | None,
    samples: int,
    outcome: Outcome,
) -> None:
    """Finish a file whose sound is written: its tags and speakers, and what encoders do not write for no sound."""
    if samples == 0 and isinstance(source, SoundReader) and encoding == source.encoding and not change.rate:
        shutil.copyfile(task.source, partial)
        return
    if samples == 0 and encoding.major in ("FLAC", "MP3", "OGG"):
        raise FileError(f"it has no sound, and {encoding.major} cannot be written without; keep the format or name wav")
    if chunks.family:
        append(chunks, partial, front_is_written=samples > 0)
        outcome.notes += note_of(chunks.dropped) + chunks.notes
    elif beside is not None:
        outcome.notes += write_fields(partial, encoding, beside)
    elif isinstance(source, SoundReader):
        try:
            outcome.notes += note_of(carry_tags(Path(task.source), partial, source.encoding, encoding, change))
        except FileError as problem:
            outcome.notes.append(str(problem))
    if note := write_speakers(partial, encoding, source.speakers, source.channels):
        outcome.notes.append(note)
