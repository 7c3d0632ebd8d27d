"""Start `mpeace`: what the console script runs.

It is a module of its own, as each process of a batch loads once more what the first one was started with, and needs
nothing of a command line.
"""

import sys


def run() -> None:
    """Run the command line and end the process with its status."""
    from apps.cli import main

    sys.exit(main())
