"""Cases and controls, and normal scores of ranks beside SciPy's and REGENIE's."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from gwas_reference import GWAS, needs_gwas_reference
from henderson.errors import DataError
from henderson.io.plink1 import open_plink1
from henderson.io.trait_coding import case_control, case_control_notice, rint

SMALL_WHOLE = arrays(np.float64, st.integers(1, 60), elements=st.integers(-12, 12).map(float))


@given(SMALL_WHOLE)
def test_rint_is_bloms_score_of_the_mean_rank(y):
    expected = stats.norm.ppf((stats.rankdata(y) - 0.375) / (y.size + 0.25))
    np.testing.assert_allclose(rint(y), expected, rtol=1e-12, atol=1e-12)


@given(SMALL_WHOLE, st.randoms(use_true_random=False))
def test_rint_knows_the_order_alone(y, random):
    np.testing.assert_array_equal(rint(np.exp(y / 3.0) + y), rint(y))
    np.testing.assert_allclose(rint(-y), -rint(y), atol=1e-12)
    order = list(range(y.size))
    random.shuffle(order)
    np.testing.assert_array_equal(rint(y[order]), rint(y)[order])


@given(SMALL_WHOLE, st.data())
def test_missing_values_stay_missing_and_count_for_nothing(y, data):
    gaps = data.draw(arrays(np.bool_, y.size))
    found = rint(np.where(gaps, np.nan, y))
    assert np.isnan(found[gaps]).all()
    np.testing.assert_array_equal(found[~gaps], rint(y[~gaps]))


def test_rint_refuses_infinite_values():
    with pytest.raises(DataError, match="infinite"):
        rint([1.0, np.inf])


def regression(y, X, g, prediction):
    """REGENIE's second step for a quantitative trait: betas and chi-squared of each row of g."""
    Q = np.linalg.qr(X)[0]
    df = len(y) - X.shape[1]
    residual = y - Q @ (Q.T @ y)
    unit = np.sqrt(residual @ residual / df)
    left = residual / unit - prediction
    sd = np.sqrt(left @ left / df)
    g = g - (g @ Q) @ Q.T
    squares = (g**2).sum(axis=1)
    return g @ left / squares * unit, (g @ left / sd) ** 2 / squares


@needs_gwas_reference
def test_regenies_results_follow_from_these_scores():
    """Scores of the people with trait and covariates; ranking all who have the trait is another answer."""
    data, results = GWAS / "data" / "hapmap3", GWAS / "expected" / "hapmap3" / "regenie"
    source = open_plink1(data / "hapmap3")
    people = pd.read_csv(data / "hapmap3.pheno.txt", sep=r"\s+")
    assert people["IID"].tolist() == source.samples.iid.tolist()
    covariates = pd.read_csv(data / "hapmap3.covar.txt", sep=r"\s+").set_index("IID").loc[people["IID"]]
    C = covariates.drop(columns="FID").to_numpy(float)
    trait = people["q1"].to_numpy(float)
    used = np.flatnonzero(~np.isnan(trait) & ~np.isnan(C).any(axis=1))
    predicted = pd.read_csv(results / "step1_q1_rint_1.loco.gz", sep=r"\s+").set_index("FID_IID").loc[1]
    prediction = predicted[(people["FID"].astype(str) + "_" + people["IID"])[used]].to_numpy(float)
    reference = pd.read_csv(results / "step2_q1_rint_q1.regenie.gz", sep=r"\s+").query("CHROM == 1")
    places = {name: k for k, name in enumerate(source.variants.identifier.tolist())}
    first = places[reference["ID"].iloc[0]]
    assert [places[name] for name in reference["ID"]] == list(range(first, first + len(reference)))
    g = source.read(slice(first, first + len(reference)), used).astype(float)
    g[g < 0] = np.nan
    g = np.where(np.isnan(g), np.nanmean(g, axis=1)[:, None], g)
    X = np.column_stack([np.ones(used.size), C[used]])

    beta, chi2 = regression(rint(trait[used]), X, g, prediction)
    np.testing.assert_allclose(beta, reference["BETA"], rtol=4e-6, atol=6e-7)  # six digits are printed
    np.testing.assert_allclose(chi2, reference["CHISQ"], rtol=8e-6, atol=6e-7)
    other, _ = regression(rint(trait)[used], X, g, prediction)
    assert np.abs(other - reference["BETA"]).max() > 1e-4


@pytest.mark.parametrize("fam", [True, False])
def test_zeros_and_ones_stay_as_they_are(fam):
    found = case_control([0, 1, np.nan, 1], fam=fam)
    np.testing.assert_array_equal(found.values, [0, 1, np.nan, 1])
    assert (found.n_cases, found.n_controls, found.plink, found.n_zero) == (2, 1, False, 0)


def test_ones_and_twos_are_controls_and_cases():
    found = case_control([2, 1, np.nan, 1])
    np.testing.assert_array_equal(found.values, [1, 0, np.nan, 0])
    assert (found.n_cases, found.n_controls, found.plink, found.n_zero) == (1, 2, True, 0)


def test_zero_is_missing_beside_them_in_a_fam_file_alone():
    found = case_control([2, 1, 0, 1, 0], fam=True)
    np.testing.assert_array_equal(found.values, [1, 0, np.nan, 0, np.nan])
    assert found.n_zero == 2
    assert case_control([2, 1, 0, 1, 0]) is None


@pytest.mark.parametrize("values", [[], [np.nan], [1, 1], [0, 2], [0, 1, 0.5], [1, 2, 3], [1, 2, -9]])
def test_any_other_trait_is_a_number(values):
    assert case_control(values, fam=True) is None


@given(arrays(np.float64, st.integers(0, 30), elements=st.sampled_from([0, 1, 2, 3, -9, 0.5, np.nan])))
def test_whatever_the_values(y):
    for fam in (True, False):
        found = case_control(y, fam=fam)
        if found is None:
            continue
        assert set(found.values[~np.isnan(found.values)]) == {0.0, 1.0}
        assert found.n_cases + found.n_controls + found.n_zero == np.isfinite(y).sum()
        # the order of the values is kept: the effect of a variant has its sign
        kept = ~np.isnan(found.values)
        assert np.unique(y[kept] - found.values[kept]).size == 1


def test_the_notice_names_both_and_warns_where_either_is_rare():
    many = case_control_notice("cc", case_control([0] * 70 + [1] * 30), "p.txt")
    assert "30 cases and 70 controls in p.txt" in many
    assert "only" not in many
    few = case_control_notice("cc", case_control([1] * 97 + [2] * 3), "p.txt")
    assert "3 cases and 97 controls in p.txt, coded 2 and 1 as in PLINK" in few
    assert "only 0.03 of them are cases" in few
    assert "only 0.03 of them are controls" in case_control_notice(
        "cc", case_control([1] * 97 + [0] * 3), "p.txt"
    )
    assert "(1 of 0 read as missing)" in case_control_notice("cc", case_control([1, 2, 0], fam=True), "x.fam")
