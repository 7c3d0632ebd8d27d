"""Parts of model cards."""

import pytest

from enhance.reporting.cards import flatten, licence_tables, two_columns


def test_a_table_of_settings_survives_what_markdown_would_take_for_a_column() -> None:
    assert two_columns(flatten({"train": {"set": ["a|b", 2]}})).splitlines()[2:] == ["| train.set | a\\|b, 2 |"]


def test_only_tables_on_licences_are_taken() -> None:
    other = "| a |\n| --- |\n| b |\n"
    wanted = "| files | Licence |\n| --- | --- |\n| a | CC0 |"
    assert licence_tables(f"{other}\n{wanted}\n\ntext\n\n{wanted}") == f"{wanted}\n\n{wanted}"
    with pytest.raises(ValueError, match="found none"):
        licence_tables(other)
