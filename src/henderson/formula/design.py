"""What the formula layer hands to `fit`: plain arrays with their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from henderson.formula.spec import ModelSpec


Kind = Literal["us", "diag", "cs", "ar1", "fa"]


@dataclass(frozen=True, slots=True)
class Structure:
    """How the effects of one level, or the residuals of one unit, vary together: a covariance tag.

    Attributes
    ----------
    kind : {"us", "diag", "cs", "ar1", "fa"}
        Unstructured; independent; compound symmetry (one correlation); autoregressive (its powers), all of
        them lme4's; factor-analytic (a few common factors).
    homogeneous : bool
        One variance for all; of no meaning for "us" and "fa".
    k : int
        Number of common factors of "fa"; 0 for the others.

    Examples
    --------
    >>> print(Structure("diag", homogeneous=True), Structure("ar1", homogeneous=True), Structure())
    diag(hom = TRUE) ar1 us
    >>> Structure("cs").around("1 + x", "g")
    'cs(1 + x | g)'
    >>> Structure("fa", k=2).around("0 + env", "g")
    'fa(0 + env | g, k = 2)'
    """

    kind: Kind = "us"
    homogeneous: bool = False
    k: int = 0

    def around(self, effects: str, group: str) -> str:
        """A random term as lme4 writes it: plain parentheses for "us", ``hom`` only where unusual."""
        return self.written(f"{effects} | {group}").removeprefix("us")

    def written(self, inside: str) -> str:
        """The tag with what stands in its parentheses."""
        return f"{self.kind}({inside}{self._option(', ')})"

    def __str__(self) -> str:
        option = self._option("")
        return f"{self.kind}({option})" if option else self.kind

    def _option(self, separator: str) -> str:
        if self.kind == "fa":
            return f"{separator}k = {self.k}"
        if self.kind == "us" or self.homogeneous == (self.kind == "ar1"):
            return ""
        return f"{separator}hom = {'TRUE' if self.homogeneous else 'FALSE'}"


UNSTRUCTURED = Structure()


@dataclass(frozen=True, slots=True)
class RandomDesign:
    """One random term `(effects | group)`, after `||`, `/` and `*` are expanded.

    Attributes
    ----------
    group : str
        Label of the grouping factor as lme4 prints it, such as ``"Subject"`` or ``"cask:batch"``.
    names : tuple of str, length q
        Names of the effects, such as ``("(Intercept)", "Days")``.
    codes : ndarray of int64, shape (n,) or (n, q)
        Level of each row, 0 to ``len(levels) - 1``; only levels that occur. A column for each effect where
        each points to a level of its own.
    levels : sequence of str, length l
        Labels of the levels, in the factor's own order.
    z : ndarray of float64, shape (n, q)
        The numbers that multiply the level's effects in each row.
    structure : Structure
        How the q effects of a level vary together.
    """

    group: str
    names: tuple[str, ...]
    codes: NDArray[np.int64]
    levels: Sequence[str]
    z: NDArray[np.float64]
    structure: Structure = UNSTRUCTURED


@dataclass(frozen=True, slots=True)
class ResidualDesign:
    """A residual covariance that is not a multiple of the identity.

    Attributes
    ----------
    structure : Structure
    group : str or None
        Label of the unit within which residuals are correlated; None where they are not ("diag").
    position_group : str
        Label of the factor that says which row of the structure a record belongs to.
    unit : ndarray of int64, shape (n,), or None
        Unit of each record, 0 to ``n_units - 1``; None where `group` is.
    position : ndarray of int64, shape (n,)
        Position of each record, 0 to ``len(positions) - 1``: at most one record for each position and unit.
    positions : sequence of str
        Labels of the positions that occur, in the factor's own order.
    n_units : int
        Where `group` is None, every record is a unit of its own.
    """

    structure: Structure
    group: str | None
    position_group: str
    unit: NDArray[np.int64] | None
    position: NDArray[np.int64]
    positions: Sequence[str]
    n_units: int

    @property
    def text(self) -> str:
        """As a user would write it: ``"diag(sex)"``, ``"us(trait | iid)"``."""
        inside = self.position_group if self.group is None else f"{self.position_group} | {self.group}"
        return self.structure.written(inside)


@dataclass(frozen=True, slots=True)
class Design:
    """The arrays of a model, for the rows that are used.

    Attributes
    ----------
    y : ndarray, shape (n,)
        The response, before any offset is subtracted.
    X : ndarray, shape (n, p)
        Fixed-effects design, with every column that the formula asks for (rank is judged in `fit`).
    x_names : tuple of str, length p
        R's names of the columns: ``(Intercept)``, ``grplow``, ``Days:grplow``.
    x_assign : tuple of int, length p
        The formula term each column comes from, 0 for the intercept.
    random : tuple of RandomDesign
        In lme4's order: by number of levels, most first.
    weights, offset : ndarray, shape (n,), or None
        Prior weights and the known part of the mean (argument and formula terms added up).
    rows : ndarray of int64, shape (n,)
        Position in the caller's table of each row that is used.
    excluded : ndarray of int64
        Positions (within the subset) that were dropped for missing values, or for zero weight.
    n_rows : int
        Number of rows of the caller's table (after ``subset``).
    notices : tuple of str
        What the user should hear about the data: rows dropped and why.
    spec : ModelSpec
        The stateful recipe that builds X and z for new data.
    residual : ResidualDesign or None
        None for independent residuals of one variance (up to `weights`).
    """

    y: NDArray[np.float64]
    X: NDArray[np.float64]
    x_names: tuple[str, ...]
    x_assign: tuple[int, ...]
    random: tuple[RandomDesign, ...]
    weights: NDArray[np.float64] | None
    offset: NDArray[np.float64] | None
    rows: NDArray[np.int64]
    excluded: NDArray[np.int64]
    n_rows: int
    notices: tuple[str, ...]
    spec: ModelSpec
    residual: ResidualDesign | None = None
