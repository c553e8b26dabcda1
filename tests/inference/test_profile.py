"""Profile likelihood beside lme4, and beside a deviance from n x n matrices minimised by SciPy."""

import logging
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

import henderson as hd
from henderson.errors import DataError, HendersonError
from henderson.inference.parameters import parameters
from henderson.inference.profile import profile
from henderson.inference.profile.jets import Jet
from reference import design_arguments, lmer_models, load_dataset, load_model, needs_lmer_reference

#: lme4 1.1-31: confint(profile(lmer(Reaction ~ Days + (Days | Subject), sleepstudy)), oldNames = FALSE)
SLEEPSTUDY = {
    "sd_(Intercept)|Subject": (14.38143435, 37.71601215),
    "cor_Days.(Intercept)|Subject": (-0.48150044, 0.68498621),
    "sd_Days|Subject": (3.80116474, 8.75336674),
    "sigma": (22.89826622, 28.85799732),
    "(Intercept)": (237.68069547, 265.12951469),
    "Days": (7.35865330, 13.57591874),
}
NAMES = list(SLEEPSTUDY)


@pytest.fixture(autouse=True)
def quiet():
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="module")
def sleepstudy():
    return hd.example_data("sleepstudy")


@pytest.fixture(scope="module")
def slopes(sleepstudy):
    """The fit by maximum likelihood with a random intercept and slope, and its profile."""
    fit = hd.lmer("Reaction ~ Days + (Days | Subject)", sleepstudy, REML=False)
    return fit, profile(fit)


def deviance(y, X, Z_groups, *, S, R, beta):
    """-2 log-likelihood with V formed: the columns Z (n, q) of each group have covariance S."""
    V = np.array(R)
    for z, group, s in zip(*Z_groups, S, strict=True):
        V += (z @ s @ z.T) * (group[:, None] == group)
    L = np.linalg.cholesky(V)
    r = np.linalg.solve(L, y - X @ beta)
    return y.size * np.log(2 * np.pi) + 2 * np.log(np.diag(L)).sum() + r @ r


def deviance_of_slopes(data, weights=None):
    """That of sleepstudy as a function of the six parameters."""
    y, days = data["Reaction"].to_numpy(), data["Days"].to_numpy(float)
    X = np.column_stack([np.ones_like(days), days])
    group = data["Subject"].to_numpy()
    w = np.ones_like(y) if weights is None else weights

    def of(p):
        s1, rho, s2, sigma = p[:4]
        S = np.array([[s1**2, rho * s1 * s2], [rho * s1 * s2, s2**2]])
        return deviance(y, X, ([X], [group]), S=[S], R=np.diag(sigma**2 / w), beta=p[4:])

    return of


def least(of, start, held, value):
    """The least deviance with one of the six parameters held."""
    free = [i for i in range(6) if i != held]

    def inside(z):
        p = np.empty(6)
        p[held] = value
        for i, v in zip(free, z, strict=True):
            p[i] = np.tanh(v) if i == 1 else np.exp(v) if i < 4 else start[i] + v
        return of(p)

    z = [np.arctanh(start[i]) if i == 1 else np.log(start[i]) if i < 4 else 0.0 for i in free]
    found = minimize(inside, z, method="BFGS", options={"gtol": 1e-6})
    return found.fun


# -- against lme4 ------------------------------------------------------------------------------------------


def test_sleepstudy_as_lme4(sleepstudy):
    fit = hd.lmer("Reaction ~ Days + (Days | Subject)", sleepstudy)
    found = profile(fit)
    table = found.confint()
    assert list(table.index) == NAMES
    expected = np.array(list(SLEEPSTUDY.values()))
    np.testing.assert_allclose(table, expected, rtol=5e-5)
    assert "maximum-likelihood" in found.notices[0]


def profiled_models():
    return [m for m in lmer_models() if load_model(m).get("confint_profile", {}).get("table")]


@needs_lmer_reference
@pytest.mark.parametrize("model", profiled_models())
def test_reference(model):
    stored = load_model(model)
    data, arguments = load_dataset(stored["dataset"]), design_arguments(stored["arguments"])
    fit = hd.lmer(stored["formula"], data, REML=stored["REML"], **arguments)
    table = profile(fit).confint()
    expected = stored["confint_profile"]["table"]
    assert list(table.index) == expected["rows"]
    limits = pd.DataFrame({"lower": expected["2.5 %"], "upper": expected["97.5 %"]}, index=expected["rows"])
    if "non-monotonic profile for Days" in stored["confint_profile"]["conditions"]["warnings"]:
        # lme4's profiles of fixed effects are wrong where there are weights, which it warns of; see below
        limits = limits.iloc[:-2]
    # lme4 interpolates between its points, which is right to some 4e-4 of an interval
    for name, row in limits.iterrows():
        np.testing.assert_allclose(table.loc[name], row, rtol=0, atol=5e-4 * (row.upper - row.lower))


