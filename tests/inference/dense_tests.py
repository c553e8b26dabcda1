"""Kenward and Roger's and Satterthwaite's tests from textbook formulas with n x n matrices."""

import numpy as np

from engine.contract import differences, inward, moves_of_v
from engine.dense import at_theta

STEP = 1e-30


class DenseKenwardRoger:
    """Kenward & Roger (1997) with V formed; the moves of V are those that the model allows."""

    def __init__(self, model, theta):
        dense, X = at_theta(model, theta), model.X
        s = dense.sigma2(True)
        Vi = dense.Vi / s
        moves = moves_of_v(model, theta)
        self.Phi = Phi = s * np.linalg.inv(dense.XVX)
        self.P = [-X.T @ Vi @ dV @ Vi @ X for dV in moves]
        Q = [[X.T @ Vi @ a @ Vi @ b @ Vi @ X for b in moves] for a in moves]
        Vd = [Vi @ dV for dV in moves]
        r = len(moves)
        information = np.empty((r, r))
        for i in range(r):
            for j in range(r):
                information[i, j] = np.sum(Vd[i] * Vd[j].T) - 2 * np.trace(Phi @ Q[i][j])
                information[i, j] += np.trace(Phi @ self.P[i] @ Phi @ self.P[j])
        size = np.sqrt(np.diag(information))
        size[size == 0.0] = 1.0
        self.W = 2 * np.linalg.pinv(information / np.outer(size, size), rcond=1e-10) / np.outer(size, size)
        U = sum(self.W[i, j] * (Q[i][j] - self.P[i] @ Phi @ self.P[j]) for i in range(r) for j in range(r))
        self.adjusted = Phi + 2 * Phi @ U @ Phi

    def f_test(self, L, difference):
        """Statistic, denominator degrees of freedom and scaling, for L of full row rank."""
        q = len(L)
        Theta = L.T @ np.linalg.solve(L @ self.Phi @ L.T, L)
        u = [Theta @ self.Phi @ P @ self.Phi for P in self.P]
        r = range(len(u))
        A1 = sum(self.W[i, j] * np.trace(u[i]) * np.trace(u[j]) for i in r for j in r)
        A2 = sum(self.W[i, j] * np.trace(u[i] @ u[j]) for i in r for j in r)
        B = (A1 + 6 * A2) / (2 * q)
        g = ((q + 1) * A1 - (q + 4) * A2) / ((q + 2) * A2)
        c1, c2, c3 = (x / (3 * q + 2 * (1 - g)) for x in (g, q - g, q + 2 - g))
        mean = 1 / (1 - A2 / q)
        variance = 2 / q * (1 + c1 * B) / ((1 - c2 * B) ** 2 * (1 - c3 * B))
        rho = variance / (2 * mean**2)
        m = 4 + (q + 2) / (q * rho - 1)
        scaling = m / (mean * (m - 2))
        wald = difference @ np.linalg.solve(L @ self.adjusted @ L.T, difference) / q
        return scaling * wald, m, scaling


def satterthwaite_df(model, theta, reml, L):
    """Degrees of freedom from derivatives of -2 log L that are complex steps and differences of these."""

    def gradient(x):
        k = np.arange(x.size)
        return np.array(
            [
                at_theta(model, (x + 1j * STEP * (k == i))[:-1])
                .unprofiled((x + 1j * STEP * (k == i))[-1], reml)
                .imag
                / STEP
                for i in k
            ]
        )

    at = np.append(theta, at_theta(model, theta).sigma2(reml))
    scale = np.append(np.ones(theta.size), at[-1])
    H = differences(
        lambda z: gradient(z * scale) * scale, at / scale, np.append(inward(model, theta), 1.0), h=2e-4
    )
    A = 2 * np.linalg.inv(0.5 * (H + H.T))
    cov = lambda x: x[-1] * np.linalg.inv(at_theta(model, x[:-1]).XVX)  # noqa: E731
    moves = [cov(at + 1j * STEP * e).imag / STEP for e in np.eye(at.size)]
    g = np.array([np.einsum("ki,ij,kj->k", L, move, L) for move in moves]).T * scale
    v = np.einsum("ki,ij,kj->k", L, cov(at), L)
    return 2 * v**2 / np.einsum("km,mn,kn->k", g, A, g)
