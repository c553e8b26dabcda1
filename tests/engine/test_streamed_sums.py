"""The engine from sums over batches beside the engine that holds all records."""

import numpy as np
import pytest

from henderson.covariance import Unstructured
from henderson.engine.blocked import BlockedEngine
from henderson.engine.blocked.streamed import StreamedEngine
from henderson.engine.blocked.streamed_sums import Preliminary, RandomPart, RecordSums
from henderson.errors import ModelNotSupportedError
from henderson.model import MixedModel, RandomTerm

N = 400


def layout(name, rng):
    """Codes of the grouping factors, and which of the columns 1, x, z each term takes."""
    a = rng.integers(0, 30, N)
    b = rng.integers(0, 8, N)
    if name == "one":
        return [(a, [0])]
    if name == "slopes":
        return [(a, [0, 1]), (a, [2])]
    if name == "nested":
        return [(a, [0, 1]), (a // 4, [0]), (a // 12, [0])]
    if name == "crossed":
        return [(a, [0]), (b, [0, 1])]
    return [(a, [0]), (a // 6, [0, 2]), (b, [0, 1]), (rng.integers(0, 5, N), [0])]


def data(name, *, weighted=False, seed=0):
    """A model in memory, and its records as the streamed engine takes them."""
    rng = np.random.default_rng(seed)
    columns = np.column_stack([np.ones(N), rng.normal(size=N) + 3, rng.normal(size=N) * 50])
    weights = rng.gamma(2.0, size=N) if weighted else None
    terms, cells = [], []
    for group, own in layout(name, rng):
        levels, codes = np.unique(group, return_inverse=True)
        terms.append(RandomTerm("g", codes, levels.size, columns[:, own], Unstructured(len(own))))
        cells.append(codes)
    X = columns[:, :2]
    y = 5 + X[:, 1] + rng.normal(size=30)[cells[0]] + rng.normal(size=N)
    combinations, cell = np.unique(np.column_stack(cells), axis=0, return_inverse=True)
    places = [np.array(own) for _, own in layout(name, np.random.default_rng(seed))]
    by_cell = tuple(
        RandomTerm(t.label, codes, t.n_levels, np.zeros((len(codes), t.q)), t.covariance)
        for t, codes in zip(terms, combinations.T, strict=True)
    )
    return MixedModel(y, X, tuple(terms), weights), columns, cell.ravel(), by_cell, places


def streamed(model, columns, cell, by_cell, places, *, sample, batches=3):
    random = np.unique(np.concatenate(places))
    Xy = np.column_stack([model.X, model.y])[sample]
    sums = RecordSums(Preliminary.learn(Xy, columns[sample][:, random]), columns.shape[1], random)
    for rows in np.array_split(np.arange(N), batches):
        w = None if model.weights is None else model.weights[rows]
        sums.add(cell[rows], columns[rows], model.y[rows], w)
    fixed, part = sums.fixed(), RandomPart.of(sums, places)
    return StreamedEngine(by_cell, sums, fixed, part)


def same(a, b, tol=1e-9):
    np.testing.assert_allclose(a, b, rtol=tol, atol=tol * (1.0 + np.abs(b).max()))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", ["one", "slopes", "nested", "crossed", "chain and core"])
def test_as_with_all_records(name, weighted):
    model, columns, cell, by_cell, places = data(name, weighted=weighted)
    engine = streamed(model, columns, cell, by_cell, places, sample=slice(0, 60))
    whole = BlockedEngine(model)
    rng = np.random.default_rng(1)
    for theta in (whole.start(reml=True), rng.normal(size=model.n_theta), np.zeros(model.n_theta)):
        ours, theirs = engine.criterion(theta), whole.criterion(theta)
        for reml in (True, False):
            assert ours.profiled(reml) == pytest.approx(theirs.profiled(reml), rel=1e-11)
            same(ours.profiled_gradient(reml), theirs.profiled_gradient(reml))
            same(*(e.profiled_hessian(theta, reml=reml, kind="average") for e in (engine, whole)), 1e-8)
        found, expected = (e.solution(theta, reml=True) for e in (engine, whole))
        same(found.beta, expected.beta)
        same(found.cov_beta, expected.cov_beta)
        for a, b in zip(found.terms, expected.terms, strict=True):
            same(a.b, b.b)
            same(a.cond_var, b.cond_var)
    same(engine.start(reml=True), whole.start(reml=True))
    for a, b in zip(*(e.scaled_factors(np.ones(model.n_theta)) for e in (engine, whole)), strict=True):
        same(a, b)


def test_a_poor_basis_is_known_and_mended():
    """The sample shows nothing of a step, nor of a slope far from zero: the sums tell, and mend it."""
    model, columns, cell, by_cell, _ = data("slopes")
    late = np.arange(N) >= 30
    columns[:, 2] = np.where(late, 1e6 + columns[:, 2], 1e6)
    X = np.column_stack([columns, late])
    y = model.y + 1e7 * late
    codes = model.terms[0].codes
    whole = BlockedEngine(
        MixedModel(y, X, (RandomTerm("g", codes, 30, columns[:, [0, 2]], Unstructured(2)),))
    )
    basis = Preliminary.learn(np.column_stack([X, y])[:30], columns[:30, [0, 2]])
    straight = []
    for _ in range(3):
        sums = RecordSums(basis, 4, np.array([0, 2]))
        sums.add(cell, X, y, None)
        fixed, part = sums.fixed(), RandomPart.of(sums, [np.array([0, 2])])
        straight.append((fixed.straight, part.straight))
        basis = Preliminary.learn(fixed.factor, sums.z_factor())
    assert straight[0] == (False, False)
    assert straight[-1] == (True, True)
    engine = StreamedEngine(by_cell[:1], sums, fixed, part)
    theta = whole.start(reml=True)
    criterion = whole.criterion(theta).profiled(True)
    assert engine.criterion(theta).profiled(True) == pytest.approx(criterion, rel=1e-9)


def test_rank_is_that_of_all_records():
    """A column that depends on others in the sample alone stays; one that always does is dropped."""
    model, columns, cell, *_ = data("one")
    x = columns[:, 1]
    rare = (np.arange(N) == 399).astype(float)
    X = np.column_stack([np.ones(N), x, rare, 2 * x - 1, x + 1e-9 * columns[:, 2]])
    random = np.array([0])
    sums = RecordSums(Preliminary.learn(np.column_stack([X, model.y])[:50], X[:50, :1]), 5, random)
    sums.add(cell, X, model.y, None)
    fixed = sums.fixed()
    assert fixed.kept.tolist() == [0, 1, 2]
    np.testing.assert_allclose(
        fixed.factor.T @ fixed.factor, (c := np.column_stack([X, model.y])).T @ c, rtol=1e-9
    )


def test_what_needs_records_is_refused():
    model, columns, cell, by_cell, places = data("one")
    engine = streamed(model, columns, cell, by_cell, places, sample=slice(0, 60))
    for question in (
        lambda: engine.model,
        lambda: engine.with_response(model.y),
        lambda: engine.with_fixed(model.X),
        lambda: engine.with_weights(None),
        lambda: engine.project(np.ones(1), model.X),
    ):
        with pytest.raises(ModelNotSupportedError, match="rows, which were not kept"):
            question()
