"""Start `mpeace`: what the console script runs.

It is a module of its own, as each process of a batch loads once more what the first one was started with, and needs
nothing of a command line.
"""

import sys

_WITHOUT_FILES = {"-", "--raw", "--help", "ray"}  # of `mpeace denoise`: no process of ours will denoise


def run() -> None:
    """Run the command line and end the process with its status."""
    from apps.batch.worker_process import begin_early, end_early
    from enhance.utils.errors import prepare_streams

    prepare_streams()
    if sys.argv[1:2] == ["denoise"] and len(sys.argv) > 2 and _WITHOUT_FILES.isdisjoint(sys.argv):
        begin_early()
    try:
        from apps.cli import main

        status = main()
    finally:
        end_early()
    sys.exit(status)
