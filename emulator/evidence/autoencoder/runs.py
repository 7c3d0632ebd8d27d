"""The runs of the paper's experiment: one network trained with one loss, judged, and written down.

Runs that share domain, width and seed start from the same weights and see the same batches in the same order for the
same number of steps; only the loss differs. A finished run is a file in `OUT/runs`, written under another name and
renamed, so that the same command goes on where it was stopped and several processes may work in one folder.
"""

import gc
import hashlib
import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from emulator.evidence.autoencoder.data import SAMPLE_RATE, Domain, load_domain
from emulator.evidence.autoencoder.losses import START, Compare, make_loss
from emulator.evidence.autoencoder.network import Autoencoder
from emulator.evidence.listening_files import write_outputs
from emulator.evidence.perceptual_scores import Judge
from enhance.utils.atomic import write_text

BETAS = (0.9, 0.99)  # of AdamW, without weight decay
HEARD_SEED = 0  # whose outputs are kept for listening
WARMUP = 20  # steps in which the rate rises; afterwards it falls to 0 by a cosine


@dataclass(frozen=True)
class AutoencoderSettings:
    """All that a run depends on beside domain, width, loss and seed."""

    data: str  # folder of recordings, or one file
    batches: int = 150  # different training batches
    crops: int = 4  # in each, of about a second
    epochs: int = 2  # in which each batch comes once
    rate: float = 1e-3  # highest learning rate
    hidden: int = 256  # channels of the autoencoder's convolutions
    items: int = 16  # held-out pieces
    item_seconds: float = 4.0


@dataclass(frozen=True, order=True)
class Run:
    """One training."""

    domain: str
    width: int  # numbers per frame that pass the bottleneck
    loss: str
    seed: int

    def file(self, out: Path) -> Path:
        """Return the file of its result."""
        return out / "runs" / f"{self.domain}-{self.width}-{self.loss}-{self.seed}.json"

    @property
    def set_name(self) -> str:
        """Runs that are heard beside each other."""
        return f"{self.domain}-{self.width}"


@dataclass(frozen=True)
class Result:
    """Result of a finished run."""

    run: Run
    settings: AutoencoderSettings
    start: str  # digest of the weights before training
    order: str  # digest of the order of batches
    steps: int
    seconds: float  # of training
    scores: dict[str, dict[str, float]]  # of each item
    files: dict[str, str]  # of each item


def load_result(run: Run, settings: AutoencoderSettings, out: Path) -> Result | None:
    """Return the result of a run, or None when it is not finished.

    Raises:
        ValueError: the file is damaged or was made with other settings.
    """
    path = run.file(out)
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        result = Result(
            **content | {"run": Run(**content["run"]), "settings": AutoencoderSettings(**content["settings"])}
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not the result of a run ({error}); delete it") from error
    if result.settings != settings:
        raise ValueError(f"{path} was made with other settings; name another folder by --out, or delete its runs/")
    return result


def start(domain: Domain, width: int, seed: int, settings: AutoencoderSettings) -> Autoencoder:
    """Return the network before training, the same for every loss."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Autoencoder(domain.batches.flatten(0, 1), width, settings.hidden)


def batch_order(seed: int, settings: AutoencoderSettings) -> list[int]:
    """Return numbers of the batches, step by step, the same for every loss and width."""
    rng = np.random.default_rng(seed)
    return [int(batch) for _ in range(settings.epochs) for batch in rng.permutation(settings.batches)]


def train(network: nn.Module, compare: Compare, batches: Tensor, order: list[int], rate: float) -> None:
    """Train in place.

    Args:
        network: ``[crops, time]`` to the same shape.
        compare: the loss of an estimate of a numbered batch.
        batches: ``[batches, crops, time]``.
        order: number of the batch of each step.
        rate: highest learning rate.

    Raises:
        RuntimeError: the loss became NaN or infinite.
    """
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, betas=BETAS, weight_decay=0.0)
    for step, batch in enumerate(order):
        share = min(1.0, (step + 1) / WARMUP) * (0.5 + 0.5 * math.cos(math.pi * step / len(order)))
        for group in optimizer.param_groups:
            group["lr"] = share * rate
        loss = compare(network(batches[batch]), batch)
        if not torch.isfinite(loss.detach()):
            raise RuntimeError(f"the loss is {float(loss)} in step {step}")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def work(domain_name: str, loss: str, runs: list[Run], settings: AutoencoderSettings, out: Path) -> int:
    """Do those runs of one domain and loss that are not finished; return how many it did.

    Raises:
        ValueError, RuntimeError, OSError: with a message for the user.
        enhance.runtime.registry.ModelError: a preset's weights are not there.
    """
    runs = [run for run in runs if load_result(run, settings, out) is None]
    if not runs:
        return 0
    domain = _domain(domain_name, settings)
    fresh = None if loss == START else make_loss(loss, domain.batches, SAMPLE_RATE)
    for run in runs:
        result, outputs = perform(run, domain, fresh, settings)
        if run.seed == HEARD_SEED:
            references = {item.name: item.audio for item in domain.items}
            named = dict(zip(references, outputs, strict=True))
            write_outputs(run.set_name, run.loss, references, named, SAMPLE_RATE, out)
        _write_result(result, out)
        mean = {name: np.mean([row[name] for row in result.scores.values()]) for name in ("visqol", "lsd")}
        label = f"{run.domain} {run.width} {run.loss} seed {run.seed}: {result.seconds:.0f} s"
        print(f"{label}, ViSQOL {mean['visqol']:.2f}, LSD {mean['lsd']:.2f} dB", file=sys.stderr, flush=True)
    del fresh  # and with it all that it knows of the targets
    gc.collect()
    return len(runs)


def perform(
    run: Run, domain: Domain, fresh: Callable[[], Compare] | None, settings: AutoencoderSettings
) -> tuple[Result, list[np.ndarray]]:
    """Train and judge; return the result and the output for each item."""
    network = start(domain, run.width, run.seed, settings)
    digest = hashlib.sha256(b"".join(weight.numpy().tobytes() for weight in network.state_dict().values()))
    order = batch_order(run.seed, settings) if fresh else []
    begin = time.monotonic()
    if fresh:
        train(network, fresh(), domain.batches, order, settings.rate)
    seconds = time.monotonic() - begin
    outputs, scores = [], {}
    with torch.no_grad():
        for item in domain.items:
            outputs.append(network(torch.from_numpy(item.audio)[None])[0].numpy())
            scores[item.name] = _judge()(outputs[-1], item.audio)
    files = {item.name: item.file for item in domain.items}
    digest_of_order = hashlib.sha256(repr(order).encode()).hexdigest()
    result = Result(run, settings, digest.hexdigest(), digest_of_order, len(order), round(seconds, 1), scores, files)
    return result, outputs


def _write_result(result: Result, out: Path) -> None:
    path = result.run.file(out)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(asdict(result), indent=1) + "\n")


@lru_cache(maxsize=1)
def _domain(name: str, settings: AutoencoderSettings) -> Domain:
    s = settings
    return load_domain(name, Path(s.data), batches=s.batches, crops=s.crops, items=s.items, item_seconds=s.item_seconds)


@lru_cache(maxsize=1)
def _judge() -> Judge:
    return Judge(SAMPLE_RATE)
