"""Files that appear under their name only when they are complete."""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from henderson.errors import DataError
from henderson.io.processes import lives, machine


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

    A program that dies leaves ``NAME.<machine>.<process>.partial`` at most, never something that looks
    complete; the next one that writes the same file on the same machine removes it.

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
        self.partial = path.with_name(f"{path.name}.{machine()}.{os.getpid()}.partial")
        _remove_orphans(path)
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


def _remove_orphans(path: Path) -> None:
    """Remove what processes of this machine that are no more left of a file."""
    beginning, ending = f"{path.name}.{machine()}.", ".partial"
    with contextlib.suppress(OSError):
        for entry in list(path.parent.iterdir()):
            process = entry.name.removeprefix(beginning).removesuffix(ending)
            if entry.name == f"{beginning}{process}{ending}" and process.isdecimal() and not lives(process):
                entry.unlink(missing_ok=True)


@contextmanager
def whole_files(*paths: str | Path) -> Iterator[list[BinaryIO]]:
    """Open files that get their names, in this order, when the block is left without an exception.

    Parameters
    ----------
    *paths : str or Path
        The final names; older files of these names are replaced, or left as they were if anything goes wrong.

    Yields
    ------
    list of binary files
        Open for writing.

    Raises
    ------
    DataError
        If a file cannot be written; the sentence names it.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with whole_files(folder / "a.txt") as [file]:
    ...     _ = file.write(b"complete")
    >>> [path.name for path in folder.iterdir()]
    ['a.txt']
    """
    targets: list[PartialFile] = []
    try:
        for path in map(Path, paths):
            if not path.parent.is_dir():
                raise DataError(f"{path} cannot be written: there is no folder {path.parent}; make it first.")
            targets.append(PartialFile(path))
        with writing(Path(paths[0])):
            yield [target.file for target in targets]
        for target in targets:
            target.finish()
        for target in targets:
            target.publish()
    finally:
        for target in targets:
            target.discard()
