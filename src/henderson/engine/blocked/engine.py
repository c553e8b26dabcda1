"""The `blocked` engine: grouping factors, nested or crossed, with vector-valued effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import ByUnit, Homogeneous, Identity
from henderson.engine.basis import FixedBasis, column_scale, fixed_basis, with_response
from henderson.engine.blocked.curvature import Scores
from henderson.engine.blocked.moment_engine import Basis, MomentEngine, State
from henderson.engine.blocked.moments import (
    Moments,
    MomentStack,
    RandomMoments,
    column_moments,
    random_moments,
)
from henderson.engine.blocked.plan import Plan, make_plan
from henderson.engine.blocked.replicates import Levels, Replicates, has_linear_factors
from henderson.engine.blocked.residual import UnitBlocks, unit_blocks
from henderson.engine.blocked.system import System
from henderson.engine.directions import Direction, by_direction
from henderson.errors import ModelNotSupportedError
from henderson.model import MixedModel

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Designs:
    """Everything that does not depend on y or X: reused by `with_response` and `with_fixed`."""

    plan: Plan
    units: UnitBlocks
    scales: tuple[Array, ...]
    root_weights: Array | None
    Z: tuple[Array, ...]

    @property
    def log_weights(self) -> float:
        return 0.0 if self.root_weights is None else 2.0 * float(np.log(self.root_weights).sum())

    @cached_property
    def plans(self) -> tuple[Plan, ...]:
        """The plan at the records of each part of the units."""
        if len(self.units.parts) == 1:
            return (self.plan,)
        return tuple(self.plan.at(rows) for rows, _ in self.units.parts)

    def parts(self, M: Array) -> tuple[Array, ...]:
        """The records of each part, or their sums, of columns M (n, m)."""
        if len(self.units.parts) == 1:
            return (M,)
        return tuple(M[a] if b is None else M[a] + M[b] for a, b in self.units.parts)

    @cached_property
    def parts_of_Z(self) -> tuple[tuple[Array, ...], ...]:
        """The same of the designs of all blocks."""
        return tuple(zip(*(self.parts(z) for z in self.Z), strict=True))

    @cached_property
    def random(self) -> tuple[RandomMoments, ...]:
        """Z'Z of each part."""
        return tuple(random_moments(plan, Z) for plan, Z in zip(self.plans, self.parts_of_Z, strict=True))

    def moments(self, columns: Array) -> tuple[Moments, ...]:
        """All cross-products of each part, for columns [Q y]."""
        quads = zip(self.plans, self.parts_of_Z, self.random, self.parts(columns), strict=True)
        return tuple(Moments(random, column_moments(plan, Z, M), M.T @ M) for plan, Z, random, M in quads)


