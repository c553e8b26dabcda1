"""The genotypes that a command's options name and choose."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from henderson.association.rules import OK, ScanRules
from henderson.cli.chosen_variants import chosen_variants
from henderson.cli.genotype_flags import GenotypeOptions, check_genotypes
from henderson.errors import DataError
from henderson.genotype import GenotypeSource, count_variants
from henderson.genotype.chromosomes import Kind, check_build, chromosome_kinds
from henderson.genotype.counts import is_missing
from henderson.genotype.ploidy import autosomes_said, sex_aware
from henderson.genotype.selection import select, with_samples
from henderson.io.id_lists import find_people
from henderson.io.sexes import with_sexes

if TYPE_CHECKING:
    from henderson.cli.common import Reporter

__all__ = ["GenotypeOptions", "check_genotypes", "open_selected", "passing", "rules_of"]

_GENOTYPES_READ = 1 << 24
_SHOWN = 3
_ROUNDING = 1e-12  # 0.29 of 100 is a little less than 29


def rules_of(options: GenotypeOptions, base: ScanRules) -> ScanRules:
    """The rules of a scan, with what the options say in the place of what ``base`` says.

    Examples
    --------
    >>> rules_of(GenotypeOptions(bfile="cohort", maf=0.05), ScanRules.like_gemma()).min_maf
    0.05
    """
    names = {"min_maf": "maf", "max_missing": "geno", "min_mac": "mac", "min_hwe": "hwe", "min_info": "info"}
    said = {rule: getattr(options, name) for rule, name in names.items()}
    return replace(base, **{rule: value for rule, value in said.items() if value is not None})


def open_selected(options: GenotypeOptions, report: "Reporter") -> GenotypeSource:
    """Open the genotypes, leave out whom and what the options leave out, and say how many are left.

    Filters by frequency, missing calls, Hardy-Weinberg equilibrium and info are left to `rules_of` and
    `passing`, since they are judged by the people analysed.

    Raises
    ------
    DataError
        If a file cannot be used, or an option leaves nothing.
    """
    check_genotypes(options)
    check_build(options.build)
    source = _opened(options)
    options = replace(options, autosome_num=autosomes_said(source.variants, options.autosome_num))
    rules_of(options, ScanRules()).check(source)
    said = [f"{options.path}: {_people(source)}, {_variants(source)}"]
    people = np.ones(source.samples.n, dtype=bool)
    for name, path, wanted in (("--keep", options.keep, True), ("--remove", options.remove, False)):
        if path is not None:
            found = find_people(source.samples, path)
            listed = np.zeros(people.size, dtype=bool)
            listed[found.positions] = True
            people &= listed == wanted
            _tell(report, name, found.notice)
            said.append(f"{name}: {_left(name, people, 'people')}")
    variants = np.ones(source.variants.m, dtype=bool)
    for name, mask, notice in chosen_variants(source.variants, options):
        variants &= mask
        _tell(report, name, notice)
        said.append(f"{name}: {_left(name, variants, 'variants')}")
    source = select(source, variants=variants, samples=np.flatnonzero(people))
    if options.update_sex is not None:
        known, notice = with_sexes(source.samples, options.update_sex)
        source = with_samples(source, known)
        _tell(report, "--update-sex", notice)
    if options.mind is not None:
        source, notice = _without_missing(source, options)
        _tell(report, "--mind", notice)
        said.append(f"--mind: {_people(source)}")
    report.line("; ".join(said))
    return sex_aware(source, build=options.build, autosome_num=options.autosome_num)


def passing(source: GenotypeSource, options: GenotypeOptions, report: "Reporter") -> GenotypeSource:
    """The variants that vary and pass the options' filters, judged by everybody in the source.

    Raises
    ------
    DataError
        If there is none.
    """
    status = rules_of(options, ScanRules()).judge(count_variants(source))
    passed = status == OK
    reasons = Counter(status[~passed].tolist())
    left_out = "".join(f"; {count:,} {reason}" for reason, count in reasons.most_common())
    report.line(f"{np.count_nonzero(passed):,} of {passed.size:,} variants used{left_out}")
    if not passed.any():
        filters = f" and passes {options.filters}" if options.filters else ""
        raise DataError(f"No variant of {options.path} has more than one genotype{filters}.")
    return select(source, variants=passed)


def _opened(options: GenotypeOptions) -> GenotypeSource:
    """The genotypes, by the reader of their format."""
    from henderson.io.bgen import open_bgen
    from henderson.io.pgen import open_pgen
    from henderson.io.plink1 import open_plink1
    from henderson.io.vcf import open_vcf
    from henderson.io.vcf_zarr import open_vcf_zarr

    if options.bgen is not None:
        return open_bgen(options.bgen, sample=options.sample)
    readers: dict[str, Callable[[str], GenotypeSource]] = {
        "bfile": open_plink1, "pfile": open_pgen, "vcf": open_vcf, "zarr": open_vcf_zarr
    }  # fmt: skip
    return readers[options.formats[0]](options.path)


def _without_missing(source: GenotypeSource, options: GenotypeOptions) -> tuple[GenotypeSource, str]:
    """Leave out people with too many missing calls; women are not judged by Y."""
    kinds = chromosome_kinds(source.variants, autosome_num=options.autosome_num)
    judged = select(source, variants=kinds != Kind.Y)
    m, size = judged.variants.m, max(1, _GENOTYPES_READ // max(source.samples.n, 1))
    missing = np.zeros(source.samples.n, dtype=np.int64)
    for start in range(0, m, size):
        missing += is_missing(judged.read(slice(start, min(start + size, m)))).sum(axis=0)
    kept: NDArray[np.bool_] = missing <= ((options.mind or 0.0) + _ROUNDING) * m
    _left("--mind", kept, "people")
    lost = np.flatnonzero(~kept)
    if not lost.size:
        return source, ""
    names = [f"{source.samples.fid[row]} {source.samples.iid[row]}" for row in lost[:_SHOWN].tolist()]
    counted = "1 person lacks" if lost.size == 1 else f"{lost.size:,} people lack"
    others = " and others" if lost.size > len(names) else ""
    notice = f"{counted} more calls than {options.mind:g} of {m:,} variants: {', '.join(names)}{others}"
    return select(source, samples=np.flatnonzero(kept)), notice


def _left(name: str, kept: NDArray[np.bool_], what: str) -> str:
    """How many are left by now; none is refused."""
    count = int(np.count_nonzero(kept))
    if not count:
        raise DataError(f"{name} leaves no {what}: choose with fewer filters.")
    return _counted(count, what)


def _tell(report: "Reporter", name: str, notice: str) -> None:
    if notice:
        report.line(f"{name}: {notice}")


def _people(source: GenotypeSource) -> str:
    return _counted(source.samples.n, "people")


def _variants(source: GenotypeSource) -> str:
    return _counted(source.variants.m, "variants")


def _counted(count: int, what: str) -> str:
    one = {"people": "person", "variants": "variant"}
    return f"{count:,} {one[what] if count == 1 else what}"
