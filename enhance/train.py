"""`python -m enhance.train`: trains an enhancement network on folders of speech, noise and impulse responses."""

if __name__ == "__main__":
    from enhance.allocator import restart_with_kept_heap

    restart_with_kept_heap()

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from enhance.cache import AudioCache, Kind, build_cache
from enhance.config import SAMPLE_RATE, SIZES, NetworkConfig
from enhance.loss import LossConfig, PlainLoss, PlainTerms
from enhance.mixing import MixConfig, Mixer
from enhance.network import Enhancer
from enhance.rooms import write_rooms
from enhance.training import TrainConfig, fit

VALID_EXAMPLES = 48


class Enhancement:
    """The task of `enhance.training.fit`: a network, its mixtures and its loss.

    Args:
        network: the network.
        loss: compares estimates with targets.
        mixer: makes training examples.
        valid: makes held-out examples, or None.
        fast: compute the network in bfloat16.
    """

    def __init__(self, network: Enhancer, loss: PlainLoss, mixer: Mixer, valid: Mixer | None, fast: bool) -> None:
        self.network, self.loss, self.mixer, self.valid, self.fast = network, loss, mixer, valid, fast

    def describe(self) -> dict[str, Any]:
        """Dimensions of the network and all settings of its loss and data."""
        mix = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self.mixer.config).items()}
        loss = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self.loss.config).items()}
        return {"dimensions": self.network.config.to_dict(), "loss": loss, "mix": mix}

    def estimate(self, network: nn.Module, noisy: Tensor) -> Tensor:
        """``[batch, samples]`` to the estimate, aligned with its input."""
        config = self.network.config
        length = noisy.shape[1]
        padded = nn.functional.pad(noisy, (0, config.latency + -(length + config.latency) % config.hop))
        with torch.autocast(noisy.device.type, torch.bfloat16, enabled=self.fast):
            estimate, _ = network(padded, self.network.initial_state(len(noisy)))
        return estimate[:, config.latency : config.latency + length]

    def terms(self, network: nn.Module, step: int, first: int, count: int, progress: float) -> PlainTerms:
        """Loss of some examples of a step."""
        noisy, target, limit = self.mixer.batch(step, first, count)
        return self.loss(self.estimate(network, noisy), target, noisy, limit, progress, turn=step)

    @torch.no_grad()
    def validate(self, network: nn.Module, writer: SummaryWriter | None, step: int) -> dict[str, float]:
        """Mean loss terms of fixed held-out mixtures, under the weights that the loss ends with."""
        if self.valid is None:
            return {}
        totals: dict[str, float] = {}
        for first in range(0, VALID_EXAMPLES, 8):
            noisy, target, limit = self.valid.batch(0, first, 8)
            estimate = self.estimate(network, noisy)
            for name, value in self.loss(estimate, target, noisy, limit, progress=1.0)._asdict().items():
                totals[name] = totals.get(name, 0.0) + float(value) * 8 / VALID_EXAMPLES
            if writer and first == 0:
                for name, audio in (("noisy", noisy), ("target", target), ("estimate", estimate)):
                    sound = torch.cat([row / row.abs().max().clamp(min=1e-4) for row in audio[:3].cpu()])
                    writer.add_audio(name, 0.9 * sound, step, sample_rate=SAMPLE_RATE)
                    writer.add_image(name, picture(sound), step)
        return totals


def picture(audio: Tensor) -> Tensor:
    """Spectrogram ``[1, bins, frames]`` with values from 0 (-80 dB) to 1 (the loudest cell), 0 Hz at the bottom."""
    power = torch.stft(audio, 1024, 512, window=torch.hann_window(1024), return_complex=True).abs().square()
    level = 10 * torch.log10(power / power.max().clamp(min=1e-12) + 1e-8)
    return (1 + level / 80).clamp(0, 1).flip(0)[None]


