"""A picture of the screen for documents, from a real session.

python -m apps.live.ui.screenshot FILE.svg --input NAME --output NAME [--seconds 8]
"""

import argparse
import io
import sys
import time
from pathlib import Path

from rich.console import Console

from apps.live.devices import portaudio
from apps.live.session.session import LiveSettings, Session
from apps.live.ui.screen import draw
from enhance.utils.errors import FileError

_COLUMNS = 92


def main(argv: list[str] | None = None) -> int:
    """Run a session for some seconds, and write what its screen shows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="SVG to write")
    parser.add_argument("--input", help="microphone, name or part of it")
    parser.add_argument("--output", help="where the voice goes")
    parser.add_argument("--seconds", type=float, default=8.0, help="that the session runs before")
    options = parser.parse_args(argv)
    console = Console(record=True, width=_COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    try:
        with portaudio.quiet():
            session = Session(LiveSettings(source=options.input, target=options.output))
            end = time.monotonic() + options.seconds
            try:
                while time.monotonic() < end:
                    session.poll()
                    time.sleep(0.05)
                console.print(draw(session.status(), [], _COLUMNS))
            finally:
                session.close()
    except FileError as problem:
        print(f"mpeace: {problem}", file=sys.stderr)
        return 1
    options.file.parent.mkdir(parents=True, exist_ok=True)
    console.save_svg(str(options.file), title="mpeace live")
    return 0


if __name__ == "__main__":
    sys.exit(main())
