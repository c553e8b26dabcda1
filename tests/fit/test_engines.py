"""Which engine solves which structure."""

import numpy as np
import pytest
from scipy.sparse import csc_array

from henderson.covariance import (
    ByUnit,
    DenseRelationship,
    FactorRelationship,
    Homogeneous,
    Identity,
    Precision,
    SparseFactorRelationship,
    Unstructured,
)
from henderson.engine.blocked import BlockedEngine
from henderson.engine.dense import DenseEngine
from henderson.engine.sparse import SparseEngine
from henderson.engine.spectral import SpectralEngine
from henderson.fit.engines import choose_engine
from henderson.model import MixedModel, RandomTerm

L = 8
ROOT = np.tril(np.random.default_rng(0).normal(size=(L, L)))
G = {
    "identity": Identity(),
    "dense": DenseRelationship(ROOT @ ROOT.T),
    "factor": FactorRelationship(ROOT[:, :3]),
    "sparse": SparseFactorRelationship(csc_array(ROOT)),
    "precision": Precision(csc_array(ROOT @ ROOT.T)),
}


def model(*kinds, records=2, q=1, weighted=False, strata=False):
    n = records * L
    rng = np.random.default_rng(1)
    codes = np.arange(n) % L
    terms = tuple(
        RandomTerm(f"g{k}", np.roll(codes, k), L, np.ones((n, q)), Unstructured(q), G[kind])
        for k, kind in enumerate(kinds)
    )
    residual = Homogeneous()
    if strata:
        residual = ByUnit("us(h | u)", ("a", "b"), codes, np.arange(n) // L, L, Unstructured(2))
    weights = rng.uniform(0.5, 2, n) if weighted else None
    return MixedModel(rng.normal(size=n), np.ones((n, 1)), terms, weights, residual)


@pytest.mark.parametrize(
    ("engine", "kinds", "options"),
    [
        (BlockedEngine, ["identity"], {}),
        (BlockedEngine, ["identity", "identity"], {"weighted": True}),
        (SpectralEngine, ["dense"], {"records": 1}),
        (SpectralEngine, ["factor"], {"records": 1}),
        (DenseEngine, ["dense"], {"records": 1, "weighted": True}),
        (DenseEngine, ["dense"], {}),
        (DenseEngine, ["dense", "identity"], {"records": 1}),
        (DenseEngine, ["dense", "precision"], {}),
        (DenseEngine, ["factor", "dense"], {}),
        (SparseEngine, ["precision"], {"records": 1}),
        (SparseEngine, ["precision", "identity"], {"weighted": True}),
        (SparseEngine, ["sparse", "precision"], {}),
        (DenseEngine, ["precision"], {"strata": True}),
        (BlockedEngine, ["identity"], {"strata": True}),
    ],
)
def test_structure_and_engine(engine, kinds, options):
    chosen = choose_engine(model(*kinds, **options))
    assert type(chosen) is engine
    assert chosen.explanation
