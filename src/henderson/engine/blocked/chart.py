"""Charts of the blocks of a plan."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import ByUnit
from henderson.engine.blocked.plan import Plan
from henderson.engine.chart import Chart, ResidualChart, TermChart
from henderson.model import ModelShape

Array = NDArray[np.float64]


def make_chart(model: ModelShape, plan: Plan, scales: tuple[Array, ...], theta: Array) -> Chart:
    """The chart at theta."""
    where = {
        i: (k, columns)
        for k, block in enumerate(plan.blocks)
        for i, columns in zip(block.terms, block.columns, strict=True)
    }
    terms = []
    for i, (term, P, part) in enumerate(zip(model.terms, scales, model.theta_slices(), strict=True)):
        T = term.covariance.factor(theta[part])
        terms.append(TermChart(*where[i], part, P, P @ T, T @ T.T, *term.covariance.derivatives(theta[part])))
    return Chart(tuple(terms), _residual(model, theta), tuple(block.q for block in plan.blocks))


def _residual(model: ModelShape, theta: Array) -> ResidualChart:
    part = model.residual_slice
    if isinstance(model.residual, ByUnit):
        own = theta[part]
        return ResidualChart(part, model.residual.matrix(own), *model.residual.derivatives(own))
    return ResidualChart(part, np.ones((1, 1)), np.empty((0, 1, 1)), np.empty((0, 0, 1, 1)))
