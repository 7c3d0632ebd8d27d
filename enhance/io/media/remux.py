"""The sound of a video or M4A file cleaned and put back; picture, subtitles, chapters and tags copied untouched.

All packets pass through once: those of sound tracks are decoded, cleaned and encoded with the codec and about the
bitrate that they had (`writer`); those of pictures and subtitles, and of sound tracks that were not chosen, are
written as they came. Chapters, attachments and the time code are written anew, and so are the edit lists and the user
data of MP4 (`mp4_movie`). Other data (the places that a camera noted) is left out, and a note says so.
"""

import errno
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.error import FFmpegError
from av.stream import Disposition

from enhance.io.media.decoder import TrackDecoder, open_untrimmed
from enhance.io.media.edit_list import pieces_of
from enhance.io.media.matroska_tracks import TrackExtras, roomy_language, write_extras
from enhance.io.media.mp4_boxes import Box
from enhance.io.media.mp4_movie import NewSound, finish_movie
from enhance.io.media.opening import create_media, is_mp4, muxer_of, notes_on_joined, packets_of
from enhance.io.media.scan import FirstLook, look_at
from enhance.io.media.track_choice import choose_tracks, describe_tracks
from enhance.io.media.writer import CopiedTrack, SoundTrack
from enhance.io.options import DenoiseOptions
from enhance.io.tags import carry_atoms, note_of
from enhance.io.task import OnProgress, Outcome, Task, decibels
from enhance.io.track_pipeline import Chain
from enhance.runtime.speech_segments import SpeechSegment
from enhance.utils.errors import FileError, problem_on_oserror
from enhance.utils.interrupt import Stopper

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.stream import Stream

    from enhance.runtime.denoiser import Denoiser

_ATOMS = frozenset({"ipod", "mp4"})  # muxers whose tags and cover mutagen copies whole
_BOXES = _ATOMS | {"mov", "3gp", "3g2"}


def clean_tracks(
    denoiser: "Denoiser",
    task: Task,
    partial: Path,
    settings: DenoiseOptions,
    stopper: Stopper,
    on_progress: OnProgress,
    outcome: Outcome,
) -> float | None:
    """Write `partial`: the input with its sound tracks, or those that were chosen, denoised. Fills in the outcome.

    Returns:
        A gain with which to do it again when the peak must fit, else None.

    Raises:
        FileError: when the input cannot be read, has no sound track, or its sound cannot be put back.
        OSError: when the file system refuses.
    """
    path, muxer = Path(task.source), muxer_of(Path(task.target))
    if settings.subtype is not None:
        raise FileError("--subtype is for sound files; the sound of M4A and video keeps its codec")
    with problem_on_oserror("cannot be read"):
        look = look_at(path)
        source, movie = open_untrimmed(path)
    with source:
        work = _Remux(path, source, movie, muxer, look, settings)
        options = {"movie_timescale": str(work.sound[0].codec_context.sample_rate)} if muxer in _BOXES else {}
        try:
            with create_media(partial, muxer, **options) as out:
                work.set_up(out, denoiser, settings, outcome)
                work.pass_through(stopper, on_progress)
        except FFmpegError as error:
            refused = error.errno == errno.EPERM and partial.exists()  # -1 of a muxer, and no permission
            if isinstance(error, OSError) and not refused:
                raise
            why = "" if refused else f" ({error.strerror})"
            raise FileError(f"{muxer} cannot hold its tracks as they are{why}; name an output like out.wav") from None
    tracks = list(work.tracks.values())
    if muxer in _BOXES:
        finish_movie(path, partial, work.origins, work.new_sounds())
    write_extras(partial, work.extras)
    if muxer in _ATOMS and movie is not None:
        try:
            outcome.notes += note_of(carry_atoms(path, partial))
        except FileError as problem:
            outcome.notes.append(str(problem))
    chain = tracks[0].chain
    outcome.seconds = max(track.chain.samples_in / track.chain.sample_rate for track in tracks)
    outcome.samples = chain.samples_out
    count_in = sum(track.chain.samples_in * track.decoder.channels for track in tracks)
    count_out = sum(track.chain.samples_out * track.decoder.channels for track in tracks)
    outcome.input_dbfs = decibels(sum(track.chain.energy_in for track in tracks), count_in)
    outcome.output_dbfs = decibels(sum(track.chain.energy_out for track in tracks), count_out)
    outcome.sample_rate, outcome.channels = chain.output_rate, tracks[0].decoder.channels
    outcome.format, outcome.subtype = muxer, tracks[0].choice.name
    outcome.clamped = sum(track.chain.clamped for track in tracks)
    outcome.speech = work.speech() or None
    outcome.notes += [*work.notes, *(notes_on_joined(path) if movie is not None else [])]
    gains = [gain for track in tracks if (gain := track.chain.gain_to_fit()) is not None]
    return min(gains, default=None)


