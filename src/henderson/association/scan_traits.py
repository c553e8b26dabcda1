"""`scan_traits`: the variants of a genome tested in many traits of the same people."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from henderson.association.columns import Columns, wald
from henderson.association.null_models import NullModels, Traits
from henderson.association.null_scanner import NullScanner
from henderson.association.passes import admit, described, in_order, most_variants, over_blocks
from henderson.association.plain import PlainRegression
from henderson.association.relatedness import Genomic, related_of
from henderson.association.rules import OK, ScanRules
from henderson.association.scanners import Scanner, Test, orthonormal
from henderson.association.sources import open_source
from henderson.association.stages import Components, Method, Stage, stages
from henderson.covariance import RelationshipMatrix
from henderson.errors import DataError
from henderson.formula.deparse import quote
from henderson.genotype import GenotypeSource
from henderson.genotype.blocks import VariantBlock

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Words = NDArray[np.object_]
logger = logging.getLogger("henderson")
#: A statistic this little below the bound is looked at: what its p-value is, decides.
_NEAR = 1.0 - 1e-9


def scan_traits(
    formula: str,
    data: Any,
    genotypes: str | Path | GenotypeSource,
    *,
    traits: Sequence[str],
    relationship: RelationshipMatrix | Genomic | Literal["loco", "grm"] | None = None,
    test: Test = "null",
    loco_components: Components = "chromosome",
    p_below: float | None = None,
    rules: ScanRules | None = None,
    threads: int | None = None,
) -> pd.DataFrame:
    """Test every variant of a genome in each of many traits: the numbers of `scan`, in one table.

    Traits of the same people share one eigendecomposition and one rotation of the variants, and with
    ``test="null"`` all their tests are matrix products. Traits whose values are missing in other people form
    groups of their own, each with its decomposition; the log says how many people are analysed for which.

    Parameters
    ----------
    formula : str
        The model of each trait without a variant, and without the trait: ``"~ age + sex"``.
    data, genotypes, relationship, loco_components, rules, threads
        As for `scan`.
    traits : sequence of str
        Columns of ``data``.
    test : {"null", "exact"}
        Whether variance components are those of the trait's model without a variant, or estimated anew for
        each variant, which takes a hundred times as long.
    p_below : float, optional
        Only tests with ``p_value`` up to this are kept; by default all are, traits times variants rows.

    Returns
    -------
    pandas.DataFrame
        One row for each test that is kept: ``trait``, then the columns of `scan`'s table; traits in the order
        given, variants in that of the genotypes. Variants that are not tested have no rows; the log counts
        them. A trait that cannot be analysed is left out with a warning.

    Raises
    ------
    DataError
        If nothing can be analysed, or an option has no meaning; the message says how to mend it.
    FormulaError
        If the formula cannot be read.

    Examples
    --------
    >>> import numpy as np
    >>> import henderson as hd
    >>> rng = np.random.default_rng(1)
    >>> cohort = hd.ArraySource.of(rng.integers(0, 3, size=(200, 60)))
    >>> people = {"IID": cohort.samples.iid, "a": rng.normal(size=60), "b": cohort.calls[7] + rng.random(60)}
    >>> found = hd.scan_traits("~ 1", people, cohort, traits=["a", "b"], relationship="grm", p_below=1e-6)
    >>> found[["trait", "base_pair_location", "n"]].values.tolist()
    [['b', 8, 60]]
    """
    if p_below is not None and not 0.0 < p_below <= 1.0:
        raise DataError(f"p_below must be a p-value, above 0 and at most 1; it is {p_below!r}")
    names = [traits] if isinstance(traits, str) else list(traits)
    formulas = _formulas(formula, names)
    source = open_source(genotypes)
    method = Method(test, loco_components, rules or ScanRules())
    related = related_of(relationship, formulas[0], source, method.rules)
    models = Traits(formulas, data, source.samples, related, added=1)
    parts: list[Columns] = []
    n_groups = 0
    for nulls in models.groups():
        n_groups += 1
        untested: Counter[str] = Counter()
        number = np.array([names.index(trait) for trait in nulls.traits])
        for stage in stages(nulls, related, method, source.variants.chromosome):
            scanner, _ = stage.prepare()
            found = _kept(source, nulls, stage, scanner, rules=method.rules, p_below=p_below, threads=threads)
            for part, words in found:
                part["trait"] = number[part["trait"]]
                parts.append(part)
                untested.update(words.tolist())
        for why, count in untested.items():
            logger.info(f"{count:,} variants not tested: {why}")
    for _, problem in models.failed:
        logger.warning(str(problem))
    if not n_groups:
        raise models.failed[0][1]
    if n_groups > 1:
        logger.info(f"{n_groups:,} groups of traits have values of different people, each its own models")
    return _as_table(parts, names)


def _formulas(formula: str, traits: Sequence[str]) -> list[str]:
    """The formula of each trait."""
    if not isinstance(formula, str) or not formula.lstrip().startswith("~"):
        raise DataError(
            f"the formula {formula!r} does not begin with ~: give what is right of it, as in '~ age + sex', "
            "and the traits as traits="
        )
    if not traits:
        raise DataError("traits names no column of the table")
    for name in traits:
        if not isinstance(name, str):
            raise DataError(f"traits must be names of columns; {name!r} is a {type(name).__name__}")
        if "`" in name:
            raise DataError(
                f"the column {name!r} has a backtick in its name, which a formula cannot hold; rename it"
            )
        if traits.count(name) > 1:
            raise DataError(f"traits names the column {name!r} more than once")
    return [f"{quote(name)} {formula.lstrip()}" for name in traits]


def _kept(
    source: GenotypeSource,
    nulls: NullModels,
    stage: Stage,
    scanner: Scanner,
    *,
    rules: ScanRules,
    p_below: float | None,
    threads: int | None,
) -> Iterator[tuple[Columns, Words]]:
    """Rows of the table, block by block, and why other variants were not tested.

    ``trait`` and ``variant`` are positions.
    """
    basis = orthonormal(nulls.fits[0].engine.model.X)
    plain = PlainRegression(basis, np.column_stack([fit.engine.model.y for fit in nulls.fits]))

    def work(block: VariantBlock) -> tuple[Columns, Words]:
        given = admit(block, rules, basis)
        known = {"variant": block.variants, **described(source, block)}
        beside = plain.test(given.X, given.missing)
        traits, tested, found = _strong(scanner, given.copies if scanner.as_they_are else given.X, p_below)
        found |= beside.columns(traits, tested)
        at = np.flatnonzero(given.status == OK)[tested]
        rows = in_order({**{name: values[at] for name, values in known.items()}, **found})
        return {"trait": traits, **rows}, given.status[given.status != OK]

    yield from over_blocks(
        source,
        nulls.people,
        stage.variants,
        work,
        side_by_side=scanner.side_by_side,
        threads=threads,
        most=most_variants(len(nulls.fits)),
    )


def _strong(scanner: Scanner, X: Array, p_below: float | None) -> tuple[Index, Index, Columns]:
    """Traits and variants of the tests that are kept, and their columns."""
    if isinstance(scanner, NullScanner) and p_below is not None:
        from scipy.special import chdtri

        beta, standard_error = scanner.effects(X)
        # p-values take longer than the effects: only of tests that may be kept
        traits, tested = np.nonzero(np.abs(beta) >= np.sqrt(_NEAR * chdtri(1.0, p_below)) * standard_error)
        found = wald(beta[traits, tested], standard_error[traits, tested], None)
        found["status"] = np.full(traits.size, OK)
    else:
        tables = scanner.test(X)
        shape = (len(tables), X.shape[0])
        traits, tested = (each.ravel() for each in np.indices(shape))
        found = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    if p_below is None:
        return traits, tested, found
    kept = np.asarray(found["p_value"], dtype=np.float64) <= p_below
    return traits[kept], tested[kept], {name: values[kept] for name, values in found.items()}


def _as_table(parts: Sequence[Columns], traits: Sequence[str]) -> pd.DataFrame:
    """All rows, by trait and variant."""
    import pandas as pd

    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.lexsort((columns.pop("variant"), columns["trait"]))
    codes = columns.pop("trait")[order].astype(np.intp)
    trait = pd.Categorical.from_codes(codes, categories=pd.Index(list(traits)))
    return pd.DataFrame({"trait": trait, **{name: values[order] for name, values in columns.items()}})
