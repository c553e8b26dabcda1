"""lme4's numbers on small published tables: no files beside the repository are needed.

The numbers are those of lme4 1.1-31, polished by Newton steps: criterion, theta, sigma, fixed effects and
their standard errors.
"""

import numpy as np
import pytest

import henderson as hd

REML = {
    ("sleepstudy", "Reaction ~ Days + (Days | Subject)"): (
        1743.62827195849,
        [0.966732951865902, 0.0151690542696333, 0.230909594760593],
        25.5918156267237,
        [251.405104848485, 10.4672859595958],
        [6.82455653207431, 1.54578889629492],
    ),
    ("sleepstudy", "Reaction ~ Days + (Days || Subject)"): (
        1743.66929358131,
        [0.979896299675482, 0.234230578211777],
        25.565285354181,
        [251.405104848487, 10.4672859595962],
        [6.88538129486728, 1.55956594430008],
    ),
    ("dyestuff", "Yield ~ 1 + (1 | Batch)"): (
        319.654276842257,
        [0.848323781432409],
        49.5100999797012,
        [1527.5],
        [19.3834121523188],
    ),
    ("dyestuff2", "Yield ~ 1 + (1 | Batch)"): (
        161.828277812288,
        [0.0],
        3.71568427447573,
        [5.6656],
        [0.678388031232524],
    ),
    ("penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)"): (
        330.860588991087,
        [1.53967757298311, 3.51241522359554],
        0.549923139117885,
        [22.9722222222261],
        [0.808573390987612],
    ),
    ("pastes", "strength ~ 1 + (1 | batch/cask)"): (
        246.990745853486,
        [3.52690181058456, 1.56346027341361],
        0.823407554009408,
        [60.0533333333345],
        [0.676870066128968],
    ),
}

ML = {
    ("sleepstudy", "Reaction ~ Days + (Days | Subject)"): (
        1751.9393444632,
        [0.92922547371952, 0.0181657066749814, 0.222645422564432],
    ),
    ("dyestuff", "Yield ~ 1 + (1 | Batch)"): (327.327059881135, [0.752580692320328]),
    ("penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)"): (
        332.188348668501,
        [1.53759353477088, 3.2197537997996],
    ),
    ("pastes", "strength ~ 1 + (1 | batch/cask)"): (247.994465862425, [3.52690181058582, 1.32991203135797]),
}


@pytest.mark.parametrize("key", REML, ids=" ".join)
def test_reml(key):
    table, formula = key
    criterion, theta, sigma, fixef, se = REML[key]
    fit = hd.lmer(formula, hd.example_data(table))
    assert fit.reml_criterion == pytest.approx(criterion, abs=1e-8)
    np.testing.assert_allclose(fit.theta, theta, rtol=1e-7, atol=1e-9)
    assert fit.sigma == pytest.approx(sigma, rel=1e-8)
    np.testing.assert_allclose(fit.fixef, fixef, rtol=1e-8)
    np.testing.assert_allclose(fit.se, se, rtol=1e-7)
    assert fit.is_singular() == (theta == [0.0])


@pytest.mark.parametrize("key", ML, ids=" ".join)
def test_ml(key):
    table, formula = key
    criterion, theta = ML[key]
    fit = hd.lmer(formula, hd.example_data(table), REML=False)
    assert fit.deviance == pytest.approx(criterion, abs=1e-8)
    np.testing.assert_allclose(fit.theta, theta, rtol=1e-7)


def test_no_such_table():
    with pytest.raises(hd.DataError, match="sleepstudy"):
        hd.example_data("sleep")
