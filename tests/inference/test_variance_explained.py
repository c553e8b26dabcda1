"""R-squared and principal components of random effects."""

import numpy as np
import pytest

import henderson as hd
from henderson.errors import HendersonError
from henderson.inference.variance_explained import r2, re_pca
from prediction.fits import KINDS, fit_of
from reference import design_arguments, lmer_models, load_dataset, load_model, needs_lmer_reference


def sleep_fit(formula, **arguments):
    return hd.lmer(formula, hd.example_data("sleepstudy"), **arguments)


def explained(stored):
    """What R's performance stored: ICC, marginal and conditional R-squared; None for a singular fit."""
    found = stored.get("performance") or {}
    icc, shares = found.get("icc"), found.get("r2")
    if not isinstance(icc, dict) or not isinstance(shares, dict):
        return None
    return icc["ICC_adjusted"], shares["R2_marginal.Marginal R2"], shares["R2_conditional.Conditional R2"]


def random_variance(fit, *, by_name):
    """Mean of z'Sz over the rows; `by_name` counts the effects that performance counts.

    These are the ones that have the name of a fixed effect, in the first term of each grouping factor.
    """
    total, seen = 0.0, set()
    for own, term in zip(fit.varcorr, fit.engine.model.terms, strict=True):
        counts = np.array([not by_name or n in {"(Intercept)", *fit.fixef.index} for n in own.names])
        z = term.z * (counts & (not by_name or own.group not in seen))
        total += np.einsum("ni,ij,nj->", z, own.covariance, z) / len(z)
        seen.add(own.group)
    return total


def as_stored(fit, random):
    """ICC, marginal and conditional R-squared with this variance of the random effects."""
    fixed = np.var(fit.engine.model.X @ fit.fixef.to_numpy(), ddof=1)
    residual = fit.sigma**2
    total = fixed + random + residual
    return random / (random + residual), fixed / total, (fixed + random) / total


@needs_lmer_reference
@pytest.mark.parametrize("model", [m for m in lmer_models() if not m.startswith(("big_", "inst_"))])
def test_as_performance_or_for_a_known_reason(model):
    """Where performance counts all random effects, the same; elsewhere its numbers follow from its rule."""
    stored = load_model(model)
    expected = explained(stored)
    if expected is None or not (stored["optimum"]["converged"] and stored["optimum"]["identified"]):
        pytest.skip("performance gave no numbers for this fit, or the data do not determine them")
    arguments = design_arguments(stored["arguments"])
    fit = hd.lmer(stored["formula"], load_dataset(stored["dataset"]), REML=stored["REML"], **arguments)
    theirs, ours = random_variance(fit, by_name=True), random_variance(fit, by_name=False)
    assert as_stored(fit, theirs) == pytest.approx(expected, rel=1e-6, abs=1e-8)
    found = r2(fit)
    assert (fit.icc, found.marginal, found.conditional) == pytest.approx(as_stored(fit, ours), rel=1e-9)


@pytest.mark.parametrize(
    ("formula", "icc", "marginal", "conditional"),
    [
        ("Reaction ~ Days + (Days | Subject)", 0.721658475854269, 0.278652033614218, 0.799218907596758),
        ("Reaction ~ 1 + (1 | Subject)", 0.394889573068449, 0.0, 0.394889573068449),
    ],
)
def test_numbers_of_performance(formula, icc, marginal, conditional):
    fit = sleep_fit(formula)
    found = r2(fit)
    assert fit.icc == pytest.approx(icc, rel=1e-6)
    assert found.marginal == pytest.approx(marginal, rel=1e-6)
    assert found.conditional == pytest.approx(conditional, rel=1e-6)


def test_an_intercept_alone_explains_exactly_nothing():
    assert r2(sleep_fit("Reaction ~ 1 + (1 | Subject)")).marginal == 0.0


def test_a_slope_in_a_term_of_its_own_counts():
    """Where the correlation is near zero, `||` must come to about the same; performance has 0.49."""
    together = sleep_fit("Reaction ~ Days + (Days | Subject)")
    apart = sleep_fit("Reaction ~ Days + (Days || Subject)")
    assert apart.icc == pytest.approx(together.icc, abs=0.01)
    assert r2(apart).conditional == pytest.approx(r2(together).conditional, abs=0.01)


