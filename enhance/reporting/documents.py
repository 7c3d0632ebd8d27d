"""Documents that are written, or keep generated parts between markers."""

from pathlib import Path


def insert(document: str, name: str, content: str) -> str:
    """Return the document with new content between the markers of that name.

    Example:
        >>> insert("<!-- x:begin -->old<!-- x:end -->", "x", "new")
        '<!-- x:begin -->\\nnew\\n<!-- x:end -->'

    Raises:
        ValueError: if the markers are not there once each, in order.
    """
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    before, found, rest = document.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed or document.count(begin) != 1 or document.count(end) != 1:
        raise ValueError(f"expected the markers {begin} and {end} once each, in this order")
    return f"{before}{begin}\n{content.strip()}\n{end}{after}"


def prepare(document: Path) -> None:
    """Make the folder that a document will lie in: before the work, not after it.

    Raises:
        ValueError: its name does not end in .md (its figures go into a .json beside it), or it is a folder.
        OSError: the folder cannot be made.
    """
    if document.suffix != ".md" or document.is_dir():
        raise ValueError(f"'{document}': expected the name of a file that ends in .md")
    document.parent.mkdir(parents=True, exist_ok=True)
