"""An unfinished scan on disk: finished stretches of variants in a folder, from which it can go on."""

from __future__ import annotations

import contextlib
import datetime
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from henderson import __version__
from henderson.errors import DataError
from henderson.io.fingerprints import files_of, fingerprint
from henderson.io.run_lock import run_lock
from henderson.io.whole_files import whole_files, writing

if TYPE_CHECKING:
    import pyarrow as pa

Array = NDArray[np.float64]
_MANIFEST = "manifest.json"
#: What the names of all files in the folder end in, but for the lock.
_ENDINGS = (_MANIFEST, ".parquet", ".tails.npy", ".note.json", ".partial")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the numbers of a scan depend on.

    Attributes
    ----------
    options : dict of str to JSON values
        By the names of the command's options.
    files : dict of str to str
        Input files with their fingerprints.
    version : str
        henderson's.
    """

    options: dict[str, Any]
    files: dict[str, str]
    version: str = __version__

    @classmethod
    def of(cls, options: Mapping[str, Any], named: Sequence[str | None]) -> Manifest:
        """With the fingerprints of the files behind names, as they are now."""
        files = {str(path): fingerprint(path) for path in files_of(named)}
        # what JSON makes of the options, so that they compare with what is read back
        return cls(json.loads(json.dumps(dict(options), default=str)), files)

    def changed(self, now: Manifest) -> str:
        """What makes another scan of it, in a few words; empty if nothing does."""
        if self.version != now.version:
            return f"it is from henderson {self.version}, and this is {now.version}"
        for name in dict.fromkeys((*self.options, *now.options)):
            before, after = self.options.get(name), now.options.get(name)
            if before != after:
                flag = f"--{name.replace('_', '-')}"
                return f"it has {_said(flag, before)}, and this command {_said(flag, after)}"
        for path in dict.fromkeys((*self.files, *now.files)):
            if self.files.get(path) != now.files.get(path):
                return f"{path} has changed since" if path in now.files else f"{path} is no longer there"
        return ""


class ScanParts:
    """The folder; made by `scan_parts`.

    Attributes
    ----------
    folder : Path
    resumed : bool
        Whether there is something to go on from.
    """

    def __init__(self, folder: Path, *, resumed: bool) -> None:
        self.folder, self.resumed = folder, resumed

    def __contains__(self, name: str) -> bool:
        return self._part(name).exists()

    @property
    def begun(self) -> bool:
        """Whether anything in it is finished."""
        return any(self.folder.glob("*.parquet")) or any(self.folder.glob("*.note.json"))

    def write(self, name: str, tables: Sequence[pa.Table], tails: Array | None = None) -> None:
        """Keep a finished stretch.

        Parameters
        ----------
        name : str
            How it is asked for.
        tables : sequence of pyarrow.Table
            Rows, a table for each trait or one for all, of the same columns.
        tails : ndarray, shape (traits, variants), optional
            -log10 p of all variants, where the tables do not have them all.

        Raises
        ------
        DataError
            If the disk is full or the like.
        """
        import pyarrow.parquet as pq

        if tails is not None:
            with whole_files(self._tails(name)) as [file]:
                np.save(file, tails)
        # The rows come last: their file says that the stretch is finished
        with (
            whole_files(self._part(name)) as [file],
            pq.ParquetWriter(file, tables[0].schema, compression="lz4") as writer,
        ):
            for table in tables:
                writer.write_table(table, row_group_size=max(1, table.num_rows))

    def read(self, name: str, which: int, columns: Sequence[str] | None = None) -> pa.Table:
        """One of the tables of a stretch, with all its columns or some."""
        from pyarrow.parquet import ParquetFile

        with ParquetFile(self._part(name)) as file:
            return file.read_row_group(which, columns=columns)

    def schema(self, names: Sequence[str]) -> pa.Schema:
        """The columns of stretches; those of a stage that failed lack some."""
        import pyarrow.parquet as pq

        return max((pq.read_schema(self._part(name)) for name in names), key=len)

    def tails(self, name: str) -> Array:
        """-log10 p of a stretch, (traits, variants), mapped from the file."""
        found: Array = np.load(self._tails(name), mmap_mode="r")
        return found

    def drop(self, names: Sequence[str]) -> None:
        """Forget stretches."""
        for name in names:
            for path in (self._part(name), self._tails(name)):
                path.unlink(missing_ok=True)

    def note(self, name: str, entry: Mapping[str, Any]) -> None:
        """Write down what is not to be done again."""
        with whole_files(self._note(name)) as [file]:
            file.write(json.dumps(entry).encode())

    def noted(self, name: str) -> dict[str, Any] | None:
        """What was written down under a name."""
        path = self._note(name)
        return json.loads(path.read_bytes()) if path.exists() else None

    def notes(self) -> list[dict[str, Any]]:
        """All that was written down."""
        return [json.loads(path.read_bytes()) for path in sorted(self.folder.glob("*.note.json"))]

    def clear(self) -> None:
        """Remove everything that was written here but the lock; what else lies here stays."""
        for path in self.folder.iterdir():
            if path.name.endswith(_ENDINGS):
                path.unlink(missing_ok=True)

    def _part(self, name: str) -> Path:
        return self.folder / f"{name}.parquet"

    def _tails(self, name: str) -> Path:
        return self.folder / f"{name}.tails.npy"

    def _note(self, name: str) -> Path:
        return self.folder / f"{name}.note.json"


@contextmanager
def scan_parts(folder: Path, manifest: Manifest, *, resume: bool | None) -> Iterator[ScanParts]:
    """Hold the folder of a scan; it goes when nothing in it is finished, or `ScanParts.clear` was called.

    Parameters
    ----------
    folder : Path
        Which; it is made.
    manifest : Manifest
        Of this scan.
    resume : bool or None
        Whether to go on from what is finished, or to start anew. With None, something finished is refused.

    Yields
    ------
    ScanParts

    Raises
    ------
    DataError
        If the folder cannot be made, another process holds it, or what is in it belongs to another scan or
        was not expected.
    """
    with writing(folder):
        folder.mkdir(exist_ok=True)
    parts = ScanParts(folder, resumed=False)
    try:
        with run_lock(folder):
            if parts.begun and resume is not False:
                _check(folder, manifest, resume=resume)
                parts.resumed = True
            else:
                parts.clear()
                with whole_files(folder / _MANIFEST) as [file]:
                    text = {"options": manifest.options, "files": manifest.files, "version": manifest.version}
                    file.write(json.dumps(text, indent=1).encode())
            try:
                yield parts
            finally:
                if not parts.begun:
                    with contextlib.suppress(OSError):
                        parts.clear()
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()  # if it is empty


def _check(folder: Path, manifest: Manifest, *, resume: bool | None) -> None:
    """Refuse to go on with another scan, or with this one without having been told to."""
    path = folder / _MANIFEST
    anew = "--no-resume starts anew and forgets it"
    try:
        stored = Manifest(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        raise DataError(f"{folder} has parts of a scan, but {path} cannot be read: {anew}.") from None
    changed = stored.changed(manifest)
    if resume is None:
        when = datetime.datetime.fromtimestamp(path.stat().st_mtime)
        mend = anew if changed else f"--resume goes on with it, {anew}"
        also = f" ({changed})" if changed else ""
        raise DataError(f"{folder} has an unfinished scan of {when:%Y-%m-%d, %H:%M}{also}: {mend}.")
    if changed:
        raise DataError(f"--resume: the unfinished scan in {folder} is another one: {changed}; {anew}.")


def _said(flag: str, value: Any) -> str:
    """An option with its value, as a command line has it."""
    if value is None or value is False:
        return f"no {flag}"
    if value is True:
        return flag
    return f"{flag} {' '.join(map(str, value)) if isinstance(value, list) else value}"
