"""Denoise columns of sound in Ray Data: `dataset.map_batches(enhance.ray.Denoise, ...)`.

Ray makes one object for each of its processes, which so loads the model once. Rows of equal rate and length go through
the network together, as channels do, each with its own state (0.9 of the time for each of 8 rows of 4 s).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from enhance.dsp.rate import check_sample_rate
from enhance.runtime.denoiser import Denoiser
from enhance.runtime.link import Link
from enhance.runtime.registry import model_for_files
from enhance.runtime.stream import check_audio

_MOST_SAMPLES = 48_000 * 600  # of all rows that go together, so that memory is bounded


class Denoise:
    """Denoises the rows of a batch.

    Args:
        audio: name of the column with the sound of each row, [samples] or [channels, samples], as `Denoiser.denoise`
            takes it.
        sample_rate: Hz, or the name of the column that has it.
        output: name of the column for the result, float32 of the same shape; the same as `audio` to replace it.
        model: None for the default model of files, a registered name, or the path of an .onnx file on every node.
        attenuation_limit_db: the most that noise is lowered, dB >= 0; None for no limit.
        mix: share of the denoised signal from 0 (the input) to 1.
        link: whether the channels of a row share one estimate of the voice, as for `Denoiser.denoise`.

    Example:
        >>> import numpy as np
        >>> noise = np.random.default_rng(0).normal(0, 0.1, 8000)
        >>> batch = {"audio": np.array([noise, noise[:4000]], object), "rate": np.array([16000, 8000])}
        >>> clean = Denoise(sample_rate="rate")(batch)
        >>> [row.shape for row in clean["denoised"]], clean["rate"].tolist()
        ([(8000,), (4000,)], [16000, 8000])
    """

    def __init__(
        self,
        audio: str = "audio",
        sample_rate: int | str = "sample_rate",
        output: str = "denoised",
        *,
        model: str | None = None,
        attenuation_limit_db: float | None = None,
        mix: float = 1.0,
        link: Link | str = Link.OFF,
    ) -> None:
        self._audio, self._rate, self._output = audio, sample_rate, output
        self._denoiser = Denoiser(model_for_files() if model is None else model)
        self._strength: dict[str, Any] = {"attenuation_limit_db": attenuation_limit_db, "mix": mix}
        self._link = Link(link)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the batch with one column more.

        Raises:
            KeyError: there is no such column.
            ValueError: a row is no sound, or of no rate; the message says which row of the batch, from 0.
        """
        rows = [np.asarray(row) for row in batch[self._audio]]
        rates = batch[self._rate] if isinstance(self._rate, str) else [self._rate] * len(rows)
        for place, (row, rate) in enumerate(zip(rows, rates, strict=True)):
            try:
                check_audio(row)
                check_sample_rate(rate)
            except ValueError as error:
                raise ValueError(f"row {place}: {error}") from None
        results = np.empty(len(rows), object)
        for group in self._together(rows, [int(rate) for rate in rates]):
            for place, result in zip(
                group, self._denoised([rows[i] for i in group], int(rates[group[0]])), strict=True
            ):
                results[place] = result
        return {**batch, self._output: results}

    def _together(self, rows: Sequence[np.ndarray], rates: list[int]) -> list[list[int]]:
        """Return the places of the rows that share a call of the network: those of one channel that are alike.

        Rows of other lengths would have to be padded, and their last tenth of a second would then be another.
        """
        groups: dict[tuple[object, ...], list[int]] = {}
        for place, (row, rate) in enumerate(zip(rows, rates, strict=True)):
            alike = (rate, row.dtype, row.shape) if row.ndim == 1 else (place,)
            groups.setdefault(alike, []).append(place)
        most = [max(1, _MOST_SAMPLES // max(1, rows[group[0]].size)) for group in groups.values()]
        return [
            group[start : start + count]
            for group, count in zip(groups.values(), most, strict=True)
            for start in range(0, len(group), count)
        ]

    def _denoised(self, rows: list[np.ndarray], rate: int) -> list[np.ndarray]:
        if len(rows) == 1:
            return [self._denoiser.denoise(rows[0], rate, link=self._link, **self._strength)]
        return list(self._denoiser.denoise(np.stack(rows), rate, **self._strength))
