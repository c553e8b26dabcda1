"""Who is related to whom, from the files and genotypes that a command is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from henderson.association.null_models import PERSON, person_labels
from henderson.covariance import NamedBlocks, RelationshipMatrix
from henderson.errors import DataError
from henderson.genotype import Samples
from henderson.io.alignment import align
from henderson.io.phenotypes import PhenotypeTable
from henderson.io.relationship_files import read_grm

if TYPE_CHECKING:
    import pandas as pd

    from henderson.cli.common import Reporter
    from henderson.covariance.pedigree import Pedigree

_SPARSE = (".grm.sp", ".grm.sp.gz")
_DENSE = (".npz", ".grm.bin", ".grm.id", ".grm.N.bin")


@dataclass(frozen=True, slots=True, eq=False)
class Kin:
    """One relationship of people.

    Attributes
    ----------
    source : str
        What messages call it: the file.
    samples : Samples
        Who is in it.
    relationship : RelationshipMatrix, NamedBlocks or Pedigree
        What ``relationship=`` takes; people are named as in `labels`.
    column : str
        The grouping factor that stands for it in a formula.
    """

    source: str
    samples: Samples
    relationship: RelationshipMatrix | NamedBlocks | Pedigree
    column: str = PERSON

    @classmethod
    def of(cls, G: RelationshipMatrix, source: str) -> Kin:
        """A matrix whose people have names of their own, also where two share an IID."""
        names = person_labels(G.samples).astype(np.str_)
        named = RelationshipMatrix(G.matrix, Samples(G.samples.fid, names), G.n_variants)
        return cls(source, G.samples, named)

    @property
    def labels(self) -> NDArray[np.object_]:
        """The name of each person: the IID, or FID:IID where several people share an IID."""
        return person_labels(self.samples)

    @property
    def is_dense(self) -> bool:
        """Whether it is a matrix that has everybody with everybody."""
        return isinstance(self.relationship, RelationshipMatrix)

    @property
    def matrix(self) -> RelationshipMatrix:
        """The dense matrix, whose people are `samples`."""
        if not isinstance(self.relationship, RelationshipMatrix):
            raise DataError(f"{self.source} is no dense relationship matrix.")
        return replace(self.relationship, samples=self.samples)

    def bent(self) -> Kin:
        """The same without negative eigenvalues; what that changes is logged. A pedigree has none."""
        from henderson.fit.bending import bend

        if isinstance(self.relationship, RelationshipMatrix | NamedBlocks):
            return replace(self, relationship=bend(self.relationship))
        return self

    @property
    def is_matrix(self) -> bool:
        """Whether it is a matrix, dense or sparse."""
        return isinstance(self.relationship, RelationshipMatrix | NamedBlocks)


def read_kin(*, grm: Sequence[str], sparse_grm: str | None, pedigree: str | None) -> tuple[Kin, ...]:
    """Read relationships from files; each has a grouping factor of its own."""
    found = [Kin.of(read_grm(path), path) for path in grm]
    if sparse_grm is not None:
        from henderson.io.sparse_grm_files import read_sparse_grm

        blocks = read_sparse_grm(sparse_grm)
        found.append(Kin(sparse_grm, _unnamed_families(blocks.names), blocks))
    if pedigree is not None:
        from henderson.io.pedigree_files import read_pedigree

        known = read_pedigree(pedigree)
        found.append(Kin(pedigree, _unnamed_families(known.ids.tolist()), known))
    return tuple(
        replace(kin, column=PERSON if k == 1 else f"{PERSON}_{k}") for k, kin in enumerate(found, start=1)
    )


def read_related(path: str) -> RelationshipMatrix | NamedBlocks | Pedigree:
    """Read a relationship of any kind; the name says which, and what names no matrix is a pedigree."""
    from henderson.io.sparse_grm_files import read_sparse_grm

    if path.endswith(_SPARSE) or (_is_there(path, _SPARSE) and not _is_there(path, (".grm.bin",))):
        return read_sparse_grm(path)
    if path.endswith((".cXX.txt", ".sXX.txt")):
        raise DataError(
            f"{path} does not say who its rows are; give GCTA's .grm.bin, or an .npz of henderson grm."
        )
    if path.endswith(_DENSE) or _is_there(path, (".grm.bin",)):
        return read_grm(path)
    from henderson.io.pedigree_files import read_pedigree

    return read_pedigree(path)


def _is_there(prefix: str, endings: Sequence[str]) -> bool:
    return any(Path(f"{prefix}{ending}").is_file() for ending in endings)


def _unnamed_families(iids: Sequence[str]) -> Samples:
    names = np.array(list(iids), dtype=np.str_)
    return Samples(np.full(names.size, "0"), names)


def people_of(table: PhenotypeTable, kins: Sequence[Kin], report: Reporter) -> pd.DataFrame:
    """The columns of those who are in all relationships, and who they are in each of these.

    Raises
    ------
    DataError
        If nobody is, or a column of the table has the name of a grouping factor.
    """
    first, *others = kins
    for kin in kins:
        if kin.column in table.columns:
            raise DataError(
                f"{table.source} has a column {kin.column!r}, which is what people are called here: rename "
                "it."
            )
    also = {kin.source: kin.samples for kin in others}
    found = align(first.samples, table, also=also, called=first.source)
    for notice in found.notices:
        report.line(notice)
    frame = table.columns.iloc[found.rows_in_table].reset_index(drop=True)
    places = [found.rows_in_genotypes, *(found.rows_in_also[kin.source] for kin in others)]
    labels = {kin.column: kin.labels[rows] for kin, rows in zip(kins, places, strict=True)}
    return frame.assign(**labels)


def unrelated_only(people: pd.DataFrame, kin: Kin, cutoff: float, report: Reporter) -> pd.DataFrame:
    """The rows of people of whom no two are related by more than a cutoff."""
    from henderson.fit.cutoffs import unrelated

    found = people[people[kin.column].isin(unrelated(kin.relationship, cutoff))].reset_index(drop=True)
    report.line(
        f"--grm-cutoff {cutoff:g}: {len(people) - len(found):,} of {len(people):,} people left out, so that "
        "no two of the others are more closely related"
    )
    return found
