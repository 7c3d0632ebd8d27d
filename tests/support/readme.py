"""What the README shows."""

import re
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def readme_blocks(language: str = "py") -> list[str]:
    """Its blocks of code in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
