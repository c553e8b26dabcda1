"""Plain regression: against least squares of the people with a call, one variant at a time, and PLINK 2."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import stats

import henderson as hd
from cohorts import reference_cohort
from gwas_reference import GWAS, needs_gwas_reference
from henderson.association.plain import PlainRegression
from henderson.genotype import ArraySource
from plink_files import random_genotypes

#: Data set, traits, and whether PLINK 2 was given the covariates.
PLINK2 = [
    ("hapmap3", ["q1", "q2"], True),
    ("mouse_hs1940", ["t1", "t6"], True),
    ("salmon", ["gill_score", "amoebic_load"], False),
    ("maize_mdp", ["EarHT", "dpoll", "EarDia"], False),
    ("saige_example", ["y_quantitative"], True),
]

#: People with a call, BETA, SE and P of `plink2 --glm` (v2.00a3.5) for `plink2_example`.
PLINK2_PRINTED = [
    (12, 1.28565, 0.207805, 0.000161399),
    (11, -0.546495, 0.461896, 0.270713),
    (10, 0.176492, 0.585385, 0.771795),
    (12, -0.140809, 0.552469, 0.804551),
]


def problem(*, p=4, missing=0.1, mean=1e5, n=70, b=60):
    rng = np.random.default_rng(1)
    W = np.column_stack([np.ones(n), rng.normal(50, 3, size=(n, p - 1))])
    x = rng.binomial(2, 0.4, size=(b, n)).astype(float)
    lost = rng.random((b, n)) < missing
    lost[:5] = False
    return W, x, lost, rng.normal(size=(n, 3)) + mean


def least_squares(W, x, y):
    """Effect of x, its standard error and p-value, by numpy and scipy."""
    D = np.column_stack([W, x])
    beta, squares, rank, _ = np.linalg.lstsq(D, y, rcond=None)
    assert rank == D.shape[1]
    df = len(y) - rank
    se = np.sqrt(squares[0] / df * np.linalg.inv(D.T @ D)[-1, -1])
    return beta[-1], se, 2 * stats.t.sf(abs(beta[-1] / se), df)


def regressed(W, x, lost, Y, filled):
    """With missing calls at any number."""
    Q = np.linalg.qr(W)[0]
    X = np.where(lost, filled, x)
    return PlainRegression(Q, Y).test(X - (X @ Q) @ Q.T, lost)


@pytest.mark.parametrize("missing", [0.0, 0.03, 0.6])
@pytest.mark.parametrize("p", [1, 4])
def test_it_is_least_squares_of_the_called(p, missing):
    W, x, lost, Y = problem(p=p, missing=missing)
    found = regressed(W, x, lost, Y, x.mean())
    other = regressed(W, x, lost, Y, 17.0)
    for k in range(Y.shape[1]):
        columns = found.columns(k, slice(None))
        for v in range(len(x)):
            called = ~lost[v]
            expected = least_squares(W[called], x[v, called], Y[called, k])
            names = ("beta_ols", "standard_error_ols", "p_ols")
            assert_allclose([columns[name][v] for name in names], expected, rtol=1e-7)
        assert_allclose(columns["neg_log_10_p_ols"], -np.log10(columns["p_ols"]), rtol=1e-12, atol=1e-14)
    assert_allclose(other.beta, found.beta, rtol=1e-9)
    assert_allclose(other.standard_error, found.standard_error, rtol=1e-9)


def test_without_covariates():
    _, x, lost, Y = problem(mean=0.0)
    found = PlainRegression(np.empty((70, 0)), Y).test(np.where(lost, 1.0, x), lost)
    for v in range(len(x)):
        called = ~lost[v]
        expected = least_squares(np.empty((called.sum(), 0)), x[v, called], Y[called, 1])
        assert_allclose([found.beta[1, v], found.standard_error[1, v]], expected[:2], rtol=1e-9)


def test_people_with_a_call_who_do_not_tell():
    W, x, lost, Y = problem(p=2)
    W[:, 1] = 0.0
    W[:6, 1] = 1.0  # a group that is never called at variant 0,
    lost[0, :6], lost[1:] = True, False
    lost[1, :3], x[1] = True, W[:, 1]  # a variant that is the group but for those not called,
    x[1, :3] = 0.0
    lost[2, 3:] = True  # and three people for three effects
    found = regressed(W, x, lost, Y, 0.2)
    assert np.isnan(found.beta[:, :2]).all()
    assert np.isnan(found.standard_error[:, :3]).all()
    assert found.df[:3].tolist() == [61, 64, 0]
    assert np.isfinite(found.standard_error[:, 3:]).all()
    assert np.isnan(found.columns(0, slice(0, 3))["p_ols"]).all()


@pytest.mark.parametrize("dosages", [False, True])
@pytest.mark.parametrize(
    ("formula", "options"),
    [
        ("y ~ age", {"relationship": "grm"}),
        ("y ~ age", {"relationship": "grm", "test": "null"}),
        ("y ~ age + (1 | family)", {}),
        ("y ~ age + (age | family)", {"test": "null"}),
    ],
    ids=["exact", "null", "groups", "general"],
)
def test_every_scan_has_it(formula, options, dosages):
    n, m = 80, 20
    rng = np.random.default_rng(2)
    calls = random_genotypes(m, n, seed=2, missing=0.05)
    calls[4] = 1
    copies = np.where(calls < 0, np.nan, calls)
    if dosages:
        copies = np.clip(copies + rng.uniform(-0.3, 0.3, size=(m, n)), 0, 2).astype(np.float32)
        copies[4] = 1.0
    source = ArraySource.of(copies if dosages else calls)
    age = rng.normal(40, 10, size=n)
    table = pd.DataFrame(
        {"IID": source.samples.iid, "age": age, "family": np.repeat(np.arange(16), 5).astype(str)}
    )
    table["y"] = (
        0.1 * age + rng.normal(size=16).repeat(5) + 0.5 * np.nan_to_num(copies[3]) + rng.normal(size=n)
    )
    table.loc[[5, 9], "y"] = np.nan
    found = hd.scan(formula, table, source, **options).table
    rows = table["y"].notna().to_numpy()
    for v in range(m):
        own = found.loc[v, ["beta_ols", "standard_error_ols", "p_ols"]].astype(float)
        if v == 4:
            assert own.isna().all()
            continue
        called = rows & ~np.isnan(copies[v])
        assert called.sum() == found.loc[v, "n"]
        W = np.column_stack([np.ones(n), age])[called]
        assert_allclose(own, least_squares(W, copies[v, called], table["y"].to_numpy()[called]), rtol=1e-7)


def test_numbers_of_plink2():
    """A few lines that PLINK 2 printed, of data that are made here."""
    calls, table = plink2_example()
    source = ArraySource.of(calls)
    found = hd.scan("y ~ age", table, source, relationship="grm", test="null").table
    expected = pd.DataFrame(PLINK2_PRINTED, columns=["n", "beta_ols", "standard_error_ols", "p_ols"])
    assert found["n"].tolist() == expected["n"].tolist()
    for name in expected.columns[1:]:
        assert_allclose(found[name], expected[name], rtol=6e-6)


def plink2_example():
    """Hard calls (4, 12) with three missing, an age and a trait."""
    calls = np.array(
        [
            [0, 1, 2, 1, 0, 0, 1, 2, 2, 1, 0, 1],
            [1, 1, 0, -1, 2, 0, 0, 1, 1, 0, 2, 2],
            [2, 2, 1, 1, 0, 0, -1, -1, 1, 2, 1, 0],
            [0, 0, 0, 1, 0, 1, 0, 2, 0, 0, 1, 0],
        ],
        dtype=np.int8,
    )
    age = [31, 45, 52, 28, 60, 39, 47, 55, 33, 41, 36, 50]
    y = [1.2, 0.7, 2.9, 1.1, -0.4, 0.3, 1.8, 2.2, 3.1, 0.9, -0.2, 1.5]
    return calls, pd.DataFrame({"IID": ArraySource.of(calls).samples.iid, "age": age, "y": y})


@needs_gwas_reference
@pytest.mark.parametrize(("name", "traits", "covariates"), PLINK2, ids=[each[0] for each in PLINK2])
def test_plink2(name, traits, covariates):
    """To the six digits that it prints, for every variant that it tests."""
    cohort = reference_cohort(name)
    for trait in traits:
        formula = cohort.formula(trait, covariates=covariates)
        ours = hd.scan(formula, cohort.table, cohort.genotypes, relationship="grm", test="null").table
        path = GWAS / "expected" / name / "plink2" / f"glm.{trait}.glm.linear.gz"
        theirs = pd.read_csv(path, sep="\t", dtype={"ID": str, "A1": str})
        theirs = theirs[theirs["BETA"].notna()]
        assert len(theirs) > 0.6 * len(ours)
        position = pd.Series(
            np.arange(len(ours)), index=pd.MultiIndex.from_frame(ours[["rsid", "base_pair_location"]])
        )
        ours = ours.iloc[position.loc[pd.MultiIndex.from_frame(theirs[["ID", "POS"]])].to_numpy()]
        sign = np.where(theirs["A1"].to_numpy() == ours["effect_allele"].to_numpy(), 1.0, -1.0)
        assert ours["n"].tolist() == theirs["OBS_CT"].tolist()
        for column, printed, factor in (
            ("beta_ols", "BETA", sign),
            ("standard_error_ols", "SE", 1.0),
            ("p_ols", "P", 1.0),
        ):
            difference = np.abs(factor * ours[column].to_numpy() - theirs[printed].to_numpy())
            scale = theirs["SE"] if column == "beta_ols" else theirs[printed]
            rounding = 10.0 ** (np.floor(np.log10(np.abs(theirs[printed]))) - 5) / 2
            assert (difference <= 1e-6 * scale + 1.01 * rounding).all(), (trait, column, difference.max())


@needs_gwas_reference
def test_regenie():
    """REGENIE without predictions (--ignore-pred): a score test, which is the same regression.

    It imputes missing calls at the mean, so that variants with all calls are compared.
    """
    people = reference_cohort("hapmap3")
    formula = people.formula("q1", covariates=True)
    scan = hd.scan(formula, people.table, people.genotypes, relationship="grm", test="null")
    path = GWAS / "expected" / "hapmap3" / "regenie" / "step2_q1_nopred_q1.regenie.gz"
    theirs = pd.read_csv(path, sep=" ")
    ours = scan.table.set_index("rsid").loc[theirs["ID"]].reset_index()
    assert (ours["n"] == theirs["N"]).all()
    assert np.abs(ours["effect_allele_frequency"] - theirs["A1FREQ"]).max() < 1e-6
    called = (ours["n"] == len(scan.people)).to_numpy()
    assert called.sum() > 6000
    ours, theirs = ours[called], theirs[called]
    assert (np.abs(ours["beta_ols"] - theirs["BETA"]) < 2e-5 * theirs["SE"]).all()
    # the residual variance of a score test is that without the variant
    n, p = len(scan.people), len(scan.null.fixef)
    t2 = (ours["beta_ols"] / ours["standard_error_ols"]) ** 2
    chi2 = t2 / (t2 + n - p - 1) * (n - p)
    assert (np.abs(chi2 - theirs["CHISQ"]) < 1e-5 * (1 + theirs["CHISQ"])).all()
