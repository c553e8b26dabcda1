"""The start of the search: moment equations against dense matrices, and REML itself in balanced designs."""

import numpy as np
import pytest

import henderson as hd
from engine.contract import close
from engine.dense import random_model
from henderson.engine.blocked import BlockedEngine, start


@pytest.mark.parametrize("seed", range(8))
def test_expected_squares_against_dense(seed):
    """Sum over levels i, j of B_ij (x) B_ij with B = H_i Z_i'(I - QQ')Z_j, for every pair of blocks."""
    model = random_model(seed, n=70)
    engine = BlockedEngine(model)
    system, designs = engine._system, engine._designs
    plan = designs.plan
    Z = []
    for block, z in zip(plan.blocks, designs.Z, strict=True):
        wide = np.zeros((model.n, block.l, block.q))
        wide[np.arange(model.n), block.codes] = z
        Z.append(wide)
    Q = engine._fixed.columns[:, :-1]
    P = np.eye(model.n) - Q @ Q.T
    effects = [plan.core_effects(u) for u in range(len(plan.core))]
    random, columns = system.parts.first.random, system.parts.first.columns
    A = [*random.diagonal, *(random.core[e[:, None], e[None, :]] for e in effects)]
    C = [*columns.chain, *(columns.core[:, e] for e in effects)]
    H = [np.linalg.inv(a.transpose(2, 0, 1) + np.eye(a.shape[0])).transpose(1, 2, 0) for a in A]
    found = start._spreads(plan, random, A, H, [c[:-1] for c in C])
    for k, left in enumerate(Z):
        for t, right in enumerate(Z):
            between = np.einsum("nia,nm,mjc->ijac", left, P, right)
            B = np.einsum("abi,ijbc->ijac", H[k], between)
            close(found[k, t], np.einsum("ijac,ijbd->abcd", B, B), rel=1e-9)


@pytest.mark.parametrize(
    ("table", "formula"),
    [
        ("dyestuff", "Yield ~ 1 + (1 | Batch)"),
        ("penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)"),
        ("sleepstudy", "Reaction ~ Days + (1 | Subject)"),
    ],
)
def test_moments_come_near_reml_in_balanced_designs(table, formula):
    fit = hd.lmer(formula, hd.example_data(table))
    np.testing.assert_allclose(fit.engine.start(reml=True), fit.theta, rtol=0.15)


def test_start_is_never_singular():
    for seed in range(20):
        engine = BlockedEngine(random_model(seed))
        theta = engine.start(reml=True)
        assert np.isfinite(theta).all()
        for term, part in zip(engine.model.terms, engine.model.theta_slices(), strict=True):
            assert (np.diag(term.covariance.factor(theta[part])) > 0).all()
