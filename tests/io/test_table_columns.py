"""The same table from pandas, polars, pyarrow, narwhals or a dict gives the same columns and designs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from henderson import DataError
from henderson.formula import build_design
from henderson.io.columns import FactorColumn, NumericColumn, as_factor, as_numbers, factorise
from henderson.io.frame import column_of, open_table, to_pandas

LEVELS = ["low", "mid", "high"]


def pandas_table():
    rng = np.random.default_rng(1)
    n = 60
    data = pd.DataFrame(
        {
            "y": rng.normal(size=n),
            "i": rng.integers(0, 9, n),
            "x": rng.normal(size=n),
            "b": rng.random(n) < 0.5,
            "s": rng.choice(["p", "q", "r"], n),
            "f": pd.Categorical(rng.choice(LEVELS, n), categories=["never", *LEVELS]),
            "g": np.arange(n) % 7,
        }
    )
    data.loc[3, "x"] = np.nan
    data.loc[4, "s"] = None
    data.loc[5, "f"] = None
    return data


def as_polars():
    pl = pytest.importorskip("polars")
    data = pandas_table()
    return pl.DataFrame(
        {
            **{name: data[name].to_numpy() for name in ("y", "i", "b", "g")},
            "x": pl.Series([None if np.isnan(v) else v for v in data["x"]]),
            "s": pl.Series([None if pd.isna(v) else v for v in data["s"]]),
            "f": pl.Series([None if pd.isna(v) else v for v in data["f"]], dtype=pl.Enum(["never", *LEVELS])),
        }
    )


def as_pyarrow():
    pa = pytest.importorskip("pyarrow")
    return pa.Table.from_pandas(pandas_table())


def as_narwhals():
    import narwhals as nw

    return nw.from_native(as_polars())


def as_nullable_pandas():
    data = pandas_table()
    return data.astype({"y": "Float64", "i": "Int64", "x": "Float64", "b": "boolean", "s": "string"})


def as_arrow_pandas():
    pytest.importorskip("pyarrow")
    data = pandas_table()
    types = {"y": "double[pyarrow]", "i": "int32[pyarrow]", "x": "double[pyarrow]", "b": "bool[pyarrow]"}
    return data.astype(types)


def as_object_pandas():
    return pandas_table().astype({"y": object, "i": object, "b": object, "s": object})


def as_dict():
    return dict(pandas_table().items())


def as_dict_of_arrays():
    data = pandas_table()
    return {name: data[name].array if name == "f" else data[name].to_numpy(dtype=object) for name in data}


@pytest.mark.parametrize(
    "table",
    [
        as_polars,
        as_pyarrow,
        as_narwhals,
        as_nullable_pandas,
        as_arrow_pandas,
        as_object_pandas,
        as_dict,
        as_dict_of_arrays,
    ],
)
def test_every_kind_of_table_gives_the_same_design(table):
    formula = "y ~ i + b + s + f * x + log(i + 1) + (x | g) + (1 | s:g) + (1 | f)"
    expected = build_design(formula, pandas_table())
    design = build_design(formula, table())
    assert design.x_names == expected.x_names
    np.testing.assert_array_equal(design.X, expected.X)
    np.testing.assert_array_equal(design.y, expected.y)
    np.testing.assert_array_equal(design.rows, expected.rows)
    assert design.notices == expected.notices == ("3 of 60 rows dropped for missing values (s 1, f 1, x 1)",)
    for one, other in zip(design.random, expected.random, strict=True):
        assert (one.group, one.names, one.levels) == (other.group, other.names, other.levels)
        np.testing.assert_array_equal(one.codes, other.codes)
        np.testing.assert_array_equal(one.z, other.z)


def test_polars_categorical_is_ordered_by_label():
    pl = pytest.importorskip("polars")
    column = column_of(pl.Series(["b", None, "a", "b"], dtype=pl.Categorical), "f")
    assert column.levels == ("a", "b")
    assert column.codes.tolist() == [1, -1, 0, 1]


def test_ordered_flags_survive():
    pa = pytest.importorskip("pyarrow")
    ordered = pd.Categorical(["b", "a"], categories=["b", "a"], ordered=True)
    assert column_of(ordered, "f").ordered
    assert column_of(pd.Series(ordered), "f").ordered
    array = pa.DictionaryArray.from_arrays(pa.array([0, 1, None]), pa.array(["b", "a"]), ordered=True)
    column = column_of(array, "f")
    assert column.ordered
    assert column.levels == ("b", "a")
    assert column.codes.tolist() == [0, 1, -1]


def test_chunked_dictionaries_are_unified():
    pa = pytest.importorskip("pyarrow")
    chunks = pa.chunked_array([pa.array(["b"]).dictionary_encode(), pa.array(["a", "b"]).dictionary_encode()])
    column = column_of(chunks, "f")
    assert [column.levels[k] for k in column.codes] == ["b", "a", "b"]


@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        ([1, 2, 3], [1.0, 2.0, 3.0]),
        ([1, None, 3], [1.0, np.nan, 3.0]),
        ([1.5, np.nan, 3], [1.5, np.nan, 3.0]),
        ([True, False, None], [1.0, 0.0, np.nan]),
        ((1, 2), [1.0, 2.0]),
        (np.float32([1, 2]), [1.0, 2.0]),
        (5, [5.0]),
    ],
)
def test_numbers_from_lists(values, numbers):
    np.testing.assert_array_equal(as_numbers(column_of(values, "x"), "column"), numbers)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1 + 2j], "complex"),
        (np.zeros((2, 2, 2)), "3 dimensions"),
        ([True, "a"], "mixes bool and str"),
        ([object()], "no numbers or strings"),
        (pd.period_range("2020", periods=2, freq="M"), "period"),
        (pd.date_range("2020", periods=2, tz="UTC"), "holds datetime64"),
    ],
)
def test_columns_that_no_model_can_use(values, message):
    with pytest.raises(DataError, match=message):
        column_of(values, "x")


@pytest.mark.parametrize(
    "values",
    [
        [1.0, 2.0, 3.0],
        np.array([1, 2, 3], dtype=np.int8),
        [True, False, True],
        ["a", "b", "c"],
        np.array(["a", "b", "c"], dtype=object),
    ],
)
def test_masked_values_are_missing(values):
    column = column_of(np.ma.array(values, mask=[False, True, False]), "x")
    bare = column_of(np.asarray(values), "x")
    assert type(column) is type(bare)
    assert column.missing is not None
    assert column.missing.tolist() == [False, True, False]
    for k in (0, 2):
        row = np.array([k])
        assert as_factor(column.take(row)).labels() == as_factor(bare.take(row)).labels()


def test_a_row_of_a_masked_matrix_is_missing():
    column = column_of(np.ma.array(np.eye(3), mask=np.eye(3, k=1)), "x")
    assert column.missing is not None
    assert column.missing.tolist() == [True, True, False]


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_a_column_of_nothing_is_all_missing(library):
    package = pytest.importorskip(library)
    columns = {"y": [1.0] * 4, "x": [None] * 4, "g": list("aabb")}
    data = (package.table if library == "pyarrow" else package.DataFrame)(columns)
    with pytest.raises(DataError, match=r"no rows are left to fit: 4 of 4 rows dropped .*\(x 4\)"):
        build_design("y ~ x + (1|g)", data)


def test_series_of_a_dict_make_one_frame_in_the_order_of_the_first():
    x = pd.Series([1, 2, 3], index=list("cab"))
    frame = to_pandas({"x": x, "z": x.sort_index(), "w": [7, 8, 9]})
    assert frame.to_numpy().tolist() == [[1, 1, 7], [2, 2, 8], [3, 3, 9]]


def test_unequal_columns_and_doubled_names_are_refused():
    with pytest.raises(DataError, match="unequal lengths: x 2, y 3"):
        open_table({"x": [1, 2], "y": [1, 2, 3]})
    doubled = pd.DataFrame(np.ones((2, 2)), columns=["x", "x"])
    with pytest.raises(DataError, match="several columns named 'x'"):
        open_table(doubled).column("x")


def test_a_lazy_frame_is_to_be_collected():
    pl = pytest.importorskip("polars")
    with pytest.raises(DataError, match=r"collect\(\)"):
        open_table(pl.DataFrame({"x": [1]}).lazy())


@pytest.mark.parametrize("values", [[5, 3, 5, -2], [10**12, 3, 10**12], [2.5, 1.0, 2.5], [0, 1, 2, 3]])
def test_factorise_agrees_with_unique(values):
    array = np.array(values)
    codes, found = factorise(array)
    expected, inverse = np.unique(array, return_inverse=True)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(codes, inverse)


def test_recode_and_drop_unused():
    column = FactorColumn(np.array([0, 2, -1]), ("a", "b", "c"))
    dropped = column.drop_unused()
    assert dropped.levels == ("a", "c")
    assert dropped.codes.tolist() == [0, 1, -1]
    assert column.recode(("c", "a")).tolist() == [1, 0, -1]
    assert column.labels().tolist() == ["a", "c", None]


def test_numbers_with_a_mask_become_categories():
    column = NumericColumn(np.array([3, 0, 1]), np.array([False, True, False]))
    factor = as_factor(column)
    assert factor.levels == ("1", "3")
    assert factor.codes.tolist() == [1, -1, 0]
