"""Relationship matrices on disk: GCTA's binary triple, GEMMA's square text, and NumPy's .npz."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from henderson.covariance.matrix import RelationshipMatrix
from henderson.errors import DataError
from henderson.genotype.source import Samples
from henderson.io.gcta_files import ENDINGS, gcta_prefix, read_gcta, write_gcta
from henderson.io.paths import beside, nearby
from henderson.io.square_text import read_square_text, write_square_text
from henderson.io.whole_files import whole_files

Floats = NDArray[np.float64]
Format = Literal["gcta", "gemma", "npz"]

_GEMMA = (".cXX.txt", ".sXX.txt", ".txt")
_KNOWN = ".grm.bin (GCTA), .cXX.txt or .sXX.txt (GEMMA) and .npz"
_NPZ_VERSION = 1
_ASYMMETRY = 1e-6  # of the largest element: what rounding to seven digits leaves


def read_grm(path: str | Path, *, samples: Samples | None = None) -> RelationshipMatrix:
    """Read a relationship matrix.

    Parameters
    ----------
    path : str or Path
        One of GCTA's ``.grm.bin``, ``.grm.id`` and ``.grm.N.bin`` or their common prefix (the last file need
        not be there); GEMMA's ``.cXX.txt`` or ``.sXX.txt``; or an ``.npz`` that `write_grm` wrote.
    samples : Samples, optional
        Who the rows of a GEMMA file are, in its order, because it does not say. Other files do.

    Returns
    -------
    RelationshipMatrix
        In float64, whatever the file holds.

    Raises
    ------
    DataError
        If a file is missing, damaged or malformed, its size is not that of the list of people, or an element
        is not finite; the message names the file and the place.

    Examples
    --------
    >>> import numpy as np
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from henderson.covariance import RelationshipMatrix
    >>> from henderson.genotype import Samples
    >>> people = Samples(np.array(["f1", "f1"]), np.array(["anna", "ben"]))
    >>> G = RelationshipMatrix(np.array([[1.0, 0.5], [0.5, 1.0]]), people, 1000.0)
    >>> with TemporaryDirectory() as folder:
    ...     write_grm(G, Path(folder) / "pair.grm.bin")
    ...     again = read_grm(Path(folder) / "pair")
    >>> again.matrix, again.samples.iid, again.n_variants
    (array([[1. , 0.5],
           [0.5, 1. ]]), array(['anna', 'ben'], dtype='<U4'), 1000.0)
    """
    path = Path(path)
    format = _format(path)
    if format is None and beside(path, ".grm.bin").is_file():
        format = "gcta"
    if format is None:
        for file in (path, beside(path, ".grm.sp"), beside(path, ".grm.sp.gz")):
            if file.name.endswith((".grm.sp", ".grm.sp.gz")) and file.is_file():
                raise DataError(f"{file} is a sparse relationship matrix: read it with hd.read_sparse_grm.")
        if not path.exists():
            raise DataError(f"There is no relationship matrix {path}{nearby(path)}")
        raise DataError(f"{path}: the ending does not say how to read it; henderson reads {_KNOWN}.")
    if format == "gcta":
        G = read_gcta(gcta_prefix(path))
    elif not path.is_file():
        raise DataError(f"There is no file {path}{nearby(path)}")
    elif format == "npz":
        G = _read_npz(path)
    else:
        G = _read_gemma(path, samples)
    where = f"{gcta_prefix(path)}.grm.bin" if format == "gcta" else str(path)
    _check(where, G.matrix, G.samples)
    return G


def write_grm(G: RelationshipMatrix, path: str | Path, *, format: Format | None = None) -> None:
    """Write a relationship matrix.

    Parameters
    ----------
    G : RelationshipMatrix
        The matrix. Its lower triangle counts.
    path : str or Path
        Where to. The ending says the format: ``.grm.bin`` (GCTA, in single precision; ``.grm.id`` appears
        beside it, and ``.grm.N.bin`` where the number of variants is known), ``.cXX.txt`` or ``.sXX.txt``
        (GEMMA, 10 digits, without names) or ``.npz`` (everything, unrounded).
    format : {"gcta", "gemma", "npz"}, optional
        The format, where the ending does not say it. For GCTA the path is then the prefix.

    Raises
    ------
    DataError
        If the matrix is not square, not finite or has not as many rows as people, if the format is not known,
        or if a file cannot be written. What was there before is then left as it was.

    Examples
    --------
    >>> import tempfile
    >>> from henderson.covariance import RelationshipMatrix
    >>> G = RelationshipMatrix.of([[1.0, 0.5], [0.5, 1.0]], ["ann", "bob"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_grm(G, Path(folder) / "sisters.npz")
    ...     read_grm(Path(folder) / "sisters.npz").matrix.tolist()
    [[1.0, 0.5], [0.5, 1.0]]
    """
    path = Path(path)
    known: tuple[Format, ...] = get_args(Format)
    chosen = format or _format(path)
    if chosen not in known:
        if format:
            raise DataError(
                f"there is no format {format!r} of relationship matrices; there are {', '.join(known)}."
            )
        raise DataError(f"{path}: the ending does not say the format; henderson writes {_KNOWN}.")
    _check(str(path), G.matrix, G.samples)
    if chosen == "gcta":
        write_gcta(G, gcta_prefix(path))
    elif chosen == "gemma":
        with whole_files(path) as [file]:
            write_square_text(file, G.matrix)
    else:
        _write_npz(G, path)


def _format(path: Path) -> Format | None:
    """The format that a file's ending says."""
    if path.name.endswith(ENDINGS):
        return "gcta"
    if path.name.endswith(_GEMMA):
        return "gemma"
    return "npz" if path.name.endswith(".npz") else None


def _check(where: str, matrix: Floats, samples: Samples) -> None:
    """Refuse a matrix that does not belong to the people, or has elements that are no numbers."""
    # A sum is finite unless an element is not (or it overflows): no n x n array of truth values is made.
    if np.isfinite(matrix.sum()):
        _check_symmetric(where, matrix)
        return
    for row in range(samples.n):
        wrong = np.flatnonzero(~np.isfinite(matrix[row]))
        if wrong.size:
            column = int(wrong[0])
            first, second = (f"{samples.fid[k]} {samples.iid[k]}" for k in (row, column))
            raise DataError(
                f"{where}: the relationship of {first} and {second} (row {row + 1}, column {column + 1}) is "
                f"{matrix[row, column]}; make the matrix again without whoever has no genotypes."
            )


def _check_symmetric(where: str, matrix: Floats) -> None:
    worst = [
        float(np.abs(matrix[row, :row] - matrix[:row, row]).max(initial=0)) for row in range(len(matrix))
    ]
    row = int(np.argmax(worst))
    if worst[row] > _ASYMMETRY * np.abs(matrix).max():
        column = int(np.abs(matrix[row, :row] - matrix[:row, row]).argmax())
        raise DataError(
            f"{where} is not symmetric: row {row + 1}, column {column + 1} is {matrix[row, column]:.10g}, "
            f"but row {column + 1}, column {row + 1} is {matrix[column, row]:.10g}."
        )


def _read_gemma(path: Path, samples: Samples | None) -> RelationshipMatrix:
    if samples is None:
        raise DataError(
            f"{path} does not say who its rows are; give samples=, the people of the genotype file that it "
            "was made from, in its order."
        )
    matrix = read_square_text(path)
    if len(matrix) != samples.n:
        raise DataError(
            f"{path} has {len(matrix)} rows, but the genotype file has {samples.n} people; give the one that "
            "it was made from."
        )
    return RelationshipMatrix(matrix, samples, None)


def _read_npz(path: Path) -> RelationshipMatrix:
    try:
        with np.load(path, allow_pickle=False) as stored:
            content: dict[str, NDArray[Any]] = {name: stored[name] for name in stored.files}
    except (zipfile.BadZipFile, ValueError, EOFError, OSError, AttributeError):
        raise DataError(f"{path} is a damaged or foreign .npz file; write it again with write_grm.") from None
    missing = [name for name in ("version", "matrix", "fid", "iid") if name not in content]
    if missing:
        raise DataError(
            f"{path} is no relationship matrix of henderson: it has no {' and no '.join(missing)}; "
            f"it has {', '.join(content) or 'nothing'}."
        )
    if content["version"] != _NPZ_VERSION:
        raise DataError(
            f"{path} is of version {content['version']}, but this henderson reads version "
            f"{_NPZ_VERSION}; update it."
        )
    matrix = np.asarray(content["matrix"], dtype=np.float64)
    samples = Samples(content["fid"], content["iid"])
    if samples.fid.shape != samples.iid.shape:
        raise DataError(f"{path}: there are {samples.fid.size} FIDs but {samples.iid.size} IIDs.")
    if matrix.shape != (samples.n, samples.n):
        raise DataError(f"{path} names {samples.n} people, but its matrix has shape {matrix.shape}.")
    counts = content.get("n_variants")
    if counts is None:
        return RelationshipMatrix(matrix, samples, None)
    if counts.shape not in {(), matrix.shape}:
        raise DataError(f"{path}: n_variants has shape {counts.shape}, but the matrix {matrix.shape}.")
    n_variants = counts.astype(np.float64)
    return RelationshipMatrix(matrix, samples, n_variants if counts.ndim else float(n_variants))


def _write_npz(G: RelationshipMatrix, path: Path) -> None:
    counts: dict[str, Any] = (
        {} if G.n_variants is None else {"n_variants": np.asarray(G.n_variants, dtype=np.float64)}
    )
    with whole_files(path) as [file]:
        np.savez(
            file,
            version=np.array(_NPZ_VERSION),
            matrix=G.matrix,
            fid=np.array(G.samples.fid, dtype=np.str_),
            iid=np.array(G.samples.iid, dtype=np.str_),
            **counts,
        )
