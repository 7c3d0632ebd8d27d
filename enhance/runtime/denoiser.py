"""Denoiser: an exported ONNX file run by ONNX Runtime, without PyTorch.

The file takes a waveform block of whole hops and a state, and returns the denoised block and the next state; batch (the
channels) and the number of hops are free, so the same file serves live audio (one hop a call) and files (hundreds of
hops). The state is an explicit value, all zeros at the start. The file describes itself in its metadata (`ModelInfo`).
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import numpy as np
import onnxruntime

from enhance.runtime.link import Link
from enhance.runtime.metadata import ModelInfo
from enhance.runtime.onnx_guard import read_model
from enhance.runtime.registry import find_model, model_for_files
from enhance.runtime.stream import Stream, check_audio
from enhance.utils.errors import ModelError

_TOGETHER = 48_000  # samples up to which channels are denoised in one call: for more it saves nothing and takes memory


class Denoiser:
    """Removes noise from speech. Holds no signal: one object serves any number of streams and threads.

    Args:
        model: None for the default model of streams, a registered name (`enhance.list_models`), or the path of an
            .onnx file.

    Attributes:
        info: the metadata of the model.
        path: the ONNX file.

    Raises:
        ModelError: when the model is missing, damaged, or not an mpeace model; the message is one line.
        ValueError: when `model` is of another type.

    Example:
        >>> denoiser = Denoiser()
        >>> denoiser.denoise(np.zeros((2, 44100), np.float32), sample_rate=44100).shape
        (2, 44100)
    """

    def __init__(self, model: str | PathLike[str] | None = None) -> None:
        self.path: Path = find_model(model)
        self._place = self.path.absolute()  # wherever the program works later
        self._session = _open_session(self.path)
        self.info: ModelInfo = ModelInfo.from_metadata(
            self._session.get_modelmeta().custom_metadata_map, f"the file {self.path}"
        )
        self._check_graph()

    def initial_state(self, channels: int = 1) -> np.ndarray:
        """Return the state at the start of a signal: zeros, float32 [channels, state_size]."""
        return np.zeros((channels, self.info.state_size), np.float32)

    def step(self, block: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Denoise whole hops at the model's rate.

        Args:
            block: float32 [channels, samples], samples a multiple of `info.hop`; more than the `info.ahead` hops at its
                end, which are only looked at and come again in the next call.
            state: float32 [channels, state_size], from `initial_state` or from the call before.

        Returns:
            The estimate, float32 [channels, samples], delayed by `info.latency` samples, without the hops that were
            only looked at; and the next state.

        Raises:
            ValueError: for another shape.
            ModelError: the model gives NaN or infinite samples.
        """
        hop, ahead = self.info.hop, self.info.ahead * self.info.hop
        if block.ndim != 2 or block.shape[1] <= ahead or block.shape[1] % hop:
            more = f", more than {ahead}" if ahead else ""
            raise ValueError(f"block of shape {block.shape}: expected [channels, a multiple of {hop} samples{more}]")
        if state.shape != (block.shape[0], self.info.state_size):
            raise ValueError(f"state of shape {state.shape}: expected {(block.shape[0], self.info.state_size)}")
        channels = max(1, block.shape[0])
        together = channels if block.shape[1] <= _TOGETHER else 1
        rows = range(0, channels, together)
        parts = [self._run(block[row : row + together], state[row : row + together]) for row in rows]
        estimate, next_state = map(np.concatenate, zip(*parts, strict=True)) if len(parts) != 1 else parts[0]
        if not np.isfinite(estimate).all():
            raise ModelError(f"the file {self.path} returns NaN or infinite samples; use another model")
        return estimate, next_state

    def _run(self, block: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        inputs = {"audio": np.asarray(block, np.float32), "state": np.asarray(state, np.float32)}
        estimate, next_state = self._session.run(["estimate", "next_state"], inputs)
        return np.asarray(estimate), np.asarray(next_state)

    def stream(
        self,
        sample_rate: int,
        channels: int = 1,
        *,
        attenuation_limit_db: float | None = None,
        mix: float = 1.0,
        live_block: int | None = None,
        link: Link | str = Link.OFF,
    ) -> Stream:
        """Return a `Stream`; see there for the arguments."""
        return Stream(
            self,
            sample_rate,
            channels,
            attenuation_limit_db=attenuation_limit_db,
            mix=mix,
            live_block=live_block,
            link=link,
        )

    def denoise(
        self,
        audio: np.ndarray,
        sample_rate: int,
        *,
        attenuation_limit_db: float | None = None,
        mix: float = 1.0,
        link: Link | str = Link.OFF,
    ) -> np.ndarray:
        """Denoise a whole signal: by definition the same as streaming it.

        Args:
            audio: [time] or [channels, time]; float16, 32 or 64 with full scale 1.0, or int16 or int32 with the full
                scale of the type. Any length from 0 samples.
            sample_rate: Hz, whole number from 1 kHz to 768 kHz; what lies above 24 kHz is removed.
            attenuation_limit_db: the most that noise is lowered, dB >= 0; None for no limit.
            mix: share of the denoised signal from 0 (the input) to 1.
            link: "auto" keeps a voice that both channels of stereo carry in its place, as `denoise_file` does.

        Returns:
            float32, the shape and rate of the input, aligned with it to the sample, not clipped.

        Raises:
            ValueError: for another shape, type or value, and for NaN or infinite samples.
        """
        audio = check_audio(audio)
        channels = audio if audio.ndim == 2 else audio[np.newaxis]
        count = channels.shape[0]
        stream = self.stream(sample_rate, count, attenuation_limit_db=attenuation_limit_db, mix=mix, link=link)
        denoised = np.concatenate([stream.process(channels), stream.flush()], axis=1)
        return denoised.reshape(audio.shape)

    def __reduce__(self) -> tuple[type[Denoiser], tuple[Path]]:
        """Pickled as its path, so that it can be handed to another process, in whatever folder that one works."""
        return Denoiser, (self._place,)

    def _check_graph(self) -> None:
        """Send a hop of silence through the file, which must obey the contract. Also warms the session up."""
        hop = self.info.hop
        names = [value.name for value in (*self._session.get_inputs(), *self._session.get_outputs())]
        if names != ["audio", "state", "estimate", "next_state"]:
            raise ModelError(
                f"the file {self.path} has {names}, expected inputs audio, state, outputs estimate, next_state"
            )
        block, state = np.zeros((1, (1 + self.info.ahead) * hop), np.float32), self.initial_state()
        try:
            estimate, next_state = self.step(block, state)
        except ModelError:
            raise
        except Exception as error:  # ONNX Runtime has no common base class for its errors
            raise ModelError(f"the file {self.path} does not run: {_first_line(error)}") from error
        if estimate.shape != (1, hop) or next_state.shape != state.shape:
            raise ModelError(
                f"the file {self.path} returns shapes {estimate.shape} and {next_state.shape} for one hop, "
                f"expected {(1, hop)} and {state.shape}"
            )


def denoise(
    audio: np.ndarray,
    sample_rate: int,
    model: str | PathLike[str] | None = None,
    *,
    attenuation_limit_db: float | None = None,
    mix: float = 1.0,
    link: Link | str = Link.OFF,
) -> np.ndarray:
    """Return `Denoiser(model).denoise(...)` for a single signal; keep a `Denoiser` for more than one.

    The default model is that of files (`enhance.model_for_files`), as the whole signal is there.
    """
    return Denoiser(model_for_files() if model is None else model).denoise(
        audio, sample_rate, attenuation_limit_db=attenuation_limit_db, mix=mix, link=link
    )


def _open_session(path: Path) -> onnxruntime.InferenceSession:
    """Open a model for one thread, with a memory arena: without, mapping buffers anew takes as long as the model.

    A memory pattern, one piece of memory for all buffers of a call of known size, saves an eighth of the time of a hop.
    """
    content = read_model(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4  # its errors are raised and need no second line on stderr
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has no common base class for its errors
        raise ModelError(f"cannot load the model file {path}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
