"""GCTA's sparse relationship matrix: .grm.sp, a line for each related pair, and .grm.id."""

from __future__ import annotations

import gzip
import zlib
from codecs import BOM_UTF8
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import NamedBlocks
from henderson.errors import DataError
from henderson.genotype.source import Samples
from henderson.io.fields import locate_fields, refuse_other_encodings
from henderson.io.gcta_files import read_grm_names
from henderson.io.paths import beside, nearby
from henderson.io.whole_files import whole_files

#: What the names of the files, or their common prefix, may end in.
ENDINGS = (".grm.sp.gz", ".grm.sp", ".grm.id", ".grm")


def read_sparse_grm(path: str | Path, *, samples: Samples | None = None) -> NamedBlocks:
    r"""Read GCTA's sparse relationship matrix (``--make-bK-sparse``).

    Parameters
    ----------
    path : str or Path
        ``.grm.sp``, ``.grm.sp.gz``, the ``.grm.id`` beside it, or their common prefix. A line of the matrix
        holds the places i and j, from 0 and j <= i, of two people among those of ``.grm.id``, and their
        relationship; pairs without a line are unrelated.
    samples : Samples, optional
        Who the people are, in order, where there is no ``.grm.id``: those of the genotype file.

    Returns
    -------
    NamedBlocks
        By individual identifier (IID).

    Raises
    ------
    DataError
        If a file is missing, damaged or malformed, names a person who is not there, or a pair twice; the
        message names the file and the line.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "x.grm.sp").write_text("0\t0\t1.0\n1\t0\t0.5\n1\t1\t1.1\n")
    ...     _ = (Path(folder) / "x.grm.id").write_text("f1\tann\nf1\tbob\n")
    ...     G = read_sparse_grm(Path(folder) / "x")
    >>> G, G.matrix.toarray()
    (<NamedBlocks of 2 levels, 1 related pair>, array([[1. , 0.5],
           [0.5, 1.1]]))
    """
    from scipy.sparse import csc_array

    path, prefix = Path(path), _prefix(Path(path))
    file = path if path.name.endswith((".grm.sp", ".grm.sp.gz")) else beside(prefix, ".grm.sp")
    if not file.is_file() and beside(prefix, ".grm.sp.gz").is_file():
        file = beside(prefix, ".grm.sp.gz")
    if not file.is_file():
        raise DataError(f"There is no file {file}{nearby(file)}")
    i, j, values = _read_pairs(file)
    people = samples if samples is not None else _names(beside(prefix, ".grm.id"), file)
    n = people.n
    beyond = np.flatnonzero(np.maximum(i, j) >= n)
    if beyond.size:
        raise DataError(
            f"{file} has a person at place {max(i[beyond[0]], j[beyond[0]])} (counted from 0), but there are "
            f"{n:,} people; the list of people is probably of another matrix."
        )
    _, first, count = np.unique(i * n + j, return_index=True, return_counts=True)
    if count.max(initial=1) > 1:
        at = first[np.argmax(count > 1)]
        raise DataError(f"{file} has more than one line for the places {i[at]} and {j[at]}; write it again.")
    off = i != j
    place = (np.append(i, j[off]), np.append(j, i[off]))
    matrix = csc_array((np.append(values, values[off]), place), shape=(n, n))
    return NamedBlocks(tuple(people.iid.tolist()), matrix)


