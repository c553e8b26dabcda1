"""VCF and BCF files, read once from front to back into a temporary file that can be read in any order."""

from __future__ import annotations

import gzip
import logging
import re
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from os import SEEK_END
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import numpy as np

from henderson.errors import DataError
from henderson.genotype.source import Genotypes, Index, Samples, Variants
from henderson.io.allele_calls import tell_scale
from henderson.io.extras import load_extra
from henderson.io.fields import text_column
from henderson.io.paths import nearby
from henderson.io.people import people
from henderson.io.requests import people_positions, row_range
from henderson.io.several_alleles import rows_per_allele
from henderson.io.spool import GenotypeSpool
from henderson.io.vcf_records import VcfRecord

logger = logging.getLogger("henderson")

_GZIP = b"\x1f\x8b"
_BCF = b"BCF"
#: Where the header of a gzip member says that it is a block of bgzip's.
_BGZF_MARK = slice(12, 14)
#: The last bytes of every complete file of bgzip's: an empty block.
_BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
#: What may be the name of a chromosome (VCF 4.3, section 1.4.7), but for # at its beginning.
_CONTIG = re.compile(r"[0-9A-Za-z!$%&+./:;?@^_|~-][0-9A-Za-z!#$%&*+./:;=?@^_|~-]*")
_AGAIN = "write or copy it again"


@dataclass(frozen=True, slots=True, eq=False)
class VcfSource:
    """The genotypes of a VCF or BCF file; see `open_vcf`.

    Attributes
    ----------
    path : Path
        The file.
    samples : Samples
        Who was genotyped. A VCF has neither families (FID is "0") nor sexes.
    variants : Variants
        What was genotyped, one row per ALT allele, which is the effect allele; the other one is REF.
    genotypes : ndarray of int8 or float32, shape (m, n)
        Everything that was read, memory-mapped from a temporary file without a name.
    """

    path: Path
    samples: Samples
    variants: Variants
    genotypes: Genotypes

    @property
    def has_dosages(self) -> bool:
        """Whether `read` gives dosages: some record has DS, or GP without GT."""
        return self.genotypes.dtype != np.int8

    def read(self, variants: slice, samples: Index | None = None) -> Genotypes:
        """Copies of the effect allele, shape (variants, people); see `GenotypeSource.read`."""
        start, stop = row_range(variants, self.variants.m)
        genotypes: Genotypes = np.asarray(self.genotypes[start:stop])
        return genotypes if samples is None else np.take(genotypes, people_positions(samples), axis=1)


