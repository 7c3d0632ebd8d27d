"""The listing of settings; that they are applied and explained is in `test_train_command`."""

import os
import subprocess
import sys

import pytest
from command import ROOT

from enhance.data.mixing import MixConfig
from enhance.training.objective import ObjectiveConfig
from enhance.training.settings import apply_settings


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


@pytest.mark.parametrize(
    "wrong",
    [
        "onset=[0.5]",
        'snr_db=["a","b"]',
        "level_db=[-20,-10,0]",
        "speeds=[true]",
        "extra=[1]",
        "noises=0.5",
        "room=NaN",
        "noise_level_db=-Infinity",
        "tail_db=[NaN,3]",
        "extra_share=1e999",
        "tail_db=[3,1e999]",
    ],
)
def test_lists_of_other_numbers_or_types_are_refused(wrong: str) -> None:
    key = wrong.partition("=")[0]
    with pytest.raises(ValueError, match=f"setting {key} needs a value like .*; got"):
        apply_settings([MixConfig(), ObjectiveConfig()], [wrong])


def test_lists_are_taken_with_whole_numbers_too() -> None:
    mix, objective = apply_settings(
        [MixConfig(), ObjectiveConfig()], ["snr_db=[-5,5.5]", 'extra=["bark"]', "noises=[1]", "extra_shares=[1]"]
    )
    assert (mix.snr_db, mix.noises, objective.extra, objective.extra_shares) == ((-5.0, 5.5), (1.0,), ("bark",), (1.0,))
