"""The options that name genotypes and choose people and variants. Light: every command line reads it."""

from dataclasses import asdict, dataclass, fields
from math import inf
from typing import Annotated

from cyclopts import Group, Parameter

from henderson.errors import DataError

FILES = Group("Genotypes", sort_key=1)
FILTERS = Group("Filters", sort_key=2)

File = Annotated[str | None, Parameter(group=FILES)]
Text = Annotated[str | None, Parameter(group=FILTERS)]
Position = Annotated[int | None, Parameter(group=FILTERS)]
Limit = Annotated[float | None, Parameter(group=FILTERS)]

#: Options that name genotypes.
FORMATS = ("bfile", "pfile", "bgen", "vcf", "zarr")
_LIMITS = {"maf": 0.5, "mac": inf, "geno": 1.0, "mind": 1.0, "hwe": 1.0, "info": inf}


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class GenotypeOptions:
    """Where genotypes come from, and which people and variants are used.

    Attributes
    ----------
    bfile
        PLINK 1 fileset: the prefix of its .bed, .bim and .fam files. The effect allele is A1, column 5 of the
        .bim file.
    pfile
        PLINK 2 fileset: the prefix of its .pgen, .pvar (or .pvar.zst) and .psam files. The effect allele is
        ALT.
    bgen
        BGEN file. The effect allele is the second one.
    sample
        The .sample file of the BGEN file, if it has another name.
    vcf
        VCF or BCF file. The effect allele is ALT.
    zarr
        VCF Zarr store: a folder. The effect allele is ALT.
    update_sex
        File with FID, IID and sex (1 or M, 2 or F), for genotypes on X and Y whose own file has none.
    build
        Version of the human genome, hg18, hg19 or hg38: which part of X is pseudo-autosomal. By default none.
    autosome_num
        Number N of autosomes of another species; chromosomes N + 1 to N + 4 are X, Y, XY and MT.
    keep
        Use only the people in this file: FID and IID, or IID alone, one person per line.
    remove
        Leave out the people in this file.
    extract
        Use only the variants in this file: one identifier per line, or chromosome, first and last position.
    exclude
        Leave out the variants in this file.
    chr
        Use only these chromosomes, such as 22, 1-4,X or MT.
    from_bp
        Use only variants from this position up; needs --chr with one chromosome.
    to_bp
        Use only variants up to this position; needs --chr with one chromosome.
    maf
        Leave out variants whose rarer allele is rarer than this among the people analysed; by default only
        those with one genotype.
    mac
        Leave out variants of whose rarer allele the people analysed have fewer copies than this.
    geno
        Leave out variants missing in a larger proportion of the people analysed than this; by default none.
    mind
        Leave out people without a call at a larger proportion of the chosen variants than this.
    hwe
        Leave out variants whose exact test of Hardy-Weinberg equilibrium among the people analysed has a
        smaller p-value than this; on X it is that of women.
    info
        Leave out variants whose dosages vary less than this, relative to known genotypes (MaCH's r-squared).
    """

    bfile: File = None
    pfile: File = None
    bgen: File = None
    sample: File = None
    vcf: File = None
    zarr: File = None
    update_sex: File = None
    build: File = None
    autosome_num: Annotated[int | None, Parameter(group=FILES)] = None
    keep: Text = None
    remove: Text = None
    extract: Text = None
    exclude: Text = None
    chr: Text = None
    from_bp: Position = None
    to_bp: Position = None
    maf: Limit = None
    mac: Limit = None
    geno: Limit = None
    mind: Limit = None
    hwe: Limit = None
    info: Limit = None

    @property
    def given(self) -> dict[str, object]:
        """The options that were given, with their values."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @property
    def formats(self) -> tuple[str, ...]:
        """Which of the options that name genotypes were given."""
        return tuple(name for name in FORMATS if getattr(self, name) is not None)

    @property
    def path(self) -> str:
        """What the genotypes are called, once they are."""
        return str(getattr(self, self.formats[0]))

    @property
    def filters(self) -> str:
        """The options that choose people or variants, as they were given."""
        names = [each.name for each in fields(self)]
        chosen = names[names.index("keep") :]
        return " and ".join(f"{flag(name)} {value}" for name, value in self.given.items() if name in chosen)


def flag(name: str) -> str:
    """An option as a command line has it."""
    return f"--{name.replace('_', '-')}"


#: No genotypes, nobody and nothing left out.
NONE_GIVEN = GenotypeOptions()


def check_genotypes(options: GenotypeOptions) -> None:
    """Refuse, before anything is read or written, options that cannot work.

    Raises
    ------
    DataError
        If not exactly one format is given, a number is out of range, or options do not go together.
    """
    formats = options.formats
    if len(formats) != 1:
        given = f", not {' and '.join(map(flag, formats))} at once" if formats else ""
        *most, last = map(flag, FORMATS)
        raise DataError(f"Give the genotypes as one of {', '.join(most)} or {last}{given}.")
    if options.sample is not None and options.bgen is None:
        raise DataError("--sample names the people of a BGEN file: it needs --bgen.")
    for name, highest in _LIMITS.items():
        value = getattr(options, name)
        if value is not None and not 0.0 <= value <= highest:
            between = "be 0 or more" if highest == inf else f"lie between 0 and {highest:g}"
            reason = ", as the rarer allele's frequency does" if name == "maf" else ""
            raise DataError(f"{flag(name)} must {between}{reason}; it is {value:g}.")
    if options.autosome_num is not None and options.autosome_num < 1:
        raise DataError(f"--autosome-num must be 1 or more; it is {options.autosome_num}.")
    for name in ("from_bp", "to_bp"):
        if getattr(options, name) is not None and (options.chr is None or set(",-") & set(options.chr)):
            raise DataError(f"{flag(name)} is a position on one chromosome: give that with --chr.")
