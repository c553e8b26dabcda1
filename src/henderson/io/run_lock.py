"""One process at a time in a folder."""

import contextlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from henderson.errors import DataError
from henderson.io.processes import lives, machine
from henderson.io.whole_files import writing

_NAME = "lock"
_LOCK = re.compile(rf"{_NAME}\.(?P<machine>[^.]+)\.(?P<process>[0-9]+)")


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Hold a folder for this process alone, as long as the block lasts.

    The lock is an empty file named after machine and process, so that there is no moment at which it says
    half of it. That of a process which is no more, on this machine, is removed. Two processes that come at
    the same moment may both be refused, never both let in.

    Parameters
    ----------
    folder : Path
        Which; it exists.

    Raises
    ------
    DataError
        If another process holds it.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as name, run_lock(Path(name)):
    ...     [path.name.split(".")[0] for path in Path(name).iterdir()]
    ['lock']
    """
    own = folder / f"{_NAME}.{machine()}.{os.getpid()}"
    with writing(own):
        own.touch()
    try:
        for other in folder.glob(f"{_NAME}.*"):
            found = _LOCK.fullmatch(other.name)
            if found is None or other == own:
                continue
            where, process = found["machine"], found["process"]
            if where == machine() and not lives(process):
                other.unlink(missing_ok=True)
                continue
            raise DataError(
                f"{folder} is in use by process {process} on {where}: wait for it, or use another name for "
                f"the output; if it is no longer running, remove {other}."
            )
        yield
    finally:
        with contextlib.suppress(OSError):
            own.unlink(missing_ok=True)
