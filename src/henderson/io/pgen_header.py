"""The header of a PLINK 2 .pgen file: what it holds, and whether it is whole.

The library that reads the genotypes says neither whether there are dosages nor which variants have more than
two alleles; both are in the header, as is the size of every record, which tells a file that was cut short
before anything is read. The layout is in the PGEN specification that comes with PLINK 2.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError

_MAGIC = b"\x6c\x1b"
_FIXED = struct.Struct("<2sBIIB")  # magic number, storage mode, variants, people, what the index is like
_INDEXED, _CALLS_ONLY, _DOSAGES_ONLY = 0x10, 0x02, {0x03, 0x04}
_PER_INDEX_BLOCK = 1 << 16
_MULTIALLELIC, _ANY_DOSAGE = 0x08, 0x60


@dataclass(frozen=True, slots=True, eq=False)
class PgenHeader:
    """What a .pgen file holds.

    Attributes
    ----------
    n_variants, n_people : int
        Its size.
    has_dosages : bool
        Whether any variant has dosages.
    multiallelic : ndarray of bool, shape (n_variants,)
        The variants with calls of a second alternative allele.
    n_alleles : ndarray of int, shape (n_variants,), or None
        Number of alleles, where the file keeps it. (It need not.)
    """

    n_variants: int
    n_people: int
    has_dosages: bool
    multiallelic: NDArray[np.bool_]
    n_alleles: NDArray[np.int64] | None


def read_pgen_header(path: Path) -> PgenHeader:
    """Read the header of a .pgen file.

    Raises
    ------
    DataError
        If it is no .pgen file, is of a kind that is not read, or is not whole.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            return _header(file, size, path)
    except OSError as problem:
        raise DataError(f"{path} cannot be read: {problem.strerror or problem}.") from None


def _header(file: BinaryIO, size: int, path: Path) -> PgenHeader:
    fixed = file.read(_FIXED.size)
    if not fixed:
        raise DataError(f"{path} is empty; write or copy it again.")
    if fixed[:2] != _MAGIC[: len(fixed)]:
        raise DataError(
            f"{path} is no .pgen file: it begins with the bytes {fixed[:2].hex(' ')} instead of 6c 1b."
        )
    if len(fixed) < _FIXED.size:
        raise _cut_short(path)
    _, mode, m, n, index = _FIXED.unpack(fixed)
    if mode <= 0x01:
        raise DataError(
            f"{path} is a PLINK 1 .bed file; give it that ending, with its .bim and .fam beside it."
        )
    if mode not in {_INDEXED, _CALLS_ONLY, *_DOSAGES_ONLY} or (mode == _INDEXED and index & 15 > 7):
        prefix = path.with_suffix("")
        raise DataError(
            f"{path} keeps its genotypes in a way that is not read here (storage mode 0x{mode:02x}); "
            f"rewrite it with  plink2 --pfile {prefix} --make-pgen --out {prefix}_rewritten"
        )
    if not m or not n:
        raise DataError(f"{path} has {m} variants of {n} people: there is nothing to read.")
    if mode == _INDEXED:
        return _indexed(file, path, size, fixed)
    if mode == _CALLS_ONLY:
        expected = _FIXED.size + m * ((n + 3) // 4)
        if size != expected:
            raise _wrong_size(path, size, expected)
    return PgenHeader(m, n, mode in _DOSAGES_ONLY, np.zeros(m, dtype=bool), None)


def _indexed(file: BinaryIO, path: Path, size: int, fixed: bytes) -> PgenHeader:
    """Read the index: the kind and the size of each record, and perhaps its number of alleles."""
    _, _, m, n, index = _FIXED.unpack(fixed)
    wide_kinds, size_width = bool(index & 4), (index & 3) + 1
    allele_width, has_provisional = index >> 4 & 3, index >> 6 == 3
    n_blocks = -(-m // _PER_INDEX_BLOCK)
    per_variant = (1.0 if wide_kinds else 0.5) + size_width + allele_width + has_provisional / 8
    if size < _FIXED.size + 8 * n_blocks + m * per_variant:
        raise _cut_short(path)
    starts = np.frombuffer(_exactly(file, 8 * n_blocks, path), dtype="<u8")
    kinds, sizes, alleles = [], [], []
    for block in range(n_blocks):
        count = min(_PER_INDEX_BLOCK, m - block * _PER_INDEX_BLOCK)
        packed = np.frombuffer(
            _exactly(file, count if wide_kinds else (count + 1) // 2, path), dtype=np.uint8
        )
        kinds.append(packed if wide_kinds else np.column_stack([packed & 15, packed >> 4]).ravel()[:count])
        sizes.append(_integers(_exactly(file, count * size_width, path), size_width))
        if allele_width:
            alleles.append(_integers(_exactly(file, count * allele_width, path), allele_width))
        if has_provisional:
            _exactly(file, (count + 7) // 8, path)
    totals = np.array([part.sum() for part in sizes], dtype=np.uint64)
    ends = starts + totals
    if starts[0] != file.tell() or (ends[:-1] != starts[1:]).any():
        raise DataError(f"{path} is damaged: its index does not fit together; write or copy it again.")
    if ends[-1] != size:
        raise _wrong_size(path, size, int(ends[-1]))
    kind = np.concatenate(kinds)
    n_alleles = np.concatenate(alleles) + 1 if alleles else None
    return PgenHeader(m, n, bool((kind & _ANY_DOSAGE).any()), (kind & _MULTIALLELIC) > 0, n_alleles)


def _exactly(file: BinaryIO, count: int, path: Path) -> bytes:
    """Read so many bytes."""
    content = file.read(count)
    if len(content) < count:
        raise _cut_short(path)
    return content


def _integers(content: bytes, width: int) -> NDArray[np.int64]:
    """Little-endian numbers of one to four bytes each."""
    digits = np.frombuffer(content, dtype=np.uint8).reshape(-1, width).astype(np.int64)
    numbers: NDArray[np.int64] = digits @ (np.int64(256) ** np.arange(width))
    return numbers


def _cut_short(path: Path) -> DataError:
    return DataError(f"{path} ends within its header: it was cut short; write or copy it again.")


def _wrong_size(path: Path, size: int, expected: int) -> DataError:
    cause = "it was cut short" if size < expected else "something was added to it"
    return DataError(
        f"{path} has {size:,} bytes, but by its header it should have {expected:,}: {cause}; "
        "write or copy it again."
    )
