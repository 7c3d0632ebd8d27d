"""The emulator inside a loss: out of reach of optimisers, and which of its layers are compared."""

import copy
from collections.abc import Iterable

from emulator.model.network import Emulator

ENCODER_LAYERS = ("encoder1", "encoder2", "encoder3")  # the choice of the paper's listening tests
MASKING_LAYERS = ("bottleneck", "decoder3", "decoder2", "decoder1")  # where masked probes change least


def frozen(emulator: Emulator) -> Emulator:
    """Return a copy whose parameters are buffers that are not saved: no optimiser finds them, none thaws them."""
    emulator = copy.deepcopy(emulator).eval()
    for module in emulator.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            delattr(module, name)
            module.register_buffer(name, parameter.detach(), persistent=False)
    return emulator


def chosen_layers(wanted: str | Iterable[str], known: list[str]) -> tuple[str, ...]:
    """Return names of layers from a group's name or from names.

    Example:
        >>> chosen_layers("encoder", ["encoder1", "encoder2", "bottleneck", "decoder2", "decoder1"])
        ('encoder1', 'encoder2')
    """
    groups = {"encoder": ENCODER_LAYERS, "masking": MASKING_LAYERS}
    if isinstance(wanted, str):
        names = tuple(name for name in groups.get(wanted, ()) if name in known)
    else:
        names = tuple(wanted)
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        what = unknown[0] if unknown else wanted
        raise ValueError(f"unknown layers {what!r}; known are 'encoder', 'masking', or a tuple from {', '.join(known)}")
    return names
