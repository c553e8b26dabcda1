"""Processes and machines: who writes a file, and whether it still runs."""

import os
import platform
from pathlib import Path


def machine() -> str:
    """The machine's name, as part of a file's.

    Examples
    --------
    >>> machine().replace("-", "").isalnum()
    True
    """
    return "".join(c if c.isalnum() or c == "-" else "-" for c in platform.node()) or "unnamed"


def lives(process: str) -> bool:
    """Whether there is a process of this number on this machine, ours or somebody else's.

    One that was killed and that nobody waited for is no more (in a container often nobody waits).
    Where one cannot ask without ending it (Windows), it counts as living.

    Examples
    --------
    >>> lives(str(os.getpid()))
    True
    """
    if os.name != "posix":
        return True
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    try:
        about = Path(f"/proc/{process}/stat").read_text()
    except OSError:  # not Linux
        return True
    return about.rpartition(")")[2].split()[0] not in {"Z", "X"}
