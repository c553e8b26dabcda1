"""Genotypes written as letters, turned into the numbers a model uses."""

import string
from collections.abc import Iterable
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from henderson.errors import DataError

GeneticModel = Literal["additive", "dominant", "recessive"]

# "0/0" is not among them: in a VCF it is a called genotype (two reference alleles), not a missing one.
_MISSING = frozenset(
    ["", "NA", "NaN", "nan", "<NA>", "None", ".", "..", "./.", ".|.", "00", "0 0", "NN", "N/N", "N|N", "--"]
)
_SEPARATORS = "/| "
_UNKNOWN_ALLELES = frozenset("0.-N")
_LETTERS = frozenset(string.ascii_letters)


def genotype_coding(
    letters: Iterable[object],
    counted_allele: str,
    model: GeneticModel = "additive",
) -> NDArray[np.float64]:
    """Code the genotypes of one variant as numbers.

    Parameters
    ----------
    letters : iterable of str, n long
        One genotype per person: ``"CT"``, ``"C/T"`` or ``"C|T"``; the order of the two letters does not
        matter, upper and lower case are different alleles. Missing: an empty string, ``None``, NaN,
        ``"NA"``, ``"."``, ``"./."``, ``"00"``, ``"NN"`` or ``"--"``.
    counted_allele : str
        The allele whose copies are counted, for example ``"T"``.
    model : {"additive", "dominant", "recessive"}
        ``"additive"`` counts the copies (0, 1, 2); ``"dominant"`` says whether there is at least one
        (0, 1); ``"recessive"`` whether there are two (0, 1).

    Returns
    -------
    ndarray of float64, shape (n,)
        The coded genotypes; NaN where the genotype is missing.

    Raises
    ------
    DataError
        If a genotype is not two letters, the variant has more than two alleles, or nobody carries the
        counted allele.

    Examples
    --------
    >>> from henderson import genotype_coding
    >>> genotype_coding(["CC", "CT", "T/T", "./."], "T")
    array([ 0.,  1.,  2., nan])
    >>> genotype_coding(["CC", "CT", "TT"], "T", model="dominant")
    array([0., 1., 1.])
    >>> genotype_coding(["CC", "CT", "TT"], "T", model="recessive")
    array([0., 0., 1.])
    """
    if model not in get_args(GeneticModel):
        raise DataError(f"model must be 'additive', 'dominant' or 'recessive', not {model!r}.")
    if not isinstance(counted_allele, str) or counted_allele not in _LETTERS:
        raise DataError(f"counted_allele must be one letter, such as 'T', not {counted_allele!r}.")
    if isinstance(letters, str) or not isinstance(letters, Iterable):
        given = "one piece of text" if isinstance(letters, str) else repr(letters)
        raise DataError(f"letters must be a sequence of genotypes, one per person, not {given}.")

    copies, alleles = _count(letters, counted_allele)
    if len(alleles) > 2:
        raise DataError(
            f"A variant has two alleles, but these genotypes have {len(alleles)}: "
            f"{_listed(alleles)}. Split the variant, or mark the genotypes you do not want as missing."
        )
    if not alleles:
        raise DataError("Every genotype of this variant is missing, so there is nothing to count.")
    if counted_allele not in alleles:
        raise DataError(
            f"Nobody carries the counted allele {counted_allele!r}; the alleles seen are "
            f"{_listed(alleles)}. Count one of those."
        )
    if model == "additive":
        return copies
    carries = copies >= (1.0 if model == "dominant" else 2.0)
    return np.where(np.isnan(copies), np.nan, carries.astype(np.float64))


def _count(letters: Iterable[object], counted_allele: str) -> tuple[NDArray[np.float64], list[str]]:
    """Copies of the counted allele per person, and the alleles seen (each distinct genotype read once)."""
    known: dict[object, float] = {}
    alleles: set[str] = set()
    copies = []
    for row, genotype in enumerate(letters, start=1):
        text = genotype if isinstance(genotype, str) else str(genotype)
        if text not in known:
            pair = _pair(text, row)
            alleles.update(pair)
            known[text] = float(pair.count(counted_allele)) if pair else np.nan
        copies.append(known[text])
    return np.array(copies, dtype=np.float64), sorted(alleles)


def _pair(text: str, row: int) -> str:
    """Give the two alleles of one genotype, or nothing where it is missing."""
    stripped = text.strip()
    if stripped in _MISSING:
        return ""
    pair = stripped
    if len(stripped) == 3 and stripped[1] in _SEPARATORS:
        pair = stripped[0] + stripped[2]
    if len(pair) == 2 and len(_UNKNOWN_ALLELES.intersection(pair)) == 1 and _LETTERS.intersection(pair):
        raise DataError(
            f"Row {row}: in the genotype {text!r} only one of the two alleles is known; "
            "write it as missing ('./.') or complete it."
        )
    if len(pair) != 2 or not _LETTERS.issuperset(pair):
        raise DataError(
            f"Row {row}: {text!r} is not a genotype; write two letters, such as 'CT', 'C/T' or 'C|T', "
            "or './.' where it is missing."
        )
    return pair


def _listed(alleles: list[str]) -> str:
    """Write 'A', 'B' and 'C'."""
    quoted = [repr(allele) for allele in alleles]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"


def standardise(values: ArrayLike) -> NDArray[np.float64]:
    """Shift and scale values to mean 0 and standard deviation 1.

    The standard deviation has n - 1 in its denominator, as ``scale`` in R. Missing values (NaN) stay
    missing and count for nothing.

    Parameters
    ----------
    values : array_like of float, shape (n,)
        At least two different numbers.

    Returns
    -------
    ndarray of float64, shape (n,)
        The standardised values.

    Raises
    ------
    DataError
        If the values are not one column of finite numbers, or do not vary.

    Examples
    --------
    >>> from henderson import standardise
    >>> standardise([1.0, 2.0, 3.0])
    array([-1.,  0.,  1.])
    """
    x = _column(values)
    present = ~np.isnan(x)
    if np.isinf(x).any():
        row = int(np.flatnonzero(np.isinf(x))[0]) + 1
        raise DataError(f"Row {row} is infinite; write it as missing (NaN).")
    count = int(present.sum())
    if count < 2:
        raise DataError(
            f"Standardising needs at least two values; without the missing ones there are {count}."
        )
    seen = x[present]
    if seen.min() == seen.max():
        raise DataError(
            f"All {count} values are {seen[0]:g}; a column that does not vary cannot be standardised."
        )
    # Divided by the largest before squaring, so that neither tiny nor huge values lose anything.
    centred = x - seen.mean()
    centred /= np.nanmax(np.abs(centred))
    centred -= np.nanmean(centred)
    result: NDArray[np.float64] = centred / np.sqrt(np.nansum(centred**2) / (count - 1))
    return result


def _column(values: ArrayLike) -> NDArray[np.float64]:
    """Give the values as one column of float64."""
    given: Any = np.asarray(values)
    try:
        x = given.astype(np.float64)
    except (TypeError, ValueError):
        raise DataError(
            "Only numbers can be standardised; turn genotypes into numbers first, with genotype_coding."
        ) from None
    if x.ndim != 1:
        raise DataError(f"Standardising takes one column at a time, not an array of shape {x.shape}.")
    result: NDArray[np.float64] = x
    return result
