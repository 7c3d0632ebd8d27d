"""The listing of settings; that they are applied and explained is in `test_train_command`."""

import os
import subprocess
import sys

from command import ROOT


def test_who_reads_the_list_may_stop_at_any_line() -> None:
    """As `| head` does: no traceback, exit status 0."""
    code = "print_settings([TrainConfig()])"
    imports = "from enhance.training.schedule import TrainConfig; from enhance.training.settings import print_settings"
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-c", f"{imports}; {code}"], stdout=writer, stderr=subprocess.PIPE, cwd=ROOT, check=False
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")
