"""Generated parts of documents."""

import pytest

from enhance.reporting.documents import insert

PAGE = "# Page\n<!-- a:begin -->\nold\n<!-- a:end -->\nrest\n"


def test_what_lies_between_the_markers_is_replaced_and_nothing_else() -> None:
    new = insert(PAGE, "a", "\n| new |\n")
    assert new == PAGE.replace("old", "| new |")
    assert insert(new, "a", "| new |") == new


@pytest.mark.parametrize(
    "page", ["nothing", PAGE + PAGE, "<!-- a:end --><!-- a:begin -->", PAGE.replace("a:end", "b:end")]
)
def test_markers_that_are_not_there_once_each_in_order_are_refused(page: str) -> None:
    with pytest.raises(ValueError, match="expected the markers <!-- a:begin --> and <!-- a:end --> once each"):
        insert(page, "a", "new")
