"""Designs from small tables: coding, order, missing values, refusals."""

from __future__ import annotations

import pickle
from datetime import date

import numpy as np
import pandas as pd
import pytest

from henderson import DataError
from henderson.formula import build_design
from henderson.formula.contrasts import contrast_matrix, orthogonal_polynomials

D = {
    "y": [1.2, 3.4, 2.2, 5.1, 4.3, 6.7, 2.9, 3.3, 5.8, 4.4, 1.9, 6.1],
    "x": [1.0, 2, 3] * 4,
    "x2": [0.5, 1.5, -1, 2, 0, -2, 1, 0.3, -0.7, 0.9, -1.1, 0.2],
    "g": list("aaabbbcccddd"),
    "h": list("pq") * 6,
    "f": list("uvw") * 4,
    "id": list(range(1, 13)),
    "w": [1.0, 2] * 6,
    "early": [True, False, False] * 4,
}


def frame(**columns):
    return pd.DataFrame({**D, **columns})


def names(formula, **kwargs):
    return build_design(formula, frame(), **kwargs).x_names


# -- fixed part ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fixed", "expected"),
    [
        ("1", ["(Intercept)"]),
        ("0", []),
        ("f", ["(Intercept)", "fv", "fw"]),
        ("0 + f", ["fu", "fv", "fw"]),
        ("early", ["(Intercept)", "earlyTRUE"]),
        ("x2 > 0", ["(Intercept)", "x2 > 0TRUE"]),
        ("I(x2 > 0)", ["(Intercept)", "I(x2 > 0)TRUE"]),
        ("factor(x)", ["(Intercept)", "factor(x)2", "factor(x)3"]),
        ("ordered(x)", ["(Intercept)", "ordered(x).L", "ordered(x).Q"]),
        ("f * h", ["(Intercept)", "fv", "fw", "hq", "fv:hq", "fw:hq"]),
        ("f:h", ["(Intercept)", "fu:hp", "fv:hp", "fw:hp", "fu:hq", "fv:hq", "fw:hq"]),
        ("f + f:h", ["(Intercept)", "fv", "fw", "fu:hq", "fv:hq", "fw:hq"]),
        ("f:x2", ["(Intercept)", "fu:x2", "fv:x2", "fw:x2"]),
        ("x2 + h:x2", ["(Intercept)", "x2", "x2:hq"]),
        ("0 + x2 + x2:h", ["x2", "x2:hp", "x2:hq"]),
        ("poly(x2, 2):h", ["(Intercept)", *(f"poly(x2, 2){k}:h{level}" for level in "pq" for k in (1, 2))]),
        ("bs(x2, df=4)", ["(Intercept)", *(f"bs(x2, df = 4){k}" for k in range(1, 5))]),
        ("poly(x2, 1)", ["(Intercept)", "poly(x2, 1)"]),
    ],
)
def test_columns_have_rs_names(fixed, expected):
    formula = f"y ~ ({fixed}) + (1|g)" if ">" in fixed else f"y ~ {fixed} + (1|g)"
    assert list(names(formula)) == expected


def test_values_of_an_interaction():
    design = build_design("y ~ x2 * f + (1|g)", frame())
    x2, f = np.array(D["x2"]), np.array(D["f"])
    expected = np.column_stack([np.ones(12), x2, f == "v", f == "w", x2 * (f == "v"), x2 * (f == "w")])
    np.testing.assert_array_equal(design.X, expected)
    assert design.x_assign == (0, 1, 2, 2, 3, 3)
    assert design.spec.term_labels == ("x2", "f", "x2:f")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("log(x)", np.log),
        ("log(x, 2)", np.log2),
        ("log(x, base = 10)", np.log10),
        ("sqrt(x)", np.sqrt),
        ("I(x^2)", np.square),
        ("I(x**2 - 1)", lambda x: x**2 - 1),
        ("I(-x^2)", lambda x: -(x**2)),
        ("I((x + 1)/2)", lambda x: (x + 1) / 2),
        ("I(x %% 2)", lambda x: x % 2),
        ("scale(x)", lambda x: (x - x.mean()) / x.std(ddof=1)),
        ("scale(x, scale = FALSE)", lambda x: x - x.mean()),
        ("np.exp(x)", np.exp),
        ("pmin(x, 2)", lambda x: np.minimum(x, 2)),
        ("ifelse(x > 1 & x < 3, 1, 0)", lambda x: (x == 2) * 1.0),
        ("poly(x, 2, raw = TRUE)", lambda x: np.column_stack([x, x**2])),
        ("I(x - mean(x))", lambda x: x - x.mean()),
        ("I((x - mean(log(x), na.rm = TRUE))^2)", lambda x: (x - np.log(x).mean()) ** 2),
    ],
)
def test_expressions(expression, expected):
    design = build_design(f"y ~ 0 + {expression} + (1|g)", frame())
    wanted = expected(np.array(D["x"]))
    np.testing.assert_allclose(design.X, wanted.reshape(12, -1), rtol=1e-14)


