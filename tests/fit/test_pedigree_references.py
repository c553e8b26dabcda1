"""Animal models of real data against the stored results of dense REML, and engines against each other."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest

import henderson as hd
from gwas_reference import GWAS, needs_gwas_reference
from henderson.engine.dense import DenseEngine
from henderson.engine.sparse import SparseEngine
from henderson.fit.solve import solve

HAND = GWAS / "expected" / "pedigree" / "hand"
DATA = GWAS / "data" / "pedigree"


@pytest.fixture(scope="module")
def milk():
    """The pedigree of 6,547 animals, and 3,397 records of 1,359 cows."""
    pedigree = hd.read_pedigree(DATA / "milk.pedigree.txt")
    records = pd.read_csv(DATA / "milk.records.txt", sep="\t", dtype={"id": str, "herd": str})
    return pedigree, records.assign(milk=records["milk"] / 1000.0, cow=records["id"])


def stored():
    return json.loads((HAND / "milk.json").read_text())


def gcta_loglik(fit):
    """Without the constant, as GCTA prints it."""
    return fit.loglik + 0.5 * (fit.nobs - len(fit.fixef)) * np.log(2.0 * np.pi)


@needs_gwas_reference
def test_inbreeding_of_every_animal(milk):
    pedigree, _ = milk
    with gzip.open(HAND / "milk.inbreeding.gz", "rt") as file:
        expected = pd.read_csv(file, sep=r"\s+", dtype={0: str})
    found = dict(zip(list(pedigree.ids), pedigree.inbreeding, strict=True))
    own = np.array([found[name] for name in expected.iloc[:, 0]])
    np.testing.assert_allclose(own, expected.iloc[:, 1].to_numpy(), atol=1e-9)


@needs_gwas_reference
@pytest.mark.parametrize("trait", ["milk", "fat", "scs"])
def test_first_lactation(milk, trait):
    pedigree, records = milk
    first = records[records["lact"] == 1]
    expected = stored()[f"{trait}_lact1__herd_factor+dim"]
    fit = hd.lmer(f"{trait} ~ herd + dim + (1 | id)", first, relationship={"id": pedigree})
    assert fit.nobs == expected["n"]
    assert fit.ngroups == {"id": 6547}
    assert fit.varcorr["id"].sd[0] ** 2 == pytest.approx(expected["vg"], rel=2e-6)
    assert fit.sigma**2 == pytest.approx(expected["ve"], rel=2e-6)
    assert gcta_loglik(fit) == pytest.approx(expected["logL_gcta"], abs=1e-6)
    found = fit.heritability()
    assert found.h2 == pytest.approx(expected["h2"], rel=2e-6)
    assert found.lrt == pytest.approx(expected["LRT"], abs=1e-6)
    information = fit.engine.information(fit.theta, reml=True, kind="average").linear
    se = np.sqrt(np.diag(np.linalg.inv(information)))
    assert se == pytest.approx([expected["se_vg_AI"], expected["se_ve_AI"]], rel=1e-5)


@needs_gwas_reference
@pytest.mark.parametrize("trait", ["gill_score", "amoebic_load"])
def test_families_of_salmon(trait):
    folder = GWAS / "data" / "salmon"
    pedigree = hd.read_pedigree(folder / "salmon.pedigree.txt")
    people = pd.read_csv(folder / "salmon.pheno.txt", sep="\t", dtype={"FID": str, "IID": str})
    expected = json.loads((HAND / "salmon_pedigree.json").read_text())[trait]
    fit = hd.lmer(f"{trait} ~ 1 + (1 | IID)", people, relationship={"IID": pedigree})
    assert fit.varcorr["IID"].sd[0] ** 2 == pytest.approx(expected["vg"], rel=2e-6)
    assert fit.sigma**2 == pytest.approx(expected["ve"], rel=2e-6)
    assert gcta_loglik(fit) == pytest.approx(expected["logL_gcta"], abs=1e-6)
    assert fit.fixef.to_numpy() == pytest.approx(expected["fixed_effects"], rel=1e-6)
    assert fit.se.to_numpy() == pytest.approx(expected["fixed_se"], rel=1e-5)


@needs_gwas_reference
def test_repeated_records_by_the_sparse_and_the_dense_engine(milk):
    pedigree, records = milk
    some = records[records["herd"].isin(records["herd"].unique()[:25])]
    fit = hd.lmer(
        "milk ~ factor(lact) + herd + dim + (1 | id) + (1 | cow)", some, relationship={"id": pedigree}
    )
    assert isinstance(fit.engine, SparseEngine)
    dense = DenseEngine(fit.engine.model)
    for theta in (fit.theta, np.array([0.3, 0.8]), np.array([0.0, 0.5])):
        a, b = fit.engine.criterion(theta), dense.criterion(theta)
        assert a.profiled(True) == pytest.approx(b.profiled(True), rel=1e-10)
        np.testing.assert_allclose(a.profiled_gradient(True), b.profiled_gradient(True), atol=1e-7)
    again = solve(dense, reml=True)
    np.testing.assert_allclose(again.theta, fit.theta, rtol=1e-6, atol=1e-8)
    own = fit.engine.solution(fit.theta, reml=True)
    other = dense.solution(fit.theta, reml=True)
    for x, y in zip(own.terms, other.terms, strict=True):
        np.testing.assert_allclose(x.b, y.b, atol=1e-7)
        np.testing.assert_allclose(x.cond_var, y.cond_var, atol=1e-7)
