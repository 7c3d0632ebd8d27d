"""A model that gives way when the machine is too slow: first to a smaller one, then to the sound as it came.

`AdaptiveModel` stands where `enhance.Stream` expects a model. Whatever it does takes the same delay, and every change
is faded over one hop, so what is heard is noise that comes back for a while, never a gap or a click.
"""

from collections.abc import Sequence
from time import perf_counter

import numpy as np

from enhance.runtime.denoiser import Denoiser
from enhance.runtime.metadata import ModelInfo
from enhance.runtime.registry import list_models
from enhance.utils.errors import ModelError

SMALLER = ("small", "tiny")  # models to fall back to, each cheaper than the one before
TOO_SLOW = 0.8  # share of the time there is that a model may take when nothing else happens
_MEMORY = 130  # hops over which is judged
_MOST_SKIPPED = 0.05  # share of hops that may be left out before the model is given up
_FIRST_RETRY, _LAST_RETRY = 1_000, 32_000  # hops until a model that was given up is tried again
_WARM_UP = 50  # hops


class Load:
    """Accounts of time: the work beyond real time that has piled up, and how many hops had to be left out.

    Args:
        allowance: seconds of delay that the buffers of the device can take; one call is always allowed.

    Attributes:
        late: whether the next hop has to be left out.
        ratio: time taken over time there was, smoothed over some 50 hops that were worked on.
    """

    def __init__(self, allowance: float) -> None:
        self.allowance = allowance
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self.late = False
        self.ratio = 0.0
        self._debt = 0.0
        self._skipped = 0.0

    @property
    def hopeless(self) -> bool:
        """True when so much has been left out that the model must go."""
        return self._skipped > _MOST_SKIPPED

    def note(self, taken: float, available: float, skipped: bool) -> None:
        """Note the seconds that a call took, of those that it may take in real time."""
        allowance = max(self.allowance, available)
        # More than that is no debt: the device has dropped it.
        self._debt = min(max(0.0, self._debt + taken - available), 2 * allowance)
        self._skipped += (skipped - self._skipped) / _MEMORY
        if not skipped:
            share = taken / available
            self.ratio += (share - self.ratio) * (0.02 if self.ratio else 1.0)
        if self._debt > allowance:
            self.late = True
        elif self._debt == 0:
            self.late = False


