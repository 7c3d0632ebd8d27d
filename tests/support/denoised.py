"""A file denoised by the command, beside it."""

from pathlib import Path

from command import mpeace


def denoised(source: Path, tiny_model: Path, *options: object) -> Path:
    """Denoise into `out` with the suffix of the source; nothing may be told."""
    output = source.with_name("out" + source.suffix)
    ended = mpeace("denoise", source, "-o", output, "--model", tiny_model, *options)
    assert ended.status == 0, ended.stderr
    assert not ended.problems
    return output
