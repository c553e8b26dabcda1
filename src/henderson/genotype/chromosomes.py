"""Kinds of chromosomes: which variants are on autosomes, on X, Y, or in mitochondria."""

from __future__ import annotations

from enum import IntEnum
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.genotype.source import GenotypeSource, Strings, Variants

#: Versions of the human genome that the ends of the pseudo-autosomal regions are known of.
Build = Literal["hg18", "NCBI36", "b36", "hg19", "GRCh37", "b37", "hg38", "GRCh38", "b38"]

#: Autosomes of a human.
HUMAN = 22
#: Plain names of those that are no autosomes, in the order of PLINK's numbers N + 1 to N + 4.
NOT_AUTOSOMES = ("X", "Y", "XY", "MT")
_LAST_HUMAN = HUMAN + len(NOT_AUTOSOMES)
_LONGEST_NUMBER = 6
#: Among them what PLINK writes where every name is to have two characters (--output-chr 0M).
_SYNONYMS = {"M": "MT", "PAR1": "XY", "PAR2": "XY", "0X": "X", "0Y": "Y", "0M": "MT", "": "0"}
#: On X, PAR1 ends and PAR2 begins at these positions, both included (PLINK 2's --split-par).
_PAR = {36: (2_709_521, 154_584_237), 37: (2_699_520, 154_931_044), 38: (2_781_479, 155_701_383)}
_BUILDS = {name.lower(): number for names, number in (
    (("hg18", "NCBI36", "b36"), 36), (("hg19", "GRCh37", "b37"), 37), (("hg38", "GRCh38", "b38"), 38),
) for name in names}  # fmt: skip


class Kind(IntEnum):
    """What kind of chromosome a variant is on; from X on, somebody has one copy only.

    ``UNPLACED`` is chromosome 0 and any name that is none of the others, such as that of a scaffold; ``PAR``
    the pseudo-autosomal regions, of which men have two copies too.
    """

    NOT_SAID = 0
    AUTOSOME = 1
    UNPLACED = 2
    PAR = 3
    X = 4
    Y = 5
    MT = 6


_KINDS = {"X": Kind.X, "Y": Kind.Y, "XY": Kind.PAR, "MT": Kind.MT}


def plain_names(names: Strings, autosome_num: int = HUMAN) -> Strings:
    """Names of chromosomes as one writes them: without ``chr``, and X, Y, XY and MT as letters.

    Parameters
    ----------
    names : ndarray of str
        Names as files have them.
    autosome_num : int
        The number N of autosomes; N + 1 to N + 4 are X, Y, XY and MT.

    Examples
    --------
    >>> plain_names(np.array(["chr7", "X", "24", "chrM", "PAR1"])).tolist()
    ['7', 'X', 'Y', 'MT', 'XY']
    """
    unique, places = np.unique(names.astype(np.str_), return_inverse=True)
    plain = np.array([_plain(name, autosome_num) for name in unique.tolist()], dtype=np.str_)
    result: Strings = plain[places]
    return result


def _plain(name: str, autosome_num: int) -> str:
    """The name of one chromosome as one writes it."""
    bare = name[3:] if name[:3].lower() == "chr" else name
    upper = bare.upper()
    if not is_number(bare):
        return _SYNONYMS.get(upper, upper if upper in _KINDS else bare)
    number = int(bare)
    beyond = number - autosome_num
    return NOT_AUTOSOMES[beyond - 1] if 0 < beyond <= len(NOT_AUTOSOMES) else str(number)


def is_number(name: str) -> bool:
    """Whether a chromosome is called by a number; superscripts are digits to Python, and no numbers."""
    return name.isascii() and name.isdigit() and len(name) <= _LONGEST_NUMBER