class AdaptiveModel:
    """Steps of the best model that keeps up.

    Args:
        models: the wanted one first, then smaller ones, all of one rate, hop and latency.
        allowance: seconds of delay that the buffers of the device can take.

    Attributes:
        info: of the wanted model.
        level: index of the model in use; `len(models)` when the sound passes as it came.
        skipped: hops that were left out.
        messages: what happened, for the person; whoever shows them empties the list.
        load: the accounts of time.
    """

    def __init__(self, models: Sequence[Denoiser], allowance: float = 0.01) -> None:
        self.info: ModelInfo = models[0].info
        self.level = 0
        self.skipped = 0
        self.messages: list[str] = []
        self.load = Load(allowance)
        self._models = models
        self._wet = True  # whether the last hop came from a model
        self._line = np.zeros((1, self.info.latency), np.float32)
        self._rise = np.linspace(0, 1, self.info.hop, dtype=np.float32)
        self._wait = self._retry = _FIRST_RETRY
        self._hopeless: set[int] = set()  # levels that were too slow when nothing else happened
        self._broken: set[int] = set()  # levels that gave NaN or infinite samples

    @property
    def name(self) -> str:
        """Name of the model in use."""
        return "none (sound passes through)" if self.level == len(self._models) else self._models[self.level].info.name

    def warm_up(self, channels: int = 1) -> None:
        """Run every model for half a second of noise, and start with the first that is fast enough."""
        noise = np.random.default_rng(0).normal(0, 0.01, (channels, self.info.hop)).astype(np.float32)
        available = self.info.hop / self.info.sample_rate
        fast: list[float] = []
        for model in self._models:
            state, times = model.initial_state(channels), []
            for _ in range(_WARM_UP):
                start = perf_counter()
                _, state = model.step(noise, state)
                times.append(perf_counter() - start)
                if len(times) == 10 and min(times) > 3 * available:
                    break
            fast.append(float(np.median(times)) / available)
        self._hopeless = {level for level, ratio in enumerate(fast) if ratio > TOO_SLOW}
        while self.level in self._hopeless:
            self._give_way(fast[self.level])

    def initial_state(self, channels: int = 1) -> np.ndarray:
        """Return the state of the model in use; also forgets the past."""
        self._line = np.zeros((channels, self.info.latency), np.float32)
        return self._initial(channels)

    def step(self, block: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the estimate of whole hops, delayed by `info.latency`, and the next state, as `Denoiser.step` does."""
        start = perf_counter()
        samples = block.shape[1]
        line = np.concatenate([self._line, block], axis=1)
        dry, self._line = line[:, :samples], line[:, samples:]
        if self.level:
            self._retry -= samples // self.info.hop
        wanted = self.level < len(self._models) and not self.load.late and not self._due
        if not wanted and not self._wet:
            self.skipped += samples // self.info.hop
            self._account(start, samples, skipped=True)
            return dry, self._judge(self._try_again(state))
        try:
            wet, state = self._models[self.level].step(block, state)
        except ModelError as error:
            self._broken.add(self.level)
            self._next(str(error))
            return dry, self._initial(block.shape[0])
        if wanted != self._wet:
            share = self._rise if wanted else 1 - self._rise
            hop = self.info.hop
            wet[:, :hop] = dry[:, :hop] + share * (wet[:, :hop] - dry[:, :hop])
            if not wanted:
                wet[:, hop:] = dry[:, hop:]
        self._wet = wanted
        self._account(start, samples, skipped=False)
        return wet, state if self._wet else self._judge(state)

    def _account(self, start: float, samples: int, skipped: bool) -> None:
        if self.level < len(self._models):
            self.load.note(perf_counter() - start, samples / self.info.sample_rate, skipped)

    def _judge(self, state: np.ndarray) -> np.ndarray:
        """Give up a hopeless model, while the sound is dry; return the state of the one in use."""
        if self.level == len(self._models) or not self.load.hopeless:
            return state
        self._give_way(self.load.ratio)
        return self._initial(state.shape[0])

    def _initial(self, channels: int) -> np.ndarray:
        if self.level == len(self._models):
            return np.zeros((channels, 0), np.float32)
        return self._models[self.level].initial_state(channels)

    def _give_way(self, ratio: float) -> None:
        """Go to the next level; the sound is dry now, and fades into the next model if there is one."""
        hop = 1000 * self.info.hop / self.info.sample_rate
        taken = f"{self.name} takes {ratio * hop:.1f} ms for {hop:g} ms of sound"
        if ratio > TOO_SLOW:
            self._next(f"too slow: {taken} and may take {TOO_SLOW * hop:g}")
        else:
            self._next(f"too busy: {taken}, but other programs hold it up for longer than the devices buffer")

    def _next(self, reason: str) -> None:
        """Go to the next level, and say why and what is heard now."""
        self.level += 1
        instead = "the sound passes as it comes" if self.level == len(self._models) else f"{self.name} instead"
        self.messages.append(f"{reason}; {instead}")
        self.load.reset()
        self._wet = False
        self._retry, self._wait = self._wait, min(2 * self._wait, _LAST_RETRY)

    @property
    def _due(self) -> bool:
        """True when the next larger model gets another chance; the sound is faded to dry before and from it after."""
        if not self.level or self._retry > 0 or self.load.late or self.level - 1 in self._broken:
            return False
        return self.level == len(self._models) or self.level - 1 not in self._hopeless

    def _try_again(self, state: np.ndarray) -> np.ndarray:
        """Go back, while the sound is dry, to the model that was given up last, when it is due."""
        if not self._due:
            return state
        self.level -= 1
        self._retry = self._wait
        self.load.reset()
        self.messages.append(f"trying {self.name} again")
        return self._initial(state.shape[0])


def model_ladder(model: str | None) -> list[Denoiser]:
    """Return the wanted model and the registered smaller ones of the same shape, largest first.

    Raises:
        ModelError: when the wanted model cannot be used, or hears seconds ahead.
    """
    wanted = Denoiser(model)
    if wanted.info.block:
        raise ModelError(f"the model {wanted.info.name} hears seconds ahead, for files; take another one live")
    models = [wanted]
    registered = {entry.name for entry in list_models()}
    for name in SMALLER:
        if name not in registered or name == wanted.info.name:
            continue
        smaller = Denoiser(name)
        same = all(getattr(smaller.info, key) == getattr(wanted.info, key) for key in ("sample_rate", "hop", "latency"))
        if same and smaller.info.macs_per_second < models[-1].info.macs_per_second:
            models.append(smaller)
    return models
