"""BGEN files 1.1 to 1.3: people, variants and dosages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.genotype.source import Index, Samples, Variants
from henderson.io.bgen_file import (
    FAILURES,
    BgenFile,
    Dosages,
    check_bgen,
    damaged,
    find_variants,
    open_reader,
)
from henderson.io.fields import text_column
from henderson.io.oxford_sample import read_sample
from henderson.io.paths import nearby
from henderson.io.people import people
from henderson.io.requests import people_positions, row_range
from henderson.io.several_alleles import rows_per_allele


@dataclass(frozen=True, slots=True, eq=False)
class BgenSource:
    """The genotypes of a BGEN file; see `open_bgen`.

    It can be pickled: what comes out reads the same file. Two threads must not read at the same time.

    Attributes
    ----------
    path : Path
        The .bgen file.
    samples : Samples
        Who was genotyped.
    variants : Variants
        What was genotyped: a row for each allele but the first. That allele is the effect allele.
    site, allele : ndarray of int, shape (m,)
        The variant of the file that a row comes from, from zero, and which of its alleles is counted, from
        one: the first allele is number zero.
    file : BgenFile
        The open file.
    """

    path: Path
    samples: Samples
    variants: Variants
    site: NDArray[np.intp]
    allele: NDArray[np.intp]
    file: BgenFile

    @property
    def has_dosages(self) -> bool:
        """Whether `read` gives dosages: always."""
        return True

    def read(self, variants: slice, samples: Index | None = None) -> Dosages:
        """Expected copies of the effect allele, float32 (variants, people). See `GenotypeSource.read`.

        Raises
        ------
        DataError
            If the file is damaged, somebody has more than two copies of a chromosome, or there is an index
            (.bgi) beside the file that belongs to another one.
        """
        start, stop = row_range(variants, self.variants.m)
        chosen = None if samples is None else people_positions(samples)
        dosages = np.empty(
            (stop - start, self.samples.n if chosen is None else chosen.size), dtype=np.float32
        )
        row = start
        while row < stop:
            site = self.site[row]
            last = min(int(np.searchsorted(self.site, site, side="right")), stop)
            part = self.file.dosages(int(site), self.allele[row:last])
            dosages[row - start : last - start] = part if chosen is None else part[:, chosen]
            row = last
        return dosages


def open_bgen(path: str | Path, *, sample: str | Path | None = None) -> BgenSource:
    """Open a BGEN file.

    Parameters
    ----------
    path : str or Path
        A .bgen file of version 1.1, 1.2 or 1.3: compressed or not, phased or not, of any number of bits. An
        index (.bgi) is not needed. A variant with more than two alleles is a row for each but the first; a
        notice counts these.
    sample : str or Path, optional
        The .sample file: ID_1 is the FID, ID_2 the IID. By default the file of the same name beside it; where
        there is none, the identifiers in the .bgen file itself are the IIDs, and everybody's FID is "0".

    Returns
    -------
    BgenSource
        People, variants and the open genotypes. One pass over the file finds the variants, without reading
        what the people have.

    Raises
    ------
    DataError
        If bgen is not installed, if a file is missing or malformed, if nothing says who was genotyped, or if
        two people share FID and IID; the message names the file.

    Notes
    -----
    Files that were cut short or do not fit together are refused, but the checksums within compressed
    probabilities are not looked at: a byte that changed there may give other dosages.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> from bgen import BgenWriter
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "two.bgen"
    ...     with BgenWriter(str(path), 2, ["anna", "ben"]) as file:
    ...         likely = np.array([[0.0, 0.0, 1.0], [0.2, 0.8, 0.0]])
    ...         file.add_variant("1:9", "rs1", "1", 9, ["G", "A"], likely)
    ...     open_bgen(path).read(slice(0, 1)).round(2)
    array([[2. , 0.8]], dtype=float32)
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"There is no file {path}{nearby(path)}")
    check_bgen(path)
    reader = open_reader(path)
    try:
        header = reader.header
        # Without any, bgen makes some up: as many as a damaged header may say.
        inside = reader.samples if header.has_sample_ids else []
    except FAILURES as problem:
        raise damaged(path, problem) from None
    samples = _people(path, inside, sample)
    if samples.n != header.nsamples:
        raise DataError(
            f"{path} has genotypes of {header.nsamples:,} people, but its .sample file lists {samples.n:,}: "
            "give the .sample file that belongs to it."
        )
    sites = find_variants(reader, path)
    site, allele = rows_per_allele(np.array([len(some) - 1 for some in sites.alleles], dtype=np.intp), path)
    if not site.size:
        raise DataError(f"{path} has no variants with two alleles: there is nothing to read.")
    variants = Variants(
        text_column(sites.chromosome)[site],
        sites.position[site],
        text_column(sites.identifier)[site],
        text_column([allele for some in sites.alleles for allele in some[1:]]),
        text_column([some[0] for some in sites.alleles])[site],
    )
    return BgenSource(path, samples, variants, site, allele, BgenFile(path, sites.offsets))


def _people(path: Path, inside: Sequence[str], sample: str | Path | None) -> Samples:
    """Read who was genotyped, from the .sample file or else from the .bgen file itself."""
    file = path.with_suffix(".sample") if sample is None else Path(sample)
    if file.is_file():
        return read_sample(file, inside)
    if sample is not None:
        raise DataError(f"There is no file {file}{nearby(file)}")
    if not inside:
        raise DataError(
            f"{path} does not say who was genotyped, and there is no file {file} that would: name its "
            ".sample file (--sample; sample= in Python)."
        )
    iid = [name.encode() for name in inside]
    numbers = range(1, len(iid) + 1)
    return people([b"0"] * len(iid), iid, [], path=path, lines=numbers, what="people")