def test_comparisons_with_categories():
    design = build_design("y ~ I(f == 'u') + I(g %in% c('a', 'b')) + (1|h)", frame())
    assert design.x_names[1:] == ('I(f == "u")TRUE', 'I(g %in% c("a", "b"))TRUE')
    np.testing.assert_array_equal(design.X[:, 1], np.array(D["f"]) == "u")
    np.testing.assert_array_equal(design.X[:, 2], np.isin(D["g"], ["a", "b"]))


def test_levels_keep_the_order_of_a_categorical_and_unused_ones_go():
    f = pd.Categorical(D["f"], categories=["w", "never", "u", "v"])
    assert build_design("y ~ f + (1|g)", frame(f=f)).x_names == ("(Intercept)", "fu", "fv")
    assert build_design("y ~ f + (1|g)", frame(f=f), subset="f != 'w'").x_names == ("(Intercept)", "fv")


def test_ordered_factors_have_polynomial_contrasts():
    f = pd.Categorical(D["f"], categories=list("uvw"), ordered=True)
    design = build_design("y ~ f + (f|g)", {**D, "f": f}, related={"g"})
    assert design.x_names == ("(Intercept)", "f.L", "f.Q")
    np.testing.assert_allclose(design.X[:3, 1:], orthogonal_polynomials(3), atol=1e-15)
    assert design.random[0].names == ("(Intercept)", "f.L", "f.Q")


@pytest.mark.parametrize("kind", ["treatment", "sum", "helmert", "poly", "SAS"])
def test_contrasts_with_an_intercept_span_all_levels(kind):
    matrix, suffixes = contrast_matrix(f"contr.{kind}", list("abcde"), "f")
    assert matrix.shape == (5, len(suffixes)) == (5, 4)
    assert np.linalg.matrix_rank(np.column_stack([np.ones(5), matrix])) == 5
    assert names("y ~ f + (1|g)", contrasts={"f": kind}) == names(
        "y ~ f + (1|g)", contrasts={"f": f"contr.{kind}"}
    )


def test_contrasts_leave_random_terms_alone():
    data = pd.concat([frame()] * 2, ignore_index=True)
    design = build_design("y ~ f + (f|g)", data, contrasts={"f": "sum"})
    assert design.x_names == ("(Intercept)", "f1", "f2")
    assert design.random[0].names == ("(Intercept)", "fv", "fw")


@pytest.mark.parametrize(
    ("contrasts", "message"),
    [
        ({"ff": "sum"}, "did you mean 'f'"),
        ({"f": "odd"}, "'odd' is none of treatment"),
        ({"f": np.eye(3)}, r"shape \(3, 3\), but 3 levels"),
        ({"x2": "sum"}, r"write factor\(x2\)"),
        ({"f": [["a", "b"]] * 3}, "'f': give one of .* or a matrix of numbers"),
        ({"f": [[0, 1], [1]]}, "'f': give one of .* or a matrix of numbers"),
        ({"f": [[0, 1], [1, np.nan], [0, 0]]}, "'f': the matrix has missing or infinite"),
        ({"f": pd.DataFrame(np.eye(3)[:, 1:], index=list("uvz"))}, "'f': the rows .* u, v, z, .* u, v, w"),
    ],
)
def test_wrong_contrasts_are_refused(contrasts, message):
    with pytest.raises(DataError, match=message):
        build_design("y ~ f + x2 + (1|g)", frame(), contrasts=contrasts)


