"""Heritability of a liability: Lee et al.'s equation, GCTA, and cases made by a threshold."""

import math
from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import henderson as hd
from fit.relatives import population
from gwas_reference import GWAS, needs_gwas_reference
from henderson.association.grm import grm
from henderson.cli.liability import check_prevalence, liability_columns, liability_line
from henderson.fit.heritability import Heritability
from henderson.genotype.blocks import variant_filter
from henderson.io.plink1 import open_plink1

ANY = Heritability(
    **{field.name: 0.0 for field in fields(Heritability)}
    | {"h2": 0.25, "h2_se": 0.1, "share_of_cases": 0.4, "group": "iid", "reml": True, "n": 100, "notices": ()}
)


@given(st.floats(1e-6, 1 - 1e-6), st.floats(0.01, 0.99))
def test_the_equation(k, p):
    found = replace(ANY, share_of_cases=p).liability(k)
    z = stats.norm.pdf(stats.norm.isf(k))
    scale = k**2 * (1 - k) ** 2 / (z**2 * p * (1 - p))
    assert found.h2 == pytest.approx(0.25 * scale, rel=1e-9)
    assert found.h2_se == pytest.approx(0.1 * scale, rel=1e-9)
    assert (found.prevalence, found.share_of_cases) == (k, p)
    # whoever is called the case
    other = replace(ANY, share_of_cases=1 - p).liability(1 - k)
    assert other.h2 == pytest.approx(found.h2, rel=1e-6)


def test_a_sample_of_the_population_at_a_prevalence_of_one_half():
    """Dempster and Lerner (1950): pi / 2 times as large."""
    assert replace(ANY, share_of_cases=0.5).liability(0.5).h2 == pytest.approx(0.25 * math.pi / 2, rel=1e-12)


@pytest.mark.parametrize("prevalence", [0.0, 1.0, -0.1, 5, math.nan])
def test_what_is_no_prevalence(prevalence):
    with pytest.raises(hd.DataError, match="between 0 and 1"):
        ANY.liability(prevalence)
    with pytest.raises(hd.DataError, match="--prevalence"):
        check_prevalence(prevalence)


def fitted(y, G):
    data = {"y": y, "iid": list(G.index)}
    return hd.lmer("y ~ 1 + (1 | iid)", data, relationship={"iid": G}).heritability()


def test_the_share_of_cases_is_that_of_the_people_analysed():
    _, G = population(0, n=60)
    y = np.zeros(60)
    y[:21] = 1.0
    y[5] = np.nan
    found = fitted(y, G)
    assert found.share_of_cases == pytest.approx(20 / 59, rel=1e-15)
    columns = liability_columns(found, 0.1)
    assert columns["h2_liability"] == found.liability(0.1).h2
    assert list(columns) == ["h2_liability", "h2_liability_se"]
    assert liability_line(found, 0.1) == str(found.liability(0.1))
    assert "prevalence of 0.1" in str(found.liability(0.1))


@pytest.mark.parametrize("values", [(1.0, 2.0), (0.0, 1.0, 2.0), (0.0, 1.5)])
def test_another_trait_has_no_liability(values):
    _, G = population(0, n=60)
    found = fitted(np.resize(values, 60), G)
    with pytest.raises(hd.DataError, match="other values than 0 and 1"):
        found.liability(0.1)
    columns = liability_columns(found, 0.1)
    assert all(map(math.isnan, columns.values()))
    assert liability_line(found, 0.1).startswith("no heritability of the liability")


def test_no_prevalence_no_columns():
    check_prevalence(None)
    assert liability_columns(ANY, None) == {}


@pytest.mark.parametrize("cases", [None, 200])
def test_cases_made_by_a_threshold(cases):
    """A known heritability of 0.3 at a prevalence of 0.2, in a random sample, and with half of it cases."""
    h2, prevalence, n, m, replicates = 0.3, 0.2, 400, 200, 25
    rng = np.random.default_rng(7)
    estimates, errors = [], []
    for _ in range(replicates):
        x = rng.binomial(2, 0.5, size=(4 * n, m)) * math.sqrt(2) - math.sqrt(2)
        liability = x @ rng.normal(size=m) * math.sqrt(h2 / m) + rng.normal(size=4 * n) * math.sqrt(1 - h2)
        y = (liability > stats.norm.isf(prevalence)).astype(float)
        people = np.arange(n)
        if cases is not None:
            people = np.concatenate([np.flatnonzero(y == 1)[:cases], np.flatnonzero(y == 0)[: n - cases]])
        z = x[people]
        G = pd.DataFrame(z @ z.T / m, index=range(len(people)), columns=range(len(people)))
        found = fitted(y[people], G).liability(prevalence)
        estimates.append(found.h2)
        errors.append(found.h2_se)
    spread = np.std(estimates, ddof=1)
    assert abs(np.mean(estimates) - h2) < 3 * spread / math.sqrt(replicates)
    assert np.nanmedian(errors) == pytest.approx(spread, rel=0.35)


@needs_gwas_reference
def test_gcta():
    """GCTA 1.94.1, --reml --prevalence 0.1 of the cases and controls of HapMap 3."""
    folder = GWAS / "data" / "hapmap3"
    source = open_plink1(folder / "hapmap3")
    G = grm(source, missing="pairwise", variants=variant_filter(source, min_maf=0.01))
    data = pd.read_csv(folder / "hapmap3.pheno.txt", sep=r"\s+").merge(
        pd.read_csv(folder / "hapmap3.covar.txt", sep=r"\s+"), on="IID"
    )
    fit = hd.lmer("cc ~ age + sex_2 + (1 | IID)", data, relationship={"IID": G})
    found = fit.heritability()
    printed = (GWAS / "expected" / "hapmap3" / "gcta" / "reml_cc.hsq").read_text()
    rows = {line.split("\t")[0]: line.split("\t")[1:] for line in printed.splitlines()}
    assert "Proportion of cases in the sample = 0.298283" in printed
    assert found.n == int(rows["n"][0])
    assert found.share_of_cases == pytest.approx(0.298283, abs=6e-7)
    liability = found.liability(0.1)
    # GCTA stops before its estimates have settled to all printed digits
    assert found.h2 == pytest.approx(float(rows["V(G)/Vp"][0]), rel=1e-3)
    assert liability.h2 == pytest.approx(float(rows["V(G)/Vp_L"][0]), rel=1e-3)
    ratio = float(rows["V(G)/Vp_L"][0]) / float(rows["V(G)/Vp"][0])
    assert liability.h2 / found.h2 == pytest.approx(ratio, rel=5e-6)
    assert liability.h2_se / found.h2_se == pytest.approx(ratio, rel=5e-6)
    # its errors are from the average information, ours from the observed one
    cov = np.linalg.inv(fit.engine.information(fit.theta, reml=True, kind="average").linear)
    slope = np.array([found.residual_variance, -found.genetic_variance])
    slope /= (found.genetic_variance + found.residual_variance) ** 2
    assert ratio * math.sqrt(slope @ cov @ slope) == pytest.approx(float(rows["V(G)/Vp_L"][1]), rel=1e-3)
