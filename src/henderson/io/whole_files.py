"""Files that appear under their name only when they are complete."""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from henderson.errors import DataError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the operating system refuses into one sentence that names the file."""
    try:
        yield
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise DataError(
            f"{path} cannot be written ({reason}): make room, or choose another place for the output."
        ) from problem


class PartialFile:
    """A file that is written under a temporary name in its own folder.

    A program that dies leaves ``NAME.<process>.partial`` at most, never something that looks complete.

    Parameters
    ----------
    path : Path
        The final name.

    Raises
    ------
    DataError
        If the file cannot be made, written or renamed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        with writing(path):
            self.file: BinaryIO = self.partial.open("wb")

    def finish(self) -> None:
        """Hand everything to the operating system; what fails for want of room fails here."""
        with writing(self.path):
            self.file.flush()
            os.fsync(self.file.fileno())
            self.file.close()

    def publish(self) -> None:
        """Give a finished file its name, in place of an older one."""
        with writing(self.path):
            self.partial.replace(self.path)

    def discard(self) -> None:
        """Remove what there is, without complaint; a published file stays."""
        with contextlib.suppress(OSError):
            self.file.close()
        with contextlib.suppress(OSError):
            self.partial.unlink(missing_ok=True)


@contextmanager
def whole_file(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file for writing that gets its name when the block is left without an exception.

    Parameters
    ----------
    path : str or Path
        The final name; an older file of that name is replaced.

    Yields
    ------
    binary file
        Open for writing.

    Raises
    ------
    DataError
        If the file cannot be written; the sentence names it.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with whole_file(folder / "a.txt") as file:
    ...     _ = file.write(b"complete")
    >>> [path.name for path in folder.iterdir()]
    ['a.txt']
    """
    target = PartialFile(Path(path))
    try:
        with writing(target.path):
            yield target.file
        target.finish()
        target.publish()
    finally:
        target.discard()