# -- against n x n matrices --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_zeta_is_the_rise_of_the_deviance(slopes, sleepstudy, name):
    fit, found = slopes
    of, curve, held = deviance_of_slopes(sleepstudy), found[name], NAMES.index(name)
    between = 0.5 * (curve.u[1:] + curve.u[:-1])
    at_points = [(curve.values[i], curve.zeta[i], curve.others[i], 2e-5) for i in (1, -1)]
    inside = [curve.link.jet(u)[0] for u in between]
    halfway = [(inside[i], curve.zeta_at(inside[i]), curve.others[i], 1e-3) for i in (0, -2)]
    for value, zeta, others, tolerance in at_points + halfway:
        rise = least(of, np.clip(others, [1e-3, -0.95, 1e-3, 1, -1e9, -1e9], None), held, value)
        rise -= fit.deviance
        assert np.sign(zeta) * np.sqrt(max(rise, 0.0)) == pytest.approx(
            zeta, abs=tolerance + 1e-4 * (zeta == 0)
        )


def test_parameters_along_the_path_have_that_deviance(slopes, sleepstudy):
    fit, found = slopes
    of = deviance_of_slopes(sleepstudy)
    table = found.to_frame()
    assert list(table.columns) == ["parameter", "value", "zeta", *NAMES]
    for row in table.itertuples(index=False):
        assert of(np.array(row[3:])) == pytest.approx(fit.deviance + row.zeta**2, abs=2e-5)
        assert row[3 + NAMES.index(row.parameter)] == pytest.approx(row.value, rel=1e-9)


def test_weights(sleepstudy):
    """Where lme4 goes astray."""
    w = np.random.default_rng(3).uniform(0.5, 2.0, len(sleepstudy))
    fit = hd.lmer("Reaction ~ Days + (Days | Subject)", sleepstudy, REML=False, weights=w)
    curve = profile(fit, "Days")["Days"]
    of = deviance_of_slopes(sleepstudy, w)
    for i in (0, 2, -1):
        rise = least(of, curve.others[i], 5, curve.values[i]) - fit.deviance
        assert np.sqrt(rise) == pytest.approx(abs(curve.zeta[i]), abs=2e-5)


def test_slopes_are_those_of_zeta(slopes):
    for curve in slopes[1]:
        for i in range(1, curve.u.size - 1):
            around = curve.zeta_at([curve.link.jet(curve.u[i] + h)[0] for h in (-1e-5, 1e-5)])
            assert np.diff(around)[0] / 2e-5 == pytest.approx(curve.slope[i], rel=1e-4)


def test_value_and_zeta_are_inverse(slopes):
    for curve in slopes[1]:
        zeta = np.linspace(-2.5, 2.5, 11)
        np.testing.assert_allclose(curve.zeta_at(curve.value_at(zeta)), zeta, atol=1e-9)
        assert curve.value_at(0.0) == pytest.approx(curve.estimate, rel=1e-12)
        assert np.isnan(curve.value_at(4.0))


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
def test_other_levels(slopes, level):
    fit, found = slopes
    own = profile(fit, level=level).confint(level)
    np.testing.assert_allclose(found.confint(level), own, rtol=2e-4, atol=2e-4)


# -- relationships and shares ------------------------------------------------------------------------------


def relatives(h2, seed=1, n=120):
    rng = np.random.default_rng(seed)
    G = rng.normal(size=(n, 2 * n))
    K = G @ G.T / (2 * n)
    names = [f"i{i}" for i in range(n)]
    g = np.linalg.cholesky(K + 1e-9 * np.eye(n)) @ rng.normal(size=n)
    x = rng.normal(size=n)
    y = np.sqrt(h2) * g + np.sqrt(1 - h2) * rng.normal(size=n)
    data = pd.DataFrame({"y": y, "x": x, "iid": names})
    G = pd.DataFrame(K, index=names, columns=names)
    return hd.lmer("y ~ x + (1 | iid)", data, REML=False, relationship={"iid": G}), K, data


