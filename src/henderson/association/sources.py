"""Genotypes from a path, or as they are, with chromosomes of which some people have one copy only."""

from __future__ import annotations

import logging
from pathlib import Path

from henderson.errors import DataError
from henderson.genotype import GenotypeSource
from henderson.genotype.chromosomes import Kind
from henderson.genotype.ploidy import sex_aware
from henderson.genotype.selection import with_samples
from henderson.io.open_genotypes import open_genotypes as _open
from henderson.io.sexes import with_sexes

logger = logging.getLogger("henderson")


def open_genotypes(
    path: str | Path,
    *,
    sample: str | Path | None = None,
    sexes: str | Path | None = None,
    build: str | None = None,
    autosome_num: int | None = None,
) -> GenotypeSource:
    """Open genotypes of any format that henderson reads.

    Parameters
    ----------
    path : str or Path
        PLINK 1 (.bed, .bim, .fam or their common name), PLINK 2 (.pgen, .pvar, .psam or their common name),
        BGEN, VCF or BCF, or a VCF Zarr store. PLINK 2, BGEN, VCF and Zarr need
        ``pip install "henderson[plink2]"``, ``[bgen]``, ``[vcf]`` and ``[zarr]``.
    sample : str or Path, optional
        The .sample file of a BGEN file that does not name its people, or whose people's sex is wanted.
    sexes : str or Path, optional
        A table with FID, IID and SEX (1 or M, 2 or F): wanted for X and Y where the file itself does not say,
        as VCF never does.
    build : {"hg18", "hg19", "hg38"} or a synonym, optional
        Version of the human genome: where the pseudo-autosomal regions of X are. By default all of X counts
        as outside of them.
    autosome_num : int, optional
        Number of autosomes N, by default 22: chromosomes N + 1 to N + 4 are X, Y, XY and MT, as in PLINK.

    Returns
    -------
    GenotypeSource
        People, variants, and their genotypes as copies of the effect allele, read a block at a time: whole
        numbers, or dosages where the file has them. The effect allele is A1 of a .bim file, ALT of PLINK 2
        and VCF, and the second allele of BGEN. A variant with several alternative alleles is several
        variants, each counted against all others. Whoever has one copy of a chromosome has 0 or 2; what
        cannot be (a man heterozygous on X) is missing, counted and logged.

    Raises
    ------
    DataError
        If there is no such file, it cannot be read, or what reads it is not installed.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     prefix = Path(folder) / "two"
    ...     _ = prefix.with_suffix(".fam").write_text("f1 anna 0 0 2 -9" + chr(10) + "f2 ben 0 0 1 -9")
    ...     _ = prefix.with_suffix(".bim").write_text("1 rs1 0 1000 A G")
    ...     _ = prefix.with_suffix(".bed").write_bytes(bytes([0x6C, 0x1B, 0x01, 0b1000]))
    ...     source = open_genotypes(prefix)
    ...     source.samples.iid.tolist(), source.read(slice(0, 1)).tolist()
    (['anna', 'ben'], [[2, 1]])
    """
    source = _open(path, sample=sample)
    if sexes is not None:
        known, notice = with_sexes(source.samples, sexes)
        logger.info(notice)
        source = with_samples(source, known)
    return sex_aware(source, build=build, autosome_num=autosome_num)


def open_source(genotypes: str | Path | GenotypeSource) -> GenotypeSource:
    """Genotypes from a path, or as they are."""
    if isinstance(genotypes, str | Path):
        return open_genotypes(genotypes)
    if not (hasattr(genotypes, "samples") and hasattr(genotypes, "variants") and hasattr(genotypes, "read")):
        given = "" if genotypes is None else f"; a {type(genotypes).__name__} is neither"
        raise DataError(f"genotypes must be the path of a file, or what hd.open_genotypes gives{given}")
    if not genotypes.variants.m:
        raise DataError("the genotypes have no variants, so that there is nothing to do")
    return sex_aware(genotypes) if (genotypes.variants.kind == Kind.NOT_SAID).all() else genotypes
