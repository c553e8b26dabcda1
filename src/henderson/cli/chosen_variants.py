"""The variants that --chr, --from-bp, --to-bp, --extract and --exclude choose, before anything is read."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from henderson.cli.genotype_flags import GenotypeOptions
from henderson.errors import DataError
from henderson.genotype.chromosomes import count_autosomes, is_number, plain_names
from henderson.genotype.source import Variants
from henderson.io.id_lists import find_variants

Mask = NDArray[np.bool_]
_SHOWN = 6


def chosen_variants(variants: Variants, options: GenotypeOptions) -> Iterator[tuple[str, Mask, str]]:
    """For each option given: its name, the variants that it leaves by itself, and what must be said.

    Raises
    ------
    DataError
        If an option cannot be understood, or names nothing that is there.
    """
    if options.chr is not None:
        kept, notice = on_chromosomes(variants, options.chr, autosome_num=options.autosome_num)
        yield "--chr", kept, notice
    if options.from_bp is not None:
        yield "--from-bp", variants.position >= options.from_bp, ""
    if options.to_bp is not None:
        yield "--to-bp", variants.position <= options.to_bp, ""
    for name, path, wanted in (("--extract", options.extract, True), ("--exclude", options.exclude, False)):
        if path is not None:
            found = find_variants(variants, path, autosome_num=options.autosome_num)
            mask = np.full(variants.m, not wanted)
            mask[found.positions] = wanted
            yield name, mask, found.notice


def on_chromosomes(variants: Variants, text: str, *, autosome_num: int | None = None) -> tuple[Mask, str]:
    """Which variants are on the chromosomes of a list such as ``1-4,22,X``, and what of it is not there.

    Examples
    --------
    >>> from henderson.genotype import ArraySource
    >>> on_chromosomes(ArraySource.of([[0], [1]]).variants, "1,7")
    (array([ True,  True]), 'there is no variant on chromosome 7')
    """
    n_autosomes = count_autosomes(variants.chromosome, autosome_num)
    unique, places = np.unique(variants.chromosome.astype(np.str_), return_inverse=True)
    there = plain_names(unique, n_autosomes).tolist()
    wanted: set[str] = set()
    absent: list[str] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        names = _asked(part, there, n_autosomes)
        wanted |= names
        if names.isdisjoint(there):
            absent.append(part)
    kept = np.array([name in wanted for name in there], dtype=bool)[places]
    if not kept.any():
        shown = sorted(set(there), key=lambda name: (len(name), name))
        others = " and others" if len(shown) > _SHOWN else ""
        raise DataError(
            f"--chr {text}: no variant is there; the genotypes have chromosome "
            f"{', '.join(shown[:_SHOWN])}{others}."
        )
    return kept, f"there is no variant on chromosome {', '.join(absent)}" if absent else ""


def _asked(part: str, there: list[str], n_autosomes: int) -> set[str]:
    """The plain names that one part of the list stands for: a name, or from one number to another."""
    [name] = plain_names(np.array([part]), n_autosomes).tolist()
    ends = part.split("-")
    if name in there or len(ends) == 1:
        return {name}
    first, last = ends if len(ends) == 2 else ("", "")
    numbers = [end.lower().removeprefix("chr") for end in (first, last)]
    if not all(map(is_number, numbers)):
        raise DataError(
            f"--chr: {part!r} is no chromosome of these genotypes, nor a range of numbers such as 1-4."
        )
    low, high = map(int, numbers)
    if low > high:
        raise DataError(f"--chr: the range {part} ends before it begins; write {high}-{low}.")
    every = {name for name in there if is_number(name) and low <= int(name) <= high}
    beyond = range(max(low, n_autosomes + 1), min(high, n_autosomes + 4) + 1)
    return every | set(plain_names(np.array(list(map(str, beyond)), dtype=np.str_), n_autosomes).tolist())
