"""Heritability: the the delta method against the likelihood itself, boundaries, and other programs."""

import json
import math
import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import henderson as hd
from fit.relatives import fit, of, population, restricted
from gwas_reference import GWAS, needs_gwas_reference


@pytest.mark.parametrize("seed", [0, 2, 3])
def test_against_the_likelihood_of_the_two_variances(seed):
    data, G = population(seed, n=120)
    found = fit(data, G).heritability()
    y, X, K = of(data, G)
    at = np.array([found.genetic_variance, found.residual_variance])
    h = 1e-4 * at

    def value(v):
        return 0.5 * restricted(y, X, K, *v)[0]

    # observed information by central differences of the likelihood itself
    H = np.empty((2, 2))
    for i in range(2):
        for j in range(2):
            a, b = np.eye(2)[i] * h, np.eye(2)[j] * h
            H[i, j] = (value(at + a + b) - value(at + a - b) - value(at - a + b) + value(at - a - b)) / (
                4 * h[i] * h[j]
            )
    cov = np.linalg.inv(H)
    assert found.genetic_variance_se == pytest.approx(np.sqrt(cov[0, 0]), rel=1e-3)
    assert found.residual_variance_se == pytest.approx(np.sqrt(cov[1, 1]), rel=1e-3)
    assert found.covariance == pytest.approx(cov[0, 1], rel=1e-3)
    centred = K - K.mean(axis=0)
    c = np.trace(centred - centred.mean(axis=1)[:, None]) / len(y)
    assert found.centred_diagonal == pytest.approx(c, rel=1e-10)
    draws = np.random.default_rng(0).multivariate_normal(np.zeros(2), 1e-8 * cov, size=40_000) + at
    for scale, share, se in [(1.0, found.h2, found.h2_se), (c, found.pve, found.pve_se)]:
        part = scale * draws[:, 0]
        assert share == pytest.approx(scale * at[0] / (scale * at[0] + at[1]), rel=1e-12)
        assert se == pytest.approx(1e4 * np.std(part / (part + draws[:, 1])), rel=0.02)
    null = restricted(y, X, K, 0.0, y @ restricted(y, X, K, 0.0, 1.0)[1] @ y / (len(y) - 2))[0]
    assert found.lrt == pytest.approx(null - 2 * value(at), rel=1e-8)
    assert found.p_value == pytest.approx(0.5 * stats.chi2.sf(found.lrt, 1), rel=1e-10)
    assert found.neg_log10_p_value == pytest.approx(-np.log10(found.p_value), rel=1e-10)


def test_it_reads_well():
    data, G = population(0, n=120)
    found = fit(data, G).heritability()
    text = str(found)
    assert text.startswith("Heritability by the relationship of 'iid': REML, 120 records\n")
    assert f"{found.h2:.6g}" in text
    assert f"{found.h2_se:.4g}" in text
    assert text.splitlines()[-1].startswith("Likelihood-ratio test of vg = 0: ")


def test_no_relationship():
    data = hd.example_data("sleepstudy")
    with pytest.raises(hd.DataError, match=r"relationship=\{'iid': G\}"):
        hd.lmer("Reaction ~ Days + (1 | Subject)", data).heritability()


def eigenvectors(G):
    return np.linalg.eigh(G.to_numpy())[1]


def with_response(G, y):
    return pd.DataFrame({"y": y, "iid": G.index}), G


def test_a_heritability_of_zero():
    _, G = population(0, n=80)
    rng = np.random.default_rng(0)
    # all of the response lies where the relatives differ most from each other
    y = eigenvectors(G)[:, 1:40] @ rng.normal(size=39)
    found = fit(*with_response(G, y), "y ~ 1 + (1 | iid)")
    assert any("boundary (singular) fit" in notice for notice in found.notices)
    h = found.heritability()
    assert (h.h2, h.pve, h.genetic_variance, h.lrt, h.p_value) == (0.0, 0.0, 0.0, 0.0, 0.5)
    assert h.residual_variance == pytest.approx(y.var(ddof=1), rel=1e-10)
    assert all(math.isnan(se) for se in (h.h2_se, h.pve_se, h.genetic_variance_se, h.residual_variance_se))
    assert "genetic variance is estimated as zero" in str(h)
    assert (found.ranef()["iid"] == 0.0).all(axis=None)


