"""One record of a VCF: its genotypes as one row per ALT allele."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.genotype.source import MISSING, Genotypes, Strings
from henderson.io.allele_calls import AlleleCalls, Dosages, allele_calls, complete_dosages

_SUM_OFF = 0.05  # by how much printed probabilities may miss a sum of one
_GENOTYPES = 3  # of two alleles


@dataclass(frozen=True, slots=True, eq=False)
class VcfRecord:
    """The genotypes of one record, as cyvcf2 gives them.

    Attributes
    ----------
    where : str
        File and place, as messages name them.
    n_alternative : int
        Number of ALT alleles.
    alleles : ndarray of int16, shape (n, ploidy), or None
        GT, as `allele_calls` takes it.
    dosages, probabilities : ndarray, shape (n, k), or None
        DS and GP; None where nobody has one.
    """

    where: str
    n_alternative: int
    alleles: NDArray[np.int16] | None
    dosages: NDArray[np.float32] | None
    probabilities: NDArray[np.float32] | None

    @property
    def is_empty(self) -> bool:
        """Whether there are no genotypes at all."""
        return self.alleles is None and self.dosages is None and self.probabilities is None

    @property
    def has_dosages_only(self) -> bool:
        """Whether there are dosages, and no calls that say whose are those of one copy."""
        return self.dosages is not None and self.alleles is None

    @classmethod
    def of(cls, record: Any, where: str) -> VcfRecord:
        """Take out what is needed of a ``cyvcf2.Variant``.

        Raises
        ------
        DataError
            If DS or GP are not declared as numbers.
        """
        fields = record.FORMAT
        alleles = record.genotype.array()[:, :-1] if "GT" in fields else None
        dosages, probabilities = (
            _numbers(record.format(name), name, where) if name in fields else None for name in ("DS", "GP")
        )
        return cls(where, len(record.ALT), alleles, dosages, probabilities)

    def rows(self, people: Strings) -> tuple[list[Genotypes], int]:
        """The genotypes of each ALT allele, and how many half-calls there are among those that are missing.

        Parameters
        ----------
        people : ndarray of str, shape (n,)
            Their names, for messages.

        Returns
        -------
        rows : list of ndarray, shape (n,)
            float32 dosages if the record has DS, or GP without GT; int8 copies otherwise.
        n_half : int
            Calls of which one allele is missing, and that no dosage stands in for.
        """
        if not self.n_alternative:
            return [], 0
        numbers = range(1, self.n_alternative + 1)
        calls = None if self.alleles is None else self._calls(self.alleles, people)
        if self.dosages is not None:
            return self._dosages(self.dosages, calls, people)
        if calls is not None:
            return [calls.copies(number)[0] for number in numbers], int(calls.half.sum())
        if self.probabilities is not None:
            return [self._expected(self.probabilities, people)], 0
        return [np.full(people.size, MISSING, dtype=np.int8) for _ in numbers], 0

    def _place(self, _: int) -> str:
        return self.where

    def _calls(self, alleles: NDArray[np.int16], people: Strings) -> AlleleCalls:
        n_alternative = np.array([self.n_alternative])
        return allele_calls(alleles[None], n_alternative, where=self._place, people=people)

    def _dosages(
        self, given: Dosages, calls: AlleleCalls | None, people: Strings
    ) -> tuple[list[Genotypes], int]:
        """DS, completed by GT."""
        if given.shape[1] != self.n_alternative:
            raise DataError(
                f"{self.where} has {given.shape[1]} dosage{'s' * (given.shape[1] != 1)} (DS) per person for "
                f"{self.n_alternative} ALT alleles, but should have one for each; split such records before "
                "imputation, or leave DS out (bcftools annotate -x FORMAT/DS)."
            )
        rows: list[Genotypes] = [
            complete_dosages(column[None], calls, number, where=self._place, people=people)[0]
            for number, column in enumerate(given.T, start=1)
        ]
        unknown = np.isnan(given).any(axis=1)
        return rows, 0 if calls is None else int((calls.half & unknown).sum())

    def _expected(self, given: NDArray[np.float32], people: Strings) -> Dosages:
        """Expected copies of the only ALT allele by GP: P(0/1) + 2 P(1/1), or 2 P(1)."""
        n_genotypes = given.shape[1]
        if self.n_alternative != 1 or n_genotypes not in {_GENOTYPES - 1, _GENOTYPES}:
            raise DataError(
                f"{self.where} has neither GT nor DS, and {n_genotypes} genotype probabilities (GP) per "
                f"person for {self.n_alternative} ALT alleles; henderson reads GP of one ALT allele only, so "
                "split such records (bcftools norm -m-) or give them GT."
            )
        one, *more = given[:, 1:].T
        two = more[0] if more else np.full_like(one, np.nan)
        haploid = np.isnan(two) & ~np.isnan(one)
        total = given[:, 0] + one + np.where(haploid, 0, two)
        wrong = (np.abs(total - 1) > _SUM_OFF) | (given < 0).any(axis=1)
        if wrong.any():
            person = people[np.flatnonzero(wrong)[0]]
            raise DataError(
                f"{self.where}: the genotype probabilities (GP) of {person} are not between 0 and 1 with a "
                "sum of one; where they are on another scale (phred), convert them or give the file GT."
            )
        copies: Dosages = np.where(haploid, 2 * one, one + 2 * two) / total
        return copies


def _numbers(values: NDArray[Any] | None, name: str, where: str) -> NDArray[np.float32] | None:
    """A FORMAT field of numbers; None if it is missing for everybody."""
    if values is None:
        return None
    if values.dtype != np.float32:
        raise DataError(
            f"{where}: {name} is not declared as a number with decimals; the header needs the line "
            f"##FORMAT=<ID={name},Number={'A' if name == 'DS' else 'G'},Type=Float,Description=...> "
            "(bcftools reheader)."
        )
    return None if np.isnan(values).all() else values
