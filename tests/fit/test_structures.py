"""Covariance tags and residual structures through `lmer`, against nlme, a dense likelihood and each other."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

import henderson as hd

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")

# -- nlme ----------------------------------------------------------------------------------------------------

# Potthoff & Roy (1964), Biometrika 51:313: 16 boys, then 11 girls, at the ages of 8, 10, 12 and 14
DISTANCES = """
26 25 29 31 21.5 22.5 23 26.5 23 22.5 24 27.5 25.5 27.5 26.5 27 20 23.5 22.5 26 24.5 25.5 27 28.5 22 22 24.5
26.5 24 21.5 24.5 25.5 23 20.5 31 26 27.5 28 31 31.5 23 23 23.5 25 21.5 23.5 24 28 17 24.5 26 29.5 22.5 25.5
25.5 26 23 24.5 26 30 22 21.5 23.5 25 21 20 21.5 23 21 21.5 24 25.5 20.5 24 24.5 26 23.5 24.5 25 26.5 21.5 23
22.5 23.5 20 21 21 22.5 21.5 22.5 23 25 23 23 23.5 24 20 21 22 21.5 16.5 19 19 19.5 24.5 25 28 28
"""
# Milliken & Johnson (1992), table 23.1: three machines in turn, six workers each, three scores each
SCORES = """
52 52.8 53.1 51.8 52.8 53.1 60 60.2 58.4 51.1 52.3 50.3 50.9 51.8 51.4 46.4 44.8 49.2 62.1 62.6 64 59.7 60 59
68.6 65.8 69.7 63.2 62.8 62.2 64.8 65 65.4 43.7 44.2 43 67.5 67.2 66.9 61.5 61.7 62.3 70.8 70.6 71 64.1 66.2
64 72.1 72 71.1 62 61.4 60.5
"""
#: Rows of the growth data that are taken out, so that children lack one age or more.
TAKEN_OUT = [2, 9, 20, 21, 49, 74, 75, 76, 99]


def growth():
    n = np.arange(108)
    return {
        "distance": np.array(DISTANCES.split(), float),
        "age": 8.0 + 2 * (n % 4),
        "Subject": np.char.add("s", np.char.zfill((n // 4).astype(str), 2)),
        "Sex": np.where(n < 64, "Male", "Female"),
        "w": 1.0 + (n + 1) % 5 / 2,
    }


def gappy():
    return {name: np.delete(column, TAKEN_OUT) for name, column in growth().items()}


def machines():
    n = np.arange(54)
    worker = (n // 3 % 6).astype(str)
    return {
        "score": np.array(SCORES.split(), float),
        "Machine": np.array(list("ABC"))[n // 18],
        "Worker": worker,
    }


@dataclass
class Nlme:
    """A model in our words, and what `nlme::lme` 3.1-162 says of it: -2 log-likelihood, and residuals.

    ``sd`` are the standard deviations of the residuals by position (one if they are alike); ``rho`` the
    correlations within a unit, row by row of the upper triangle, or the one parameter there is.
    """

    formula: str
    data: object
    residual: str | None
    reml: float
    ml: float
    sd: tuple[float, ...] = ()  # REML
    rho: tuple[float, ...] = ()
    weights: str | None = None


CHILD, SEX, WORKER = (
    "distance ~ age + Sex + (1 | Subject)",
    "distance ~ age + (1 | Sex)",
    "score ~ Machine + ",
)
NLME = {
    "varIdent": Nlme(
        CHILD, growth, "diag(Sex)", 420.3567427349, 417.2009696535, (0.80007118, 0.80007118 * 2.20200118)
    ),
    "corAR1": Nlme(
        CHILD, gappy, "ar1(age | Subject)", 406.7528773399, 404.3404126988, (1.53147267,), (0.11355795,)
    ),
    "corAR1 + varIdent": Nlme(
        CHILD,
        gappy,
        "ar1(age | Subject, hom = FALSE)",
        406.0886243661,
        403.6148124387,
        (1.65208244, 1.65208244 * 0.85123005, 1.65208244 * 1.01630232, 1.65208244 * 0.84507682),
        (0.12151578,),
    ),
    "corAR1 + varFixed": Nlme(
        CHILD,
        gappy,
        "ar1(age | Subject)",
        411.4902492002,
        409.3909628077,
        (2.20317985,),
        (0.22017719,),
        weights="w",
    ),
    "corSymm + varIdent": Nlme(
        SEX,
        growth,
        "us(age | Subject)",
        432.9155165823,
        430.7599193816,
        (2.30773435, 2.30773435 * 0.88207813, 2.30773435 * 1.10146552, 2.30773435 * 1.02955820),
        (0.58045417, 0.65554023, 0.49939745, 0.56757560, 0.67549720, 0.74488336),
    ),
    "corSymm + varIdent, gaps": Nlme(
        SEX,
        gappy,
        "us(age | Subject)",
        401.6390124637,
        399.9184905970,
        (2.30326046, 2.30326046 * 0.91324394, 2.30326046 * 1.13977300, 2.30326046 * 0.99445494),
        (0.64955760, 0.63303629, 0.46368324, 0.48698278, 0.60266640, 0.73964153),
    ),
    "corCompSymm": Nlme(
        SEX,
        gappy,
        "cs(age | Subject, hom = TRUE)",
        411.5785637105,
        409.7476759572,
        (2.29850316,),
        (0.58380828,),
    ),
    "corCompSymm + varIdent": Nlme(
        SEX,
        gappy,
        "cs(age | Subject)",
        410.3350972689,
        408.3311100827,
        (2.34096285, 2.34096285 * 0.88916254, 2.34096285 * 1.06444331, 2.34096285 * 0.97057882),
        (0.58916844,),
    ),
    "pdDiag": Nlme("distance ~ age * Sex + diag(age | Subject)", gappy, None, 403.9635877345, 399.2766716940),
    "pdCompSymm": Nlme(
        WORKER + "cs(0 + Machine | Worker, hom = TRUE)", machines, None, 215.6875680082, 225.2694469398
    ),
    "pdIdent": Nlme(
        WORKER + "diag(0 + Machine | Worker, hom = TRUE)", machines, None, 221.2555900496, 231.9510733894
    ),
    "pdDiag, factor": Nlme(
        WORKER + "diag(0 + Machine | Worker)", machines, None, 217.6510785762, 227.6256596214
    ),
    "pdCompSymm + varIdent": Nlme(
        WORKER + "cs(0 + Machine | Worker, hom = TRUE)",
        machines,
        "diag(Machine)",
        212.3376769251,
        221.9159557163,
        (1.14726065, 1.14726065 * 0.87380941, 1.14726065 * 0.58643382),
    ),
    "pdSymm + varIdent": Nlme(
        WORKER + "us(0 + Machine | Worker)",
        machines,
        "diag(Machine)",
        204.9688305373,
        213.0754395297,
        (1.15012493, 1.15012493 * 0.86850719, 1.15012493 * 0.58541067),
    ),
}


@pytest.mark.parametrize("name", NLME)
def test_nlme(name):
    case = NLME[name]
    for reml, expected in ((True, case.reml), (False, case.ml)):
        fit = hd.lmer(case.formula, case.data(), REML=reml, residual=case.residual, weights=case.weights)
        # nlme stops early in the fourth digit of theta at worst: ours may only be lower
        assert expected - 1e-5 < fit.criterion < expected + 1e-7
        if reml and case.sd:
            residual = fit.varcorr.residual
            np.testing.assert_allclose(residual.sd, case.sd * (len(residual.sd) // len(case.sd)), rtol=2e-4)
            upper = residual.correlation[np.triu_indices(len(residual.sd), 1)]
            if case.rho:
                first = upper if len(case.rho) > 1 else upper[:1]
                np.testing.assert_allclose(first, case.rho, atol=2e-4)


# -- a dense likelihood --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Family:
    """A covariance matrix of `q` effects, written out from its definition."""

    kind: str
    q: int
    homogeneous: bool = False

    @property
    def tag(self):
        return self.kind, "" if self.kind in ("us", None) else f", hom = {str(self.homogeneous).upper()}"

    @property
    def n_parameters(self):
        if self.kind == "us":
            return self.q * (self.q + 1) // 2
        return (1 if self.homogeneous else self.q) + (self.kind in ("cs", "ar1"))

    def matrix(self, x):
        """From unconstrained numbers; variances of zero and correlations at their bounds are reached."""
        if self.kind == "us":
            T = np.zeros((self.q, self.q))
            T[np.tril_indices(self.q)] = x
            return T @ T.T
        sd = np.full(self.q, x[0] ** 2) if self.homogeneous else x[: self.q] ** 2
        if self.kind == "diag":
            return np.diag(sd**2)
        lowest = -1.0 / (self.q - 1) if self.kind == "cs" else -1.0
        rho = lowest + (1.0 - lowest) * (1.0 + np.sin(x[-1])) / 2.0
        lag = np.abs(np.subtract.outer(np.arange(self.q), np.arange(self.q)))
        return np.outer(sd, sd) * (rho**lag if self.kind == "ar1" else np.where(lag == 0, 1.0, rho))


PLAIN = Family("diag", 1, True)


@dataclass
class Trial:
    """Records of units within groups, at three positions; every fifth or so is missing."""

    y: np.ndarray
    x: np.ndarray
    group: np.ndarray
    block: np.ndarray
    unit: np.ndarray
    position: np.ndarray
    w: np.ndarray

    @property
    def table(self):
        def labels(letter, codes):
            return np.char.add(letter, np.char.zfill(codes.astype(str), 2))

        return {
            "y": self.y,
            "x": self.x,
            "g": labels("g", self.group),
            "h": labels("h", self.block),
            "u": labels("u", self.unit),
            "p": labels("p", self.position),
            "w": self.w,
        }


def trial(seed, *, groups=9, per_group=2, t=3, missing=0.1):
    """Small data with effects of every kind, none of them large."""
    rng = np.random.default_rng(seed)
    unit, position = np.divmod(np.arange(groups * per_group * t), t)
    rows = np.flatnonzero(rng.random(unit.size) >= missing)
    unit, position = unit[rows], position[rows]
    group, block, n = unit // per_group, unit % 5, rows.size
    x, w = rng.normal(size=n), rng.uniform(0.5, 2.0, n)
    effects = rng.normal(size=(groups, 1)) + 0.6 * rng.normal(size=(groups, t))
    within = 0.7 * rng.normal(size=groups * per_group)[unit] + rng.normal(size=n) * (0.7 + 0.3 * position)
    y = 1.0 + 0.5 * x + effects[group, position] + rng.normal(size=5)[block] + within / np.sqrt(w)
    return Trial(y, x, group, block, unit, position, w)


class DenseLikelihood:
    """-2 log (restricted) likelihood with V written out, for an effect of each position by group.

    Parameters
    ----------
    d : Trial
    term, residual : Family
    reml, weighted, block : bool
        The last: whether there is a random intercept of the block as well.
    """

    def __init__(self, d, term, residual, *, reml, weighted, block):
        self.d, self.reml = d, reml
        self.families = (term, residual, *([PLAIN] if block else []))
        self.ends = np.cumsum([f.n_parameters for f in self.families])
        self.X = np.column_stack([np.ones_like(d.x), d.x])
        at = (0 if residual.q == 1 else d.position), d.position
        self.r, self.p = np.broadcast_to(at[0], d.y.shape), at[1]
        root = 1.0 / np.sqrt(d.w) if weighted else np.ones_like(d.y)
        # without a correlation every record is a unit of its own
        unit = np.arange(d.y.size) if residual.kind == "diag" else d.unit
        self.same_unit = np.equal.outer(unit, unit) * np.outer(root, root)
        self.same_group = np.equal.outer(d.group, d.group)
        self.same_block = np.equal.outer(d.block, d.block)

    def variance(self, matrices):
        """V, from the covariance matrices of term, residual and block."""
        term, residual, *block = matrices
        V = term[np.ix_(self.p, self.p)] * self.same_group + residual[np.ix_(self.r, self.r)] * self.same_unit
        return V + block[0] * self.same_block if block else V

    def matrices(self, phi):
        return [f.matrix(x) for f, x in zip(self.families, np.split(phi, self.ends[:-1]), strict=True)]

    def __call__(self, phi):
        try:
            L = np.linalg.cholesky(self.variance(self.matrices(phi)))
        except np.linalg.LinAlgError:
            return 1e6
        A = np.linalg.solve(L, np.column_stack([self.X, self.d.y]))
        R = np.abs(np.linalg.qr(A, mode="r"))
        n, p = self.X.shape
        logdet = 2.0 * np.log(np.diag(L)).sum() + (2.0 * np.log(np.diag(R)[:p]).sum() if self.reml else 0.0)
        return logdet + R[p, p] ** 2 + (n - p if self.reml else n) * np.log(2.0 * np.pi)

    def minimum(self, *, starts, seed):
        """The lowest value from several random starts, and V there."""
        rng = np.random.default_rng(seed)
        ends = [
            minimize(self, rng.normal(0.8, 0.3, self.ends[-1]), method="BFGS", options={"gtol": 1e-7})
            for _ in range(starts)
        ]
        best = min(ends, key=lambda end: end.fun)
        return best.fun, self.variance(self.matrices(best.x))


def call(d, term, residual, *, reml, weighted, block):
    """The same model by `lmer`."""
    kind, hom = term.tag
    formula = f"y ~ x + {kind}(0 + p | g{hom})" + (" + (1 | h)" if block else "")
    arguments = {}
    if residual.q > 1:
        kind, hom = residual.tag
        arguments["residual"] = "diag(p)" if kind == "diag" else f"{kind}(p | u{hom})"
    return hd.lmer(formula, d.table, REML=reml, weights="w" if weighted else None, **arguments)


def implied(fit, dense):
    residual = np.array([[fit.sigma**2]]) if fit.varcorr.residual is None else fit.varcorr.residual.covariance
    term, *block = (t.covariance for t in fit.varcorr)
    return dense.variance([term, residual, *block])


TERMS = [Family("us", 3), *(Family(kind, 3, hom) for kind in ("diag", "cs", "ar1") for hom in (False, True))]
RESIDUALS = [
    PLAIN,
    Family("diag", 3),
    Family("us", 3),
    *(Family(kind, 3, hom) for kind in ("cs", "ar1") for hom in (False, True)),
]
# every term with the plain residual, every residual with the diagonal term, and a diagonal through the rest
PAIRS = [(term, PLAIN) for term in TERMS]
PAIRS += [(TERMS[2], residual) for residual in RESIDUALS[1:]]
PAIRS += list(zip(TERMS[3:], RESIDUALS[:0:-1], strict=False))


@pytest.mark.parametrize("k", range(len(PAIRS)))
def test_a_dense_likelihood_finds_nothing_lower(k):
    term, residual = PAIRS[k]
    variant = {"reml": k % 2 == 0, "weighted": k % 3 == 0, "block": k % 3 == 1}
    d = trial(130 + k, groups=12)
    dense = DenseLikelihood(d, term, residual, **variant)
    fit = call(d, term, residual, **variant)
    lowest, V = dense.minimum(starts=8 if term.kind in ("cs", "ar1") else 3, seed=k)
    assert fit.criterion == pytest.approx(lowest, abs=1e-7)
    np.testing.assert_allclose(implied(fit, dense), V, rtol=0, atol=1e-4 * np.abs(V).max())


# -- properties ----------------------------------------------------------------------------------------------

STRUCTURES = [
    ("y ~ x + diag(0 + p | g)", None),
    ("y ~ x + cs(0 + p | g)", None),
    ("y ~ x + ar1(0 + p | g)", None),
    ("y ~ x + (1 | g)", "diag(p)"),
    ("y ~ x + (1 | g)", "us(p | u)"),
    ("y ~ x + (1 | g)", "cs(p | u)"),
    ("y ~ x + (1 | h)", "ar1(p | u)"),
]
structures = st.sampled_from(STRUCTURES)
seeds = st.integers(200, 204)
few = settings(max_examples=8, deadline=None)


def table(seed):
    """Each unit in one level of g and of h; enough groups for regular fits."""
    return trial(seed, groups=20).table


def same_fit(one, other, *, rel=1e-5):
    """Equal criteria, fixed effects and covariances."""
    assert one.criterion == pytest.approx(other.criterion, abs=1e-7)
    np.testing.assert_allclose(one.fixef, other.fixef, rtol=rel, atol=rel)
    for a, b in zip(covariances(one), covariances(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=rel * max(1.0, np.abs(b).max()))


def covariances(fit):
    residual = np.array([[fit.sigma**2]]) if fit.varcorr.residual is None else fit.varcorr.residual.covariance
    return [*(term.covariance for term in fit.varcorr), residual]


@few
@given(structures, seeds, st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(structure, seed, random):
    formula, residual = structure
    d = table(seed)
    order = list(range(len(d["y"])))
    random.shuffle(order)
    mixed = {name: column[order] for name, column in d.items()}
    same_fit(hd.lmer(formula, mixed, residual=residual), hd.lmer(formula, d, residual=residual))


@few
@given(structures, seeds, st.permutations(range(20)))
def test_labels_of_groups_and_units_do_not_matter(structure, seed, order):
    formula, residual = structure
    d = table(seed)
    names = np.array([f"{k:02d}" for k in order])
    other = d | {
        "g": names[np.unique(d["g"], return_inverse=True)[1]],
        "u": np.char.add(names[np.unique(d["g"], return_inverse=True)[1]], d["u"]),
    }
    same_fit(hd.lmer(formula, other, residual=residual), hd.lmer(formula, d, residual=residual))


@few
@given(
    st.sampled_from([s for s in STRUCTURES if "ar1" not in s[0] + str(s[1])]), seeds, st.permutations("abc")
)
def test_order_of_positions_matters_to_ar1_alone(structure, seed, names):
    formula, residual = structure
    d = table(seed)
    code = np.unique(d["p"], return_inverse=True)[1]
    fit = hd.lmer(formula, d, residual=residual)
    other = hd.lmer(formula, d | {"p": np.array(names)[code]}, residual=residual)
    assert other.criterion == pytest.approx(fit.criterion, abs=1e-7)
    back = np.argsort(np.argsort(names))
    for a, b in zip(covariances(other), covariances(fit), strict=True):
        moved = a[np.ix_(back, back)] if len(a) == 3 else a
        np.testing.assert_allclose(moved, b, atol=1e-4 * max(1.0, np.abs(b).max()))


@few
@given(structures, seeds, st.sampled_from([-1.0, 1e-5, -3.0, 1e6]))
def test_units_of_the_response(structure, seed, c):
    formula, residual = structure
    d = table(seed)
    fit = hd.lmer(formula, d, residual=residual)
    scaled = hd.lmer(formula, d | {"y": c * d["y"]}, residual=residual)
    assert scaled.sigma == pytest.approx(abs(c) * fit.sigma, rel=1e-5)
    np.testing.assert_allclose(scaled.theta, fit.theta, atol=1e-4)
    shift = 2.0 * np.log(abs(c)) * (len(d["y"]) - 2)
    assert scaled.criterion == pytest.approx(fit.criterion + shift, abs=1e-6)


@few
@given(structures, seeds, st.sampled_from([1e-4, 0.5, 30.0]))
def test_units_of_the_weights(structure, seed, c):
    formula, residual = structure
    d = table(seed)
    fit = hd.lmer(formula, d, residual=residual, weights="w")
    scaled = hd.lmer(formula, d | {"w": c * d["w"]}, residual=residual, weights="w")
    assert scaled.criterion == pytest.approx(fit.criterion, abs=1e-6)
    assert scaled.sigma == pytest.approx(np.sqrt(c) * fit.sigma, rel=1e-5)
    for a, b in zip(scaled.varcorr, fit.varcorr, strict=True):
        np.testing.assert_allclose(a.covariance, b.covariance, atol=1e-4)


# -- structures that are the same ----------------------------------------------------------------------------


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("diag(x | g)", "(x || g)"),
        ("cs(x | g)", "us(x | g)"),
        ("ar1(0 + two | g, hom = FALSE)", "(0 + two | g)"),
        ("diag(0 + p | g, hom = TRUE)", "(1 | g:p)"),
        ("us(1 | g)", "(1 | g)"),
        ("diag(1 | g)", "(1 | g)"),
    ],
)
def test_tags_that_mean_the_same(one, other, reml):
    d = table(210)
    d["two"] = np.where(d["p"] == "p00", "a", "b")
    a, b = (hd.lmer(f"y ~ x + {term}", d, REML=reml) for term in (one, other))
    assert a.criterion == pytest.approx(b.criterion, abs=1e-8)
    np.testing.assert_allclose(a.fixef, b.fixef, rtol=1e-6)
    np.testing.assert_allclose(a.fitted, b.fitted, rtol=1e-5)
    assert a.sigma == pytest.approx(b.sigma, rel=1e-6)


@pytest.mark.parametrize("reml", [True, False])
def test_equal_correlation_of_residuals_is_an_effect_of_the_unit(reml):
    d = table(211)
    marginal = hd.lmer("y ~ x + (1 | g)", d, REML=reml, residual="cs(p | u, hom = TRUE)")
    effect = hd.lmer("y ~ x + (1 | g) + (1 | u)", d, REML=reml)
    variance = effect.varcorr["u"].covariance[0, 0]
    assert variance > 0.1
    assert marginal.criterion == pytest.approx(effect.criterion, abs=1e-8)
    assert marginal.sigma**2 == pytest.approx(variance + effect.sigma**2, rel=1e-5)
    assert marginal.theta[-1] == pytest.approx(variance / marginal.sigma**2, rel=1e-4)


def test_strata_of_one_variance_are_the_plain_model():
    half = table(212)
    # the same records again, in groups of their own
    d = {name: np.concatenate([column, column]) for name, column in half.items()}
    d["s"] = np.repeat(["one", "two"], len(half["y"]))
    d["g"] = np.char.add(d["s"], d["g"])
    strata, plain = (hd.lmer("y ~ x + (1 | g)", d, residual=r) for r in ("diag(s)", None))
    assert strata.criterion == pytest.approx(plain.criterion, abs=1e-9)
    np.testing.assert_allclose(strata.varcorr.residual.sd, plain.sigma, rtol=1e-7)


@pytest.mark.parametrize("reml", [True, False])
def test_complete_units_of_several_traits_have_a_closed_form(reml):
    rng = np.random.default_rng(213)
    half, t = 15, 3
    mean, deviations = np.array([1.0, 5.0, -2.0]), rng.normal(size=(half, t)) @ rng.normal(size=(t, t))
    # two units that mirror each other in each group: groups do not differ, and their variance is zero
    y = mean + np.stack([deviations, -deviations], axis=1)
    n = 2 * half
    d = {
        "y": y.ravel(),
        "p": np.tile(["a", "b", "c"], n),
        "u": np.repeat(np.arange(n), t).astype(str),
        "g": np.repeat(np.arange(half), 2 * t).astype(str),
    }
    fit = hd.lmer("y ~ 0 + p + (1 | g)", d, REML=reml, residual="us(p | u)")
    S = 2.0 * deviations.T @ deviations / (n - reml)
    expected = (n - reml) * (np.linalg.slogdet(S)[1] + t * np.log(2.0 * np.pi) + t) + reml * t * np.log(n)
    assert fit.criterion == pytest.approx(expected, abs=1e-8)
    np.testing.assert_allclose(fit.varcorr.residual.covariance, S, atol=1e-6)
    np.testing.assert_allclose(fit.fixef, mean, atol=1e-9)
    assert fit.is_singular()


# -- at the bounds -------------------------------------------------------------------------------------------


def by_position(effects, noise, seed, reps=4):
    """Records of groups with given effects (groups, t) of the positions."""
    rng = np.random.default_rng(seed)
    group, position = np.indices(effects.shape)
    group, position = (np.repeat(code.ravel(), reps) for code in (group, position))
    y = effects[group, position] + noise * rng.normal(size=group.size)
    return {"y": y, "g": np.char.add("g", group.astype(str)), "p": np.char.add("p", position.astype(str))}


@pytest.mark.parametrize("tag", ["cs", "ar1"])
def test_perfectly_correlated_effects(tag):
    rng = np.random.default_rng(220)
    d = by_position(np.repeat(2.0 * rng.normal(size=(12, 1)), 3, axis=1), 1.0, 4)
    fit = hd.lmer(f"y ~ 1 + {tag}(0 + p | g, hom = TRUE)", d)
    plain = hd.lmer("y ~ 1 + (1 | g)", d)
    assert fit.criterion == pytest.approx(plain.criterion, abs=1e-9)
    assert fit.theta[-1] == 1.0
    assert fit.theta[0] == pytest.approx(plain.theta[0], rel=1e-6)
    assert fit.is_singular()
    assert "linearly dependent" in fit.notices[0]


def test_the_lowest_common_correlation():
    rng = np.random.default_rng(221)
    effects = 2.0 * rng.normal(size=(12, 3))
    d = by_position(effects - effects.mean(axis=1, keepdims=True), 1.0, 3)
    # effects that sum to zero by group, in an orthonormal basis: two independent ones of one variance
    basis = {
        "p0": (np.sqrt(2 / 3), 0.0),
        "p1": (-np.sqrt(1 / 6), np.sqrt(0.5)),
        "p2": (-np.sqrt(1 / 6), -np.sqrt(0.5)),
    }
    d["v1"], d["v2"] = np.array([basis[p] for p in d["p"]]).T
    fit = hd.lmer("y ~ 1 + cs(0 + p | g, hom = TRUE)", d)
    contrasts = hd.lmer("y ~ 1 + diag(0 + v1 + v2 | g, hom = TRUE)", d)
    assert fit.theta[-1] == -0.5
    assert fit.criterion == pytest.approx(contrasts.criterion, abs=1e-9)
    assert fit.is_singular()


@pytest.mark.parametrize("tag", ["diag", "cs"])
def test_an_effect_without_variance(tag):
    rng = np.random.default_rng(222)
    d = by_position(np.hstack([2.0 * rng.normal(size=(12, 2)), np.zeros((12, 1))]), 1.0, 1)
    for name in ("p0", "p1"):
        d[name] = (d["p"] == name).astype(float)
    fit = hd.lmer(f"y ~ 1 + {tag}(0 + p | g)", d)
    without = hd.lmer(f"y ~ 1 + {tag}(0 + p0 + p1 | g)", d)
    assert fit.theta[2] == 0.0
    assert fit.criterion == pytest.approx(without.criterion, abs=1e-9)
    assert "the variance of pp2 by 'g' is estimated as zero" in fit.notices[0]


def test_one_position_is_refused():
    d = table(223)
    first = {name: column[d["p"] == "p00"] for name, column in d.items()}
    with pytest.raises(hd.DataError, match=r"p has only the level 'p00'.*leave the structure out"):
        hd.lmer("y ~ x + (1 | g)", first, residual="us(p | u)")


# -- near a residual covariance that is singular ------------------------------------------------------------


def repeated_measures(correlation, *, seed=230):
    """Units of four records, in groups of four units."""
    rng = np.random.default_rng(seed)
    unit, position = np.divmod(np.arange(160), 4)
    within = np.sqrt(correlation) * rng.normal(size=40)[unit]
    y = rng.normal(size=10)[unit // 4] + within + np.sqrt(1.0 - correlation) * rng.normal(size=160)
    return {"y": y, "u": unit.astype(str), "g": (unit // 4).astype(str), "p": position.astype(str)}


@pytest.mark.parametrize(
    "correlation",
    [0.99, 0.9999],
)
def test_almost_perfectly_correlated_residuals(correlation):
    d = repeated_measures(correlation)
    marginal = hd.lmer("y ~ 1 + (1 | g)", d, residual="cs(p | u, hom = TRUE)")
    effect = hd.lmer("y ~ 1 + (1 | g) + (1 | u)", d)
    assert marginal.criterion == pytest.approx(effect.criterion, abs=1e-6)


@pytest.mark.filterwarnings("default::RuntimeWarning")
@pytest.mark.parametrize(
    "residual",
    [
        "ar1(p | u)",
        "cs(p | u)",
        "us(p | u)",
    ],
)
def test_a_singular_residual_covariance_is_said(residual):
    fit = hd.lmer("y ~ 1 + (1 | g)", repeated_measures(1.0 - 1e-12), residual=residual)
    assert any("bound" in notice and "residual" in notice for notice in fit.notices)


def test_a_start_at_a_singular_residual_covariance_is_refused():
    with pytest.raises(hd.DataError, match="start"):
        hd.lmer("y ~ x + (1 | g)", table(231), residual="diag(p)", start=[1.0, 0.0, 1.0])


@pytest.mark.parametrize(
    "tag",
    [
        "us",
        "diag",
        "cs",
    ],
)
def test_a_search_leaves_variances_of_zero(tag):
    formula, d = f"y ~ x + {tag}(0 + p | g)", table(232)
    fit = hd.lmer(formula, d)
    again = hd.lmer(formula, d, start=np.zeros_like(fit.theta))
    assert again.criterion == pytest.approx(fit.criterion, abs=1e-7)


def test_the_lower_of_two_minima():
    d = trial(384, groups=8)
    formula = "y ~ x + cs(0 + p | g)"
    fit = hd.lmer(formula, d.table)
    nearest = hd.lmer(formula, d.table, start=fit.engine.start(reml=True))
    assert nearest.optimum.status == "converged"
    assert nearest.criterion > fit.criterion + 0.05
    dense = DenseLikelihood(d, Family("cs", 3), PLAIN, reml=True, weighted=False, block=False)
    assert fit.criterion == pytest.approx(dense.minimum(starts=12, seed=1)[0], abs=1e-7)