@pytest.mark.parametrize("kind", [*KINDS, "related"])
def test_parts_add_up(kind):
    """ICC is the share of the random effects in what the fixed ones leave, for any structure."""
    fit, _ = fit_of(kind)
    found = r2(fit)
    assert 0.0 <= found.marginal <= found.conditional < 1.0
    assert (found.conditional - found.marginal) / (1.0 - found.marginal) == pytest.approx(fit.icc, rel=1e-9)


def test_free_of_units_and_of_the_order_of_rows():
    data = hd.example_data("sleepstudy")
    moved = data.assign(Reaction=1000.0 - 7.0 * data["Reaction"]).sample(frac=1.0, random_state=1)
    formula = "Reaction ~ Days + (Days | Subject)"
    found, again = r2(hd.lmer(formula, data)), r2(hd.lmer(formula, moved))
    assert (again.marginal, again.conditional) == pytest.approx((found.marginal, found.conditional), rel=1e-8)


def test_an_offset_is_not_explained():
    data = hd.example_data("sleepstudy")
    data["known"] = 100.0 * np.sin(np.arange(len(data)))
    plain = hd.lmer("Reaction ~ Days + (1 | Subject)", data)
    data["Reaction"] += data["known"]
    with_offset = hd.lmer("Reaction ~ Days + (1 | Subject)", data, offset="known")
    assert r2(with_offset).marginal == pytest.approx(r2(plain).marginal, rel=1e-8)


def test_streamed_fits_are_refused(tmp_path):
    path = tmp_path / "sleep.parquet"
    hd.example_data("sleepstudy").to_parquet(path)
    fit = hd.lmer("Reaction ~ Days + (1 | Subject)", path)
    with pytest.raises(HendersonError, match="streamed"):
        r2(fit)
    assert re_pca(fit)["Subject"].sd.shape == (1,)


def test_principal_components_of_lme4():
    found = re_pca(sleep_fit("Reaction ~ Days + (Days | Subject)"))["Subject"]
    assert found.names == ("(Intercept)", "Days")
    np.testing.assert_allclose(found.sd, [0.966858991063, 0.230879458533], rtol=1e-6)
    expected = [[0.99986158405, 0.01663769033], [0.01663769033, 0.99986158405]]
    np.testing.assert_allclose(np.abs(found.rotation), expected, rtol=0, atol=1e-6)
    split = re_pca(sleep_fit("Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)"))
    assert list(split) == ["Subject"]
    np.testing.assert_allclose(split["Subject"].sd, [0.979896351, 0.234230590], rtol=1e-6)
    np.testing.assert_allclose(split["Subject"].share, [0.94595, 0.05405], rtol=0, atol=5e-6)


def test_principal_components_as_a_table():
    found = re_pca(sleep_fit("Reaction ~ Days + (Days | Subject)"))["Subject"]
    frame = found.to_frame()
    assert frame.index.name == "Subject"
    assert frame.columns.tolist() == ["sd", "share", "cumulative", "(Intercept)", "Days"]
    assert frame.loc["PC2", "sd"] == found.sd[1]
    assert frame.loc["PC2", "cumulative"] == pytest.approx(1.0)
    assert frame.loc["PC1", "Days"] == found.rotation[1, 0]


@pytest.mark.parametrize("kind", KINDS)
def test_principal_components_rebuild_the_covariance(kind):
    fit, _ = fit_of(kind)
    for group, found in re_pca(fit).items():
        own = [t for t in fit.varcorr if t.group == group]
        assert found.names == tuple(n for t in own for n in t.names)
        rebuilt = fit.sigma**2 * found.rotation @ np.diag(found.sd**2) @ found.rotation.T
        at = 0
        for t in own:
            q = len(t.names)
            scale = np.abs(t.covariance).max() + 1e-9
            np.testing.assert_allclose(rebuilt[at : at + q, at : at + q], t.covariance, atol=1e-10 * scale)
            rebuilt[at : at + q, at : at + q] = 0.0
            at += q
        np.testing.assert_allclose(rebuilt, 0.0, atol=1e-10)
        if found.sd[0] > 0.0:
            np.testing.assert_allclose(found.share, found.sd**2 / (found.sd**2).sum())


def test_no_variance_has_no_shares():
    data = hd.example_data("sleepstudy")
    data["Reaction"] = np.tile(np.linspace(200.0, 400.0, 10), 18) + np.tile([1.0, -1.0], 90)
    data["part"] = np.arange(180) % 6
    found = re_pca(hd.lmer("Reaction ~ Days + (1 | Subject)", data))["Subject"]
    assert found.sd.tolist() == [0.0]
    assert np.isnan(found.share).all()