@pytest.mark.parametrize(
    ("columns", "index", "expected"),
    [(["A", "B"], list("wuv"), ["fA", "fB"]), ([0, 1], list("wuv"), ["f1", "f2"]), (["A", "B"], None, None)],
)
def test_contrasts_in_a_data_frame_go_by_its_labels(columns, index, expected):
    given = pd.DataFrame([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], columns=columns, index=index)
    design = build_design("y ~ f + (1|g)", frame(), contrasts={"f": given})
    assert list(design.x_names[1:]) == (expected or ["fA", "fB"])
    by_level = given.loc[list("uvw")] if index else given
    np.testing.assert_array_equal(design.X[:3, 1:], by_level)


# -- random part -----------------------------------------------------------------------------------------


def test_an_interaction_has_the_combinations_that_occur_first_factor_slowest():
    design = build_design("y ~ 1 + (1|h:f)", frame()[: 4 + 6])
    assert design.random[0].group == "h:f"
    assert design.random[0].levels == ("p:u", "p:v", "p:w", "q:u", "q:v", "q:w")
    labels = [design.random[0].levels[code] for code in design.random[0].codes]
    assert labels == [f"{h}:{f}" for h, f in zip(D["h"], D["f"], strict=True)][:10]


def test_nested_levels_join_from_inside_out():
    data = {
        "y": np.arange(8.0),
        "a": [1, 1, 1, 1, 2, 2, 2, 2],
        "b": list("ppqqppqq"),
        "c": [10, 9, 10, 9] * 2,
    }
    design = build_design("y ~ 1 + (1|a/b/c)", data, related={"c:(b:a)"})
    assert [term.group for term in design.random] == ["c:(b:a)", "b:a", "a"]
    assert design.random[0].levels == tuple(f"{c}:{b}:{a}" for c in (9, 10) for b in "pq" for a in (1, 2))
    assert design.random[1].levels == ("p:1", "p:2", "q:1", "q:2")


def test_terms_are_sorted_by_levels_and_ties_are_reversed_only_then():
    as_written = build_design("y ~ x + (0+x|g) + (1|g) + (1|h)", frame())
    assert [(t.group, t.names) for t in as_written.random] == [
        ("g", ("x",)),
        ("g", ("(Intercept)",)),
        ("h", ("(Intercept)",)),
    ]
    resorted = build_design("y ~ x + (1|h) + (0+x|h) + (1|g)", frame())
    assert [(t.group, t.names) for t in resorted.random] == [
        ("g", ("(Intercept)",)),
        ("h", ("x",)),
        ("h", ("(Intercept)",)),
    ]
    assert [spec.text for spec in resorted.spec.random] == ["(1 | g)", "(0 + x | h)", "(1 | h)"]


@pytest.mark.parametrize(
    ("group", "levels"),
    [
        ([10, 9, 100, 9] * 3, ("9", "10", "100")),
        ([10.0, 9.0, 2.5, 9.0] * 3, ("2.5", "9", "10")),
        ([100000.0, 1e6, 1.0, 1.0] * 3, ("1", "100000", "1000000")),
        ([True, False, True, True] * 3, ("FALSE", "TRUE")),
        (["b", "a", "B", "a"] * 3, ("B", "a", "b")),
        (np.array([127, -128, 0, 0] * 3, dtype=np.int8), ("-128", "0", "127")),
        (np.array([2**63 + 1, 2**63 + 2, 5, 5] * 3, dtype=np.uint64), ("5", str(2**63 + 1), str(2**63 + 2))),
        ([2**60 + 1, 2**60, None, None] * 3, (str(2**60), str(2**60 + 1))),
    ],
)
def test_any_column_groups(group, levels):
    design = build_design("y ~ 1 + (1|k)", {**D, "k": group})
    assert design.random[0].levels == levels


def test_a_logical_group_with_one_value_has_one_level():
    with pytest.raises(DataError, match=r"more than one level .*problems: k"):
        build_design("y ~ 1 + (1|k)", frame(k=True))


# -- rows ------------------------------------------------------------------------------------------------