def deviance_at_share(K, data, h2):
    """Sigma and fixed effects profiled out in closed form."""
    n = len(data)
    V = h2 * K + (1 - h2) * np.eye(n)
    X, y = np.column_stack([np.ones(n), data["x"]]), data["y"].to_numpy()
    Vi = np.linalg.inv(V)
    r = y - X @ np.linalg.solve(X.T @ Vi @ X, X.T @ Vi @ y)
    return np.linalg.slogdet(V)[1] + n * (1 + np.log(2 * np.pi * (r @ Vi @ r) / n))


@pytest.mark.parametrize("truth", [0.6, 0.0])
def test_heritability(truth):
    fit, K, data = relatives(truth, seed=3 if truth == 0.0 else 1)
    if truth == 0.0:
        assert fit.theta[0] == 0.0
    curve = profile(fit, "h2")["h2"]
    for value, zeta in zip(curve.values, curve.zeta, strict=True):
        rise = deviance_at_share(K, data, value) - fit.deviance
        assert np.sqrt(max(rise, 0.0)) == pytest.approx(abs(zeta), abs=2e-5)
    low, high = curve.interval(0.95)
    assert np.sqrt(deviance_at_share(K, data, high) - fit.deviance) == pytest.approx(1.959964, abs=1e-3)
    if truth == 0.0:
        assert low == 0.0

        def share(p):
            return p["var_(Intercept)|iid"] / (p["var_(Intercept)|iid"] + p["sigma"] ** 2)

        own = profile(fit, {"share": share}).confint().loc["share"]
        assert own["lower"] == 0.0
        # less exact: nobody said that the share has a bound here, at which zeta has no slope
        rise = deviance_at_share(K, data, own["upper"]) - fit.deviance
        assert np.sqrt(rise) == pytest.approx(1.959964, abs=5e-3)
        # right off the bound too, where zeta is no longer smooth in h2
        small = 0.3 * curve.values[1]
        rise = deviance_at_share(K, data, small) - fit.deviance
        assert curve.zeta_at(small) == pytest.approx(np.sqrt(rise), rel=2e-3)


def test_heritability_beside_another_term():
    """The share of vg in the sum of all variances, the others at their best for each share."""
    from scipy.optimize import minimize

    _, K, data = relatives(0.6, n=60)
    data["house"] = np.arange(60) % 9
    data["y"] += np.random.default_rng(0).normal(size=9)[data["house"]]
    G = {"iid": pd.DataFrame(K, index=data["iid"], columns=data["iid"])}
    fit = hd.lmer("y ~ x + (1 | iid) + (1 | house)", data, REML=False, relationship=G)
    found = profile(fit, "h2", level=0.8)
    assert found["h2"].estimate == pytest.approx(fit.heritability().h2, rel=1e-8)
    X, y = np.column_stack([np.ones(60), data["x"]]), data["y"].to_numpy()
    H = (data["house"].to_numpy()[:, None] == data["house"].to_numpy()).astype(float)

    def deviance(share, h2):
        V = h2 * K + (1 - h2) * (share * H + (1 - share) * np.eye(60))
        Vi = np.linalg.inv(V)
        r = y - X @ np.linalg.solve(X.T @ Vi @ X, X.T @ Vi @ y)
        return np.linalg.slogdet(V)[1] + 60 * (1 + np.log(2 * np.pi * (r @ Vi @ r) / 60))

    for limit in found.confint(0.8).loc["h2"]:
        if 0.0 < limit < 1.0:
            best = minimize(lambda s, h2: deviance(s[0], h2), [0.3], (limit,), bounds=[(0.0, 0.999)]).fun
            assert best - fit.deviance == pytest.approx(1.281552**2, rel=2e-3)
    assert found.confint(0.8).equals(profile(fit, "h2|iid", level=0.8).confint(0.8).set_axis(["h2"]))
    with pytest.raises(DataError, match="no random term on 'house' has a relationship"):
        profile(fit, "h2|house")


def test_fixed_effects_of_relatives():
    fit, K, data = relatives(0.5)
    curve = profile(fit, "x")["x"]
    n = len(data)
    for i in (0, -1):

        def held(log_ratio, value=curve.values[i]):
            V = np.exp(log_ratio[0]) * K + np.eye(n)
            Vi = np.linalg.inv(V)
            y = data["y"].to_numpy() - value * data["x"].to_numpy()
            r = y - (Vi @ y).sum() / Vi.sum()
            return np.linalg.slogdet(V)[1] + n * (1 + np.log(2 * np.pi * (r @ Vi @ r) / n))

        rise = minimize(held, [0.0], method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-11}).fun
        assert np.sqrt(rise - fit.deviance) == pytest.approx(abs(curve.zeta[i]), abs=2e-5)


