"""The codec loss: what an MP3 encoder would not keep, and the noise that it would not hear, cost nothing.

After Ananthabhotla, Ewert, Paradiso, "Towards a Perceptual Loss: Using a Neural Network Codec Approximation as a Loss
for Generative Audio Models" (ACM Multimedia 2019, doi:10.1145/3343031.3351148) and "Using a Neural Network Codec
Approximation Loss to Improve Source Separation Performance in Limited Capacity Networks" (IJCNN 2020). They compare
outputs and layers of the emulator; the noise-to-mask term is that of PEAQ (ITU-R BS.1387), with a threshold that is
learned from the encoder. Saddler et al., "Speech Denoising with Auditory Models" (Interspeech 2021, arXiv:2011.10706)
found a plain filter bank as good as deep features, so compare with one: see `emulator/README.md`.
"""

import math
import warnings
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from emulator.losses.balancer import Balancer
from emulator.losses.codec_terms import CodecTerms, Reference
from emulator.losses.frozen_emulator import chosen_layers, frozen
from emulator.losses.terms import (
    LEVEL,
    MISSING,
    compress,
    critical_bands,
    layer_distance,
    level_gain,
    log_noise_to_mask,
    loudness_distance,
    output_distance,
    smooth,
    specific_loudness,
    threshold_in_quiet,
)
from emulator.model.network import Emulator
from emulator.model.presets import load_emulator, single_precision
from emulator.model.spectrum import power
from enhance.data.sinc_resampling import SincResample

SMOOTHING_SECONDS = 0.05  # of power along time: short beside masking (200 ms), yet it steadies the logarithm
LAYER_FLOOR = 0.1  # of a layer's mean activation, relative to that for white noise of LEVEL
HUGE = 1e12  # norm of signals, far beyond any sound, from which on their powers may overflow in float32
RESAMPLING_WIDTH = 32  # zero crossings of the kernel: flat up to 0.94 of half the lower rate, 50 dB down at 1.06


