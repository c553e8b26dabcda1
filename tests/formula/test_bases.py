"""poly, bs, ns and scale beside R 4.2's model.matrix, on new data within and beyond the range of the old."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from henderson import DataError
from henderson.formula import build_design
from henderson.formula.splines import bs, ns

D = {
    "y": [1.2, 3.4, 2.2, 5.1, 4.3, 6.7, 2.9, 3.3, 5.8, 4.4, 1.9, 6.1],
    "x2": [0.5, 1.5, -1, 2, 0, -2, 1, 0.3, -0.7, 0.9, -1.1, 0.2],
    "yr": [1990, 2001, 2003.5, 1987, 1999, 2010, 2015, 2004, 1995, 1992, 2007, 2020],
    "g": list("aaabbbcccddd"),
}
NEW = {"x2": [-4, 0.17, 5], "yr": [1980, 2000.5, 2030]}

R = {
    "ns(x2, df = 3)": [
        [0.3885096763082, -1.02339134247, 0.6348816661621],
        [0.3388858215603, 0.4784108588531, -0.2873755367403],
        [-2.803465291017, 0.799371986094, 3.004093304923],
    ],
    "ns(x2, knots = c(-0.5, 0.8))": [
        [0.3419198151014, -1.054252763229, 0.7123329481279],
        [0.3756878679987, 0.4496690111708, -0.2788189368618],
        [-2.750233863424, 0.9798877455566, 2.770346117867],
    ],
    "ns(x2, df = 4, intercept = TRUE)": [
        [-2.036160651999, -0.5142395923054, 1.354582340707, -0.8403427484016],
        [0.4240790691649, 0.4423932373927, 0.2057571781239, -0.1182292718436],
        [0, -2.803465291017, 0.799371986094, 3.004093304923],
    ],
    "ns(x2, df = 3, Boundary.knots = c(-1.5, 1.5))": [
        [0.6390214842635, -1.597553710659, 0.9585322263952],
        [0.3142291022951, 0.4906985220399, -0.2917988465573],
        [-4.578947368421, 0.9473684210526, 4.631578947368],
    ],
    "ns(x2)": [
        [-0.4008918628686],
        [0.4349676712125],
        [1.40312152004],
    ],
    "bs(x2, df = 5)": [
        [-12.89766463382, 4.635693554646, -0.42990207786, 0, 0],
        [0.01655071918948, 0.4535281371375, 0.5147424932969, 0.01517865037613, 0],
        [0, -2.211503458318, 21.49111205672, -50.89798325924, 32.61837466084],
    ],
    "bs(x2, knots = c(-0.5, 0.8), degree = 2)": [
        [-5.396825396825, 0.952380952381, 0, 0],
        [0.1090384615385, 0.7528384615385, 0.1381230769231, 0],
        [0, 3, -14.25, 12.25],
    ],
    "bs(x2, df = 5, intercept = TRUE)": [
        [6.739368998628, -7.689986282579, 2.172839506173, -0.2222222222222, 0],
        [4.494924554184e-05, 0.2187717945816, 0.4973412283951, 0.2838420277778, 0],
        [0, -0.9642857142857, 7.989795918367, -26.02259475219, 19.99708454811],
    ],
    "bs(x2, df=5, Boundary.knots = c(-1.5, 1.5))": [
        [-30.28935185185, 14.0625, -1.736111111111, 0, 0],
        [0.0179685, 0.4689027222222, 0.5087616666667, 0.004367111111111, 0],
        [0, -9.527777777778, 81.66666666667, -162.2638888889, 91.125],
    ],
    "poly(x2, 3)": [
        [-1.06984044731, 3.149473051624, -9.885178867207],
        [0.009490520097105, -0.2609320895879, -0.04107595720557],
        [1.259650849252, 4.979449163429, 20.12217305934],
    ],
    "poly(yr, 4)": [
        [-0.6572380377629, 1.290460666301, -3.062316173447, 6.518427826919],
        [-0.04364958505066, -0.2604156667119, 0.1826962767079, 0.1916271547486],
        [0.8393191639742, 1.881136071345, 4.820443456801, 12.87474370912],
    ],
    "poly(x2, 2, raw = TRUE)": [
        [-4, 16],
        [0.17, 0.0289],
        [5, 25],
    ],
    "scale(yr, scale = FALSE)": [
        [-21.95833333333],
        [-1.458333333333],
        [28.04166666667],
    ],
    "scale(x2, center=FALSE)": [
        [-3.409521208983],
        [0.1449046513818],
        [4.261901511229],
    ],
    "scale(log(yr))": [
        [-2.19065516856],
        [-0.1425892905144],
        [2.768092274807],
    ],
}


@pytest.mark.parametrize("call", R)
def test_new_data_get_rs_numbers(call):
    spec = pickle.loads(pickle.dumps(build_design(f"y ~ {call} + (1|g)", D).spec))
    X, ok = spec.fixed_matrix(NEW)
    assert ok.all()
    np.testing.assert_allclose(X[:, 1:], R[call], rtol=1e-11, atol=1e-11)


def test_the_square_of_a_scaled_column_keeps_its_scale():
    x = np.array(D["x2"])
    spec = build_design("y ~ I(scale(x2)^2) + (1|g)", D).spec
    np.testing.assert_allclose(
        spec.fixed_matrix({"x2": [3.0]})[0][0, 1], ((3 - x.mean()) / x.std(ddof=1)) ** 2
    )


def test_b_splines_with_intercept_sum_to_one_and_are_never_negative():
    x = np.linspace(-2, 3, 50)
    for degree in (1, 2, 3, 5):
        basis = bs(x, 8, degree=degree, intercept=True, state={})
        assert basis.shape == (50, 8)
        np.testing.assert_allclose(basis.sum(axis=1), 1)
        assert basis.min() >= 0


@pytest.mark.parametrize("intercept", [True, False])
def test_natural_splines_span_straight_lines_and_end_in_them(intercept):
    state = {}
    x = np.linspace(-2, 3, 50)
    basis = ns(x, 5, intercept=intercept, state=state)
    assert np.linalg.matrix_rank(basis) == 5
    columns = np.column_stack([np.ones(50), basis])
    for line in (np.ones(50), x):
        np.testing.assert_allclose(columns @ np.linalg.lstsq(columns, line)[0], line, atol=1e-12)
    for beyond in (np.array([3, 4, 5.0]), np.array([-2, -3, -4.0])):
        outside = ns(beyond, 5, intercept=intercept, state=state)
        np.testing.assert_allclose(outside[2] - outside[1], outside[1] - outside[0], atol=1e-12)


def test_orthonormal_polynomials_stay_so_far_from_zero():
    x = 1e4 + np.arange(40.0)
    X = build_design("y ~ poly(t, 6) + (1|g)", {"y": np.sin(x), "t": x, "g": list("abcd") * 10}).X
    np.testing.assert_allclose(X[:, 1:].T @ X, np.eye(7)[1:], atol=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("bs(x2, df = 2)", r"bs\(x2, df = 2\): df must be a whole number from 3; it is 2"),
        ("bs(x2, df = 3, intercept = TRUE)", "df must be a whole number from 4"),
        ("ns(x2, 2.5)", "df must be a whole number from 1; it is 2.5"),
        ("bs(x2, degree = 0)", "the degree must be a whole number from 1; it is 0"),
        ("ns(x2, knots = c(0, 9))", "knots at 9 are outside the boundary knots -2, 2"),
        ("ns(x2, Boundary.knots = c(1, 1))", "two different boundary knots are needed; they are 1, 1"),
        ("bs(one, df = 4)", "two different boundary knots are needed; they are 3, 3"),
        ("ns(g, 3)", "a column of numbers is needed"),
        ("ns(none, 3)", r"ns\(none, 3\): no row has all the values"),
        ("ns(x2, dff = 3)", r"ns\(x2, dff = 3\) cannot be computed: .*'dff'"),
    ],
)
def test_mistakes(call, message):
    data = {**D, "one": [3.0] * 12, "none": [np.nan] * 12}
    with pytest.raises(DataError, match=message):
        build_design(f"y ~ {call} + (1|g)", data)
