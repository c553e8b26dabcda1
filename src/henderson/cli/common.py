"""What the commands share: a place for the output, threads, memory, and what is said on the way."""

import ctypes
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from math import inf
from pathlib import Path

from henderson.association.null_models import plain
from henderson.cli.runlog import RunLog
from henderson.errors import DataError, HendersonError
from henderson.linalg.memory import installed_memory

GB = 1e9


def check_folder(prefix: str) -> None:
    """Refuse, before the work starts, a place that cannot be written to."""
    folder = Path(prefix).parent
    if prefix.endswith(("/", os.sep)) or Path(prefix).is_dir():
        raise DataError(
            f"--out: {prefix!r} names a folder; add how the names of the files begin, "
            f"such as {Path(prefix) / 'fit'}."
        )
    if not folder.is_dir():
        raise DataError(f"--out: there is no folder {folder}; make it first.")
    if not os.access(folder, os.W_OK):
        raise DataError(f"--out: the folder {folder} cannot be written to.")


def check_plots(wanted: bool) -> None:
    """Refuse, before the work starts, pictures that could not be drawn."""
    if wanted and find_spec("matplotlib") is None:
        raise DataError(
            'The plots need matplotlib: install it with  pip install "henderson[plot]", or leave them out '
            "(--no-plots)."
        )


@contextmanager
def limited_threads(threads: int | None) -> Iterator[int]:
    """Let the linear algebra use so many threads; by default as many as there are processors."""
    from threadpoolctl import threadpool_limits

    if threads is not None and threads < 1:
        raise DataError(f"--threads must be 1 or more; it is {threads}.")
    count = threads or os.cpu_count() or 1
    with threadpool_limits(limits=count):
        yield count


def check_memory(needed: float) -> str:
    """Say how much memory the work takes; refuse what this machine does not have."""
    text = f"memory needed: about {needed / GB:.2g} GB"
    there = installed_memory()
    if there == inf:
        return text
    if needed > there:
        raise DataError(
            f"This takes about {needed / GB:.3g} GB of memory and the machine has {there / GB:.3g} GB: "
            "analyse fewer people, or use a larger machine."
        )
    return f"{text} of the machine's {there / GB:.3g} GB"


def give_back_memory() -> None:
    """Let the operating system have what was freed; glibc keeps it, and a scan needs other pieces of it."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


class Reporter(logging.Handler):
    """Says what happens on standard error and in the log; what the library logs comes here too."""

    def __init__(self, log: RunLog) -> None:
        from rich.console import Console

        super().__init__(logging.INFO)
        self._log = log
        self._said: set[str] = set()
        self.console: Console = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)

    def line(self, text: str) -> None:
        """Say one thing."""
        self._log.add(text)
        self.console.print(text, markup=False)

    def once(self, text: str) -> None:
        """Say one thing, unless it was said before in this way."""
        if text not in self._said:
            self._said.add(text)
            self.line(text)

    def known(self, texts: Iterable[str]) -> None:
        """What has been said in other words, and need not be said `once` more."""
        self._said.update(texts)

    def detail(self, text: str) -> None:
        """Say what only the log needs."""
        self._log.add(text)

    def failed(self, failed: Sequence[tuple[str, HendersonError]], n_traits: int) -> None:
        """Name the traits that could not be analysed; raise if that is all of them."""
        if len(failed) == n_traits:
            raise failed[0][1]
        for formula, problem in failed:
            self.line(f"not analysed: {plain(formula.split('~')[0].strip())}: {problem}")

    def emit(self, record: logging.LogRecord) -> None:
        """Say what the library logs."""
        self.line(record.getMessage())

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen to the library."""
        logger = logging.getLogger("henderson")
        before = logger.level
        logger.addHandler(self)
        logger.setLevel(logging.INFO)
        try:
            yield
        finally:
            logger.removeHandler(self)
            logger.setLevel(before)

    @contextmanager
    def bar(self, what: str) -> Iterator[Callable[[int, int], None]]:
        """A progress bar, where there is a terminal to show it; gives what to call with done and all."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        hidden = not self.console.is_terminal  # it would leave empty lines in a file
        with Progress(*columns, console=self.console, transient=True, disable=hidden) as progress:
            task = progress.add_task(what, total=None)
            yield lambda done, total: progress.update(task, completed=done, total=total)
