"""Documents that keep generated parts between markers."""


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