class BlockedEngine(MomentEngine):
    """Penalised least squares by blocked Cholesky; nothing depends on n after set-up.

    Bates et al. (2015), J. Stat. Softw. 67(1), sections 3.2-3.4.

    Parameters
    ----------
    model : MixedModel
        A model with independent levels (G = I); residuals of one variance, or with a structure within units
        of which each lies within one level of every grouping factor.

    Raises
    ------
    ModelNotSupportedError
        For a relationship between levels, units of the residuals that are spread over levels, effects of one
        term that point to different levels, or crossed factors too large for a dense matrix.

    Examples
    --------
    >>> from henderson.covariance import Unstructured
    >>> from henderson.model import RandomTerm
    >>> y = np.array([1.0, 2.0, 4.0, 5.0])
    >>> codes = np.array([0, 0, 1, 1])
    >>> term = RandomTerm("g", codes, 2, np.ones((4, 1)), Unstructured(1))
    >>> engine = BlockedEngine(MixedModel(y, np.ones((4, 1)), (term,)))
    >>> round(engine.criterion(np.array([1.0])).profiled(reml=True), 6)
    11.861584
    """

    def __init__(self, model: MixedModel) -> None:
        reason = obstacle(model)
        if reason is not None:
            raise ModelNotSupportedError(reason)
        plan = make_plan(model.terms)
        scales = tuple(column_scale(term.z) for term in model.terms)
        self._setup(model, _designs(model, plan, unit_blocks(model.residual, model.n), scales), None)

    def _setup(self, model: MixedModel, designs: _Designs, fixed: FixedBasis | None) -> None:
        self.model = model
        self._designs = designs
        self._fixed = fixed or fixed_basis(model.X, model.y, designs.root_weights)
        basis = Basis(designs.scales, self._fixed.R, self._fixed.Qy, designs.log_weights)
        parts = MomentStack(designs.moments(self._fixed.columns))
        super().__init__(model, basis, System(designs.plan, designs.units, parts, model.n))

    @classmethod
    def _derived(cls, model: MixedModel, designs: _Designs, fixed: FixedBasis | None) -> BlockedEngine:
        engine = cls.__new__(cls)
        engine._setup(model, designs, fixed)
        return engine

    def with_response(self, y: Array) -> BlockedEngine:
        """The same model for another response; all but the moments of y are shared."""
        root = self._designs.root_weights
        Q = self._fixed.columns[:, :-1]
        fixed = with_response(Q, self._fixed.R, y if root is None else y * root)
        engine = self._derived(replace(self.model, y=y), self._designs, fixed)
        engine._equations, engine._coordinates = self._equations, self._coordinates
        return engine

    @property
    def takes_replicates(self) -> bool:
        """Whether `replicates` takes this model."""
        one_factor = len(self._designs.plan.blocks) == 1
        return one_factor and isinstance(self.model.residual, Homogeneous) and has_linear_factors(self.model)

    def replicates(self, Y: Array) -> Replicates:
        """The same model for the columns of Y (n, k), side by side.

        Takes one grouping factor, terms that are unstructured or diagonal, and independent residuals.
        """
        plan, root = self._designs.plan, self._designs.root_weights
        columns = Y if root is None else Y * root[:, None]
        Q = self._fixed.columns[:, :-1]
        Qy = Q.T @ columns
        left = columns - Q @ Qy
        again = Q.T @ left  # see `basis.with_response`
        left -= Q @ again
        moments = self._system.parts.first
        (ZQ,), (A,) = moments.columns.chain, moments.random.diagonal
        return Replicates(
            self.model,
            self._basis,
            Levels.of(A, ZQ[:-1]),
            self._moment_equations(moments),
            ZY=column_moments(plan, self._designs.Z, left).chain[0],
            Qy=(Qy + again).T,
            rss=np.einsum("nk,nk->k", left, left),
        )

    def with_fixed(self, X: Array) -> BlockedEngine:
        """The same model with other fixed effects; all of Z'Z is shared."""
        return self._derived(replace(self.model, X=X), self._designs, None)

    def with_weights(self, weights: Array | None) -> BlockedEngine:
        """The same model with other prior weights; the plan of elimination is shared."""
        model, old = replace(self.model, weights=weights), self._designs
        return self._derived(model, _designs(model, old.plan, old.units, old.scales), None)

    def project(self, theta: Array, M: Array) -> Array:
        """P M for M (n, m), with V relative to sigma^2."""
        root = self._designs.root_weights
        if root is None:
            return self._project(theta, M)
        return self._project(theta, M * root[:, None]) * root[:, None]

    def _project(self, theta: Array, columns: Array) -> Array:
        """P M for the model of W^1/2 y."""
        point, designs = self._at(theta).point, self._designs
        columns = designs.units.times_inverse(point.R_inverses, columns)
        reduced = point.factor.reduce(column_moments(designs.plan, designs.Z, columns))
        Q = self._fixed.columns[:, :-1]
        XVM = Q.T @ columns - point.factor.gram(point.reduced, reduced)[:-1]
        beta = point.XVX_inverse @ XVM
        b = point.factor.solve(reduced).b
        pairs = zip(b, point.solved.b, strict=True)
        effects = [own - np.tensordot(beta.T, x[:-1], axes=1) for own, x in pairs]
        taken = Q @ beta + self._effects_of_records(effects)
        return np.asarray(columns - designs.units.times_inverse(point.R_inverses, taken))

    def _scores(self, at: State) -> Scores:
        if isinstance(self.model.residual, Homogeneous):
            return super()._scores(at)

        def scores(directions: list[Direction]) -> Array:
            # V_i P y of all records: R_i is not made of moments
            Py = self._project(at.theta, self._fixed.columns[:, -1:])
            ZPy = tuple(at.point.contrast(ZV)[None] for ZV in at.point.solved.ZVM)
            moved = np.hstack([self._moved(d, Py, ZPy) for d in directions])
            return 2.0 * moved.T @ self._project(at.theta, moved)

        return scores

    def _moved_products(self, at: State, directions: list[Direction]) -> Array:
        if isinstance(self.model.residual, Homogeneous):
            return super()._moved_products(at, directions)
        solved, designs, Q = at.point.solved, self._designs, self._fixed.columns[:, :-1]
        left = Q - self._effects_of_records([b[:-1] for b in solved.b])
        VQ = designs.units.times_inverse(at.point.R_inverses, left)
        ZVQ = tuple(ZV[:-1] for ZV in solved.ZVM)
        moved = np.hstack([self._moved(d, VQ, ZVQ) for d in directions])
        return by_direction(moved.T @ self._project(at.theta, moved), len(directions))

    def _moved(self, direction: Direction, VM: Array, ZVM: tuple[Array, ...]) -> Array:
        """(dV) V^-1 M along a direction, for the model of W^1/2 y, from V^-1 M and Z'V^-1 M; (n, m)."""
        if direction.R is not None:
            return self._designs.units.times(direction.R, VM)
        pairs = zip(direction.S, ZVM, strict=True)
        return self._effects_of_records([np.zeros_like(v) if dS is None else dS @ v for dS, v in pairs])

    def _effects_of_records(self, effects: Sequence[Array]) -> Array:
        """Z u for effects (m, q, l) per block, for the model of W^1/2 y; shape (n, m)."""
        designs = self._designs
        triples = zip(designs.Z, designs.plan.blocks, effects, strict=True)
        return sum(
            (np.einsum("nq,mqn->nm", z, u[:, :, block.codes]) for z, block, u in triples),
            start=np.zeros((self.model.n, len(effects[0]))),
        )


