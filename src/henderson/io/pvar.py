"""The variants of a PLINK 2 fileset: .pvar, also compressed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.genotype.source import Variants
from henderson.io.fields import position_column, read_text, refuse_other_encodings, text_column
from henderson.io.headed_text import headed_text
from henderson.io.several_alleles import rows_per_allele

_BIM = {6: ("CHROM", "ID", "CM", "POS", "ALT", "REF"), 5: ("CHROM", "ID", "POS", "ALT", "REF")}
_MOST_ALTERNATIVES = 254


@dataclass(frozen=True, slots=True, eq=False)
class PvarTable:
    """What a .pvar file lists.

    Attributes
    ----------
    variants : Variants
        A row for each alternative allele, which is the effect allele; the other one is REF.
    site : ndarray of int, shape (rows,)
        Which line of the file a row comes from, counted from zero without the header.
    allele : ndarray of int, shape (rows,)
        Which of its alternative alleles is counted, from one.
    n_alleles : ndarray of int, shape (sites,)
        Number of alleles, REF among them.
    lines : ndarray of int, shape (sites,)
        The line number of each site, from one.
    """

    variants: Variants
    site: NDArray[np.intp]
    allele: NDArray[np.intp]
    n_alleles: NDArray[np.intp]
    lines: NDArray[np.intp]


def read_pvar(path: Path) -> PvarTable:
    """Read what was genotyped.

    Parameters
    ----------
    path : Path
        A .pvar file, or one compressed with Zstandard (.pvar.zst). Its header begins with #CHROM and names at
        least POS, ID, REF and ALT; without a header the columns are those of a .bim file, with or without
        centimorgans. A "." as ALT is an allele that nobody has.

    Raises
    ------
    DataError
        If it is malformed; the message names the line.
    """
    text = headed_text(_content(path), path, what="variants", first="#CHROM", headless=_BIM)
    alternatives = text.column("ALT")
    counts = np.array([field.count(b",") for field in alternatives], dtype=np.intp) + 1
    effect = b",".join(alternatives).split(b",") if (counts > 1).any() else alternatives
    site, allele = rows_per_allele(counts, path)
    if b"" in effect:
        row = site[effect.index(b"")]
        raise DataError(
            f"{path}, line {text.lines[row]}: one of the alleles in ALT, {alternatives[row].decode()!r}, has "
            "no letters; write them with a comma between every two."
        )
    if counts.max() > _MOST_ALTERNATIVES:
        row = int(np.argmax(counts))
        raise DataError(
            f"{path}, line {text.lines[row]}: {counts[row]} alternative alleles, but a .pgen file holds "
            f"{_MOST_ALTERNATIVES} at most; split the variant."
        )
    variants = Variants(
        text_column(text.column("CHROM"))[site],
        position_column(text.column("POS"), text.lines, path, "column POS")[site],
        text_column(text.column("ID"))[site],
        text_column(effect),
        text_column(text.column("REF"))[site],
    )
    return PvarTable(variants, site, allele, counts + 1, text.lines)


def _content(path: Path) -> bytes:
    """Give the text of the file, decompressed where it has to be."""
    if not path.name.endswith(".zst"):
        return read_text(path)
    import pyarrow as pa

    try:
        with pa.input_stream(str(path), compression="zstd") as stream:
            content: bytes = stream.read()
    except OSError as problem:
        raise DataError(f"{path} cannot be read: {problem}; write or copy it again.") from None
    refuse_other_encodings(content, path)
    return content