def test_one_parameter_by_many_names(sleepstudy):
    """Variances, shares and functions are monotone functions of each other here: so are their intervals."""
    fit = hd.lmer("Reaction ~ Days + (1 | Subject)", sleepstudy)
    sd = profile(fit, ["sd_(Intercept)|Subject", "var_(Intercept)|Subject"]).confint()
    np.testing.assert_allclose(sd.iloc[0] ** 2, sd.iloc[1], rtol=1e-4)

    def ratio(p):
        return p["sd_(Intercept)|Subject"] / p["sigma"]

    def share(p):
        return 1.0 - p["sigma"] ** 2 / (p["sigma"] ** 2 + p["var_(Intercept)|Subject"])

    by = profile(fit, {"ratio": ratio, "share": share}).confint()
    np.testing.assert_allclose(by.loc["ratio"] ** 2 / (1 + by.loc["ratio"] ** 2), by.loc["share"], rtol=1e-3)
    np.testing.assert_allclose(profile(fit, "icc").confint().loc["icc"], by.loc["share"], rtol=1e-3)


def test_icc_with_slopes_is_that_of_the_fit(slopes):
    fit, _ = slopes
    assert profile(fit, "icc")["icc"].estimate == pytest.approx(fit.icc, rel=1e-12)


# -- structures --------------------------------------------------------------------------------------------


def repeated(seed=5, g=20, t=4):
    rng = np.random.default_rng(seed)
    b = rng.multivariate_normal(np.zeros(t), 0.5 ** np.abs(np.subtract.outer(range(t), range(t))), g)
    data = pd.DataFrame(
        {"g": np.repeat(np.arange(g), 2 * t).astype(str), "t": np.tile(np.repeat(list("abcd"), 2), g)}
    )
    position = data["t"].map("abcd".index).to_numpy()
    data["y"] = b[data["g"].astype(int), position] + rng.normal(size=len(data)) * (1 + 0.5 * (position > 1))
    return data, position


@pytest.mark.parametrize("tag", ["ar1", "cs"])
def test_correlation_of_a_structure(tag):
    data, position = repeated()
    fit = hd.lmer(f"y ~ 1 + {tag}(0 + t | g, hom=True)", data, REML=False)
    curve = profile(fit, "rho|g")["rho|g"]
    y, X = data["y"].to_numpy(), np.ones((len(data), 1))
    z = np.eye(4)[position]
    lags = np.abs(np.subtract.outer(range(4), range(4)))
    for i in (0, 2, -2):

        def held(p, rho=curve.values[i]):
            S = np.exp(2 * p[0]) * rho ** (lags if tag == "ar1" else (lags > 0))
            return deviance(
                y, X, ([z], [data["g"].to_numpy()]), S=[S], R=np.exp(2 * p[1]) * np.eye(y.size), beta=p[2:]
            )

        rise = minimize(held, [0.0, 0.2, 0.0], method="BFGS").fun - fit.deviance
        assert np.sqrt(max(rise, 0.0)) == pytest.approx(abs(curve.zeta[i]), abs=5e-5)


def test_residual_strata():
    data, position = repeated()
    data["late"] = np.where(position > 1, "late", "early")
    fit = hd.lmer("y ~ 1 + (1 | g)", data, REML=False, residual="diag(late)")
    found = profile(fit)
    assert [c.name for c in found] == ["sd_(Intercept)|g", "sd_late|Residual", "sigma", "(Intercept)"]
    y, X, group = data["y"].to_numpy(), np.ones((len(data), 1)), data["g"].to_numpy()
    late = position > 1
    for name in ("sd_late|Residual", "sigma"):
        curve = found[name]
        for i in (0, -1):

            def held(p, value=curve.values[i], name=name):
                own, other = value**2, np.exp(2 * p[1])
                early, later = (other, own) if name != "sigma" else (own, other)
                R = np.diag(np.where(late, later, early))
                return deviance(y, X, ([X], [group]), S=[np.exp(2 * p[0]) * np.eye(1)], R=R, beta=p[2:])

            rise = minimize(held, [-0.5, 0.2, 0.0], method="BFGS").fun - fit.deviance
            assert np.sqrt(rise) == pytest.approx(abs(curve.zeta[i]), abs=5e-5)