def test_rows_with_missing_values_are_dropped_and_reported():
    data = frame(y=[np.nan, *D["y"][1:]], w=[1.0, None, *D["w"][2:]], g=[*D["g"][:11], None])
    design = build_design("y ~ x + (1|g)", data, weights="w")
    assert design.rows.tolist() == list(range(2, 11))
    assert design.excluded.tolist() == [0, 1, 11]
    assert design.n_rows == 12
    assert design.notices == ("3 of 12 rows dropped for missing values (y 1, g 1, w 1)",)
    assert design.weights is not None
    assert design.weights.tolist() == D["w"][2:11]


def test_only_used_columns_count():
    assert build_design("y ~ x + (1|g)", frame(x2=np.nan)).notices == ()


def test_missing_values_that_an_expression_makes_are_reported_by_its_name():
    design = build_design("y ~ sqrt(x2) + (1|g)", frame())
    assert design.notices == ("4 of 12 rows dropped for missing values (sqrt(x2) 4)",)
    missing = build_design("y ~ sqrt(x) + (1|g)", frame(x=[np.nan, *D["x"][1:]]))
    assert missing.notices == ("1 of 12 rows dropped for missing values (x 1)",)


def test_na_fail_names_columns_and_counts():
    with pytest.raises(DataError, match=r"2 of 12 rows have missing values \(y 1, x 1\)"):
        build_design(
            "y ~ x + (1|g)", frame(y=[None, *D["y"][1:]], x=[1, None, *D["x"][2:]]), na_action="fail"
        )


def test_subset_then_missing():
    data = frame(y=[np.nan, *D["y"][1:]])
    design = build_design("y ~ x + (1|g)", data, subset="x < 3")
    assert design.n_rows == 8
    assert design.excluded.tolist() == [0]
    assert design.rows.tolist() == [1, 3, 4, 6, 7, 9, 10]
    same = build_design("y ~ x + (1|g)", data, subset=np.array(D["x"]) < 3)
    assert same.rows.tolist() == design.rows.tolist()


def test_bases_see_all_rows_as_in_r():
    design = build_design("y ~ 0 + scale(x2) + (1|g)", frame(), subset="x > 1")
    x2 = np.array(D["x2"])
    scaled = (x2 - x2.mean()) / x2.std(ddof=1)
    np.testing.assert_allclose(design.X[:, 0], scaled[np.array(D["x"]) > 1])


def test_zero_weights_drop_rows_with_a_notice():
    design = build_design("y ~ x + (1|g)", frame(), weights=[0.0, 0.0, *D["w"][2:]])
    assert design.notices == ("2 of 12 rows dropped for zero weight",)
    assert design.excluded.tolist() == [0, 1]


def test_weights_and_offsets_as_column_expression_or_array():
    by_name = build_design("y ~ x + (1|g)", frame(), weights="w", offset="x2")
    by_array = build_design("y ~ x + (1|g)", frame(), weights=D["w"], offset=np.array(D["x2"]))
    np.testing.assert_array_equal(by_name.weights, by_array.weights)
    np.testing.assert_array_equal(by_name.offset, by_array.offset)
    expression = build_design("y ~ x + offset(x2) + (1|g)", frame(), weights="1/w", offset="2*x2")
    np.testing.assert_allclose(expression.weights, 1 / np.array(D["w"]))
    np.testing.assert_allclose(expression.offset, 3 * np.array(D["x2"]))
    assert build_design("y ~ x + (1|g)", frame()).weights is None


def test_a_series_is_matched_by_its_index():
    data = frame(early=np.array(D["x2"]) > 0).set_index("id")
    shuffled = data.sample(frac=1, random_state=1)
    expected = build_design("y ~ x + (1|g)", data, weights="w", offset="x2", subset="early")
    for table in (data, dict(data.items()), {**dict(data.items()), "x": shuffled["x"]}):
        design = build_design(
            "y ~ x + (1|g)", table, weights=shuffled["w"], offset=shuffled["x2"], subset=shuffled["early"]
        )
        for part in ("X", "y", "weights", "offset", "rows"):
            np.testing.assert_array_equal(getattr(design, part), getattr(expected, part))


@pytest.mark.parametrize("argument", ["weights", "offset", "subset"])
def test_a_series_with_another_index_is_refused(argument):
    values = pd.Series([True] * 12, index=range(1, 13))
    with pytest.raises(DataError, match=f"the index of {argument} is not the index of the table"):
        build_design("y ~ x + (1|g)", frame(), **{argument: values})
    given = {argument: values.to_numpy()}
    assert len(build_design("y ~ x + (1|g)", frame(), **given).y) == 12
    given = {argument: values}
    assert len(build_design("y ~ x + (1|g)", D, **given).y) == 12


