"""Whether a process still runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from henderson.io.processes import lives


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux says what became of a process")
def test_a_killed_process_that_nobody_has_waited_for_is_no_more():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert lives(str(process.pid))
        process.kill()
        # waits until it has ended, but leaves it a zombie
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not lives(str(process.pid))
    assert not lives(str(process.pid))
