"""Bounds on the memory of a process: a lower one that is in force stays."""

import subprocess
import sys

import pytest

LIMITED = """
import resource
from enhance.utils.process_limits import limit_memory
resource.setrlimit(resource.RLIMIT_DATA, ({soft}, {hard}))
limit_memory({more})
print(*resource.getrlimit(resource.RLIMIT_DATA))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep no such limit")
@pytest.mark.parametrize(("soft", "hard"), [(2**32, -1), (2**32, 2**33), (2**32, 2**32)])
def test_a_lower_limit_that_is_in_force_stays(soft: int, hard: int) -> None:
    code = LIMITED.format(soft=soft, hard=hard, more=10**12)
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == [str(soft), str(soft)]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep no such limit")
def test_what_a_process_may_take_more_is_limited() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", LIMITED.format(soft=-1, hard=-1, more=2**30)], capture_output=True, text=True, check=True
    )
    soft, hard = map(int, ended.stdout.split())
    assert soft == hard
    assert 2**30 < soft < 2**33