def test_names_are_those_of_the_other_intervals(slopes):
    data, _ = repeated()
    fits = [
        slopes[0],
        hd.lmer("y ~ t + cs(0 + t | g)", data),
        hd.lmer("y ~ 1 + (1 | g)", data, residual="diag(t)"),
    ]
    for fit in fits:
        assert profile(fit, level=0.5).names == tuple(parameters(fit, fit.estimates))


# -- bounds ------------------------------------------------------------------------------------------------


def test_singular_standard_deviation():
    rng = np.random.default_rng(11)
    data = pd.DataFrame({"g": np.repeat(np.arange(8), 6)})
    y = rng.normal(size=48)
    data["y"] = y - pd.Series(y).groupby(data["g"]).transform("mean") * 0.8
    fit = hd.lmer("y ~ 1 + (1 | g)", data, REML=False)
    assert fit.theta[0] == 0.0
    table = profile(fit).confint()
    assert table.loc["sd_(Intercept)|g", "lower"] == 0.0
    group, n = data["g"].to_numpy(), 48
    K = (group[:, None] == group).astype(float)
    top = table.loc["sd_(Intercept)|g", "upper"]

    def held(log_sigma):
        V = top**2 * K + np.exp(2 * log_sigma[0]) * np.eye(n)
        Vi = np.linalg.inv(V)
        r = data["y"] - (Vi @ data["y"]).sum() / Vi.sum()
        return n * np.log(2 * np.pi) + np.linalg.slogdet(V)[1] + r @ Vi @ r

    rise = (
        minimize(held, [0.0], method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-11}).fun
        - fit.deviance
    )
    assert np.sqrt(rise) == pytest.approx(1.959964, abs=1e-3)


