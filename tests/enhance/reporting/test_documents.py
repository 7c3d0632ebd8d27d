"""Generated parts of documents, and where documents are written."""

from pathlib import Path
from types import ModuleType

import pytest

from enhance import benchmark, conditions, evaluate, quantise
from enhance.reporting.documents import insert, prepare

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


WORK = {  # of commands that measure for minutes: what they begin with, and their other arguments
    conditions: ("require_recordings", ["--speech", "x", "--noise", "x", "--music", "x", "--trained", "x"]),
    evaluate: ("evaluate", ["--set", "x"]),
    quantise: ("quantise", ["--set", "x", "--calibrate", "."]),
    benchmark: ("measure_speed", []),
}


@pytest.mark.parametrize("command", WORK, ids=lambda command: command.__name__)
def test_where_nothing_can_be_written_is_said_before_the_work(
    command: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    work, arguments = WORK[command]
    begun: list[object] = []
    monkeypatch.setattr(command, work, lambda *arguments: begun.append(arguments))
    (tmp_path / "file").touch()
    assert command.main(["--model", "tiny", *arguments, "--out", str(tmp_path / "file" / "table.md")]) == 1
    assert not begun
    message = capsys.readouterr().err
    assert "file" in message
    assert message.count("\n") == 1


def test_a_document_is_prepared_by_its_folder(tmp_path: Path) -> None:
    prepare(tmp_path / "new" / "folder" / "table.md")
    assert (tmp_path / "new" / "folder").is_dir()
    (tmp_path / "folder.md").mkdir()
    for name in ("table.json", "folder.md"):
        with pytest.raises(ValueError, match=f"{name}': expected the name of a file that ends in .md"):
            prepare(tmp_path / name)