def get_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m enhance.train", description=__doc__)
    folders = {"nargs": "+", "type": Path, "metavar": "DIR"}
    parser.add_argument("--speech", required=True, help="folders of clean speech", **folders)
    parser.add_argument("--noise", required=True, help="folders of noise", **folders)
    parser.add_argument("--rooms", default=[], help="folders of room impulse responses", **folders)
    parser.add_argument("--valid-speech", default=[], help="held-out speech", **folders)
    parser.add_argument("--valid-noise", default=[], help="held-out noise", **folders)
    parser.add_argument("--simulated-rooms", type=int, default=240, help="rooms to simulate besides (default 240)")
    parser.add_argument("--cache", type=Path, required=True, help="folder for decoded audio", metavar="DIR")
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoint and logs", metavar="DIR")
    parser.add_argument("--size", choices=SIZES, default="small", help="dimensions of the network")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="other settings, see --list")
    parser.add_argument("--list", action="store_true", help="list the settings with their values and stop")
    parser.add_argument("--accelerator", default="auto", help="auto, cpu, gpu (default auto)")
    parser.add_argument("--devices", default="1", help="processes or GPUs per node (default 1; not under torchrun)")
    parser.add_argument("--nodes", type=int, default=1, help="machines (default 1)")
    parser.add_argument("--precision", choices=("bf16", "32"), default="bf16", help="of the network (default bf16)")
    return parser


def settings(size: str, pairs: Sequence[str]) -> tuple[NetworkConfig, LossConfig, MixConfig, TrainConfig]:
    """The four configurations, with ``KEY=VALUE`` applied to the one that has the key.

    Raises:
        ValueError: a key is unknown or a value has the wrong type.
    """
    configs: list[Any] = [SIZES[size], LossConfig(), MixConfig(), TrainConfig()]
    for pair in pairs:
        key, _, text = pair.partition("=")
        owners = [i for i, config in enumerate(configs) if hasattr(config, key) and key in asdict(config)]
        if not owners:
            raise ValueError(f"unknown setting {key!r}; --list shows all")
        before = getattr(configs[owners[0]], key)
        try:
            value = tuple(json.loads(text)) if isinstance(before, tuple) else type(before)(json.loads(text))
        except (TypeError, ValueError):
            raise ValueError(f"setting {key} needs a value like {before!r}; got {text!r}") from None
        configs[owners[0]] = replace(configs[owners[0]], **{key: value})
    return configs[0], configs[1], configs[2], configs[3]


def open_caches(arguments: argparse.Namespace, seed: int) -> dict[str, AudioCache]:
    """Decodes all folders into ``--cache``, or opens what is there."""
    rooms = list(arguments.rooms)
    if arguments.simulated_rooms:
        rooms.append(write_rooms(arguments.cache / "simulated", arguments.simulated_rooms, seed))
    folders: dict[str, tuple[list[Path], Kind]] = {
        "speech": (arguments.speech, "speech"),
        "noise": (arguments.noise, "noise"),
        "rooms": (rooms, "rooms"),
        "valid_speech": (arguments.valid_speech, "speech"),
        "valid_noise": (arguments.valid_noise, "noise"),
    }
    caches = {
        name: build_cache(paths, arguments.cache / name, kind=kind) for name, (paths, kind) in folders.items() if paths
    }
    for cache in caches.values():
        cache.warm()
    return caches


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    arguments = get_parser().parse_args(argv)
    try:
        dimensions, loss, mix, config = settings(arguments.size, arguments.set)
        if arguments.list:
            for part in (dimensions, loss, mix, config):
                print(*(f"{key}={json.dumps(value)}" for key, value in asdict(part).items()), sep="\n")
            return 0
        fabric = Fabric(
            accelerator=arguments.accelerator,
            devices=arguments.devices if arguments.devices == "auto" else int(arguments.devices),
            num_nodes=arguments.nodes,
            strategy="auto" if arguments.devices == "1" and arguments.nodes == 1 else "ddp",
        )
        fabric.launch()
        with fabric.rank_zero_first():
            caches = open_caches(arguments, config.seed)
        if fabric.device.type == "cuda":
            caches = {name: cache.to(fabric.device) for name, cache in caches.items()}
        rooms = caches.get("rooms")
        mixer = Mixer(caches["speech"], caches["noise"], rooms, mix, config.seed, fabric.device)
        valid = None
        if "valid_speech" in caches and "valid_noise" in caches:
            held_out = replace(mix, reuse=1, room=0.0)
            valid = Mixer(caches["valid_speech"], caches["valid_noise"], rooms, held_out, 1, fabric.device)
        torch.manual_seed(config.seed)
        task = Enhancement(Enhancer(dimensions), PlainLoss(loss), mixer, valid, arguments.precision == "bf16")
        task.loss.to(fabric.device)
        fit(fabric, task, config, arguments.out)
    except (ValueError, FileNotFoundError, FloatingPointError) as error:
        print(f"enhance.train: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("enhance.train: stopped; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
