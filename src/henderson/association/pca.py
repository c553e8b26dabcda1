"""Principal components of genotypes: where people stand in the directions in which they differ most."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from henderson.association.chosen import chosen_positions
from henderson.association.grm import autosomes_told
from henderson.association.leading import Leading, leading_krylov, leading_of_matrix
from henderson.association.pca_loadings import PcaLoadings, named_components, write_tabbed
from henderson.association.sources import open_source
from henderson.errors import DataError
from henderson.genotype import GenotypeOperator, GenotypeSource, Samples, count_variants
from henderson.genotype.gram import Progress, gram
from henderson.genotype.source import Index
from henderson.io.whole_files import whole_files

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]
#: How the components are found; see `pca`.
Method = Literal["auto", "exact", "krylov"]

logger = logging.getLogger("henderson")

_FORMED = 5000  # people up to whom the matrix is formed: 0.2 GB, and a minute for its eigenvectors
_FEW = 10.0  # people: a component that rests on fewer says who is related, not where people come from
_NOTHING = 1e-10  # of all variance: a direction in which nobody differs


@dataclass(frozen=True, slots=True, eq=False)
class PcaResult:
    """Principal components. Made by `pca`.

    Attributes
    ----------
    samples : Samples
        The n people.
    scores : ndarray of float64, shape (n, k)
        Where each person stands: columns of length one, eigenvectors of the relationship matrix, in each of
        which the largest number in size is positive.
    eigenvalues : ndarray of float64, shape (k,)
        Of the relationship matrix, largest first.
    share : ndarray of float64, shape (k,)
        The part of all variance (the matrix's trace) that goes with each component.
    n_variants : int
        Variants used.
    method : {"exact", "krylov"}
        How the components were found.
    residual : float
        The largest |G v - lambda v| / lambda over the components: how exact they are, as measured.
    notices : tuple of str
        What a reader should know.
    """

    samples: Samples
    scores: Floats
    eigenvalues: Floats
    share: Floats
    n_variants: int
    method: Literal["exact", "krylov"]
    residual: float
    notices: tuple[str, ...]
    _source: GenotypeSource = field(repr=False)
    _rows: Index | None = field(repr=False)
    _operator: GenotypeOperator = field(repr=False)

    def __repr__(self) -> str:
        shares = ", ".join(f"{100 * share:.2g} %" for share in self.share[:5])
        more = ", ..." if self.share.size > 5 else ""
        return (
            f"<PcaResult of {self.samples.n:,} people by {self.n_variants:,} variants: "
            f"{self.eigenvalues.size} components with {shares}{more} of the variance>"
        )

    def loadings(self) -> PcaLoadings:
        """How much each variant weighs, which takes one more pass over the genotypes."""
        used = self._operator.variants
        frequency = count_variants(self._source, self._rows).frequency[used]
        scale = np.sqrt(self.n_variants * self.eigenvalues)
        weights = self._operator.rmatvec(self.scores) / scale
        return PcaLoadings(self._source.variants.take(used), frequency, weights, self.eigenvalues)

    def project(self, genotypes: str | Path | GenotypeSource, *, samples: ArrayLike | None = None) -> Floats:
        """Place other people among these; see `PcaLoadings.project`."""
        return self.loadings().project(genotypes, samples=samples)

    def to_frame(self) -> pd.DataFrame:
        """One row per person: FID, IID, PC1, PC2, ..."""
        import pandas as pd

        about = {"FID": self.samples.fid, "IID": self.samples.iid}
        return pd.DataFrame({**about, **named_components(self.scores)})

    def plot(self, *, ax: Axes | None = None, **options: Any) -> Axes:
        """People along two components; ``options`` go to `henderson.plots.pca.pca_plot`: ``groups``, ..."""
        from henderson.plots.pca import pca_plot

        return pca_plot(self.scores, share=self.share, ax=ax, **options)

    def write(self, prefix: str | Path) -> None:
        """Write ``PREFIX.eigenvec`` and ``PREFIX.eigenval`` as PLINK 2 does; they appear once complete.

        Parameters
        ----------
        prefix : str or Path
            How the names of the files begin. The first file has columns #FID, IID, PC1, PC2, ... with tabs
            between them and serves as a file of covariates; the second one number per line.

        Raises
        ------
        DataError
            If a file cannot be written.
        """
        values = "".join(f"{value:.10g}\n" for value in self.eigenvalues)
        with whole_files(f"{prefix}.eigenval") as [file]:
            file.write(values.encode())
        write_tabbed(self.to_frame().rename(columns={"FID": "#FID"}), f"{prefix}.eigenvec")


def pca(
    genotypes: str | Path | GenotypeSource,
    n_components: int = 10,
    *,
    variants: ArrayLike | None = None,
    samples: ArrayLike | None = None,
    method: Method = "auto",
    tolerance: float = 1e-6,
    seed: int = 0,
    progress: Progress | None = None,
) -> PcaResult:
    """Principal components of genotypes: leading eigenvectors of the relationship matrix.

    The matrix is the one of `grm` by default, G = Z Z' / m, for copies of the effect allele centred at 2p and
    divided by the root of 2p(1 - p), missing calls at the mean (Patterson, Price & Reich 2006, PLoS Genetics
    2:e190; PLINK 2's ``--pca meanimpute``).

    Parameters
    ----------
    genotypes : str, Path or GenotypeSource
        A genotype file, or genotypes that were opened before.
    n_components : int
        How many components.
    variants : array_like of bool, shape (m,), or of int, optional
        The variants to use; by default those on autosomes, or without a chromosome. Those with one genotype
        only are left out in any case. Variants that are thinned until they are hardly correlated give the
        clearest picture.
    samples : array_like of int or bool, optional
        Positions of the people, or one truth value for each; by default everybody. Frequencies are theirs.
    method : {"auto", "exact", "krylov"}
        ``"exact"`` forms the matrix and takes its eigenvectors; ``"krylov"`` never forms it but multiplies
        blocks of vectors by it, each time in one pass over the genotypes, until the components are as exact
        as ``tolerance`` asks (block Krylov: Musco & Musco 2015, NeurIPS 28). ``"auto"`` is exact up to 5,000
        people.
    tolerance : float
        For ``"krylov"``: the largest |G v - lambda v| / lambda. The angle by which a component is wrong is
        about this times lambda over the gap to the next eigenvalue.
    seed : int
        For the vectors that ``"krylov"`` starts from.
    progress : callable, optional
        For ``"exact"``: called as each block of variants is read, with the number read and of those wanted.

    Returns
    -------
    PcaResult
        Scores, eigenvalues and shares of variance; loadings and the places of other people on demand.

    Raises
    ------
    DataError
        If the genotypes cannot be read, no variant varies, or there are not as many components.

    Examples
    --------
    >>> import numpy as np
    >>> from henderson.association.pca import pca
    >>> from henderson.genotype import ArraySource
    >>> p = np.repeat(np.random.default_rng(1).uniform(0.1, 0.9, (300, 2)), 20, axis=1)  # two populations
    >>> found = pca(ArraySource.of(np.random.default_rng(2).binomial(2, p)), 2)
    >>> len(set(found.scores[:20, 0] > 0)), len(set(found.scores[:, 0] > 0))
    (1, 2)
    """
    _check(n_components, method, tolerance)
    source = open_source(genotypes)
    rows = None if samples is None else chosen_positions("samples", samples, source.samples.n)
    if variants is None:
        mask = autosomes_told(source)
    else:
        mask = np.zeros(source.variants.m, dtype=bool)
        mask[chosen_positions("variants", variants, source.variants.m)] = True
    operator = GenotypeOperator(source, rows, mask=mask)
    n, m = operator.shape
    if n_components > min(n - 1, m):
        raise DataError(
            f"{n_components} components were asked for, but {n:,} people and {m:,} variants have "
            f"{min(n - 1, m):,} at most; ask for fewer (n_components, --n)."
        )
    keep = np.zeros(source.variants.m, dtype=bool)
    keep[operator.variants] = True
    chosen: Literal["exact", "krylov"]
    chosen = ("exact" if n <= _FORMED else "krylov") if method == "auto" else method
    if chosen == "exact":
        matrix = gram(source, rows, keep=keep, progress=progress).matrix
        found = leading_of_matrix(matrix, n_components)
    else:
        found = leading_krylov(operator.apply, n, n_components, tolerance=tolerance, seed=seed)
    return _result(source, rows, operator, found, method=chosen, tolerance=tolerance)


def _result(
    source: GenotypeSource,
    rows: Index | None,
    operator: GenotypeOperator,
    found: Leading,
    *,
    method: Literal["exact", "krylov"],
    tolerance: float,
) -> PcaResult:
    """Signs, shares and notices."""
    people = source.samples if rows is None else source.samples.take(rows)
    counts = count_variants(source, rows).take(operator.variants)
    trace = float((counts.squares / counts.variance("hwe")).mean())
    real = found.values > _NOTHING * trace
    if not real.all():
        raise DataError(
            f"{found.values.size} components were asked for, but these people differ in "
            f"{np.count_nonzero(real)} directions only; ask for no more (n_components, --n)."
        )
    largest = np.abs(found.vectors).argmax(axis=0)
    scores = found.vectors * np.sign(found.vectors[largest, np.arange(largest.size)])
    if method == "exact":
        how = f"from the eigenvectors of the relationship matrix of {people.n:,} people"
    else:
        how = (
            f"by block Krylov iteration, {found.passes} passes over the genotypes, without the matrix of "
            f"{people.n:,} x {people.n:,}; largest relative residual {found.residual:.1g}"
        )
    logger.info(f"{found.values.size} components of {operator.shape[1]:,} variants, {how}")
    notices = tuple(_notices(people, scores))
    if method == "krylov" and found.residual > tolerance:
        notices = (
            f"the components did not settle in {found.passes} passes: the largest relative residual is "
            f"{found.residual:.1g}, and {tolerance:.1g} was asked for; the last ones hardly differ in "
            "eigenvalue, ask for fewer of them.",
            *notices,
        )
    for notice in notices:
        logger.warning(notice)
    return PcaResult(
        samples=people,
        scores=scores,
        eigenvalues=found.values,
        share=found.values / trace,
        n_variants=operator.shape[1],
        method=method,
        residual=found.residual,
        notices=notices,
        _source=source,
        _rows=rows,
        _operator=operator,
    )


def _notices(people: Samples, scores: Floats) -> list[str]:
    """Name the components that few people make: families, or samples that went wrong."""
    effective = 1 / (scores**4).sum(axis=0)
    few = np.flatnonzero(effective < min(_FEW, people.n / 10))
    if not few.size:
        return []
    first = int(few[0])
    most = int(np.abs(scores[:, first]).argmax())
    which = ", ".join(f"PC{component + 1}" for component in few)
    return [
        f"{which}: fewer than {_FEW:g} people make up {'these components' if few.size > 1 else 'it'}, "
        f"PC{first + 1} foremost {people.fid[most]} {people.iid[most]}. They are probably close relatives, "
        "or a sample is wrong: compute the components without them, and project them."
    ]


def _check(n_components: int, method: str, tolerance: float) -> None:
    """Refuse arguments that make no sense."""
    if isinstance(n_components, bool) or not isinstance(n_components, int | np.integer) or n_components < 1:
        raise DataError(f"n_components must be a whole number from 1 up; it is {n_components!r}.")
    if method not in get_args(Method):
        raise DataError(f"method={method!r} is not one of {', '.join(map(repr, get_args(Method)))}.")
    if not 0 < tolerance < 1:
        raise DataError(f"tolerance must lie between 0 and 1; it is {tolerance!r}.")
