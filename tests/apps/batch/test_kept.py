"""The page of enhance and --help say the same of what is kept, converted and left out."""

from command import ROOT, mpeace

from apps.batch.kept import KEPT
from enhance.io.formats import CONTAINERS, MUXERS


def test_the_page_and_help_hold_the_same_table() -> None:
    assert f"```text\n{KEPT}```" in (ROOT / "enhance" / "README.md").read_text(encoding="utf-8")
    shown = mpeace("denoise", "--help").stdout
    for line in KEPT.splitlines():
        assert line.rstrip() in shown


def test_every_container_is_in_the_table() -> None:
    words = KEPT.replace(",", " ").upper().split()
    suffixes = {suffix[1:].upper() for suffix in MUXERS} | {name.upper() for name in CONTAINERS}
    assert suffixes <= set(words)