def obstacle(model: MixedModel) -> str | None:
    """Why this engine does not take the structure of a model; None for one that it takes."""
    for term in model.terms:
        if not isinstance(term.relationship, Identity):
            return (
                f"the levels of '{term.label}' have a relationship matrix; "
                "the blocked engine takes unrelated levels"
            )
        if term.codes.ndim != 1:
            return (
                f"the effects of '{term.label}' point to different levels within one row; "
                "the blocked engine takes one level per row and term"
            )
        if isinstance(model.residual, ByUnit) and not _lies_within(model.residual, term.codes):
            return (
                f"records of one unit of residual='{model.residual.label}' lie in different levels of "
                f"'{term.label}'; the blocked engine takes units that lie within one level of every grouping "
                "factor"
            )
    return None


def _lies_within(residual: ByUnit, codes: NDArray[np.int64]) -> bool:
    level = np.zeros(residual.n_units, dtype=np.int64)
    level[residual.unit] = codes
    return np.array_equal(level[residual.unit], codes)


def _designs(model: MixedModel, plan: Plan, units: UnitBlocks, scales: tuple[Array, ...]) -> _Designs:
    root = None if model.weights is None else np.sqrt(model.weights)
    Z = []
    for block in plan.blocks:
        parts = [_orthonormal(model.terms[i].z, scales[i], root) for i in block.terms]
        Z.append(parts[0] if len(parts) == 1 else np.hstack(parts))
    return _Designs(plan, units, scales, root, tuple(Z))


def _orthonormal(z: Array, scale: Array, root_weights: Array | None) -> Array:
    out = z / scale[0, 0] if z.shape[1] == 1 else z @ np.linalg.inv(scale)
    return out if root_weights is None else out * root_weights[:, None]