class CodecLoss(nn.Module):
    r"""Distance of an estimate ``e`` from its target ``s``, by what an MP3 encoder counts as audible.

    An encoder whose quality is set, not its rate, puts its noise right under the threshold at which its psychoacoustic
    model says that the noise is heard. The emulator has learned the encoder as a function of the input's spectrum
    ``X``: a mask ``M(X)`` of what survives, and the expected power ``V(X)`` of coded minus input in each cell. With
    ``E`` and ``S`` the spectra of both signals, brought to -25 dBFS by the gain of the target:

    - ``noise_to_mask = mean log(1 + P / N)``, where ``P`` is ``|E - S|^2`` and ``N`` is ``V(S)``, both averaged over
      critical bands and 50 ms. An error well below the noise that the encoder allows itself costs next to nothing, one
      far above costs ``log(P / N)``: PEAQ's noise-to-mask ratio with a learned threshold. It sees phase, and ``N`` is
      not below the softest tone that the encoder keeps at all. It depends on the estimate by one STFT only.
    - ``loudness = mean (max(d - m, 0) + a max(-d - m, 0))`` with ``d = L(E) - L(S)``, where ``L`` is the specific
      loudness ``((power in the band + threshold in quiet) / level^2)^0.23`` over the same bands and 50 ms, and ``m`` is
      how much louder ``N`` makes the target. It is blind to phase. What the encoder's own noise would change costs
      nothing; loudness that is missing counts ``a = missing`` times, by default twice, for a network that is unsure
      mutes. With ``missing=0.5`` what is added counts twice.
    - ``output = mean (|c(M(E) E) - c(M(S) S)|^2 + (|c(M(E) E)| - |c(M(S) S)|)^2) / 2``, where ``c`` raises magnitudes,
      in units of the target's level, to the power 0.3. What the codec removes is compared no more.
    - ``layers``: the mean over layers of ``mean |L(E) - L(S)| / mean |L(S)|``.

    Whatever the codec removes from both is a null space of the last two, phase is one of the second, and a low
    threshold is all that there is of the first where the target is empty. So use the loss beside one of the full band,
    balanced by :class:`emulator.losses.balancer.Balancer`.

    The emulator is frozen: it is held in buffers that are not saved, so :meth:`parameters` and :meth:`state_dict` of
    the loss, and what a model that holds it adds to an optimiser and to a checkpoint, are empty; :meth:`train` does not
    reach it. The loss computes in its own precision, float32 or after ``.to(torch.float64)`` that, also in autocast.

    Args:
        preset: a name of :data:`emulator.model.config.PRESETS`, the file of a checkpoint, or an emulator, which is
            copied.
        sample_rate: of estimate and target, Hz. They are resampled to the emulator's.
        noise_to_mask: weight of this term; a term of weight 0 is not computed. Alone by default: it hears masking as
            the encoder does, its gradient leads furthest, and the network is not run on the estimate.
        loudness: weight.
        missing: how many times loudness that is missing counts, against loudness that is added.
        output: weight.
        layers: weight.
        layer_names: ``"masking"`` (bottleneck and decoder), ``"encoder"`` (the first three, as in the paper), or names.

    Raises:
        ValueError: a rate or a weight out of range, or an unknown layer.
        enhance.runtime.registry.ModelError: an unknown preset, or a missing or damaged file.

    Example:
        >>> loss = CodecLoss("mp3-v9-16k", sample_rate=48_000)
        >>> target = 0.1 * torch.randn(2, 1, 24_000)
        >>> estimate = (target + 0.01 * torch.randn(2, 1, 24_000)).requires_grad_()
        >>> loss(estimate, target).backward()
        >>> reference = loss.reference(target)  # once for each target
        >>> terms = loss.terms(estimate, reference)
        >>> terms._fields
        ('total', 'noise_to_mask', 'loudness', 'output', 'layers')
        >>> bool(terms.noise_to_mask > loss.terms(target, reference).noise_to_mask == 0)
        True
    """

    bands: Tensor
    quiet: Tensor
    layer_floors: Tensor

    def __init__(
        self,
        preset: str | Path | Emulator = "mp3-v9-16k",
        *,
        sample_rate: int,
        noise_to_mask: float = 1.0,
        loudness: float = 0.0,
        missing: float = MISSING,
        output: float = 0.0,
        layers: float = 0.0,
        layer_names: Literal["masking", "encoder"] | tuple[str, ...] = "masking",
    ) -> None:
        super().__init__()
        if isinstance(sample_rate, bool) or not isinstance(sample_rate, int | np.integer) or sample_rate <= 0:
            raise ValueError(f"sample_rate must be a positive whole number of Hz; got {sample_rate!r}")
        self.weights = {"noise_to_mask": noise_to_mask, "loudness": loudness, "output": output, "layers": layers}
        if any(not 0 <= weight < math.inf for weight in self.weights.values()) or not any(self.weights.values()):
            raise ValueError(f"weights must be finite, 0 or more, and one of them more than 0; got {self.weights}")
        if not 0 <= missing < math.inf:
            raise ValueError(f"missing must be finite and 0 or more; got {missing}")
        self.sample_rate, self.missing = int(sample_rate), float(missing)
        self.emulator = frozen(preset if isinstance(preset, Emulator) else load_emulator(preset))
        config = self.emulator.config
        if self.sample_rate < config.sample_rate:
            warnings.warn(
                f"signals at {self.sample_rate} Hz hold nothing above {self.sample_rate // 2} Hz, which the emulator "
                f"(up to {config.sample_rate // 2} Hz) takes for silence there",
                stacklevel=2,
            )
        with single_precision():
            self.resample = SincResample(self.sample_rate, config.sample_rate, RESAMPLING_WIDTH)
        self.layer_names = chosen_layers(layer_names, self.emulator.layer_names)
        self.smoothing = 2 * round((SMOOTHING_SECONDS * config.sample_rate / config.hop - 1) / 2) + 1  # odd
        bands = critical_bands(config.bins, config.sample_rate).to(self.emulator.get_buffer("window"))
        self.register_buffer("bands", bands, persistent=False)
        self.register_buffer("quiet", threshold_in_quiet(bands, config.quiet_db), persistent=False)
        self.register_buffer("layer_floors", LAYER_FLOOR * self._usual_activations(), persistent=False)

    def __repr__(self) -> str:
        return f"CodecLoss({self._made_for()})"

    def _made_for(self) -> str:
        c = self.emulator.config
        used = [name for name, weight in self.weights.items() if weight]
        names = f" of {' '.join(self.layer_names)}" if "layers" in used else ""
        precision = str(self.bands.dtype).removeprefix("torch.")
        return f"{c.setting} at {c.sample_rate} Hz from {self.sample_rate} Hz in {precision}, {', '.join(used)}{names}"

    def train(self, mode: bool = True) -> "CodecLoss":
        """Set the mode of the loss; the emulator in it stays in evaluation mode."""
        super().train(mode)
        self.emulator.eval()
        return self

    @torch.no_grad()
    def _usual_activations(self) -> Tensor:
        """Return the mean magnitude of each chosen layer for a second of white noise."""
        config, generator = self.emulator.config, torch.Generator().manual_seed(0)
        noise = LEVEL * torch.randn(1, config.sample_rate, generator=generator, device="cpu")  # whatever the default is
        layers = self.emulator(noise.to(self.emulator.get_buffer("window"))).layers
        return torch.stack([layers[name].abs().mean() for name in self.layer_names])

    def _waveform(self, audio: Tensor, name: str) -> Tensor:
        """Check ``[..., time]``; return ``[signals, time]`` at the emulator's rate and in the precision of the loss."""
        config, dtype = self.emulator.config, self.bands.dtype
        if dtype not in (torch.float32, torch.float64):
            raise ValueError(f"the loss computes in float32 or float64, but was moved to {dtype}; call .float() on it")
        if not audio.is_floating_point():
            raise ValueError(f"the {name} must be a floating-point waveform, full scale 1.0; got {audio.dtype}")
        if audio.dim() == 0 or audio.numel() == 0:
            raise ValueError(f"the {name} must hold samples, [..., time]; got the shape {tuple(audio.shape)}")
        if audio.device != self.bands.device:
            raise ValueError(f"the {name} is on {audio.device}, but the loss on {self.bands.device}; move one of them")
        length = audio.shape[-1]
        if math.ceil(length * config.sample_rate / self.sample_rate) < config.window:
            least = (config.window - 1) * self.sample_rate // config.sample_rate + 1
            raise ValueError(
                f"the {name} must be one window of the emulator or longer, {least} samples at {self.sample_rate} Hz; "
                f"got {length}"
            )
        flat = audio.reshape(-1, length).to(dtype)
        hidden = audio.is_cuda and torch.cuda.is_current_stream_capturing()  # then nothing can be looked at
        if not hidden and not _is_finite(flat):  # type: ignore[arg-type]
            raise ValueError(f"the {name} must be finite; got NaN, infinite or huge samples")
        return self.resample(flat)

    @torch.no_grad()
    def reference(self, target: Tensor) -> Reference:
        """Analyse a target once, for training also where it is done in :class:`torch.inference_mode`.

        Args:
            target: ``[..., time]``.

        Raises:
            ValueError: the target is empty, not finite, not floating point, or shorter than a window of the emulator.
        """
        if torch.is_inference_mode_enabled():
            with torch.inference_mode(False):
                return self.reference(target)
        with torch.autocast(target.device.type, enabled=False):
            audio = self._waveform(target, "target")
            gain = level_gain(audio.square().mean(dim=-1, keepdim=True).sqrt())
            spectrum = self.emulator.spectrum(gain * audio)
            emulation = self.emulator.analyse(spectrum)
            level = smooth(emulation.log_variance.exp(), self.bands, self.smoothing)
            level = torch.maximum(level, self.quiet)
            noise = level if self.weights["noise_to_mask"] else None
            loudness = margin = output = None
            layers, scales = {}, {}
            if self.weights["loudness"]:
                banded = smooth(power(spectrum), self.bands, self.smoothing)
                loudness = specific_loudness(banded, self.quiet)
                margin = specific_loudness(banded + level, self.quiet) - loudness
            if self.weights["output"]:
                output = compress(emulation.mask * spectrum, LEVEL)
            if self.weights["layers"]:
                layers = {name: emulation.layers[name] for name in self.layer_names}
                floors = dict(zip(self.layer_names, self.layer_floors, strict=True))
                scales = {k: torch.maximum(x.abs().mean(dim=(1, 2, 3)), floors[k]) for k, x in layers.items()}
        made_for, shape = self._made_for(), tuple(target.shape)
        return Reference(made_for, shape, gain, spectrum, noise, loudness, margin, output, layers, scales)

    def terms(self, estimate: Tensor, target: Tensor | Reference) -> CodecTerms:
        """Compare, term by term.

        Args:
            estimate: ``[..., time]``, aligned with the target.
            target: of the same shape, or its :meth:`reference`. It gets no gradient.

        Raises:
            ValueError: the shapes differ, the reference is that of another loss, or as in :meth:`reference`.
        """
        shape = target.shape
        if estimate.shape != shape:
            raise ValueError(f"estimate and target must have one shape; got {tuple(estimate.shape)} and {tuple(shape)}")
        if isinstance(target, Reference) and target.made_for != self._made_for():
            raise ValueError(f"the reference must be made for {self._made_for()}; got one for {target.made_for}")
        reference = target if isinstance(target, Reference) else self.reference(target)
        with torch.autocast(estimate.device.type, enabled=False):
            spectrum = self.emulator.spectrum(reference.gain * self._waveform(estimate, "estimate"))
            noise_to_mask = loudness = output = layers = spectrum.real.new_zeros(())
            if reference.noise is not None:
                error = smooth(power(spectrum - reference.spectrum), self.bands, self.smoothing)
                noise_to_mask = log_noise_to_mask(error, reference.noise)
            if reference.loudness is not None and reference.margin is not None:
                banded = smooth(power(spectrum), self.bands, self.smoothing)
                ours = specific_loudness(banded, self.quiet)
                loudness = loudness_distance(ours, reference.loudness, reference.margin, self.missing)
            found: dict[str, Tensor] = {}
            if reference.output is not None:
                emulation = self.emulator.analyse(spectrum)
                found = emulation.layers
                output = output_distance(compress(emulation.mask * spectrum, LEVEL), reference.output)
            elif reference.layers:
                found = self.emulator.layers(spectrum, reference.layers)
            if reference.layers:
                layers = layer_distance(found, reference.layers, reference.scales)
            w = self.weights
            total = w["noise_to_mask"] * noise_to_mask + w["loudness"] * loudness
            total = total + w["output"] * output + w["layers"] * layers
        return CodecTerms(total, noise_to_mask, loudness, output, layers)

    def forward(self, estimate: Tensor, target: Tensor | Reference) -> Tensor:
        """Return the weighted sum of :meth:`terms`.

        Warns once, while gradients are computed, if no :class:`emulator.losses.balancer.Balancer` has been made: what
        the codec removes is free, so that this loss alone spoils a training.
        """
        if torch.is_grad_enabled() and estimate.requires_grad and not Balancer.made:
            _warn_alone()
        return self.terms(estimate, target).total


def _is_finite(audio: Tensor) -> bool:
    """Return whether no sample is NaN, infinite or huge; inside `torch.vmap`, which shows no value, all pass."""
    ordinary = torch.linalg.vector_norm(audio.detach()) < HUGE
    if torch.compiler.is_compiling():  # inside of `try` it looks at no value, and `bool` would be warned of
        return True if ordinary else False  # noqa: SIM210
    try:
        return bool(ordinary)
    except RuntimeError:
        return True


@cache
def _warn_alone() -> None:
    """Say once how the loss is meant to be used."""
    warnings.warn(
        "CodecLoss leaves free what an encoder removes, level and waveform among it: alone it spoils a training. "
        "Put a term of the full band beside it and balance both by emulator.Balancer (emulator/README.md)",
        stacklevel=5,  # who called the loss as a module
    )
