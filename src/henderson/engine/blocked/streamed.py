"""The `blocked` engine for records that were summed batch by batch and are gone.

The sums are kept for each *cell*: a combination of levels of all grouping factors that occurs. Plan and
moments depend on the records through the cells alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import Homogeneous, Residual
from henderson.engine.blocked.moment_engine import Basis, MomentEngine
from henderson.engine.blocked.moments import ColumnMoments, Moments, MomentStack, RandomMoments, by_blocks
from henderson.engine.blocked.plan import Index, Plan, make_plan
from henderson.engine.blocked.residual import Pattern, UnitBlocks
from henderson.engine.blocked.streamed_sums import FixedPart, RandomPart, RecordSums
from henderson.engine.blocked.system import System
from henderson.errors import ModelNotSupportedError
from henderson.model import MixedModel, RandomTerm, SharesTheta

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class StreamedShape(SharesTheta):
    """A `ModelShape` whose records are gone; the codes of its terms are those of the cells."""

    n: int
    p: int
    terms: tuple[RandomTerm, ...]
    residual: Residual


class StreamedEngine(MomentEngine):
    """Penalised least squares from the sums over records that were not kept.

    Parameters
    ----------
    terms : tuple of RandomTerm
        Their codes are those of the cells; of ``z`` only the number of effects counts.
    sums : RecordSums
    fixed : FixedPart
    random : RandomPart
        Both of these sums.
    """

    def __init__(
        self, terms: tuple[RandomTerm, ...], sums: RecordSums, fixed: FixedPart, random: RandomPart
    ) -> None:
        plan = make_plan(terms)
        columns = _Cells(sums, fixed.turn, plan, random.turns)
        moments = Moments(columns.random(), columns.columns(), fixed.gram)
        shape = StreamedShape(sums.n, fixed.kept.size, terms, Homogeneous())
        basis = Basis(random.scales, fixed.R, fixed.Qy, sums.log_weights)
        # each record is a unit of its own, and only their number is ever asked for
        every = np.broadcast_to(np.intp(0), (sums.n, 1))
        units = UnitBlocks((Pattern(np.zeros(1, dtype=np.intp), every),), sums.n)
        super().__init__(shape, basis, System(plan, units, MomentStack([moments]), sums.n))

    @property
    def model(self) -> MixedModel:
        """Refused: the records are gone."""
        raise _gone("the arrays of the model")

    def with_response(self, y: Array) -> NoReturn:
        """Refused: the records are gone."""
        raise _gone("another response")

    def with_fixed(self, X: Array) -> NoReturn:
        """Refused: the records are gone."""
        raise _gone("other fixed effects")

    def with_weights(self, weights: Array | None) -> NoReturn:
        """Refused: the records are gone."""
        raise _gone("other weights")

    def project(self, theta: Array, M: Array) -> NoReturn:
        """Refused: the records are gone."""
        raise _gone("residuals of further columns")


def _gone(what: str) -> ModelNotSupportedError:
    return ModelNotSupportedError(
        f"{what} would need the rows, which were not kept because the data were streamed: fit again "
        "from the files"
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """Sums by cell to sums by level, in the final basis."""

    sums: RecordSums
    turn: Array
    plan: Plan
    turns: tuple[Array, ...]

    def _of_block(self, k: int) -> Array:
        return np.hstack([self.turns[i] for i in self.plan.blocks[k].terms])

    def random(self) -> RandomMoments:
        """Z'Z."""
        plan, n_chain = self.plan, len(self.plan.chain)
        diagonal = tuple(self._between(k, k, b.codes, b.l) for k, b in enumerate(plan.chain))
        cross = {(k, t): self._between(t, k, plan.chain[k].codes, plan.chain[k].l) for k, t in plan.parent}
        places = []
        for k, where in enumerate(plan.places):
            values = np.zeros((plan.chain[k].q, where.column.size))
            for u, group in enumerate(where.group):
                values[:, group] = self._between(k, n_chain + u, where.of_record[u], group.shape[1])
            places.append(values)
        return RandomMoments(diagonal, cross, tuple(places), self._core())

    def columns(self) -> ColumnMoments:
        """Z'[Q y]."""
        u, m = self.sums.u, len(self.turn)
        out = []
        for k, block in enumerate(self.plan.blocks):
            products = np.empty((u, m, block.l))
            for a in range(u):
                for j in range(m):
                    products[a, j] = np.bincount(block.codes, self.sums.cells.product(a, u + j), block.l)
            turned = np.einsum("jm,ajl->aml", self.turn, products, optimize=True)
            values = np.einsum("aq,aml->mql", self._of_block(k), turned, optimize=True)
            out.append(np.ascontiguousarray(values))
        return by_blocks(self.plan, out)

    def _between(self, k: int, t: int, codes: Index, size: int) -> Array:
        """Z_k'Z_t by code, shape (q_k, q_t, size)."""
        u = self.sums.u
        products = np.empty((u, u, size))
        for a in range(u):
            for b in range(a + 1):
                products[a, b] = products[b, a] = np.bincount(codes, self.sums.cells.product(a, b), size)
        half = np.einsum("aq,abl->qbl", self._of_block(k), products, optimize=True)
        values = np.einsum("bt,qbl->qtl", self._of_block(t), half, optimize=True)
        return np.ascontiguousarray(values)

    def _core(self) -> Array:
        plan, n_chain = self.plan, len(self.plan.chain)
        total = np.zeros((plan.n_core, plan.n_core))
        effects = [plan.core_effects(u) for u in range(len(plan.core))]
        for u, b in enumerate(plan.core):
            rows = effects[u]
            total[rows[:, None, :], rows[None, :, :]] = self._between(n_chain + u, n_chain + u, b.codes, b.l)
            for v in range(u):
                each = self._between(n_chain + u, n_chain + v, np.arange(b.codes.size), b.codes.size)
                where = effects[u][:, None, b.codes], effects[v][None, :, plan.core[v].codes]
                np.add.at(total, where, each)
        return np.tril(total) + np.tril(total, -1).T
