"""Markdown tables."""

from enhance.reporting.markdown import markdown_table


def test_numbers_are_rounded_texts_stay_and_nan_is_a_dash() -> None:
    table = markdown_table(["", "x", "n"], [["a", 1.25, 7], ["b", float("nan"), "7.0"]], digits=1)
    assert table.splitlines() == ["| | x | n |", "| --- | ---: | ---: |", "| a | 1.2 | 7 |", "| b | - | 7.0 |"]


def test_columns_of_words_are_aligned_to_the_left_at_both_ends() -> None:
    table = markdown_table(["name", "kind", "s", "wanted"], [["a", "b", "1", ""]], left=2, notes=1)
    assert table.splitlines()[1:] == ["| --- | --- | ---: | --- |", "| a | b | 1 | |"]


def test_nothing_is_less_than_zero_by_rounding() -> None:
    assert markdown_table(["", "x"], [["a", -0.04]]).endswith("| a | 0.0 |")
    assert markdown_table(["", "x"], [["a", -0.06]]).endswith("| a | -0.1 |")
    assert markdown_table(["", "x"], [["a", -0.4]], digits=0).endswith("| a | 0 |")