def test_columns_of_a_dict_are_matched_by_their_indexes():
    data = frame()
    with pytest.raises(DataError, match="the index of column 'x' is not"):
        build_design("y ~ x + (1|g)", {**dict(data.items()), "x": data["x"].set_axis(range(5, 17))})


def test_missing_values_can_be_a_variable():
    data = frame(x2=[np.nan, None, *D["x2"][2:]])
    design = build_design("y ~ is.na(x2) + I(is.na(x2) * x) + (1|g)", data)
    assert design.notices == ()
    assert design.x_names == ("(Intercept)", "is.na(x2)TRUE", "I(is.na(x2) * x)")
    np.testing.assert_array_equal(design.X[:, 1:].T, [[1, 1] + [0] * 10, [1, 2] + [0] * 10])
    X, ok = design.spec.fixed_matrix({"x": [7.0, 7.0], "x2": [None, 1.0]})
    assert ok.all()
    np.testing.assert_array_equal(X, [[1, 1, 7], [1, 0, 0]])


def test_the_mean_is_that_of_the_training_data():
    design = build_design("y ~ I(x - mean(x)) + (1|g)", frame())
    np.testing.assert_allclose(design.spec.fixed_matrix({"x": [5.0]})[0], [[1.0, 3.0]])


def test_odd_names_are_quoted_where_r_quotes_them():
    data = frame(**{"my g": D["g"], "my x": D["x2"]})
    design = build_design("y ~ `my x` + (0 + `my x`|`my g`) + (1|`my g`:h)", data)
    assert design.x_names == ("(Intercept)", "`my x`")
    assert {(t.group, t.names) for t in design.random} == {
        ("my g", ("`my x`",)),
        ("`my g`:h", ("(Intercept)",)),
    }


def test_many_terms():
    n_terms = 1100
    data = {**D, **{f"x{k}": D["x2"] for k in range(n_terms)}}
    formula = f"y ~ {' + '.join(f'x{k}' for k in range(n_terms))} + (1|g)"
    assert build_design(formula, data).X.shape == (12, 1 + n_terms)


def test_the_response_is_a_copy():
    data = frame()
    build_design("y ~ x + (1|g)", data).y[:] = 0
    assert data["y"].tolist() == D["y"]


def test_logical_response():
    assert set(build_design("y > 3 ~ x + (1|g)", frame()).y) == {0.0, 1.0}
    assert set(build_design("early ~ x2 + (1|g)", frame()).y) == {0.0, 1.0}


