"""The log of a run: what ran where, how far it came, how it ended."""

import datetime
import importlib
import importlib.util
import os
import platform
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from henderson import __version__
from henderson.io.whole_files import writing


class RunLog:
    """A text file ``PREFIX.log`` that is written through line by line, so that it outlives a crash.

    The first line says that the run is running; the last one says how it ended. As a context manager it
    writes the last line itself.

    Parameters
    ----------
    prefix : str or Path
        How the names of the run's files begin.
    command : sequence of str, optional
        The command line; by default that of this process.
    options : mapping, optional
        Options with their values, defaults included: one line each.
    resumed : bool
        Go on with the log of an earlier run, rather than replace it.

    Raises
    ------
    DataError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> prefix = Path(tempfile.mkdtemp()) / "height"
    >>> with RunLog(prefix, command=["henderson", "gwas"], options={"maf": 0.01}) as log:
    ...     log.add("957 people analysed")
    >>> lines = Path(f"{prefix}.log").read_text().splitlines()
    >>> lines[0].split(",")[0] == f"henderson {__version__}: running since {datetime.date.today()}"
    True
    >>> lines[-1].startswith("finished in ")
    True
    """

    def __init__(
        self,
        prefix: str | Path,
        *,
        command: Sequence[str] | None = None,
        options: Mapping[str, Any] | None = None,
        resumed: bool = False,
    ) -> None:
        self.path = Path(f"{prefix}.log")
        self._began = time.monotonic()
        with writing(self.path):
            self._file = self.path.open("a" if resumed else "w", encoding="utf-8")
        now = datetime.datetime.now().astimezone()
        since = "resumed on" if resumed else "running since"
        self._line(
            "\n" * resumed
            + f"henderson {__version__}: {since} {now:%Y-%m-%d, %H:%M:%S %z}, process {os.getpid()}"
        )
        self._line(f"command: {shlex.join(sys.argv if command is None else command)}")
        self._line(f"folder: {Path.cwd()}")
        for name, value in environment().items():
            self._line(f"{name}: {value}")
        for name, value in (options or {}).items():
            self._line(f"option {name}: {value}")
        self._line("")

    def add(self, text: str) -> None:
        """Write a line, with the seconds since the start before it.

        Parameters
        ----------
        text : str
            What happened; further lines of it are indented.

        Raises
        ------
        DataError
            If the disk is full or the like.
        """
        first, *more = text.splitlines() or [""]
        self._line("\n".join([f"{self.seconds:10.1f} s  {first}", *(f"{'':14}{line}" for line in more)]))

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    def finish(self) -> None:
        """Say that all went well, and close the file."""
        self._end(f"finished in {self.seconds:.1f} s")

    def fail(self, reason: BaseException | str) -> None:
        """Say what went wrong, and close the file.

        Parameters
        ----------
        reason : exception or str
            An exception without a message is named by its type; Ctrl-C and the like are no failure.
        """
        after = f"(after {self.seconds:.1f} s)"
        if isinstance(reason, KeyboardInterrupt | SystemExit):
            self._end(f"interrupted {after}")
            return
        text = str(reason).strip() or type(reason).__name__
        self._end(f"failed: {' '.join(text.split())} {after}")

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file.closed:
            return
        if problem is None:
            self.finish()
        else:
            self.fail(problem)

    def _end(self, text: str) -> None:
        self._line(text)
        with writing(self.path):
            self._file.close()

    def _line(self, text: str) -> None:
        with writing(self.path):
            self._file.write(text + "\n")
            self._file.flush()


def environment() -> dict[str, str]:
    """What the numbers may depend on, in words.

    Returns
    -------
    dict of str to str
        Versions of Python, NumPy and SciPy, the BLAS and its threads, the platform, the number of
        processors.

    Examples
    --------
    >>> sorted(environment())
    ['BLAS', 'platform', 'processors', 'versions']
    """
    import numpy as np
    import scipy

    return {
        "versions": f"Python {platform.python_version()}, NumPy {np.__version__}, SciPy {scipy.__version__}",
        "BLAS": _blas(),
        "platform": platform.platform(),
        "processors": str(os.cpu_count()),
    }


def _blas() -> str:
    """Name of NumPy's BLAS and its number of threads, where threadpoolctl is there to ask."""
    import numpy as np

    config: Any = np.show_config(mode="dicts")
    blas = (config or {}).get("Build Dependencies", {}).get("blas", {})
    name = " ".join(str(blas[key]) for key in ("name", "version") if blas.get(key)) or "not known"
    if importlib.util.find_spec("threadpoolctl") is not None:
        pools = importlib.import_module("threadpoolctl").threadpool_info()
        threads = {pool["num_threads"] for pool in pools if pool["user_api"] == "blas"}
        if threads:
            return f"{name}, {max(threads)} threads"
    limits = [
        f"{key}={os.environ[key]}"
        for key in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        if os.environ.get(key)
    ]
    return f"{name}, {', '.join(limits) or 'threads not limited'}"