class _Remux:
    """One file on its way through.

    Attributes:
        sound: the tracks that are denoised.
        tracks: what cleans them, by the number of their stream.
        origins: number of the track in an MP4 input, by the place of a track in the output.
        extras: what is to be written into the entries of Matroska tracks, by their place in the output.
    """

    def __init__(
        self,
        path: Path,
        source: "InputContainer",
        movie: Box | None,
        muxer: str,
        look: FirstLook,
        settings: DenoiseOptions,
    ) -> None:
        self._path, self._source, self._movie, self._muxer, self._look = path, source, movie, muxer, look
        audio = list(source.streams.audio)
        self._numbers = [stream.index for stream in audio]
        self.sound = choose_tracks(audio, settings.tracks)
        for stream in self.sound:
            if stream.codec_context is None:
                raise FileError(f"its sound track {stream.index} is in a codec that cannot be decoded")
        self.tracks: dict[int, SoundTrack] = {}
        self.origins: dict[int, int] = {}
        self.extras: dict[int, TrackExtras] = {}
        self._copies: dict[int, CopiedTrack] = {}
        self._left_out: dict[int, str] = {}
        self._notes: list[str] = []
        self._salvage = settings.salvage
        if len(audio) > 1:
            which = "all" if len(self.sound) == len(audio) else f"{len(self.sound)} of"
            self._notes.append(f"{which} {len(audio)} sound tracks denoised (--track: {describe_tracks(audio)})")

    def set_up(self, out: "OutputContainer", denoiser: "Denoiser", settings: DenoiseOptions, outcome: Outcome) -> None:
        """Add all tracks, tags, chapters and attachments to the output."""
        same_family = is_mp4(self._source) == (self._muxer in _BOXES)
        chosen = {stream.index for stream in self.sound}
        for stream in self._source.streams:
            if stream.index in chosen:
                decoder = TrackDecoder(stream, self._path, settings.salvage, self._movie)  # type: ignore[arg-type]
                bits = self._look.bits.get(stream.index, 0.0)
                track = SoundTrack(decoder, out, self._muxer, denoiser, settings, outcome.gain, bits)
                self.tracks[stream.index] = track
                self.origins[track.stream.index] = stream.id
            elif stream.type == "attachment":
                name = stream.metadata.get("filename", "attachment")
                out.add_attachment(name, stream.mimetype or "", stream.data)  # type: ignore[attr-defined]
            elif _is_cover(stream):
                self._attach_cover(stream, out)
            elif stream.type in ("audio", "video", "subtitle"):
                shape = getattr(stream, "sample_aspect_ratio", None)
                if self._muxer == "asf" and shape and shape != 1:
                    self._notes.append(f"its pixels are {shape.numerator}:{shape.denominator}, which asf does not say")
                copy = CopiedTrack(stream, out, self._muxer, same_family, self._hidden(stream))
                self._copies[stream.index] = copy
                self.origins[copy.stream.index] = stream.id
        if self._muxer in ("matroska", "webm"):
            self._make_room()
        out.metadata.update(self._source.metadata)
        out.set_chapters(self._source.chapters())

    def pass_through(self, stopper: Stopper, on_progress: OnProgress) -> None:
        """Clean or copy every packet."""
        total = float(self._source.duration / av.time_base) if self._source.duration else None
        for packet in packets_of(self._source, salvage=self._salvage, notes=self._notes):
            stopper.check()
            index = packet.stream.index
            if index in self.tracks:
                track = self.tracks[index]

                def after_block(chain: Chain = track.chain) -> None:
                    stopper.check()
                    on_progress(chain.samples_in / chain.sample_rate, total)

                track.push(packet, after_block)
            elif index in self._copies:
                self._copies[index].push(packet)
            elif packet.stream.type == "data" and packet.size and "timecode" not in packet.stream.metadata:
                self._left_out[index] = packet.stream.metadata.get("handler_name", "no name")

    @property
    def notes(self) -> list[str]:
        """Notes for the person."""
        left_out = [f"its data track {index} ({name}) is left out" for index, name in self._left_out.items()]
        mended = [note for track in self.tracks.values() for note in (*track.decoder.notes, track.choice.note) if note]
        dropped = [name for track in self.tracks.values() for name in track.dropped]
        return self._notes + left_out + mended + note_of(dropped)

    def speech(self) -> dict[int, list[SpeechSegment]]:
        """Return segments of speech, on the clock that players show, by the number of the sound track."""
        found = {}
        for number, index in enumerate(self._numbers, 1):
            track = self.tracks.get(index)
            if track is not None and (segments := track.chain.speech) is not None:
                late = track.decoder.seconds_late
                found[number] = [segment.later(late) for segment in segments]
        return found

    def new_sounds(self) -> dict[int, NewSound]:
        """Return facts of the sound that was written, by the place of its track in the output."""
        return {track.stream.index: track.new_sound() for track in self.tracks.values()}

    def _attach_cover(self, stream: "Stream", out: "OutputContainer") -> None:
        """Attach the cover, as Matroska keeps it; in MP4 covers are tags, which are copied later."""
        if self._muxer in _BOXES or stream.index not in self._look.covers:
            return
        name = stream.metadata.get("filename", "cover")
        kind = stream.metadata.get("mimetype", "")
        cover = out.add_attachment(name, kind, self._look.covers[stream.index])
        cover.metadata.update({**stream.metadata, "filename": name, "mimetype": kind})

    def _make_room(self) -> None:
        """Let the muxer leave room in the entries of tracks of which it does not write all."""
        written = {**self.tracks, **self._copies}
        streams = [stream for stream in self._source.streams if stream.type in ("audio", "video", "subtitle")]
        extras = zip([stream for stream in streams if not _is_cover(stream)], self._look.extras, strict=False)
        for place, (stream, extra) in enumerate(pair for pair in extras if pair[0].index in written):
            if self._muxer == "webm":
                extra = TrackExtras("", extra.shape)  # WebM has no language tags
            if extra:
                metadata = written[stream.index].stream.metadata
                metadata["language"] = roomy_language(metadata.get("language", "und"), extra)
                self.extras[place] = extra

    def _hidden(self, stream: "Stream") -> float:
        """Return the seconds that a copied track's edit list hides in front: packets are written so much earlier."""
        if self._movie is None:
            return 0.0
        try:
            pieces = pieces_of(self._movie, stream.id)
        except FileError:  # edits of a picture may do what those of a sound may not
            return 0.0
        return float(pieces[0].begin - pieces[0].at) if pieces else 0.0


def _is_cover(stream: "Stream") -> bool:
    return bool(stream.disposition & Disposition.attached_pic)