def write_sparse_grm(G: NamedBlocks, path: str | Path, *, samples: Samples | None = None) -> None:
    """Write a sparse relationship matrix as GCTA does.

    Parameters
    ----------
    G : NamedBlocks
        The matrix.
    path : str or Path
        ``.grm.sp`` or ``.grm.sp.gz``, or a prefix to which ``.grm.sp`` is added; ``.grm.id`` appears beside
        it.
    samples : Samples, optional
        The people of the matrix with their family identifiers (FID), in its order; without them, FID is 0.

    Raises
    ------
    DataError
        If the people are others than those of the matrix, or a file cannot be written. What was there before
        is then left as it was.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from scipy.sparse import csc_array
    >>> G = NamedBlocks(("ann", "bob"), csc_array([[1.0, 0.5], [0.5, 1.1]]))
    >>> with TemporaryDirectory() as folder:
    ...     write_sparse_grm(G, Path(folder) / "x")
    ...     (Path(folder) / "x.grm.sp").read_text().split()
    ['0', '0', '1.0', '1', '0', '0.5', '1', '1', '1.1']
    """
    path, names = Path(path), list(G.names)
    if samples is not None and samples.iid.tolist() != names:
        raise DataError("samples must be the people of the matrix, in its order")
    prefix = _prefix(path)
    fid = ["0"] * len(names) if samples is None else samples.fid.tolist()
    zipped = path.name.endswith(".gz")
    part = G.matrix.tocsr().tocoo()
    lower = part.col <= part.row
    columns = [x[lower].tolist() for x in (part.row, part.col, part.data)]
    lines = [f"{i}\t{j}\t{value!r}\n" for i, j, value in zip(*columns, strict=True)]
    with whole_files(
        beside(prefix, ".grm.id"), beside(prefix, ".grm.sp.gz" if zipped else ".grm.sp")
    ) as files:
        files[0].write("".join(f"{f}\t{name}\n" for f, name in zip(fid, names, strict=True)).encode())
        text = "".join(lines).encode()
        files[1].write(gzip.compress(text, mtime=0) if zipped else text)


def _prefix(path: Path) -> Path:
    ending = next((ending for ending in ENDINGS if path.name.endswith(ending)), "")
    return path.parent / path.name.removesuffix(ending)


def _names(path: Path, matrix: Path) -> Samples:
    if not path.is_file():
        raise DataError(
            f"There is no file {path} beside {matrix}, to say who its people are{nearby(path)[:-1]}; or give "
            "samples=, the people of the genotype file that it was made from."
        )
    return read_grm_names(path)


def _read_pairs(path: Path) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Columns of the file: larger place, smaller place, relationship."""
    content = _text(path)
    if not content.strip():
        raise DataError(f"{path} is empty: it should list pairs of people, one per line.")
    rule = "every line of a .grm.sp file has 3: two places and a relationship"
    _, _, lines = locate_fields(content, path, columns=3, rule=rule)
    fields = content.split()
    first, second = (_numbers(fields[k::3], lines, path, kind=np.int64) for k in (0, 1))
    values = _numbers(fields[2::3], lines, path, kind=np.float64)
    wrong = np.flatnonzero((np.minimum(first, second) < 0) | ~np.isfinite(values))
    if wrong.size:
        k = int(wrong[0])
        raise DataError(
            f"{path}, line {lines[k]}: {first[k]} {second[k]} {values[k]:g} is no pair of places, counted "
            "from 0, and relationship."
        )
    return np.maximum(first, second), np.minimum(first, second), values


def _text(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        if path.name.endswith(".gz"):
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as problem:
        raise DataError(f"{path} cannot be read: {getattr(problem, 'strerror', None) or problem}.") from None
    refuse_other_encodings(content, path)
    return content.removeprefix(BOM_UTF8)


def _numbers(fields: list[bytes], lines: NDArray[np.intp], path: Path, *, kind: type) -> NDArray[Any]:
    try:
        return np.array(fields).astype(kind)
    except ValueError:
        row = next(row for row, field in enumerate(fields) if not _is_number(field, kind))
        what = "number" if kind is np.float64 else "whole number"
        shown = fields[row].decode(errors="replace")
        raise DataError(f"{path}, line {lines[row]}: {shown!r} is no {what}.") from None


def _is_number(field: bytes, kind: type) -> bool:
    try:
        np.array([field]).astype(kind)
    except ValueError:
        return False
    return True