@pytest.mark.parametrize("shift", [0.0, 1e6])
@pytest.mark.parametrize("rank", [79, 500])
def test_a_heritability_of_one(rank, shift):
    """y exactly genetic: regular G, and one of low rank."""
    rng = np.random.default_rng(1)
    n = 100
    L = rng.normal(size=(n, rank)) / np.sqrt(rank)
    G = pd.DataFrame(L @ L.T, index=range(n), columns=range(n))
    u = L @ rng.normal(size=rank)
    if rank > n:
        # whitened by G, so that no residual is called for
        u = np.linalg.cholesky(G.to_numpy()) @ rng.permutation(stats.norm.ppf((np.arange(n) + 0.5) / n))
    found = fit(*with_response(G, shift + u), "y ~ 1 + (1 | iid)")
    h = found.heritability()
    assert h.h2 == pytest.approx(1.0, abs=1e-6)
    assert math.isnan(h.h2_se)
    assert "residual variance is estimated as zero" in " ".join(found.notices)
    assert "residual variance is estimated as zero" in str(h)
    np.testing.assert_allclose(found.fitted, shift + u, rtol=1e-9, atol=1e-4)
    np.testing.assert_allclose(
        found.ranef()["iid"]["(Intercept)"].loc[map(str, range(n))] + found.fixef.iloc[0],
        shift + u,
        atol=1e-3,
    )


def test_a_small_residual_that_is_well_determined():
    rng = np.random.default_rng(3)
    n, rank = 150, 90
    L = rng.normal(size=(n, rank)) / np.sqrt(rank)
    G = pd.DataFrame(L @ L.T, index=range(n), columns=range(n))
    y = L @ rng.normal(size=rank) + 1e-5 * rng.normal(size=n)
    found = fit(*with_response(G, y), "y ~ 1 + (1 | iid)")
    h = found.heritability()
    assert found.notices == h.notices == ()
    assert found.sigma == pytest.approx(1e-5, rel=0.3)
    assert h.residual_variance_se == pytest.approx(
        h.residual_variance * np.sqrt(2 / (n - rank - 1)), rel=0.05
    )


# -- other programs ------------------------------------------------------------------------------------


def people(dataset):
    return pd.read_csv(GWAS / "data" / dataset / f"{stem(dataset)}.fam", sep=r"\s+", header=None, dtype=str)[
        1
    ]


def stem(dataset):
    return {"mouse_hs1940": "mouse_clean", "saige_example": "plinkforGRM_1000samples_10kMarkers"}.get(
        dataset, dataset
    )


def gemma_matrix(dataset):
    """GEMMA's centred relatedness matrix, printed with ten digits and stored with seven."""
    triangle = np.load(GWAS / "expected" / dataset / "gemma" / "gk1.tri32.npz")["tri"].astype(float)
    n = int((np.sqrt(8 * triangle.size + 1) - 1) / 2)
    K = np.zeros((n, n))
    rows, columns = np.tril_indices(n)
    K[rows, columns] = K[columns, rows] = triangle
    return K


def logged(text, name):
    return np.array(re.search(rf"^## {re.escape(name)} *= *(.*)$", text, re.MULTILINE)[1].split(), float)


@needs_gwas_reference
@pytest.mark.parametrize(
    ("dataset", "log", "trait"),
    [
        ("maize_mdp", "lmm4_n1", 1),
        ("maize_mdp", "lmm4_n2", 2),
        ("maize_mdp", "lmm4_n3", 3),
        ("hapmap3", "lmm4_n1_cov", 1),
        ("hapmap3", "lmm4_n2", 2),
        ("mouse_hs1940", "lmm4_n1", 1),
        ("mouse_hs1940", "lmm4_n1_cov", 1),
        ("mouse_hs1940", "lmm4_n6", 6),
        ("saige_example", "lmm4_n1_cov", 1),
    ],
)
def test_gemma(dataset, log, trait):
    text = (GWAS / "expected" / dataset / "gemma" / f"{log}.log.txt").read_text()
    name = "saige" if dataset == "saige_example" else dataset
    folder = GWAS / "data" / dataset
    y = np.genfromtxt(folder / f"{name}.pheno.gemma.txt", missing_values="NA")[:, trait - 1]
    data, formula = {"y": y, "iid": np.arange(y.size)}, "y ~ 1"
    if log.endswith("_cov"):
        C = np.genfromtxt(folder / f"{name}.covar.gemma.txt", missing_values="NA")
        assert (C[:, 0] == 1.0).all()
        for j in range(1, C.shape[1]):
            data[f"c{j}"] = C[:, j]
            formula += f" + c{j}"
    data = pd.DataFrame(data).dropna()
    used = data["iid"].to_numpy()
    K = gemma_matrix(dataset)[np.ix_(used, used)]
    K = K - K.mean(axis=0)
    K = K - K.mean(axis=1)[:, None]
    found = fit(data, pd.DataFrame(0.5 * (K + K.T), index=used, columns=used), formula + " + (1 | iid)")
    h = found.heritability()
    assert h.n == logged(text, "number of analyzed individuals")
    # six digits are printed, of a ratio vg / ve that its search leaves within 1e-5 of the optimum
    assert h.pve == pytest.approx(logged(text, "pve estimate in the null model")[0], rel=5e-6)
    assert h.pve_se == pytest.approx(logged(text, "se(pve) in the null model")[0], rel=2e-5)
    assert h.genetic_variance == pytest.approx(logged(text, "vg estimate in the null model")[0], rel=1e-5)
    assert h.residual_variance == pytest.approx(logged(text, "ve estimate in the null model")[0], rel=1e-5)
    # GEMMA measures log|X'V^-1 X| from log|X'X|, and printed the likelihood with six digits
    X = found.engine.model.X
    loglik = found.loglik + 0.5 * np.linalg.slogdet(X.T @ X)[1]
    assert loglik == pytest.approx(logged(text, "REMLE log-likelihood in the null model")[0], rel=5e-6)
    beta, se = logged(text, "beta estimate in the null model"), logged(text, "se(beta)")
    np.testing.assert_allclose(found.fixef, beta, rtol=1e-5, atol=1e-6 * se.max())
    np.testing.assert_allclose(found.se, se, rtol=5e-6)


