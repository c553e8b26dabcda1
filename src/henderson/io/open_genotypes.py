"""Genotypes of any format, told apart by their file names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from henderson.errors import DataError
from henderson.genotype.source import GenotypeSource
from henderson.io.paths import beside
from henderson.io.zarr_store import GROUP_FILES

_PLINK1 = (".bed", ".bim", ".fam")
_PLINK2 = (".pgen", ".pvar", ".pvar.zst", ".psam")
_BGEN = (".bgen",)
_VCF = (".vcf", ".vcf.gz", ".vcf.bgz", ".bcf")
_ZARR = (".zarr", ".vcz")
_FORMATS = (
    "a PLINK 1 fileset (.bed, .bim, .fam), a PLINK 2 fileset (.pgen, .pvar or .pvar.zst, .psam), .bgen, "
    ".vcf, .vcf.gz, .bcf, or a folder .zarr or .vcz"
)


def open_genotypes(path: str | Path, *, sample: str | Path | None = None) -> GenotypeSource:
    """Open genotypes of any format that henderson reads.

    Parameters
    ----------
    path : str or Path
        Any file of a PLINK 1 (.bed, .bim, .fam) or PLINK 2 fileset (.pgen, .pvar, .pvar.zst, .psam), or the
        common name of its files without the ending; a .bgen; a .vcf, .vcf.gz or .bcf; or the folder of a VCF
        Zarr store (.zarr, .vcz).
    sample : str or Path, optional
        The .sample file of a .bgen, where it is not called like it.

    Returns
    -------
    GenotypeSource
        People, variants and genotypes. The effect allele is A1 (column 5 of the .bim) in PLINK 1 files, ALT
        in PLINK 2 files, VCF and VCF Zarr, and the second allele in BGEN.

    Raises
    ------
    DataError
        If nothing is there, the name does not say what it is or fits two filesets, ``sample`` is given for
        another format, or the files are malformed; the message names the file.

    See Also
    --------
    henderson.io.plink1.open_plink1, henderson.io.pgen.open_pgen, henderson.io.bgen.open_bgen,
    henderson.io.vcf.open_vcf, henderson.io.vcf_zarr.open_vcf_zarr

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     prefix = Path(folder) / "two"
    ...     _ = prefix.with_suffix(".fam").write_text("f1 anna 0 0 2 -9" + chr(10) + "f2 ben 0 0 1 -9")
    ...     _ = prefix.with_suffix(".bim").write_text("1 rs1 0 1000 A G")
    ...     _ = prefix.with_suffix(".bed").write_bytes(bytes([0x6C, 0x1B, 0x01, 0b1000]))
    ...     open_genotypes(prefix).read(slice(0, 1))
    array([[2, 1]], dtype=int8)
    """
    path = Path(path)
    if path.name.lower().endswith(_BGEN):
        from henderson.io.bgen import open_bgen

        return open_bgen(path, sample=sample)
    if sample is not None:
        raise DataError(
            f"A .sample file ({sample}) belongs to a .bgen file, and {path} is none: leave it out."
        )
    return _opener(path)(path)


def _opener(path: Path) -> Callable[[Path], GenotypeSource]:
    """What opens a path that is no .bgen."""
    name = path.name.lower()
    if name.endswith(_PLINK1):
        return _plink1
    if name.endswith(_PLINK2):
        return _plink2
    if name.endswith(_VCF):
        return _vcf
    if name.endswith(_ZARR) or any((path / file).is_file() for file in GROUP_FILES):
        return _zarr
    one, two = ([beside(path, ending) for ending in endings] for endings in (_PLINK1, _PLINK2))
    one, two = ([file for file in files if file.is_file()] for files in (one, two))
    if one and two:
        raise DataError(
            f"{path} may be the PLINK 1 fileset {one[0]} or the PLINK 2 fileset {two[0]}: name the one."
        )
    if one:
        return _plink1
    if two:
        return _plink2
    raise DataError(_unknown(path))


def _plink1(path: Path) -> GenotypeSource:
    from henderson.io.plink1 import open_plink1

    return open_plink1(path)


def _plink2(path: Path) -> GenotypeSource:
    from henderson.io.pgen import open_pgen

    return open_pgen(path)


def _vcf(path: Path) -> GenotypeSource:
    from henderson.io.vcf import open_vcf

    return open_vcf(path)


def _zarr(path: Path) -> GenotypeSource:
    from henderson.io.vcf_zarr import open_vcf_zarr

    return open_vcf_zarr(path)


def _unknown(path: Path) -> str:
    """Say why a path cannot be opened, with what may have been meant."""
    if path.is_dir():
        return f"{path} is a folder, but no VCF Zarr store; genotypes are {_FORMATS}."
    if path.exists():
        return f"{path}: its ending does not say what it is; genotypes are {_FORMATS}."
    if not path.parent.is_dir():
        return f"There are no genotypes {path}: there is no folder {path.parent} either."
    close = _close(path)
    if close:
        return f"There are no genotypes {path}; did you mean {' or '.join(map(str, close))}?"
    return f"There are no genotypes {path}: they are {_FORMATS}."


def _close(path: Path) -> list[Path]:
    """Genotypes in the same folder whose names are close, with or without their endings."""
    from difflib import get_close_matches

    endings = (".bed", ".pgen", *_BGEN, *_VCF, *_ZARR)
    names = {}
    for entry in path.parent.iterdir():
        ending = max((each for each in endings if entry.name.lower().endswith(each)), key=len, default="")
        if ending:
            names[entry.name] = entry.name[: -len(ending)]
    close = get_close_matches(path.name, sorted({*names, *names.values()}), n=2, cutoff=0.75)
    return [path.with_name(name) for name in sorted(names) if name in close or names[name] in close][:2]
