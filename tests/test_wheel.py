"""What the wheel is made of: all that the registries name, and not the rest of `checkpoints/`."""

import json
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MOST_BYTES = 8_000_000


def test_the_wheel_carries_what_the_registries_name_and_stays_small() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    carried = {Path(source).name for source in wheel["force-include"] if source.startswith("checkpoints/")}
    named = {"registry.json", "emulators.json"}
    for registry in tuple(named):
        content = json.loads((ROOT / "checkpoints" / registry).read_text())
        named |= {entry["file"] for entry in content["models"]}
    assert carried == named
    assert sum((ROOT / "checkpoints" / name).stat().st_size for name in named) < MOST_BYTES
