"""GCTA's binary relationship matrix: .grm.bin, .grm.id and .grm.N.bin."""

from __future__ import annotations

from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from henderson.covariance.matrix import RelationshipMatrix
from henderson.errors import DataError
from henderson.genotype.gram import mirror_lower
from henderson.genotype.source import Samples
from henderson.io.fields import read_fields, text_column
from henderson.io.paths import beside, nearby
from henderson.io.whole_files import whole_files

Floats = NDArray[np.float64]
#: What the names of the three files, or their common prefix, may end in.
ENDINGS = (".grm.N.bin", ".grm.bin", ".grm.id", ".grm")


def gcta_prefix(path: Path) -> Path:
    """The common prefix of the three files, given any of them."""
    ending = next((ending for ending in ENDINGS if path.name.endswith(ending)), "")
    return path.parent / path.name.removesuffix(ending)


def read_gcta(prefix: Path) -> RelationshipMatrix:
    """Read the three files; the one with the numbers of variants may be missing.

    Raises
    ------
    DataError
        If one of the other two is missing, names a person twice, or the sizes disagree.
    """
    values, names, counts = (beside(prefix, ending) for ending in (".grm.bin", ".grm.id", ".grm.N.bin"))
    for file, other in ((values, names), (names, values)):
        if not file.is_file():
            beside_it = f" beside {other}" if other.is_file() else ""
            raise DataError(f"There is no file {file}{beside_it}{nearby(file)}")
    samples = read_grm_names(names)
    matrix = _read_triangle(values, samples.n)
    if not counts.is_file():
        return RelationshipMatrix(matrix, samples, None)
    n_variants = _read_triangle(counts, samples.n)
    if n_variants.min() == n_variants.max():
        return RelationshipMatrix(matrix, samples, float(n_variants[0, 0]))
    return RelationshipMatrix(matrix, samples, n_variants)


def read_grm_names(path: Path) -> Samples:
    """Who the rows are: FID and IID; PLINK 2 writes a header (#FID IID, or #IID alone), GCTA none."""
    with path.open("rb") as file:
        first = file.readline().split()
    only_iid = first[:1] == [b"#IID"]
    columns = 1 if only_iid else 2
    fields, lines = read_fields(path, columns, "people")
    if first[:1] in ([b"#IID"], [b"#FID"]):
        fields, lines = fields[columns:], lines[1:]
    if not fields:
        raise DataError(f"{path} has a header but lists no people.")
    iid = fields[columns - 1 :: columns]
    fid = [b"0"] * len(iid) if only_iid else fields[::columns]
    seen: dict[tuple[bytes, bytes], int] = {}
    for row, person in enumerate(zip(fid, iid, strict=True)):
        if seen.setdefault(person, row) != row:
            raise DataError(
                f"{path}, lines {lines[seen[person]]} and {lines[row]}: two rows are called "
                f"{person[0].decode()} {person[1].decode()} (FID and IID); each needs a name of its own."
            )
    return Samples(text_column(fid), text_column(iid))


def _read_triangle(path: Path, n: int) -> Floats:
    """Read a lower triangle of float32, row by row, as a full matrix."""
    actual, expected = path.stat().st_size, 2 * n * (n + 1)
    if actual != expected:
        people = round((np.sqrt(1 + 2 * actual) - 1) / 2)
        if 2 * people * (people + 1) == actual and people:
            cause = f"it holds {people:,} people, so that the .grm.id file is probably of another matrix"
        else:
            cause = "it was probably cut short or is of another kind; write or copy it again"
        raise DataError(
            f"{path} has {actual:,} bytes, but {n:,} people (.grm.id) make {expected:,}: {cause}."
        )
    triangle = np.memmap(path, "<f4", "r")
    matrix = np.empty((n, n))
    start = 0
    for row in range(n):
        matrix[row, : row + 1] = triangle[start : start + row + 1]
        start += row + 1
    return mirror_lower(matrix)


def write_gcta(G: RelationshipMatrix, prefix: Path) -> None:
    """Write the three files, .grm.bin last; without numbers of variants, only two."""
    n = G.samples.n
    names = "".join(f"{fid}\t{iid}\n" for fid, iid in zip(G.samples.fid, G.samples.iid, strict=True))
    values, ids, counts = (beside(prefix, ending) for ending in (".grm.bin", ".grm.id", ".grm.N.bin"))
    known = G.n_variants is not None
    paths = [ids, counts, values] if known else [ids, values]
    with whole_files(*paths) as files:
        files[0].write(names.encode())
        if G.n_variants is not None:
            _write_triangle(files[1], np.broadcast_to(G.n_variants, (n, n)))
        _write_triangle(files[-1], G.matrix)
        if not known:
            counts.unlink(missing_ok=True)  # one of an older matrix would be taken for this one's


def _write_triangle(file: IO[bytes], matrix: Floats) -> None:
    """Write the lower triangle, row by row, in float32."""
    for row in range(len(matrix)):
        file.write(matrix[row, : row + 1].astype("<f4").tobytes())