# -- refusals --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "columns", "message"),
    [
        ("y ~ X + (1|g)", {}, "no column 'X'; did you mean 'x"),
        ("y ~ x + (1|nope)", {}, "no column 'nope'; it has 'y', 'x'"),
        ("nope ~ x + (1|g)", {}, "no column 'nope'"),
        ("y ~ log(nope) + (1|g)", {}, "no column 'nope'"),
        ("y ~ foo(x) + (1|g)", {}, r"foo\(\) is not known here: compute"),
        ("y ~ I(f + 1) + (1|g)", {}, r"'\+' needs numbers, not categories"),
        ("y ~ log(f) + (1|g)", {}, r"log\(f\) cannot be computed"),
        ("y ~ poly(f, 2) + (1|g)", {}, r"poly\(f, 2\): a column of numbers is needed"),
        ("y ~ poly(x, 3) + (1|g)", {}, "degree must be less than the 3 distinct values"),
        ("y ~ as.numeric(f) + (1|g)", {}, r"as.character"),
        ("g ~ x + (1|h)", {}, "response g holds categories"),
        ("factor(y) ~ x + (1|h)", {}, r"response factor\(y\) holds categories"),
        ("poly(y, 2) ~ x + (1|g)", {}, "has 2 columns"),
        ("y ~ x + (1|one)", {"one": "k"}, r"more than one level .*problems: one"),
        ("y ~ x + (1|id)", {}, r"< number of observations, which is 12 \(problems: id\)"),
        ("y ~ x + (1|id) + (1|id2)", {"id2": D["id"]}, r"problems: id, id2"),
        (
            "y ~ x + (f|g)",
            {},
            r"observations \(=12\) <= number of random effects \(=12\) for term \(f \| g\)",
        ),
        ("y ~ x + (1|h) + (0 + f|g)", {}, r"for term \(0 \+ f \| g\)"),
        ("y ~ k + (1|g)", {"k": "z"}, "'k' has only the level 'z'"),
        ("y ~ x + (1|g)", {"y": np.nan}, r"no rows are left to fit: 12 of 12 rows dropped .*\(y 12\)"),
        ("y ~ x + (1|g)", {"y": [1.0, np.inf, *D["y"][2:]]}, "'y' is infinite in row 1"),
        ("y ~ x + (1|g)", {"x": [1.0, 1.0, np.inf, *D["x"][3:]]}, "'x' is infinite in row 2"),
        ("y ~ log(z) + (1|g)", {"z": [0.0, *D["x"][1:]]}, r"'log\(z\)' is infinite in row 0"),
        ("y ~ x + (log(z)|g)", {"z": [0.0, *D["x"][1:]]}, r"'log\(z\)' is infinite in row 0"),
        ("y ~ when + (1|g)", {"when": pd.date_range("2020-01-01", periods=12)}, "'when' holds dates"),
        ("y ~ mixed + (1|g)", {"mixed": [1, "a"] * 6}, "mixes int and str"),
        ("y ~ x + (x2|g)", {"x2": [1e200, *D["x2"][1:]]}, r"'x2' is as large as 1e\+200 in row 0"),
        ("y ~ x + (1|poly(x2, 2))", {}, r"grouping factor poly\(x2, 2\) is a matrix of 2 columns"),
        ("y ~ poly(x2, 0) + (1|g)", {}, r"poly\(x2, 0\): the degree must be a whole number from 1 to 15"),
        ("y ~ poly(x2, 16) + (1|g)", {}, r"poly\(x2, 16\): the degree must be"),
        ("y ~ poly(x2, 1.5) + (1|g)", {}, r"poly\(x2, 1.5\): the degree must be"),
        ("y ~ scale(x, x2) + (1|g)", {}, r"scale\(x, x2\): one column is taken"),
        ("y ~ mean(f) + (1|g)", {}, r"mean\(f\): a column of numbers is needed"),
        ("y ~ x + (1|g)", {"x": [1.0] + [np.nan] * 11}, r"have? more than one level .*; note: 11 of 12 rows"),
        ("y ~ f + (1|g)", {"f": ["u"] + [None] * 11}, r"only the level 'u' .*; note: 11 of 12 rows dropped"),
        ("y ~ x + (1|when)", {"when": [date(2020, 1, 1)] * 12}, "date values, .* or into strings"),
        ("y ~ x + (1|pair)", {"pair": [(1, 2)] * 12}, "tuple values, .* or into strings"),
    ],
)
def test_refusals_name_the_place(formula, columns, message):
    with pytest.raises(DataError, match=message) as caught:
        build_design(formula, frame(**columns))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"weights": [1.0, 2, 3, 4, 5]}, "weights array has 5 values and the table 12 rows"),
        ({"offset": [1.0, 2, 3, 4, 5]}, "offset array has 5 values"),
        ({"weights": "-w"}, r"weight of row 0 \(counted from 0\) is -1"),
        ({"weights": [1.0] * 11 + [np.inf]}, "weight of row 11"),
        ({"weights": "g"}, "holds categories"),
        ({"subset": "x"}, "no True/False"),
        ({"subset": [True]}, "subset has 1 value"),
        ({"subset": "x > 99"}, "no rows are left"),
        ({"na_action": "pass"}, "na_action is 'pass'"),
        ({"offset": [np.inf] + [0.0] * 11}, "offset is infinite in row 0"),
    ],
)
def test_arguments_are_checked(kwargs, message):
    with pytest.raises(DataError, match=message):
        build_design("y ~ x + (1|g)", frame(), **kwargs)


def test_related_groups_may_have_one_row_per_level():
    design = build_design("y ~ x + (1|id)", frame(), related={"id"})
    assert len(design.random[0].levels) == 12


