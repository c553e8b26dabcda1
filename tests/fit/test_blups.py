"""Predicted effects, prediction error variances and reliabilities: dense brute force, another program."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

import henderson as hd
from cohorts import reference_cohort
from engine.dense import at_theta, relationship_matrix
from fit.relatives import grm, population
from gwas_reference import GWAS, needs_gwas_reference
from henderson.association.grm import grm as relationship_of
from henderson.fit import blups
from henderson.genotype.blocks import variant_filter


def repeated(seed=0, n=40):
    """Two records for most people, none for some, who live in households."""
    rng = np.random.default_rng(seed)
    K, _ = grm(n, 150, rng)
    names = [f"p{i:02d}" for i in range(n)]
    who = rng.integers(0, n - 5, 2 * n)
    u = np.linalg.cholesky(K + 1e-8 * np.eye(n)) @ rng.normal(size=n)
    data = pd.DataFrame({"iid": np.array(names)[who], "pe": np.array(names)[who]})
    data["house"] = rng.integers(0, 8, 2 * n)
    data["x"] = rng.normal(size=2 * n)
    data["y"] = 1 + 0.5 * data["x"] + u[who] + rng.normal(size=n)[who] * 0.5 + rng.normal(size=2 * n)
    return data, pd.DataFrame(K, index=names, columns=names)


def brute_force(fit):
    """Predictions and Var(u^ - u) of all effects: sigma^2 (G - G Z'P Z G), the terms one after the other."""
    model = fit.engine.model
    at = at_theta(model, fit.theta)
    GZ = at.G @ at.Z.T
    pev = fit.sigma**2 * np.diag(at.G - GZ @ at.P @ GZ.T)
    ends = np.cumsum([0, *(t.n_levels * t.q for t in model.terms)])
    u = GZ @ at.P @ model.y
    return [(u[a:b], pev[a:b]) for a, b in pairwise(ends)]


def models():
    data, G = repeated()
    people, K = population(1, n=50)
    slopes = hd.example_data("sleepstudy")
    return {
        "spectral": hd.lmer("y ~ x + (1 | iid)", people.iloc[:40], relationship={"iid": K}),
        "dense": hd.lmer("y ~ x + (1 | iid) + (1 | pe) + (1 | house)", data, relationship={"iid": G}),
        "slopes on a relationship": hd.lmer("y ~ x + (x | iid) + (1 | house)", data, relationship={"iid": G}),
        "no fixed effects": hd.lmer("y ~ 0 + (1 | iid) + (1 | house)", data, relationship={"iid": G}),
        "blocked": hd.lmer("Reaction ~ Days + (Days | Subject)", slopes),
        "blocked by ML": hd.lmer("Reaction ~ Days + (Days | Subject)", slopes, REML=False),
        "two terms on one factor": hd.lmer("Reaction ~ Days + (Days || Subject)", slopes),
    }


@pytest.fixture(scope="module", params=models().items(), ids=lambda item: item[0])
def fitted(request):
    return request.param[1]


def test_by_brute_force(fitted):
    expected = brute_force(fitted)
    for group in fitted.ngroups:
        found = fitted.blup(group)
        at = 0
        for term, (u, pev) in zip(fitted.engine.model.terms, expected, strict=True):
            if term.label != group:
                continue
            rows = found.iloc[at : at + u.size]
            at += u.size
            np.testing.assert_allclose(rows["blup"], u, rtol=0, atol=1e-8 * np.abs(u).max())
            np.testing.assert_allclose(rows["pev"], pev, rtol=1e-7, atol=1e-10 * pev.max())
            np.testing.assert_allclose(rows["std_error"] ** 2, rows["pev"], rtol=1e-12)
            if len(fitted.varcorr) == len(fitted.ngroups):
                S = fitted.varcorr[group].covariance
                prior = np.kron(np.diag(relationship_matrix(term)), np.diag(S))
                np.testing.assert_allclose(rows["reliability"], 1 - pev / prior, rtol=1e-6, atol=1e-9)
        assert at == len(found)


def test_all_levels_by_name(fitted):
    for group, modes in fitted.ranef().items():
        found = fitted.blup(group).pivot(index="level", columns="effect", values="blup")
        np.testing.assert_array_equal(found.loc[list(modes.index), list(modes.columns)], modes)


def test_records_and_people_without_any():
    data, G = repeated()
    fit = hd.lmer("y ~ x + (1 | iid) + (1 | house)", data, relationship={"iid": G})
    found = fit.blup().set_index("level")
    assert list(found.index) == list(G.index)
    counts = data["iid"].value_counts()
    assert (found.loc[counts.index, "n_records"] == counts).all()
    unmeasured = found["n_records"] == 0
    assert unmeasured.sum() == len(G) - len(counts) > 0
    assert (found["reliability"] > 0.0).all()
    assert found.loc[unmeasured, "reliability"].mean() < found.loc[~unmeasured, "reliability"].mean()
    slopes = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy")).blup()
    # nobody's slope enters the record of day 0
    assert slopes["n_records"].tolist() == [10, 9] * 18


def test_a_few_levels_at_a_time(fitted, monkeypatch):
    whole = {group: fitted.blup(group) for group in fitted.ngroups}
    monkeypatch.setattr(blups, "AT_ONCE", 50)
    for group, found in whole.items():
        pd.testing.assert_frame_equal(fitted.blup(group), found, rtol=1e-10)


def test_a_variance_of_zero():
    found = hd.lmer("Yield ~ 1 + (1 | Batch)", hd.example_data("dyestuff2")).blup()
    assert (found["blup"] == 0.0).all()
    assert (found["pev"] == 0.0).all()
    assert found["reliability"].isna().all()


def test_scale_and_order():
    data, G = repeated(3)
    formula = "y ~ x + (1 | iid) + (1 | house)"
    plain = hd.lmer(formula, data, relationship={"iid": G}).blup()
    moved = data.assign(y=-10 * data["y"] + 3).sample(frac=1.0, random_state=1)
    other = hd.lmer(formula, moved, relationship={"iid": G}).blup()
    np.testing.assert_allclose(other["blup"], -10 * plain["blup"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(other["pev"], 100 * plain["pev"], rtol=1e-5)
    np.testing.assert_allclose(other["reliability"], plain["reliability"], rtol=1e-5)
    pd.testing.assert_series_equal(other["n_records"], plain["n_records"])


def test_which_group():
    data, G = repeated()
    fit = hd.lmer("y ~ x + (1 | iid) + (1 | house)", data, relationship={"iid": G})
    assert len(fit.blup()) == len(G)
    assert len(fit.blup("house")) == 8
    with pytest.raises(hd.DataError, match="no grouping factor 'hous'; did you mean 'house'"):
        fit.blup("hous")
    plain = hd.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", hd.example_data("penicillin"))
    with pytest.raises(hd.DataError, match="group= can be 'plate', 'sample'"):
        plain.blup()


@needs_gwas_reference
def test_people_without_a_trait_by_a_dense_textbook_fit():
    """BLUPs of all 1,940 mice, 530 of whom have no record: dense matrices, independent of every program."""
    people = reference_cohort("mouse_hs1940", "mouse_clean")
    common = variant_filter(people.genotypes, min_maf=0.01)
    G = relationship_of(people.genotypes, missing="pairwise", variants=common)
    found = hd.lmer("t1 ~ 1 + (1 | IID)", people.table, relationship={"IID": G}).blup()
    stored = pd.read_csv(
        GWAS / "expected" / "mouse_hs1940" / "hand" / "t1.blup.gz", sep="\t", dtype={"IID": str}
    )
    ours = found.set_index("level").loc[stored["IID"]]
    assert (ours["n_records"] == stored["phenotyped"].to_numpy()).all()
    np.testing.assert_allclose(ours["blup"], stored["blup_g"], rtol=0, atol=2e-6)