def count_autosomes(names: Strings, autosome_num: int | None = None) -> int:
    """How many autosomes there are: as given, else 22, or as many as numbers beyond 26 show.

    Examples
    --------
    >>> count_autosomes(np.array(["1", "X"])), count_autosomes(np.array(["1", "X"]), 29)
    (22, 29)
    """
    if autosome_num is not None:
        if not autosome_num >= 1:
            raise DataError(f"the number of autosomes must be 1 or more; it is {autosome_num}")
        return autosome_num
    bare = (name[3:] if name[:3].lower() == "chr" else name for name in set(names.tolist()))
    largest = max((int(name) for name in bare if is_number(name)), default=0)
    return largest if largest > _LAST_HUMAN else HUMAN


def alike_names(one: Strings, other: Strings) -> tuple[Strings, Strings]:
    """Plain names of two sets of chromosomes, so that they can be compared.

    Examples
    --------
    >>> alike_names(np.array(["chr7", "chr29"]), np.array(["7", "23"]))
    (array(['7', '29'], dtype='<U2'), array(['7', '23'], dtype='<U2'))
    """
    most = max(map(count_autosomes, (one, other)))
    return plain_names(one, most), plain_names(other, most)


def check_build(build: str | None) -> None:
    """Refuse versions of the genome that are not known."""
    if build is not None and build.lower() not in _BUILDS:
        raise DataError(f"the build {build!r} is not known: it is one of {', '.join(get_args(Build))}")


def chromosome_kinds(
    variants: Variants, *, build: str | None = None, autosome_num: int | None = None
) -> NDArray[np.int8]:
    """The `Kind` of the chromosome of each variant, by its name and on X by its position.

    Parameters
    ----------
    variants : Variants
        m variants. ``chr`` before a name is passed over; X, Y, XY (or PAR1, PAR2) and MT (or M) may be
        numbers, N + 1 to N + 4 where there are N autosomes.
    build : {"hg18", "hg19", "hg38", ...}, optional
        Version of the human genome, as NCBI36, GRCh37, GRCh38 or b36, b37, b38 too: which part of X is
        pseudo-autosomal. Without it, none is.
    autosome_num : int, optional
        The number N of autosomes, by default 22; where numbers above 26 occur, as large as they are.

    Returns
    -------
    ndarray of int8, shape (m,)

    Raises
    ------
    DataError
        If the build is not known, or the number of autosomes is not positive.

    Examples
    --------
    >>> from henderson.genotype.source import ArraySource
    >>> from dataclasses import replace
    >>> variants = ArraySource.of([[0], [1]]).variants
    >>> variants = replace(variants, chromosome=np.array(["7", "X"]), position=np.array([5, 60_001]))
    >>> [Kind(kind).name for kind in chromosome_kinds(variants, build="hg38")]
    ['AUTOSOME', 'PAR']
    """
    check_build(build)
    unique, places = np.unique(variants.chromosome.astype(np.str_), return_inverse=True)
    n_autosomes = count_autosomes(unique, autosome_num)
    plain = (_plain(name, n_autosomes) for name in unique.tolist())
    kinds = np.array([_kind(name, n_autosomes) for name in plain], dtype=np.int8)[places]
    if build is not None:
        first, second = _PAR[_BUILDS[build.lower()]]
        outside = (variants.position <= first) | (variants.position >= second)
        kinds[(kinds == Kind.X) & outside] = Kind.PAR
    return kinds


def _kind(plain: str, n_autosomes: int) -> Kind:
    """The kind of a chromosome, by its plain name."""
    if plain in _KINDS:
        return _KINDS[plain]
    return Kind.AUTOSOME if is_number(plain) and 1 <= int(plain) <= n_autosomes else Kind.UNPLACED


def autosomal(source: GenotypeSource) -> NDArray[np.bool_]:
    """Which variants relationships are estimated from: those on autosomes, and those without a place.

    As in PLINK 2 and GCTA. X, where men's one copy counts double, is no such part of the genome.

    Examples
    --------
    >>> from henderson.genotype.source import ArraySource
    >>> autosomal(ArraySource.of([[0, 1], [2, 1]]))
    array([ True,  True])
    """
    kinds = source.variants.kind
    if (kinds == Kind.NOT_SAID).any():
        kinds = chromosome_kinds(source.variants)
    wanted: NDArray[np.bool_] = kinds <= Kind.UNPLACED
    return wanted
