"""The enhancement task: a network, its mixtures and its loss, as the training loop wants them."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from enhance.data.mix_config import MixConfig
from enhance.data.mixing import Mixer
from enhance.dsp.rate import SAMPLE_RATE
from enhance.model.config import NetworkConfig
from enhance.model.network import Enhancer
from enhance.model.warm_start import from_causal
from enhance.runtime.registry import checkpoints_folder, list_models
from enhance.training.cuda_graphs import CapturedSteps
from enhance.training.loss import LossConfig
from enhance.training.objective import Objective, ObjectiveConfig, Terms
from enhance.training.settings import plain

VALID_EXAMPLES = 48


class EnhancementTask:
    """The task of `enhance.training.loop.fit`: a network, its mixtures and its loss.

    Args:
        network: the network.
        objective: compares estimates with targets.
        mixer: makes training examples.
        valid: makes held-out examples, or None.
        fast: compute the network in bfloat16.
        start: name of the file that the first weights come from, if they are not random.
        capture: replay steps as CUDA graphs, see `enhance.training.cuda_graphs`.
    """

    def __init__(
        self,
        network: Enhancer,
        objective: Objective,
        mixer: Mixer,
        valid: Mixer | None,
        fast: bool,
        start: str = "",
        capture: bool = False,
    ) -> None:
        self.network, self.objective, self.mixer, self.valid, self.fast = network, objective, mixer, valid, fast
        self.start, self.capture = start, capture
        self._captured: CapturedSteps | None = None

    def describe(self) -> dict[str, Any]:
        """Return dimensions of the network and all settings of its loss and data."""
        loss, objective = self.objective.plain.config, self.objective.config
        return describe(self.network.config, loss, objective, self.mixer.config, self.start)

    def recordings(self) -> dict[str, str]:
        """Return what speech, noise and rooms there are."""
        caches = {"speech": self.mixer.speech, "noise": self.mixer.noise, "rooms": self.mixer.rooms}
        return {name: cache.contents for name, cache in caches.items() if cache is not None}

    def estimate(self, network: nn.Module, noisy: Tensor) -> Tensor:
        """Turn ``[batch, samples]`` into the estimate, aligned with its input."""
        config = self.network.config
        length = noisy.shape[1]
        padded = nn.functional.pad(noisy, (0, config.latency + -(length + config.latency) % config.hop))
        with torch.autocast(noisy.device.type, torch.bfloat16, enabled=self.fast):
            estimate, _ = network(padded, self.network.initial_state(len(noisy)), 0)
        return estimate[:, config.latency : config.latency + length]

    def terms(self, network: nn.Module, step: int, first: int, count: int, progress: float) -> Terms:
        """Return the loss of some examples of a step.

        Raises:
            ValueError: the step cannot be captured.
        """
        mixture = self.mixer.batch(step, first, count)
        if self.capture:
            if self._captured is None:
                try:
                    self._captured = CapturedSteps(self.network, self.estimate, self.objective, mixture)
                except RuntimeError as error:  # memory, or a distance that looks at its values
                    reason = str(error).strip().partition("\n")[0]
                    raise ValueError(f"steps cannot be captured as CUDA graphs ({reason}); add --eager") from error
            return self._captured(mixture, progress, turn=step)
        return self.objective(self.estimate(network, mixture.noisy), mixture, progress, turn=step)

    @torch.no_grad()
    def validate(self, network: nn.Module, writer: SummaryWriter | None, step: int) -> dict[str, float]:
        """Return the mean loss terms of fixed held-out mixtures, under the weights that the loss ends with."""
        if self.valid is None:
            return {}
        totals: dict[str, float] = {}
        for first in range(0, VALID_EXAMPLES, 8):
            mixture = self.valid.batch(0, first, 8)
            noisy, target, *_ = mixture
            estimate = self.estimate(network, noisy)
            for name, value in self.objective(estimate, mixture, progress=1.0)._asdict().items():
                totals[name] = totals.get(name, 0.0) + float(value) * 8 / VALID_EXAMPLES
            if writer and first == 0:
                for name, audio in (("noisy", noisy), ("target", target), ("estimate", estimate)):
                    sound = torch.cat([row / row.abs().max().clamp(min=1e-4) for row in audio[:3].cpu()])
                    writer.add_audio(name, 0.9 * sound, step, sample_rate=SAMPLE_RATE)
                    writer.add_image(name, picture(sound), step)
        return totals


def describe(
    dimensions: NetworkConfig, loss: LossConfig, objective: ObjectiveConfig, mix: MixConfig, start: str
) -> dict[str, Any]:
    """Return what a checkpoint says of its task: all settings, and the name of the file that training began with."""
    return {
        "dimensions": dimensions.to_dict(),
        "loss": plain(loss),
        "objective": plain(objective),
        "mix": plain(mix),
        "start": start,
    }


def find_weights(name_or_path: str, folder: Path | None = None) -> Path:
    """Return the file of weights to begin with: a path as it is, or of a model that comes with mpeace.

    Args:
        name_or_path: path of a file with a suffix, or name of a model.
        folder: where the models are; `checkpoints_folder()` when None.

    Raises:
        ModelError: there is no registry of models.
        ValueError: there is no such model, or it came without the weights that trainings begin with.
    """
    if Path(name_or_path).suffix:
        return Path(name_or_path)
    folder = checkpoints_folder() if folder is None else folder
    files = {entry.name: folder / entry.file for entry in list_models(folder)}
    if name_or_path not in files:
        raise ValueError(f"no model {name_or_path!r}: the models are {', '.join(files)}; or name a .safetensors file")
    path = files[name_or_path].with_suffix(".safetensors")
    if not path.is_file():
        raise ValueError(f"{path.name} is not in the installed package; name the one in a checkout of mpeace")
    return path


def load_weights(network: Enhancer, path: Path) -> None:
    """Take the weights of an exported network; a network that hears ahead also those of a causal one.

    Raises:
        ValueError: the file cannot be read, or holds a network of other dimensions.
    """
    try:
        network.load_state_dict(from_causal(network, load_file(path)))
    except (OSError, SafetensorError) as error:
        raise ValueError(
            f"'{path}' cannot be read as safetensors ({error}); name one that enhance.export wrote"
        ) from None
    except ValueError:
        raise ValueError(f"'{path}' holds a network of other dimensions; name its --size") from None


def picture(audio: Tensor) -> Tensor:
    """Return a spectrogram ``[1, bins, frames]`` from 0 (-80 dB) to 1 (the loudest cell), 0 Hz at the bottom."""
    power = torch.stft(audio, 1024, 512, window=torch.hann_window(1024), return_complex=True).abs().square()
    level = 10 * torch.log10(power / power.max().clamp(min=1e-12) + 1e-8)
    return (1 + level / 80).clamp(0, 1).flip(0)[None]
