"""`python each_help.py MODULE...`: each command's --help, in one process, as PyTorch takes seconds to load."""

import io
import runpy
import sys
import warnings
from contextlib import redirect_stdout


def main(modules: list[str]) -> None:
    """Print a line for each module whose --help works; exit with status 1 at the first one whose does not."""
    warnings.filterwarnings("ignore", "'.*' found in sys.modules")  # by another command
    for module in modules:
        sys.argv = [module, "--help"]
        text = io.StringIO()
        try:
            with redirect_stdout(text):
                runpy.run_module(module, run_name="__main__", alter_sys=True)
        except SystemExit as end:
            if end.code:
                raise
        if "usage: " not in text.getvalue():
            sys.exit(f"{module} --help says nothing of its usage")
        print(module, "--help")


if __name__ == "__main__":
    main(sys.argv[1:])
