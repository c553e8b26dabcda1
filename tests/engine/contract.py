"""What every engine must answer as the dense twin does. A test class inherits this and names its engine."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg

from engine.dense import (
    Dense,
    at_theta,
    covariance_matrix,
    inward,
    random_model,
    random_theta,
    relationship_matrix,
    relative_covariances,
    residual_matrix,
    stacked_z,
)
from henderson.covariance import Homogeneous

STEP = 1e-30


def close(found, expected, rel=1e-8):
    expected = np.asarray(expected)
    scale = max(1.0, np.abs(expected).max(initial=0.0))
    np.testing.assert_allclose(found, expected, rtol=0, atol=rel * scale)


def close_sized(found, expected, rel=1e-8, size=0.0):
    """Close relative to the largest element, however small that is, or to the size of what was summed."""
    expected = np.asarray(expected)
    scale = max(np.abs(expected).max(initial=0.0), size)
    np.testing.assert_allclose(found, expected, rtol=0, atol=rel * scale)


def complex_gradient(function, x):
    return np.array([function(x + 1j * STEP * e).imag / STEP for e in np.eye(x.size)])


def triangle(q):
    """Elements of a lower triangle, column by column."""
    return [(i, j) for j in range(q) for i in range(j, q)]


def differences(gradient, x, sign, h=1e-5):
    """Derivatives of a gradient, one-sided and of third order: a parameter may be at its bound."""
    rows = []
    for s, e in zip(h * sign, np.eye(x.size), strict=True):
        f0, f1, f2, f3 = (gradient(x + k * s * e) for k in range(4))
        rows.append((-11 * f0 + 18 * f1 - 9 * f2 + 2 * f3) / (6 * s))
    return np.array(rows)


def linear_elements(model):
    """(term, i, j) of each linear parameter of the terms: lower triangles column by column."""
    return [(k, i, j) for k, t in enumerate(model.terms) for i, j in triangle(t.q)]


def unit_matrix(q, i, j):
    E = np.zeros((q, q))
    E[i, j] = E[j, i] = 1.0
    return E


def residual_derivatives(model):
    """dV / d element of sigma^2 R_0 for every element but the first, and for the first at the end."""
    size = 1 if isinstance(model.residual, Homogeneous) else model.residual.covariance.q
    root = np.ones(model.n) if model.weights is None else 1.0 / np.sqrt(model.weights)
    first, *others = (unit_matrix(size, i, j) for i, j in triangle(size))
    matrices = [residual_matrix(model, None if size == 1 else E) for E in (*others, first)]
    return [root[:, None] * R * root for R in matrices]


def tangent(covariance, theta):
    """Moves of S that a structure allows: of each element if all are free, else along each parameter."""
    if covariance.n_theta == covariance.q * (covariance.q + 1) // 2:
        return [unit_matrix(covariance.q, i, j) for i, j in triangle(covariance.q)]
    S = lambda t: covariance_matrix(covariance, t)  # noqa: E731
    moves = []
    for e in np.eye(theta.size):
        first = S(theta + 1j * STEP * e).imag / STEP
        # S is quadratic in a standard deviation, and flat where that is zero
        moves.append(first if first.any() else S(theta + e) - 2.0 * S(theta) + S(theta - e))
    return moves


def moves_of_v(model, theta):
    """dV for each of Kenward and Roger's parameters, (n, n) each: terms first, then the residual."""
    dense = at_theta(model, theta)
    out = []
    for k, (term, part) in enumerate(zip(model.terms, model.theta_slices(), strict=True)):
        for move in tangent(term.covariance, theta[part]):
            S = [np.zeros_like(s) for s in dense.S[:-1]]
            S[k] = move
            out.append(Dense(model, [*S, dense.S[-1]]).V - dense.R)
    if isinstance(model.residual, Homogeneous):
        return [*out, dense.R]
    covariance, own = model.residual.covariance, np.append(1.0, theta[model.residual_slice])
    if covariance.n_theta == covariance.q * (covariance.q + 1) // 2:
        return out + residual_derivatives(model)
    moves = [covariance_matrix(covariance, own + 1j * STEP * e).imag / STEP for e in np.eye(own.size)[1:]]
    root = np.ones(model.n) if model.weights is None else 1.0 / np.sqrt(model.weights)
    return [*out, *(root[:, None] * residual_matrix(model, R0) * root for R0 in moves), dense.R]