def genotypes(dataset):
    """Copies of A1, (m, n), NaN where missing."""
    n = len(people(dataset))
    raw = np.fromfile(GWAS / "data" / dataset / f"{stem(dataset)}.bed", dtype=np.uint8)[3:]
    raw = raw.reshape(-1, (n + 3) // 4)
    codes = (raw[:, :, None] >> np.array([0, 2, 4, 6], dtype=np.uint8)) & 3
    return np.array([2.0, np.nan, 1.0, 0.0])[codes.reshape(len(raw), -1)[:, :n]]


@needs_gwas_reference
@pytest.mark.parametrize(
    ("dataset", "result", "trait", "covariates"),
    [
        ("maize_mdp", "EarHT", "EarHT", []),
        ("salmon", "amoebic_load", "amoebic_load", []),
        ("hapmap3", "q1_cov", "q1", ["age", "sex_2"]),
        ("mouse_hs1940", "t1", "t1", []),
    ],
)
def test_dense_textbook_fits(dataset, result, trait, covariates):
    """Fits by dense matrices on GCTA's relationship: 2p(1-p), every pair over the calls that both have."""
    stored = json.loads((GWAS / "expected" / dataset / "hand" / f"{result}.json").read_text())
    x = genotypes(dataset)
    p = np.nanmean(x, axis=1) / 2
    common = np.minimum(p, 1 - p) >= 0.01
    assert common.sum() == stored["variants_in_grm"]
    x, p = x[common], p[common]
    z = np.nan_to_num((x - 2 * p[:, None]) / np.sqrt(2 * p * (1 - p))[:, None])
    calls = np.isfinite(x).astype(np.float32)
    names = people(dataset)
    G = pd.DataFrame(z.T @ z / (calls.T @ calls), index=names, columns=names)
    data = pd.read_csv(GWAS / "data" / dataset / f"{dataset}.pheno.txt", sep=r"\s+", dtype={"IID": str})
    if covariates:
        more = pd.read_csv(GWAS / "data" / dataset / f"{dataset}.covar.txt", sep=r"\s+", dtype={"IID": str})
        data = data.merge(more, on="IID")
    formula = " + ".join([f"{trait} ~ 1", *covariates, "(1 | IID)"])
    found = hd.lmer(formula, data, relationship={"IID": G})
    h = found.heritability()
    assert h.n == stored["n"]
    assert h.genetic_variance == pytest.approx(stored["vg"], rel=1e-6)
    assert h.residual_variance == pytest.approx(stored["ve"], rel=1e-6)
    assert h.h2 == pytest.approx(stored["h2"], rel=1e-6)
    X = found.engine.model.X
    constant = 0.5 * np.linalg.slogdet(X.T @ X)[1]
    assert h.loglik + constant == pytest.approx(stored["logL_full"], rel=1e-10)
    assert h.loglik_null + constant == pytest.approx(stored["logL_null_vg0"], rel=1e-10)
    assert h.lrt == pytest.approx(stored["LRT"], rel=1e-9)
    assert h.p_value == pytest.approx(stored["LRT_p_half_chi2"], rel=1e-6)
    np.testing.assert_allclose(found.fixef, stored["fixed_effects"], rtol=1e-6)
    for kind, name in [("average", "AI"), ("expected", "EI")]:
        cov = np.linalg.inv(found.engine.information(found.theta, reml=True, kind=kind).linear)
        assert np.sqrt(cov[0, 0]) == pytest.approx(stored[f"se_vg_{name}"], rel=1e-5)
        assert np.sqrt(cov[1, 1]) == pytest.approx(stored[f"se_ve_{name}"], rel=1e-5)
