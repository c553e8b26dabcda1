"""Variances, shares and their standard errors: brute force, differences, other programs, invariances."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import henderson as hd
from cohorts import reference_cohort
from engine.dense import (
    Dense,
    at_theta,
    mixed_model,
    random_model,
    random_theta,
    related_model,
    relative_covariances,
    structured_model,
)
from fit.relatives import fit, population
from gwas_reference import GWAS, needs_gwas_reference
from henderson.association.grm import grm
from henderson.fit.engines import choose_engine
from henderson.fit.optimize import Optimum
from henderson.fit.record_kinds import record_kinds
from henderson.fit.solve import Fitted, solve
from henderson.fit.variance_components import VarianceComponents, triangle, variance_components
from henderson.genotype.blocks import variant_filter
from henderson.io.pedigree_files import read_pedigree

STEP = 1e-20


def absolute(model, theta, sigma2):
    """Elements of sigma^2 S_k and sigma^2 R_0 in the order of the information; complex theta is allowed."""
    *S, R0 = relative_covariances(model, theta)
    values = [s[at] for s in S for at in triangle(len(s))]
    R0 = np.ones((1, 1)) if R0 is None else R0
    of_residual = [R0[at] for at in triangle(len(R0))]
    return sigma2 * np.array([*values, *of_residual[1:], of_residual[0]])


def brute_force(fitted):
    """Average information in (theta, sigma^2) by V itself, and the slopes of the elements in these."""
    model, theta, reml = fitted.engine.model, fitted.theta, fitted.reml
    sigma2 = fitted.criterion.sigma2(reml)
    x = np.append(theta, sigma2).astype(complex)
    dV, J = [], []
    for i in range(x.size):
        moved = x + 1j * STEP * (np.arange(x.size) == i)
        dV.append((moved[-1] * Dense(model, relative_covariances(model, moved[:-1])).V).imag / STEP)
        J.append(absolute(model, moved[:-1], moved[-1]).imag / STEP)
    P = at_theta(model, theta).P / sigma2
    Py = P @ model.y
    middle = np.array([[0.5 * Py @ a @ P @ b @ Py for b in dV] for a in dV])
    return middle, np.array(J).T


def at_any_theta(model, seed, reml):
    """As if a search had ended there: the formulas hold at any theta."""
    engine = choose_engine(model)
    theta = random_theta(model, np.random.default_rng(seed))
    k = theta.size
    optimum = Optimum(np.zeros(k), 0.0, np.zeros(k), np.eye(k), 0.0, "converged", 1, 1, ())
    return Fitted(engine, theta, engine.scaled_factors(theta), engine.criterion(theta), optimum, reml)


def dense_kernels(seed):
    return mixed_model(seed, ("dense", "factor", "identity"), residuals=True)


def sparse_precisions(seed):
    return mixed_model(seed, ("precision", "families", "identity"))


@pytest.mark.parametrize(
    "make", [structured_model, random_model, related_model, dense_kernels, sparse_precisions]
)
@pytest.mark.parametrize("seed", range(9))
@pytest.mark.parametrize("reml", [True, False])
def test_standard_errors_by_brute_force(make, seed, reml):
    """Terms and residuals of any structure: moves of the elements, or theta and the delta method."""
    fitted = at_any_theta(make(seed), seed, reml)
    found = variance_components(fitted)
    sigma2 = fitted.criterion.sigma2(reml)
    np.testing.assert_allclose(found.values, absolute(fitted.engine.model, fitted.theta, sigma2), rtol=1e-10)
    assert found.free.all()
    information, J = brute_force(fitted)
    if found.notices:  # two terms of one kind on one factor
        assert "no peak" in found.notices[0]
        size = np.sqrt(np.diag(information))
        assert np.linalg.cond(information / np.outer(size, size)) > 1e10
        assert np.isnan(found.cov).all()
        return
    expected = J @ np.linalg.solve(information, J.T)
    errors = np.sqrt(np.diag(expected))
    np.testing.assert_allclose(found.std_errors, errors, rtol=1e-6, atol=1e-9 * errors.max())
    np.testing.assert_allclose(found.cov, expected, rtol=0, atol=1e-6 * np.outer(errors, errors).max())


def test_common_factors():
    """Elements by theta, its average information and the delta method: fewer loadings than elements."""
    rng = np.random.default_rng(0)
    names = pd.MultiIndex.from_product([range(40), range(4), range(2)], names=["g", "env", "plot"])
    data = names.to_frame(index=False).astype({"env": str})
    loading = np.array([1.0, 0.8, 0.6, 0.9])
    u = rng.normal(size=(40, 1)) * loading + 0.4 * rng.normal(size=(40, 4))
    data["y"] = u[data["g"], data["env"].astype(int)] + 0.7 * rng.normal(size=len(data))
    fit = hd.lmer("y ~ env + fa(0 + env | g, k = 1)", data)
    fitted = fit.source.fitted
    found = variance_components(fitted)
    information = fitted.engine.information(fitted.theta, reml=True, kind="average").theta_sigma2
    slopes = fitted.engine.shape.terms[0].covariance.derivatives(fitted.theta)[0]
    J = np.array(
        [
            [*(fit.sigma**2 * slopes[:, i, j]), value / fit.sigma**2]
            for (k, i, j), value in zip(found.elements, found.values, strict=True)
            if k == 0
        ]
    )
    errors = np.sqrt(np.diag(J @ np.linalg.solve(information, J.T)))
    np.testing.assert_allclose(found.std_errors[:-1], errors, rtol=1e-8)
    assert len(fit.variances()) == 4 + 6 + 1
    assert len(fit.genetic_correlations()) == 6


def test_a_variance_of_zero_is_held():
    """The other standard errors are those of the model without the term."""
    rng = np.random.default_rng(4)
    n = 120
    data = pd.DataFrame({"g": np.arange(n) % 20, "h": np.arange(n) // 6})
    h = rng.normal(size=20)
    e = rng.normal(size=n)
    e -= data.assign(e=e).groupby("g")["e"].transform("mean")
    data["y"] = h[data["h"]] + e
    full = hd.lmer("y ~ 1 + (1 | g) + (1 | h)", data)
    found = full.variances().set_index("group")
    assert found.loc["g", "estimate"] == 0.0
    assert np.isnan(found.loc["g", ["std_error", "share_se"]].astype(float)).all()
    assert found.loc["g", "share"] == 0.0
    small = hd.lmer("y ~ 1 + (1 | h)", data).variances().set_index("group")
    for group in ("h", "Residual"):
        numbers = ["estimate", "std_error", "share", "share_se"]
        np.testing.assert_allclose(
            found.loc[group, numbers].astype(float), small.loc[group, numbers].astype(float), rtol=1e-6
        )


def test_a_variance_of_zero_is_told(caplog):
    data = hd.example_data("dyestuff2")
    found = hd.lmer("Yield ~ 1 + (1 | Batch)", data)
    caplog.clear()
    table = found.variances()
    assert "a variance of 'Batch' is estimated as zero" in caplog.text
    # the residual alone: 2 sigma^4 / (n - 1)
    residual = table.iloc[-1]
    assert residual["std_error"] == pytest.approx(residual["estimate"] * np.sqrt(2 / 29), rel=1e-6)
    assert np.isnan(residual["share_se"])


def test_a_singular_covariance_keeps_its_standard_errors():
    """A correlation of one: the moves along which the covariance stays singular."""
    rng = np.random.default_rng(0)
    n = 200
    data = pd.DataFrame({"g": np.arange(n) // 10, "x": rng.normal(size=n)})
    u = rng.normal(size=20)[data["g"]]
    data["y"] = u * (1 + 0.5 * data["x"]) + 0.3 * rng.normal(size=n)
    found = hd.lmer("y ~ x + (x | g)", data)
    assert found.is_singular()
    errors = found.variances()["std_error"]
    assert np.isfinite(errors).all()
    # it stays at one, which is not the same as being known
    r = found.genetic_correlation("(Intercept)", "x", interval="wald")
    assert r.estimate == pytest.approx(1.0, abs=1e-12)
    assert np.isnan([r.std_error, r.lower, r.upper]).all()
    # sd_x = ratio * sd_0 on the face: as the model of one effect whose z is 1 + ratio x
    sd = found.varcorr["g"].sd
    one = hd.lmer("y ~ x + (0 + z | g)", data.assign(z=1 + sd[1] / sd[0] * data["x"]))
    assert one.varcorr["g"].sd[0] == pytest.approx(sd[0], rel=1e-4)
    assert errors[3] == pytest.approx(one.variances()["std_error"].iloc[-1], rel=0.01)


# -- functions of the components -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def correlated():
    fitted = solve(choose_engine(structured_model(7)), reml=True)
    return variance_components(fitted)


def differences(function, x):
    steps = 1e-6 * np.abs(x).max() * np.eye(x.size)
    return np.array([(function(x + h) - function(x - h)) / (2 * h.sum()) for h in steps])


@pytest.mark.parametrize("seed", range(4))
def test_the_delta_method(seed):
    rng = np.random.default_rng(seed)
    m = 5
    A = rng.normal(size=(m, m))
    elements = ((0, 0, 0), (0, 1, 0), (0, 1, 1), (1, 0, 0), (2, 0, 0))
    values = np.array([2.0, 0.7, 1.5, 0.4, 3.0])
    found = VarianceComponents(elements, values, A @ A.T, np.ones(m, dtype=bool), ())
    own, total = np.array([1.0, 1.0, 1.0, 0, 0]), np.array([1.0, 1.0, 1.0, 1.0, 1.0])

    def check(result, function):
        slope = differences(function, values)
        assert result[0] == pytest.approx(function(values), rel=1e-12)
        assert result[1] == pytest.approx(np.sqrt(slope @ found.cov @ slope), rel=1e-7)

    check(found.total(own), lambda v: own @ v)
    check(found.share(own, total), lambda v: own @ v / (total @ v))
    check(found.correlation(0, 1, 0), lambda v: v[1] / np.sqrt(v[0] * v[2]))
    check(found.correlation(0, 0, 1), lambda v: v[1] / np.sqrt(v[0] * v[2]))


def test_a_share_that_is_all_has_no_standard_error():
    elements = ((0, 0, 0), (1, 0, 0))
    found = VarianceComponents(
        elements, np.array([2.0, 0.0]), np.diag([0.3, 0.0]), np.array([True, False]), ()
    )
    share, se = found.share(np.array([1.0, 0.0]), np.ones(2))
    assert share == 1.0
    assert np.isnan(se)


# -- what a record is made of --------------------------------------------------------------------------


def traits(seed=0, n=80):
    rng = np.random.default_rng(seed)
    u = rng.multivariate_normal([0, 0], [[1.0, 0.5], [0.5, 1.0]], size=n // 4)
    rows = []
    for i in range(n):
        e = rng.multivariate_normal([0, 0], [[1.0, -0.3], [-0.3, 1.0]])
        rows += [(i, i // 4, "a", u[i // 4, 0] + e[0]), (i, i // 4, "b", 3 + 2 * (u[i // 4, 1] + e[1]))]
    return pd.DataFrame(rows, columns=["unit", "family", "trait", "y"])


def test_shares_of_several_traits():
    found = hd.lmer("y ~ trait + (0 + trait | family)", traits(), residual="us(trait | unit)")
    table = found.variances()
    assert table["group"].tolist() == ["family"] * 3 + ["Residual"] * 3
    assert table["effect_2"].tolist() == ["", "", "traitb", "", "", "b"]
    genetic, residual = table.iloc[:2], table.iloc[3:5]
    total = genetic["estimate"].to_numpy() + residual["estimate"].to_numpy()
    np.testing.assert_allclose(genetic["share"], genetic["estimate"] / total, rtol=1e-12)
    np.testing.assert_allclose(genetic["share"].to_numpy() + residual["share"].to_numpy(), 1.0, rtol=1e-12)
    np.testing.assert_allclose(genetic["share_se"], residual["share_se"], rtol=1e-8)
    assert np.isnan(table["share"].iloc[[2, 5]]).all()
    kinds = record_kinds(found, variance_components(found.source.fitted).elements)
    assert [kind.label for kind in kinds] == ["traita", "traitb"]
    alone = hd.lmer("y ~ 1 + (1 | family)", traits().query("trait == 'a'")).variances()
    # two records of each family and trait at equal design: each trait's own REML estimates
    np.testing.assert_allclose(
        table.iloc[[0, 3]][["estimate", "std_error", "share", "share_se"]].astype(float),
        alone[["estimate", "std_error", "share", "share_se"]].astype(float),
        rtol=1e-5,
    )


def test_a_term_that_traits_have_in_common_has_no_one_share():
    data = traits()
    data["place"] = data["unit"] % 5
    found = hd.lmer("y ~ trait + (0 + trait | family) + (1 | place)", data)
    table = found.variances().set_index("group")
    assert np.isnan(table.loc["place", "share"])
    assert np.isnan(table.loc["Residual", "share"])
    assert np.isfinite(table.loc["family", "share"].to_numpy()[:2].astype(float)).all()


def test_random_slopes_leave_no_share():
    table = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy")).variances()
    assert table["share"].isna().all()
    assert table["std_error"].notna().all()


def test_streamed(tmp_path):
    data = hd.example_data("penicillin")
    pd.DataFrame(data).to_parquet(tmp_path / "p.parquet")
    formula = "diameter ~ 1 + (1 | plate) + (1 | sample)"
    streamed = hd.lmer(formula, tmp_path / "p.parquet").variances()
    pd.testing.assert_frame_equal(streamed, hd.lmer(formula, data).variances(), rtol=1e-5)


# -- invariances ---------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(scale=st.floats(0.01, 100.0), shift=st.floats(-50.0, 50.0), seed=st.integers(0, 20))
def test_scale_shift_and_order(scale, shift, seed):
    data, G = population(seed % 4, n=50)
    plain = fit(data, G).variances()
    moved = data.assign(y=scale * data["y"] + shift).sample(frac=1.0, random_state=seed)
    other = fit(moved, G).variances()
    numbers = ["estimate", "std_error"]
    np.testing.assert_allclose(other[numbers], scale**2 * plain[numbers], rtol=1e-5)
    np.testing.assert_allclose(other[["share", "share_se"]], plain[["share", "share_se"]], rtol=1e-5)


def test_units_of_a_slope():
    data = hd.example_data("sleepstudy")
    days = hd.lmer("Reaction ~ Days + (Days | Subject)", data).variances()["std_error"]
    hours = pd.DataFrame(data).assign(Days=lambda t: 24e3 * t["Days"])
    moved = hd.lmer("Reaction ~ Days + (Days | Subject)", hours).variances()["std_error"]
    np.testing.assert_allclose(moved * [1, 24e3**2, 24e3, 1], days, rtol=1e-5)


# -- other programs ------------------------------------------------------------------------------------


def test_of_gcta_without_its_files():
    """Balanced one-way classes, whose average information is known: Searle et al. (1992), section 4.7."""
    found = hd.lmer("Yield ~ 1 + (1 | Batch)", hd.example_data("dyestuff")).variances()
    a, n = 6, 5
    mse = found["estimate"][1]
    msa = mse + n * found["estimate"][0]
    # at the REML estimates of balanced data average and expected information agree
    variance = 2 / n**2 * (msa**2 / (a - 1) + mse**2 / (a * (n - 1)))
    assert found["std_error"][0] == pytest.approx(np.sqrt(variance), rel=1e-6)
    assert found["std_error"][1] == pytest.approx(mse * np.sqrt(2 / (a * (n - 1))), rel=1e-6)


def related(name):
    people = reference_cohort(name, "mouse_clean" if name == "mouse_hs1940" else None)
    common = variant_filter(people.genotypes, min_maf=0.01)
    return people, grm(people.genotypes, missing="pairwise", variants=common)


def printed(name, result):
    lines = (GWAS / "expected" / name / "gcta" / f"reml_{result}.hsq").read_text().splitlines()
    return numbers_by_name(lines[1 : lines.index("")])


def numbers_by_name(lines):
    rows = [line.split("\t") for line in lines]
    return {name: [float(x) for x in numbers] for name, *numbers in rows}


@needs_gwas_reference
@pytest.mark.parametrize(
    ("name", "trait", "covariates"),
    [
        ("hapmap3", "q1", True),
        ("hapmap3", "q2", True),
        ("mouse_hs1940", "t1", False),
        ("saige_example", "y_quantitative", True),
    ],
)
def test_gcta(name, trait, covariates):
    people, G = related(name)
    formula = people.formula(trait, covariates=covariates)
    found = hd.lmer(f"{formula} + (1 | IID)", people.table, relationship={"IID": G})
    theirs = printed(name, trait)
    assert found.nobs == theirs["n"][0]
    table = found.variances()
    # GCTA stops when its estimates change by less than 1e-8 of their squares
    np.testing.assert_allclose(table["estimate"], [theirs["V(G)"][0], theirs["V(e)"][0]], rtol=2e-5)
    np.testing.assert_allclose(table["std_error"], [theirs["V(G)"][1], theirs["V(e)"][1]], rtol=5e-5)
    np.testing.assert_allclose(
        table.loc[0, ["share", "share_se"]].astype(float), theirs["V(G)/Vp"], rtol=5e-5
    )
    shares = found.heritabilities().iloc[0]
    np.testing.assert_allclose(
        shares[["phenotypic_variance", "phenotypic_variance_se"]].astype(float), theirs["Vp"], rtol=5e-5
    )
    h = found.heritability()
    assert h.lrt == pytest.approx(theirs["LRT"][0], rel=1e-3)


@needs_gwas_reference
def test_gcta_of_two_traits():
    """GCTA --reml-bivar: genetic and environmental covariances, with standard errors, and rG."""
    people, G = related("hapmap3")
    long = people.table.melt(
        id_vars=["FID", "IID", *people.covariates], value_vars=["q1", "q2"], var_name="trait", value_name="y"
    ).dropna()
    fixed = " + ".join(f"trait:{name}" for name in people.covariates)
    found = hd.lmer(
        f"y ~ 0 + trait + {fixed} + (0 + trait | IID)",
        long,
        relationship={"IID": G},
        residual="us(trait | IID)",
    )
    lines = (GWAS / "expected" / "hapmap3" / "gcta" / "bivar.hsq").read_text().splitlines()
    theirs = numbers_by_name(lines[1:])
    assert found.nobs == theirs["n"][0]
    rows = [f"{part}_{which}" for part in ("V(G)", "V(e)") for which in ("tr1", "tr2", "tr12")]
    rows = [name.replace("V(", "C(") if name.endswith("tr12") else name for name in rows]
    # GCTA stops before the last digits have settled
    np.testing.assert_allclose(
        found.variances()[["estimate", "std_error"]], [theirs[name] for name in rows], rtol=5e-4
    )
    shares = found.heritabilities()
    for row, name in zip(shares.itertuples(), ("tr1", "tr2"), strict=True):
        np.testing.assert_allclose([row.share, row.share_se], theirs[f"V(G)/Vp_{name}"], rtol=2e-4)
        np.testing.assert_allclose(
            [row.phenotypic_variance, row.phenotypic_variance_se], theirs[f"Vp_{name}"], rtol=2e-5
        )
    r = found.genetic_correlation("traitq1", "traitq2", interval=None)
    np.testing.assert_allclose([r.estimate, r.std_error], theirs["rG"], rtol=5e-4)


@needs_gwas_reference
def test_an_animal_model_by_dense_matrices():
    """First lactations of 1,314 cows in a pedigree of 6,547: dense REML with the average information."""
    stored = json.loads((GWAS / "expected" / "pedigree" / "hand" / "milk.json").read_text())
    stored = stored["milk_lact1__herd_factor+dim"]
    folder = GWAS / "data" / "pedigree"
    records = pd.read_csv(folder / "milk.records.txt", sep="\t", dtype={"id": str, "herd": str})
    first = records.query("lact == 1").assign(milk=lambda t: t["milk"] / 1000)
    pedigree = read_pedigree(folder / "milk.pedigree.txt")
    found = hd.lmer("milk ~ herd + dim + (1 | id)", first, relationship={"id": pedigree})
    table = found.variances()
    np.testing.assert_allclose(table["estimate"], [stored["vg"], stored["ve"]], rtol=1e-6)
    np.testing.assert_allclose(table["std_error"], [stored["se_vg_AI"], stored["se_ve_AI"]], rtol=1e-5)
    h = found.heritability()
    assert (h.h2, h.h2_se) == pytest.approx((stored["h2"], stored["se_h2_AI"]), rel=1e-5)
    assert h.information == "average"
    assert h.lrt == pytest.approx(stored["LRT"], rel=1e-7)
    assert h.p_value == pytest.approx(stored["LRT_p_half_chi2"], rel=1e-6)