def open_vcf(path: str | Path) -> VcfSource:
    """Open a VCF (plain, gzipped or bgzipped) or BCF file.

    The file is read once, from front to back, and its genotypes are kept in a temporary file without a name
    (one byte each, four where there are dosages), because everything that is done with genotypes reads them
    several times. It lies in TMPDIR and is gone with the program. For a large file that is used often,
    ``plink2 --vcf FILE --make-pgen`` makes a .pgen, which opens at once.

    Parameters
    ----------
    path : str or Path
        The file. What counts is its content, not its ending.

    Returns
    -------
    VcfSource
        People, variants and genotypes. `has_dosages` if a record has DS.

    Raises
    ------
    DataError
        If cyvcf2 is not installed, the file is missing, no VCF, malformed or cut short, nobody is in it, the
        names of two people are the same, a genotype has three or more alleles, DS is no dosage, or the
        temporary file cannot be written.

    Notes
    -----
    Per person DS is taken where it is there, else GT; GP (of biallelic variants) only in records that have
    neither. GT may be phased or not. Haploid calls have 0 or 2 copies, and the DS of a person with a haploid
    GT (``.`` is one, ``./.`` is not), which is between 0 and 1, is doubled, as PLINK 2 does; DS without GT is
    taken for copies. A half-call (``./1``) is missing. A record with several ALT alleles becomes as many
    rows, each counting its own; one without an ALT is left out; symbolic alleles (``<DEL>``, ``*``) count
    like others. Records whose FILTER is not PASS are kept, and an ID of ``.`` stays, as in PLINK 2. What of
    this occurs is counted in the log.

    A bgzipped file or BCF that was cut short lacks its last block, and a text its last newline: both are
    refused. A text that was cut exactly behind a line cannot be told from a complete one.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> lines = [
    ...     "##fileformat=VCFv4.3", "##contig=<ID=1>",
    ...     '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
    ...     "#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT anna ben", "1 1000 rs1 A G . PASS . GT 0/1 1|1",
    ... ]
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder) / "two.vcf"
    ...     _ = file.write_text("".join(line.replace(" ", chr(9)) + chr(10) for line in lines))
    ...     open_vcf(file).read(slice(0, 1))
    array([[1, 2]], dtype=int8)
    """
    path = Path(path)
    cyvcf2 = load_extra("cyvcf2", "vcf", "Reading VCF and BCF files")
    _check_whole(path)
    with closing(_opened(cyvcf2, path)) as vcf:
        samples = _samples(path, vcf)
        _define_chromosomes(path, vcf)
        logger.info(f"{path}: reading the genotypes of {samples.n:,} people from front to back")
        found = _Found()
        with GenotypeSpool(str(path), samples.n) as spool:
            for record in _records(path, vcf, found):
                rows, half_calls = record.rows(samples.iid)
                found.half_calls += half_calls
                for row in rows:
                    spool.add(row)
            variants = found.variants(path)
            genotypes = spool.finish()
    found.tell(path)
    logger.info(
        f"{path}: {variants.m:,} variants take {genotypes.nbytes / 1e6:,.1f} MB of {gettempdir()} until the "
        "program ends; if you use the file often, make a .pgen of it (plink2 --make-pgen): that opens at once"
    )
    return VcfSource(path, samples, variants, genotypes)


def _check_whole(path: Path) -> None:
    """Refuse a file that lacks its end: htslib reads one that was cut at the right place without a word."""
    try:
        with path.open("rb") as file:
            start = file.read(_BGZF_MARK.stop)
            size = file.seek(0, SEEK_END)
            file.seek(-min(size, len(_BGZF_END)), SEEK_END)
            end = file.read()
    except FileNotFoundError:
        raise DataError(f"There is no file {path}{nearby(path)}") from None
    except OSError as problem:
        raise DataError(f"{path} cannot be read: {problem.strerror or problem}.") from None
    if not size:
        raise DataError(f"{path} is empty: it should be a VCF or BCF file; write or copy it again.")
    if start.startswith(_GZIP):
        if start[_BGZF_MARK] == b"BC" and end != _BGZF_END:
            raise DataError(
                f"{path} was cut short: it lacks the empty block that ends every bgzipped file; {_AGAIN}."
            )
    elif not start.startswith(_BCF) and not end.endswith(b"\n"):
        raise DataError(
            f"{path} does not end with a newline, so that it was probably cut short in its last line; "
            f"{_AGAIN} (or add the newline, if you know that the line is complete)."
        )


def _opened(cyvcf2: Any, path: Path) -> Any:
    """Open a file, its header read."""
    try:
        return cyvcf2.VCF(str(path))
    except Exception as problem:  # cyvcf2 raises nothing more particular
        if "header" in str(problem):
            raise DataError(
                f"{path}: the header cannot be understood; it is damaged, or two people have the same name "
                "(htslib has printed which)."
            ) from None
        raise DataError(f"{path} is no VCF or BCF file: it has not got the header of one.") from None


def _samples(path: Path, vcf: Any) -> Samples:
    """Who was genotyped."""
    try:
        iid = [name.encode() for name in vcf.samples]
    except UnicodeDecodeError:
        raise DataError(f"{path}: the names of people in its header are not UTF-8 text; {_AGAIN}.") from None
    if not iid:
        raise DataError(f"{path} has nobody in it: it lists variants without genotypes.")
    return people([b"0"] * len(iid), iid, (), path=path, lines=range(1, len(iid) + 1), what="samples")