def singular_slopes(seed, scale):
    """Random slopes that are `scale` times the random intercepts."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(30), 8)
    x, b = rng.normal(size=240), rng.normal(size=30)
    return pd.DataFrame({"g": g, "x": x, "y": b[g] * (1 + scale * x) + rng.normal(size=240)})


def test_correlation_at_its_bound():
    fit = hd.lmer("y ~ x + (x | g)", singular_slopes(4, 0.5), REML=False)
    assert fit.theta[2] == 0.0
    found = profile(fit, "cor_x.(Intercept)|g")
    curve = found["cor_x.(Intercept)|g"]
    low, high = curve.interval(0.95)
    assert high == 1.0
    assert 0.0 < low < 1.0

    def held(p, rho=low):
        T = np.exp([p[0], p[1]])
        theta = np.array([T[0], rho * T[1], np.sqrt(1 - rho**2) * T[1]])
        return fit.engine.criterion(theta).profiled(reml=False)

    rise = minimize(held, [0.0, -0.7], method="BFGS").fun - fit.deviance
    assert np.sqrt(rise) == pytest.approx(1.959964, abs=1e-3)


def test_correlation_that_data_say_nothing_of():
    """Its profile levels off where a standard deviation is zero, and is followed so far as it can be."""
    rng = np.random.default_rng(12)
    data = singular_slopes(2, 0.0)
    data["y"] = rng.normal(size=240) + 0.3 * rng.normal(size=30)[data["g"]]
    fit = hd.lmer("y ~ x + (x | g)", data, REML=False)
    found = profile(fit)
    limits = found.confint()
    assert limits.loc["sd_x|g", "lower"] == 0.0
    name = "cor_x.(Intercept)|g"
    if name in limits.index:
        assert tuple(limits.loc[name]) == (-1.0, 1.0)
    else:
        assert any("is not defined" in notice for notice in found.notices)


def test_correlation_beside_a_variance_of_zero():
    data = pd.DataFrame({"g": np.repeat(np.arange(6), 8), "x": np.tile(np.arange(8.0), 6)})
    rng = np.random.default_rng(0)
    e = rng.normal(size=(6, 8))
    e -= e.mean(axis=1, keepdims=True)
    data["y"] = e.ravel()
    fit = hd.lmer("y ~ x + (x | g)", data, REML=False)
    assert fit.varcorr["g"].sd.max() < 1e-8
    with pytest.raises(DataError, match="is not defined at the estimates"):
        profile(fit, "cor_x.(Intercept)|g")
    found = profile(fit)
    assert any("is not defined" in notice for notice in found.notices)
    assert "cor_x.(Intercept)|g" not in found.confint().index


# -- properties --------------------------------------------------------------------------------------------


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 1000), st.floats(0.01, 100.0), st.floats(-1e3, 1e3))
def test_units_and_order_of_rows(seed, scale, shift):
    data = singular_slopes(1, 0.2)
    rng = np.random.default_rng(seed)
    moved = data.iloc[rng.permutation(len(data))].assign(y=lambda d: scale * d["y"] + shift)
    moved["g"] = rng.permutation(1000)[moved["g"]]
    names = ["sd_(Intercept)|g", "sd_x|g", "sigma", "x"]
    table = profile(hd.lmer("y ~ x + (x | g)", data), names).confint()
    np.testing.assert_allclose(
        profile(hd.lmer("y ~ x + (x | g)", moved), names).confint() / scale, table, rtol=1e-4
    )


def test_workers_change_nothing(slopes):
    fit, found = slopes
    pd.testing.assert_frame_equal(profile(fit, workers=3).to_frame(), found.to_frame(), rtol=1e-12)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0.2, 3.0), min_size=3, max_size=3))
def test_jets(point):
    def f(p):
        x, y, z = p
        return 2.0 / (x * y) ** 1.5 + (1.0 - x) * z**2 - y / z + 3.0

    found = f([Jet.variable(v, i, 3) for i, v in enumerate(point)])
    assert found.value == pytest.approx(f(point), rel=1e-12)
    h = 1e-4

    def moved(*steps):
        return f(np.array(point) + np.array(steps) @ np.eye(3) * h)

    E = np.eye(3)
    gradient = [(moved(*e) - moved(*-e)) / (2 * h) for e in E]
    hessian = [
        [(moved(*(a + b)) - moved(*(a - b)) - moved(*(b - a)) + moved(*-(a + b))) / (4 * h * h) for a in E]
        for b in E
    ]
    np.testing.assert_allclose(found.gradient, gradient, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.hessian, hessian, rtol=1e-3, atol=1e-3 * np.abs(hessian).max())


# -- what goes wrong ---------------------------------------------------------------------------------------


def test_a_better_optimum_is_told(sleepstudy):
    fit = hd.lmer(
        "Reaction ~ Days + (Days | Subject)",
        sleepstudy,
        REML=False,
        start=[0.5, 0.1, 0.3],
        control=hd.Control(max_iterations=0),
    )
    found = profile(fit, "sigma")
    assert any("higher likelihood" in notice for notice in found.notices)
    np.testing.assert_allclose(found.confint().loc["sigma"], SLEEPSTUDY["sigma"], rtol=5e-5)


@pytest.mark.parametrize(
    ("which", "sentence"),
    [
        ("sd_Dayz|Subject", "did you mean 'sd_Days|Subject'"),
        (["Days", "Nights"], "no parameter 'Nights'"),
        ("h2", "relationship matrix"),
        ({"f": lambda p: 3.0}, "returned a float"),
        ({"f": lambda p: p["sd_x|Subject"]}, "no parameter 'sd_x|Subject'"),
    ],
)
def test_mistakes(slopes, which, sentence):
    with pytest.raises(DataError, match=sentence.replace("|", r"\|")):
        profile(slopes[0], which)


def test_wrong_numbers(slopes):
    with pytest.raises(DataError, match="level"):
        profile(slopes[0], level=95)
    with pytest.raises(DataError, match="workers"):
        profile(slopes[0], workers=0)
    with pytest.raises(DataError, match=r"profile\(level=0.999\)"):
        slopes[1].confint(0.999)
    with pytest.raises(KeyError, match="was not profiled"):
        slopes[1]["Nights"]


def test_without_data(slopes):
    with pytest.raises(HendersonError, match="read back"):
        profile(pickle.loads(pickle.dumps(slopes[0])))


def test_streamed(slopes, sleepstudy, tmp_path):
    path = tmp_path / "sleepstudy.parquet"
    sleepstudy.to_parquet(path)
    fit = hd.lmer("Reaction ~ Days + (Days | Subject)", str(path), REML=False)
    found = profile(fit)
    np.testing.assert_allclose(found.confint(), slopes[1].confint().iloc[:4], rtol=1e-6)
    assert any("streamed" in notice for notice in found.notices)
    with pytest.raises(DataError, match="streamed"):
        profile(fit, "Days")
