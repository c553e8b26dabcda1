"""The slow twin of every engine: V is formed and inverted. Complex theta is allowed (complex step)."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import block_diag
from scipy.sparse import csc_array

from henderson.covariance import (
    Autoregressive,
    ByUnit,
    CompoundSymmetric,
    DenseRelationship,
    Diagonal,
    FactorAnalytic,
    FactorRelationship,
    Homogeneous,
    Identity,
    Precision,
    SparseFactorRelationship,
    Unstructured,
)
from henderson.model import MixedModel, RandomTerm


def stacked_z(model):
    """Z of all terms, (n, sum l q), the effects of a term level by level."""
    blocks = []
    for term in model.terms:
        Z = np.zeros((model.n, term.n_levels, term.q))
        codes = term.codes if term.codes.ndim == 2 else np.repeat(term.codes[:, None], term.q, axis=1)
        Z[np.arange(model.n)[:, None], codes, np.arange(term.q)] = term.z
        blocks.append(Z.reshape(model.n, -1))
    return np.hstack(blocks)


def covariance_matrix(covariance, theta):
    """S(theta) of a structure, element by element from its definition; complex theta is allowed."""
    q = covariance.q
    S = np.zeros((q, q), dtype=theta.dtype)
    if isinstance(covariance, Unstructured):
        T = np.zeros((q, q), dtype=theta.dtype)
        T[np.triu_indices(q)[::-1]] = theta
        return T @ T.T
    if isinstance(covariance, FactorAnalytic):
        L = np.zeros((q, covariance.k), dtype=theta.dtype)
        at = 0
        for j in range(covariance.k):
            L[j:, j] = theta[at : at + q - j]
            at += q - j
        return L @ L.T + np.diag(theta[at:] ** 2)
    s = [theta[0] if covariance.homogeneous else theta[i] for i in range(q)]
    for i in range(q):
        for j in range(q):
            match covariance:
                case Diagonal():
                    r = float(i == j)
                case CompoundSymmetric():
                    r = 1.0 if i == j else theta[-1]
                case Autoregressive():
                    r = theta[-1] ** abs(i - j)
            S[i, j] = s[i] * s[j] * r
    return S


def relative_covariances(model, theta):
    """S of each term, and after them R_0 of the residual (None without a structure)."""
    theta = np.asarray(theta)
    out = [
        covariance_matrix(term.covariance, theta[part])
        for term, part in zip(model.terms, model.theta_slices(), strict=True)
    ]
    if isinstance(model.residual, Homogeneous):
        return [*out, None]
    own = np.concatenate([np.ones(1, dtype=theta.dtype), theta[model.residual_slice]])
    return [*out, covariance_matrix(model.residual.covariance, own)]


def residual_matrix(model, R0):
    """R for the model of W^1/2 y, (n, n): record by record."""
    if R0 is None:
        return np.eye(model.n)
    unit, position = model.residual.unit, model.residual.position
    return np.where(unit[:, None] == unit[None, :], R0[position[:, None], position[None, :]], 0.0)


def relationship_matrix(term):
    """G of the levels, (l, l)."""
    match term.relationship:
        case Identity():
            return np.eye(term.n_levels)
        case DenseRelationship(matrix=G):
            return G
        case FactorRelationship(factor=L):
            return L @ L.T
        case SparseFactorRelationship(factor=L):
            return (L @ L.T).toarray()
        case Precision(inverse=inverse):
            return np.linalg.inv(inverse.toarray())
    raise NotImplementedError(term.relationship)


def logdet(A):
    sign, size = np.linalg.slogdet(A)
    return size + 1j * np.angle(sign) if np.iscomplexobj(A) else size


@dataclass
class Dense:
    """Everything about a model at given relative covariances S (and R_0 last), from textbook formulas."""

    model: MixedModel
    S: list

    def __post_init__(self):
        m = self.model
        self.Z = stacked_z(m)
        *S_terms, R0 = self.S
        G = [np.kron(relationship_matrix(t), S) for t, S in zip(m.terms, S_terms, strict=True)]
        size = sum(g.shape[0] for g in G)
        self.G = np.zeros((size, size), dtype=np.result_type(*G))
        at = 0
        for g in G:
            self.G[at : at + len(g), at : at + len(g)] = g
            at += len(g)
        w = np.ones(m.n) if m.weights is None else m.weights
        root = 1.0 / np.sqrt(w)
        self.R = root[:, None] * residual_matrix(m, R0) * root
        self.V = self.R + self.Z @ self.G @ self.Z.T
        self.Vi = np.linalg.inv(self.V)
        self.XVX = m.X.T @ self.Vi @ m.X
        self.P = self.Vi - self.Vi @ m.X @ np.linalg.solve(self.XVX, m.X.T @ self.Vi)
        self.log_weights = np.log(w).sum()
        self.logdet_v = logdet(self.V) + self.log_weights
        self.logdet_x = logdet(self.XVX)
        self.pwrss = m.y @ self.P @ m.y

    def profiled(self, reml):
        m = self.model
        nu = m.n - m.p if reml else m.n
        value = self.logdet_v + nu * (1 + np.log(2 * np.pi * self.pwrss / nu)) - self.log_weights
        return value + self.logdet_x if reml else value

    def unprofiled(self, sigma2, reml):
        m = self.model
        nu = m.n - m.p if reml else m.n
        value = self.logdet_v + nu * np.log(2 * np.pi * sigma2) + self.pwrss / sigma2 - self.log_weights
        return value + self.logdet_x if reml else value

    def sigma2(self, reml):
        return self.pwrss / (self.model.n - self.model.p if reml else self.model.n)


def at_theta(model, theta):
    return Dense(model, relative_covariances(model, np.asarray(theta)))


def random_model(seed, *, n=None, weights=None):
    """A small model: one to four terms, nested, crossed or on one factor, one to three effects each."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(25, 200)) if n is None else n
    p = int(rng.integers(1, 5))
    X = np.column_stack([np.ones(n), rng.normal(size=(n, p - 1)) * rng.choice([0.01, 1, 30], p - 1) + 2])
    finest = rng.integers(0, max(4, n // 5), n)
    factors = [finest, finest // 3, finest // 9, rng.integers(0, 6, n), rng.integers(0, 4, n)]
    chosen = rng.choice(len(factors), size=int(rng.integers(1, 5)), replace=True)
    terms = []
    for i, f in enumerate(chosen):
        _, codes = np.unique(factors[f], return_inverse=True)
        q = int(rng.integers(1, 4))
        z = np.column_stack([np.ones(n), rng.normal(size=(n, q - 1)) * 3 + 1])
        if rng.random() < 0.3:
            z = z[:, -1:]
        terms.append(RandomTerm(f"g{i}", codes, int(codes.max()) + 1, z, Unstructured(z.shape[1])))
    y = rng.normal(size=n) + X @ rng.normal(size=p)
    for term in terms:
        u = rng.normal(size=(term.n_levels, term.q)) * rng.choice([0.3, 1.0])
        y = y + np.einsum("nq,nq->n", term.z, u[term.codes])
    if weights is None:
        weights = rng.random() < 0.5
    return MixedModel(y, X, tuple(terms), rng.uniform(0.2, 3.0, n) if weights else None)


def related_model(seed, *, n=None):
    """One record per person and one dense relationship: regular, centred or with twins; G or its factor.

    The people stand in another order than the records, some have no record, and z need not be 1.
    """
    rng = np.random.default_rng(seed)
    n = int(rng.integers(12, 60)) if n is None else n
    p = seed % 4 + 1
    people = n + int(rng.integers(0, 9)) * (seed % 2)
    m = 3 * people if seed % 3 == 0 else max(5, people // 2)
    L = rng.normal(size=(people, m)) / np.sqrt(m)
    kind = ("regular", "centred", "twins")[seed % 3]
    if kind == "centred":
        L = L - L.mean(axis=0)
    elif kind == "twins":
        L[people // 2] = L[0]
        L[people // 2 + 1] = L[1]
    relationship = FactorRelationship(L) if seed % 5 == 4 else DenseRelationship(L @ L.T)
    codes = rng.permutation(people)[:n]
    z = np.ones((n, 1)) if seed % 2 == 0 else rng.normal(size=(n, 1)) * rng.choice([0.1, 20.0])
    if seed % 7 == 5:
        z[3] = 0.0
    X = np.column_stack([np.ones(n), rng.normal(size=(n, p - 1)) * rng.choice([0.01, 1, 30], p - 1) + 2])
    u = L @ rng.normal(size=m)
    y = X @ rng.normal(size=p) + z[:, 0] * u[codes] + rng.normal(size=n)
    return MixedModel(y, X, (RandomTerm("iid", codes, people, z, Unstructured(1), relationship),))


def pedigree_precision(rng, n):
    """A^-1 of random parents by Henderson's rules, without inbreeding in D: any sparse precision will do."""
    T, d = np.eye(n), np.ones(n)
    for i in range(3, n):
        parents = rng.choice(i, size=int(rng.integers(0, 3)), replace=False)
        T[i, parents], d[i] = -0.5, 1.0 - 0.25 * parents.size
    return Precision(csc_array(T.T @ (T / d[:, None])))


def any_relationship(rng, n, kinds):
    """A relationship of n levels, of one of the kinds; factors may be singular (twins)."""
    match kinds[int(rng.integers(0, len(kinds)))]:
        case "identity":
            return Identity()
        case "precision":
            return pedigree_precision(rng, n)
        case "dense":
            L = rng.normal(size=(n, 2 * n)) / np.sqrt(2 * n)
            return DenseRelationship(L @ L.T)
        case "factor":
            return FactorRelationship(rng.normal(size=(n, max(2, n // 3))))
        case "families":
            sizes = np.full(-(-n // 4), 4)
            sizes[-1] -= sizes.sum() - n
            blocks = [np.tril(rng.normal(size=(k, k))) for k in sizes]
            blocks[0][-1] = blocks[0][0]  # twins
            return SparseFactorRelationship(csc_array(block_diag(*blocks)))


def mixed_model(seed, kinds, *, maternal=True, residuals=False):
    """One to three terms of any relationship, repeated records, levels without records, slopes, weights.

    With ``maternal`` some terms have effects that point to different levels; with ``residuals`` some models
    have residuals that are correlated within units, which may lie in several levels.
    """
    rng = np.random.default_rng(seed)
    n, p = int(rng.integers(20, 70)), int(rng.integers(1, 4))
    X = np.column_stack([np.ones(n), rng.normal(size=(n, p - 1)) * rng.choice([0.01, 1, 30], p - 1) + 2])
    terms = []
    for k in range(int(rng.integers(1, 4))):
        levels = int(rng.integers(8, 30))
        relationship = any_relationship(rng, levels, kinds)
        q = int(rng.integers(1, 4))
        codes = rng.integers(0, levels, n)
        if maternal and q > 1 and rng.random() < 0.4:
            codes = rng.integers(0, levels, (n, q))
            z = np.ones((n, q))
        else:
            z = np.column_stack([np.ones(n), rng.integers(0, 3, (n, q - 1)) + 1.0])
        covariance = any_covariance(rng, q) if q > 1 else Unstructured(1)
        terms.append(RandomTerm(f"g{k}", codes, levels, z, covariance, relationship))
    weights = rng.uniform(0.3, 2.0, n) if rng.random() < 0.4 else None
    residual = Homogeneous()
    if residuals and rng.random() < 0.6:
        unit, position = np.arange(n) // 2, np.arange(n) % 2
        residual = ByUnit("us(h | u)", ("a", "b"), unit, position, -(-n // 2), Unstructured(2))
    y = X @ rng.normal(size=p) + rng.normal(size=n)
    return MixedModel(y, X, tuple(terms), weights, residual)


def any_covariance(rng, q):
    """One of the structures for q effects."""
    kinds = [Unstructured, Diagonal, CompoundSymmetric, Autoregressive]
    kind = kinds[int(rng.integers(0, 4))]
    return kind(q) if kind is Unstructured else kind(q, homogeneous=bool(rng.integers(0, 2)))


def structured_model(seed):
    """Terms with any covariance structure; residuals by stratum, or within units that lie in all levels."""
    rng = np.random.default_rng(seed)
    n_units, t = int(rng.integers(15, 40)), int(rng.integers(2, 5))
    present = rng.random((n_units, t)) < 0.75
    present[0] = True
    unit, position = np.nonzero(present)
    shuffled = rng.permutation(unit.size)
    unit, position = unit[shuffled], position[shuffled]
    n = unit.size
    X = np.column_stack([np.ones(n), rng.normal(size=(n, int(rng.integers(0, 3))))])
    coarse = rng.integers(0, 5, n_units)
    factors = [np.arange(n_units)[unit], (np.arange(n_units) // 3)[unit], coarse[unit]]
    terms = []
    for i in range(int(rng.integers(1, 4))):
        q = int(rng.integers(2, 4))
        codes = np.unique(factors[i], return_inverse=True)[1]
        z = np.column_stack([np.ones(n), rng.normal(size=(n, q - 1)) * 2 + 1])
        terms.append(RandomTerm(f"g{i}", codes, int(codes.max()) + 1, z, any_covariance(rng, q)))
    if seed % 3 == 0:
        residual = ByUnit.strata("diag(h)", tuple("abcd"[:t]), position, Diagonal(t))
    elif seed % 3 == 1:
        residual = ByUnit("us(h | g)", tuple("abcd"[:t]), unit, position, n_units, any_covariance(rng, t))
    else:
        residual = Homogeneous()
    weights = rng.uniform(0.3, 2.0, n) if rng.random() < 0.5 else None
    y = rng.normal(size=n) * (1 + position) + rng.normal(size=n_units)[unit]
    return MixedModel(y, X, tuple(terms), weights, residual)


def random_theta(model, rng, *, singular=False):
    """Any theta of the terms' covariances, singular if wanted, and a regular one of the residual's."""
    parts = [_random_part(term.covariance, rng, singular=singular) for term in model.terms]
    if not isinstance(model.residual, Homogeneous):
        own = _random_part(model.residual.covariance, rng, singular=False)
        parts.append(own[1:] / own[0] if isinstance(model.residual.covariance, Unstructured) else own[1:])
    return np.concatenate(parts)


def inward(model, theta):
    """For each theta the sign of a step that stays within its bounds."""
    sign = np.ones(theta.size)
    for term, part in zip(model.terms, model.theta_slices(), strict=True):
        if hasattr(term.covariance, "bounds") and theta[part][-1] >= term.covariance.bounds[1]:
            sign[part.stop - 1] = -1.0
    return sign


def _random_part(covariance, rng, *, singular):
    k = covariance.n_theta
    if isinstance(covariance, Unstructured):
        theta = rng.normal(size=k)
        if singular:
            theta[rng.integers(0, k, 1 + k // 3)] = 0.0
        return theta
    theta = rng.uniform(0.3, 2.0, k)
    if isinstance(covariance, Diagonal):
        theta[0] *= not singular
        return theta
    low, high = covariance.bounds
    theta[-1] = rng.choice([low, high]) if singular else rng.uniform(0.8 * low, 0.8 * high)
    return theta