def _define_chromosomes(path: Path, vcf: Any) -> None:
    """Name the chromosomes in the header of a text that its own header does not name.

    Where a record brings a chromosome that is not in the header, cyvcf2 goes on although htslib could not
    read the rest of it, and crashes.
    """
    try:
        known = vcf.seqnames
    except UnicodeDecodeError:
        raise DataError(f"{path}: the chromosomes in its header are not UTF-8 text; {_AGAIN}.") from None
    for name in sorted(_first_column(path).difference(known)):
        if not _CONTIG.fullmatch(name):
            raise DataError(
                f"{path} has a line that begins with {name!r} instead of a chromosome, which is no record of "
                f"a VCF; {_AGAIN}."
            )
        vcf.add_to_header(f"##contig=<ID={name}>")


def _first_column(path: Path) -> set[str]:
    """What is in the first column of a text; nothing for a BCF, which cannot be without a header."""
    names: set[bytes] = set()
    with path.open("rb") as start:
        is_packed = start.read(len(_GZIP)) == _GZIP
    try:
        with gzip.open(path) if is_packed else path.open("rb") as file:
            if not file.peek(len(_BCF)).startswith(_BCF):
                for line in file:
                    if line.startswith(b"#CHROM"):
                        break
                names.update(line[: line.find(b"\t")] for line in file)
    except (OSError, EOFError, zlib.error):
        pass  # htslib meets the same damage, and says where
    return {name.decode(errors="replace") for name in names}


def _records(path: Path, vcf: Any, found: _Found) -> Iterator[VcfRecord]:
    """Read one record after the other, and note what each is."""
    records = iter(vcf)
    last = "the header"
    while True:
        try:
            record = next(records, None)
            if record is None:
                return
            place = f"{record.CHROM}:{record.POS}"
            genotypes = VcfRecord.of(record, f"{path}, {place}")
            found.add(record)
            found.empty += genotypes.is_empty
            if genotypes.has_dosages_only:
                found.uncalled.append(record.CHROM)
        except DataError:
            raise
        except Exception:  # cyvcf2 raises nothing more particular
            raise DataError(
                f"{path}: the record behind {last} cannot be read; the file is malformed or cut short there "
                f"(htslib has printed what it met): {_AGAIN}."
            ) from None
        last = place
        yield genotypes


@dataclass(slots=True)
class _Found:
    """What the records are, gathered while they are read."""

    chromosome: list[bytes] = field(default_factory=list)
    position: list[int] = field(default_factory=list)
    identifier: list[bytes] = field(default_factory=list)
    reference: list[bytes] = field(default_factory=list)
    alternatives: list[list[bytes]] = field(default_factory=list)
    filtered: int = 0
    empty: int = 0
    uncalled: list[str] = field(default_factory=list)
    half_calls: int = 0

    def add(self, record: Any) -> None:
        """Note what a ``cyvcf2.Variant`` is."""
        self.chromosome.append(record.CHROM.encode())
        self.position.append(record.POS)
        self.identifier.append((record.ID or ".").encode())
        self.reference.append(record.REF.encode())
        self.alternatives.append([name.encode() for name in record.ALT])
        self.filtered += record.FILTER is not None

    def variants(self, path: Path) -> Variants:
        """The variants, one for each ALT allele."""
        record, _ = rows_per_allele(
            np.array([len(names) for names in self.alternatives], dtype=np.intp), path
        )
        effect = [name for names in self.alternatives for name in names]
        if not effect:
            raise DataError(
                f"{path} has no variants: there is no record with an ALT allele behind its header."
            )
        return Variants(
            text_column(self.chromosome)[record],
            np.array(self.position, dtype=np.int64)[record],
            text_column(self.identifier)[record],
            text_column(effect),
            text_column(self.reference)[record],
        )

    def tell(self, path: Path) -> None:
        """Say what deserves a word."""
        total = f"of {len(self.position):,} records"
        if self.filtered:
            logger.warning(f"{path}: {self.filtered:,} {total} have not passed their FILTER; they are kept")
        if self.empty:
            logger.warning(
                f"{path}: {self.empty:,} {total} have neither GT nor DS nor GP; nobody is called there"
            )
        tell_scale(path, np.array(self.uncalled, dtype=np.str_))
        if self.half_calls:
            logger.warning(f"{path}: {self.half_calls:,} half-calls, such as ./1, are read as missing")