class EngineContract:
    """Inherit, set ``models`` and ``make``; another kind of model or no weights where the engine needs it."""

    models: tuple = ()
    takes_weights = True

    def model(self, seed):
        return random_model(seed)

    def make(self, model):
        raise NotImplementedError

    @pytest.fixture(params=[False, True], ids=["regular", "singular"])
    def singular(self, request):
        return request.param

    def cases(self, singular):
        for seed in self.models:
            model = self.model(seed)
            yield model, self.make(model), random_theta(model, np.random.default_rng(seed), singular=singular)

    def test_pieces_of_the_criterion(self, singular):
        for model, engine, theta in self.cases(singular):
            dense, found = at_theta(model, theta), engine.criterion(theta)
            close(found.logdet_v, dense.logdet_v)
            close(found.logdet_x, dense.logdet_x)
            assert found.pwrss == pytest.approx(dense.pwrss, rel=1e-8)
            for reml in (False, True):
                close(found.profiled(reml), dense.profiled(reml))
                close(found.unprofiled(0.7, reml), dense.unprofiled(0.7, reml))

    def test_gradients_against_complex_step(self, singular):
        for model, engine, theta in self.cases(singular):
            found = engine.criterion(theta)
            for name in ("logdet_v", "logdet_x", "pwrss"):
                expected = complex_gradient(
                    lambda t, name=name, m=model: getattr(at_theta(m, t), name), theta
                )
                close(getattr(found, f"d_{name}"), expected)
            for reml in (False, True):
                expected = complex_gradient(lambda t, m=model, r=reml: at_theta(m, t).profiled(r), theta)
                close(found.profiled_gradient(reml), expected)
                expected = complex_gradient(
                    lambda x, m=model, r=reml: at_theta(m, x[:-1]).unprofiled(x[-1], r), np.append(theta, 0.7)
                )
                close(found.unprofiled_gradient(0.7, reml), expected)

    def test_hessian_against_differences(self, singular):
        for model, engine, theta in self.cases(singular):
            for reml in (False, True):
                expected = differences(
                    lambda t, e=engine, r=reml: e.criterion(t).profiled_gradient(r),
                    theta,
                    inward(model, theta),
                )
                close(engine.profiled_hessian(theta, reml=reml, kind="observed"), expected, rel=1e-6)

    def test_covariance_gradient(self, singular):
        for model, engine, theta in self.cases(singular):
            S = relative_covariances(model, theta)
            found = engine.covariance_gradient(theta, reml=True)
            for k, i, j in linear_elements(model):
                moved = [None if s is None else s.astype(complex) for s in S]
                moved[k][i, j] += 1j * STEP
                if i != j:
                    moved[k][j, i] += 1j * STEP
                slope = Dense(model, moved).profiled(True).imag / STEP
                close(found[k][i, j] * (1 if i == j else 2), slope)

    def test_information(self, singular):
        for model, engine, theta in self.cases(singular):
            for reml in (False, True):
                self.check_information(model, engine, theta, reml)

    def check_information(self, model, engine, theta, reml):
        dense = at_theta(model, theta)
        s = dense.sigma2(reml)
        # absolute linear parameters, in which V is a sum of fixed matrices
        derivatives = []
        for k, i, j in linear_elements(model):
            E = [np.zeros_like(S) for S in dense.S[:-1]]
            E[k][i, j] = E[k][j, i] = 1.0
            derivatives.append(Dense(model, [*E, dense.S[-1]]).V - dense.R)
        derivatives += residual_derivatives(model)
        P, Q = dense.P / s, (dense.P if reml else dense.Vi) / s
        y = model.y
        trace = np.array([[np.trace(Q @ A @ Q @ B) for B in derivatives] for A in derivatives])
        score = np.array([[y @ P @ A @ P @ B @ P @ y for B in derivatives] for A in derivatives])
        close(engine.information(theta, reml=reml, kind="expected").linear, 0.5 * trace)
        close(engine.information(theta, reml=reml, kind="average").linear, 0.5 * score)
        close(engine.information(theta, reml=reml, kind="observed").linear, score - 0.5 * trace)
        # observed in (theta, sigma^2): differences of the exact gradient
        expected = 0.5 * differences(
            lambda x: engine.criterion(x[:-1]).unprofiled_gradient(x[-1], reml),
            np.append(theta, s),
            np.append(inward(model, theta), 1.0),
        )
        close(engine.information(theta, reml=reml, kind="observed").theta_sigma2, expected, rel=1e-5)

    def test_solution(self, singular):
        for model, engine, theta in self.cases(singular):
            dense = at_theta(model, theta)
            for reml in (False, True):
                s = dense.sigma2(reml)
                found = engine.solution(theta, reml=reml)
                assert found.sigma2 == pytest.approx(s, rel=1e-8)
                beta = np.linalg.solve(dense.XVX, model.X.T @ dense.Vi @ model.y)
                close(found.beta, beta)
                close(found.cov_beta, s * np.linalg.inv(dense.XVX))
                b = dense.G @ dense.Z.T @ dense.P @ model.y
                close(np.concatenate([t.b.ravel() for t in found.terms]), b)
                cov = s * (dense.G - dense.G @ dense.Z.T @ dense.Vi @ dense.Z @ dense.G)
                at = 0
                for term, t in zip(model.terms, found.terms, strict=True):
                    for level in range(term.n_levels):
                        own = slice(at, at + term.q)
                        close(t.cond_var[level], cov[own, own])
                        at += term.q
                fitted = model.mean(found.beta, [t.b for t in found.terms])
                close(fitted, model.X @ beta + dense.Z @ b)
                residual = model.y - fitted
                assert found.wrss == pytest.approx(residual @ np.linalg.inv(dense.R) @ residual, rel=1e-7)
                assert found.wrss + found.ussq == pytest.approx(dense.pwrss, rel=1e-9)

    def test_fixed_slopes(self, singular):
        for model, engine, theta in self.cases(singular):
            # in an orthonormal basis of X, so that the twin loses no digits
            Q, R = np.linalg.qr(model.X)
            twin, back = replace(model, X=Q), np.linalg.inv(R)
            dense = at_theta(twin, theta)
            C = np.linalg.inv(dense.XVX)
            for reml in (False, True):
                s = dense.sigma2(reml)
                found = engine.fixed_slopes(theta, reml=reml)
                assert found.shape == (theta.size + 1, model.p, model.p)
                close_sized(found[-1], back @ C @ back.T)
                for own, e in zip(found, np.eye(theta.size), strict=False):
                    moved = at_theta(twin, theta + 1j * STEP * e)
                    expected = s * np.linalg.inv(moved.XVX).imag / STEP
                    summed = s * np.abs(back @ C @ Q.T @ dense.Vi)
                    size = summed @ np.abs(moved.V.imag / STEP) @ summed.T / s
                    close_sized(own, back @ expected @ back.T, size=size.max())

    def test_kenward_rogers_pieces(self, singular):
        for model, engine, theta in self.cases(singular):
            dense, X = at_theta(model, theta), model.X
            s = dense.sigma2(True)
            VX, P = dense.Vi @ X / s, dense.P / s
            moves = moves_of_v(model, theta)
            moved = [dV @ VX for dV in moves]
            summed = [np.abs(dV) @ np.abs(VX) for dV in moves]
            found = engine.kr_pieces(theta)
            assert len(found.P) == len(moves)
            for i, left in enumerate(moved):
                size = np.abs(VX).T @ summed[i]
                close_sized(found.P[i], -VX.T @ left, size=size.max())
                for j, right in enumerate(moved):
                    size = summed[i].T @ np.abs(P) @ summed[j]
                    close_sized(found.Q[i, j], left.T @ P @ right, size=size.max())
            rotated = [P @ dV for dV in moves]
            traces = np.array([[np.sum(a * b.T) for b in rotated] for a in rotated])
            root = np.sqrt(np.maximum(np.diag(traces), 1e-300))
            close(found.trace / np.outer(root, root), traces / np.outer(root, root))

    def test_posterior_covariance(self, singular):
        for model, engine, theta in self.cases(singular):
            dense = at_theta(model, theta)
            X, Z, G = model.X, stacked_z(model), dense.G
            # Henderson's (1975) joint covariance of (beta_hat, b_hat - b), valid where G is singular
            Cxx = np.linalg.inv(dense.XVX)
            Czx = -G @ Z.T @ dense.Vi @ X @ Cxx
            Czz = G - G @ Z.T @ dense.P @ Z @ G
            C = np.block([[Cxx, Czx.T], [Czx, Czz]])
            A = np.random.default_rng(0).normal(size=(C.shape[0], 3))
            close(engine.posterior_cov(theta, A, reml=True), dense.sigma2(True) * A.T @ C @ A)

    def test_effect_covariance(self, singular):
        for model, engine, theta in self.cases(singular):
            dense, rng = at_theta(model, theta), np.random.default_rng(3)
            # a column for each effect of a term whose effects point to different levels
            wide = [t.codes.reshape(model.n, -1).shape[1] for t in model.terms]
            free = np.hstack(
                [rng.integers(-1, t.n_levels, (40, w)) for t, w in zip(model.terms, wide, strict=True)]
            )
            records = np.column_stack([t.codes for t in model.terms])
            half = np.where(rng.random(free.shape) < 0.7, records[rng.integers(0, model.n, 40)], free)
            levels = np.vstack([free, half, records])
            # after the effects that were seen stand those of one unseen level of each term
            ends = np.cumsum([0, *(t.n_levels * t.q for t in model.terms)])
            cov = dense.G - dense.G @ dense.Z.T @ dense.Vi @ dense.Z @ dense.G
            own = [np.diag(relationship_matrix(t)).mean() for t in model.terms]
            # unseen levels that several effects point to are not the same
            alone = [S * np.eye(len(S)) if w > 1 else S for S, w in zip(dense.S, wide, strict=False)]
            cov = scipy.linalg.block_diag(cov, *(S * g for S, g in zip(alone, own, strict=True)))
            link = dense.G @ dense.Z.T @ dense.Vi @ model.X
            link = np.vstack([link, np.zeros((len(cov) - len(link), model.p))])
            unseen = ends[-1] + np.cumsum([0, *(t.q for t in model.terms)])
            starts = np.cumsum([0, *wide])
            at = [
                np.where(level < 0, unseen[k], ends[k] + level * t.q) + np.arange(t.q)
                for k, t in enumerate(model.terms)
                for level in [levels[:, starts[k] : starts[k + 1]]]
            ]
            at = np.hstack(at)
            for reml in (False, True):
                found = engine.effect_cov(theta, levels, reml=reml)
                close(found.C, dense.sigma2(reml) * cov[at[:, :, None], at[:, None, :]])
                close(found.B, link[at])
            assert engine.effect_cov(theta, levels[:0], reml=True).C.shape == (0, at.shape[1], at.shape[1])

    def test_projection(self, singular):
        for model, engine, theta in self.cases(singular):
            M = np.random.default_rng(1).normal(size=(model.n, 3))
            close(engine.project(theta, M), at_theta(model, theta).P @ M)

    def test_changed_parts_equal_a_fresh_engine(self):
        for model, engine, theta in self.cases(False):
            rng = np.random.default_rng(2)
            y, w = rng.normal(size=model.n), rng.uniform(0.5, 2.0, model.n)
            X = np.column_stack([model.X, rng.normal(size=model.n)])
            changed = [engine.with_response(y), engine.with_fixed(X), engine.with_weights(None)]
            changed.append(engine.with_fixed(X).with_response(y))
            if self.takes_weights:
                changed.append(engine.with_weights(w))
                changed.append(engine.with_weights(w).with_fixed(X).with_response(y))
            for other in changed:
                fresh = self.make(other.model)
                for reml in (False, True):
                    expected = fresh.criterion(theta)
                    close(other.criterion(theta).profiled(reml), expected.profiled(reml), rel=1e-11)
                    close(
                        other.criterion(theta).profiled_gradient(reml),
                        expected.profiled_gradient(reml),
                        rel=1e-9,
                    )