def test_anything_else_is_no_table():
    with pytest.raises(DataError, match="not a pandas, polars or pyarrow table"):
        build_design("y ~ x + (1|g)", [1, 2, 3])
    with pytest.raises(DataError, match="a string is needed"):
        build_design(3, frame())


# -- new data --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fixed", ["poly(x2, 2)", "scale(x2)", "bs(x2, df = 4)", "f * x2", "ordered(x)", "I(x2 > 0)", "factor(x)"]
)
def test_spec_rebuilds_the_training_rows(fixed):
    data = frame()
    design = build_design(f"y ~ {fixed} + (x2|g) + (1|g:h)", data, offset="x")
    spec = pickle.loads(pickle.dumps(design.spec))
    for rows in (slice(None), slice(4, 5), slice(3, 9)):
        X, ok = spec.fixed_matrix(data[rows])
        np.testing.assert_allclose(X, design.X[rows], atol=1e-15)
        assert ok.all()
        np.testing.assert_array_equal(spec.offset(data[rows]), design.offset[rows])
        for k, term in enumerate(design.random):
            np.testing.assert_array_equal(spec.random_matrix(data[rows], k), term.z[rows])
            np.testing.assert_array_equal(spec.group_codes(data[rows], k), term.codes[rows])


def test_splines_go_on_beyond_their_boundary():
    spec = build_design("y ~ bs(x2, df = 4) + (1|g)", frame()).spec
    X, _ = spec.fixed_matrix({"x2": [9.0]})
    assert np.isfinite(X).all()


def test_new_levels():
    spec = build_design("y ~ f + early + (1|g:h)", frame()).spec
    new = {"f": ["u", "v", "u"], "early": [True] * 3, "g": ["a", "zz", None], "h": ["q", "q", "p"]}
    assert spec.group_codes(new, 0).tolist() == [1, -1, -1]
    with pytest.raises(DataError, match=r"'f' has the level 'zz' \(row 1, counted from 0\).* knows u, v, w"):
        spec.fixed_matrix({**new, "f": ["u", "zz", "u"]})
    with pytest.raises(DataError, match="no column 'f'"):
        spec.fixed_matrix({"early": [True]})


def test_a_combination_that_never_occurred_is_new():
    data = frame()
    data = data[~((data["g"] == "b") & (data["h"] == "q"))]
    spec = build_design("y ~ 1 + (1|g:h)", data).spec
    assert spec.random[0].grouping.levels == ("a:p", "a:q", "b:p", "c:p", "c:q", "d:p", "d:q")
    assert spec.group_codes({"g": ["b", "b", "d"], "h": ["q", "p", "q"]}, 0).tolist() == [-1, 2, 6]


def test_missing_values_in_new_data_are_marked():
    spec = build_design("y ~ poly(x2, 2) + f + (1|g)", frame()).spec
    X, ok = spec.fixed_matrix({"x2": [0.1, None, 0.3], "f": ["u", "v", None]})
    assert ok.tolist() == [True, False, False]
    assert np.isnan(X[1:]).all()
    assert np.isfinite(X[0]).all()


def test_categories_in_place_of_numbers_are_refused():
    spec = build_design("y ~ x + (1|g)", frame()).spec
    with pytest.raises(DataError, match="'x' held numbers"):
        spec.fixed_matrix({"x": ["a"]})


def test_an_offset_array_cannot_be_had_for_new_data():
    spec = build_design("y ~ x + (1|g)", frame(), offset=D["x2"]).spec
    with pytest.raises(DataError, match="array as offset"):
        spec.offset(frame())
    assert build_design("y ~ x + (1|g)", frame()).spec.offset(frame()).tolist() == [0.0] * 12


def test_spec_holds_no_rows():
    n = 20_000
    data = {"y": np.arange(n) * 1.0, "x": np.arange(n) * 2.0, "g": np.arange(n) % 10}
    spec = build_design("y ~ poly(x, 3) + (x|g)", data).spec
    assert len(pickle.dumps(spec)) < 5000


def test_a_function_of_categories_is_refused_in_plain_words():
    data = {"y": [1.0, 2, 4, 3, 5, 7], "f": list("abcabc"), "g": list("aaabbb")}
    with pytest.raises(DataError, match=r"log\(f\) cannot be computed: f holds categories, not numbers"):
        build_design("y ~ log(f) + (1 | g)", data)
