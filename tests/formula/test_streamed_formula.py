"""Formulas on files read in batches: what cannot be, and where it is wrong, in one sentence."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from henderson.errors import DataError
from henderson.formula import build_design, parse_formula
from henderson.formula.streamed_columns import MOST_COLUMNS
from henderson.formula.streamed_learn import stream_frame
from henderson.io.batches import open_rows

N = 60


def table(**more):
    rng = np.random.default_rng(0)
    data = {"y": rng.normal(size=N), "x": rng.normal(size=N), "z": rng.normal(size=N)}
    data |= {"g": rng.integers(0, 9, N), "f": rng.choice(["b", "a", "c"], N), "h": rng.choice(["q", "p"], N)}
    return pd.DataFrame(data | more)


def frame(folder, formula, data=None, **options):
    (table() if data is None else data).to_parquet(folder / "part.parquet", row_group_size=25)
    return stream_frame(formula, open_rows(folder), **options)


def gathered(found):
    """What a frame reads: all columns, the cell of each row, names and levels, and its tally."""
    tally, book = found.tally(), found.cell_book()
    columns, cells = [], []
    for records in found.records(tally):
        columns.append(records.columns)
        cells.append(book.cells(records.atoms))
    design = found.design(book, tally)
    return np.vstack(columns), np.concatenate(cells), design, tally


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ x * f + (x | g)",
        "y ~ 0 + f + (f | g)",
        "y ~ f:h + x + (0 + h | g) + (x | f)",
        "y ~ I(x > 0) + factor(g) + (1 | h)",
        "y ~ (x + z)^2 + (x + z | g)",
        "y ~ log(abs(x)) + h + (log(abs(x)) | h:f) + (1 | f)",
        "y ~ f + (f | g)",
    ],
)
@pytest.mark.parametrize("contrasts", [None, {"f": "sum"}])
def test_designs_as_in_memory(tmp_path, formula, contrasts):
    if "f" not in parse_formula(formula).fixed.names:
        contrasts = None
    memory = build_design(formula, table(), contrasts=contrasts)
    found = frame(tmp_path, formula, contrasts=contrasts)
    columns, cell, design, _ = gathered(found)
    p = memory.X.shape[1]
    np.testing.assert_array_equal(columns[:, :p], memory.X)
    assert design.x_names == memory.x_names
    assert len(design.random) == len(memory.random)
    for ours, theirs, places in zip(design.random, memory.random, design.places, strict=True):
        assert (ours.group, ours.names, tuple(ours.levels)) == (
            theirs.group,
            theirs.names,
            tuple(theirs.levels),
        )
        np.testing.assert_array_equal(columns[:, places], theirs.z)
        np.testing.assert_array_equal(ours.codes[cell], theirs.codes)
    if not contrasts:  # no column is made twice
        assert found.columns.width == np.unique(columns, axis=1).shape[1]


def test_predictions_need_only_the_spec(tmp_path):
    found = frame(tmp_path, "y ~ factor(g) + cut(x, c(-9, 0, 9)) + (f | h)")
    spec = gathered(found)[2].spec
    memory = build_design("y ~ factor(g) + cut(x, c(-9, 0, 9)) + (f | h)", table()).spec
    chunk = table().tail(7)
    np.testing.assert_array_equal(spec.fixed_matrix(chunk)[0], memory.fixed_matrix(chunk)[0])
    np.testing.assert_array_equal(spec.random_matrix(chunk, 0), memory.random_matrix(chunk, 0))
    np.testing.assert_array_equal(spec.group_codes(chunk, 0), memory.group_codes(chunk, 0))


@pytest.mark.parametrize(
    "call",
    [
        "poly(x, 2)", "scale(x)", "center(x)", "bs(x, df = 4)", "ns(x, df = 3)", "I(x - mean(x))",
        "cut(x, 3)", "cut(x, breaks = 3)", "factor(g, labels = c('a', 'b'))",
    ],
)  # fmt: skip
def test_functions_of_all_rows(tmp_path, call):
    with pytest.raises(DataError, match=r"needs all rows at once, .* compute the column first"):
        frame(tmp_path, f"y ~ {call} + (1 | g)")
    with pytest.raises(DataError, match="needs all rows at once"):
        frame(tmp_path, f"y ~ x + (1 + {call} | h)")


def test_functions_of_a_row(tmp_path):
    frame(
        tmp_path,
        "log(y + 9) ~ factor(g, levels = c(1, 2, 3), labels = c('a', 'b', 'c')) + sqrt(x + 9) + (1 | h)",
    )


@pytest.mark.parametrize("role", ["weights", "offset", "subset"])
def test_arrays(tmp_path, role):
    with pytest.raises(DataError, match=f"^{role} is a ndarray, and streamed data take the name of a column"):
        frame(tmp_path, "y ~ x + (1 | g)", **{role: np.ones(N)})


def test_names(tmp_path):
    for formula, options in (("y ~ xx + (1 | g)", {}), ("y ~ x + (1 | g)", {"weights": "xx"})):
        with pytest.raises(DataError, match=r"no column 'xx'; did you mean 'x'\?"):
            frame(tmp_path, formula, **options)
    with pytest.raises(DataError, match="contrasts are given for 'ff', which the fixed part lacks"):
        frame(tmp_path, "y ~ f + (1 | g)", contrasts={"ff": "sum"})
    with pytest.raises(DataError, match="na_action is 'keep'"):
        frame(tmp_path, "y ~ f + (1 | g)", na_action="keep")
    with pytest.raises(DataError, match="the formula is a int"):
        frame(tmp_path, 3)
    with pytest.raises(DataError, match="response f holds categories"):
        gathered(frame(tmp_path, "f ~ x + (1 | g)"))


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"x": np.inf}, {}, r"'x' is infinite in row 57 \(counted from 0\) of part.parquet: mend it"),
        ({"y": -np.inf}, {}, "'y' is infinite in row 57"),
        ({"z": np.inf}, {"offset": "z"}, "the offset is infinite in row 57"),
        ({"x": 1e200}, {}, r"'x' is as large as 1e\+200 in row 57 .* its square overflows: rescale it"),
        ({"z": -2.0}, {"weights": "abs(z) * sign(z + 1)"}, r"the weight of row 57 .* is -2: weights must be"),
        ({"z": np.inf}, {"weights": "abs(z)"}, "the weight of row 57 .* is inf"),
        ({"x": np.nan}, {"na_action": "fail"}, "x is missing in row 57 .*, and na_action is 'fail'"),
        ({"x": -1.0}, {"na_action": "fail", "offset": "log(x + 1)"}, "infinite"),
    ],
)
def test_rows_are_named(tmp_path, change, options, message):
    data = table()
    data["x"] = data["x"].abs()
    data["z"] = data["z"].abs()
    data.loc[57, ["g", *change]] = [1, *change.values()]
    # the rows before it that are left out count too
    found = frame(tmp_path, "y ~ x + (1 | g)", data, subset="g > 0", **options)
    with pytest.raises(DataError, match=message):
        gathered(found)


def test_too_many_levels(tmp_path):
    n = 2 * MOST_COLUMNS + 2
    data = pd.DataFrame({"y": np.arange(n) % 7.0, "id": np.arange(n) // 2, "g": np.arange(n) % 3})
    message = rf"factor\(id\) has {n // 2} columns.* make it a grouping factor, \(1 \| factor\(id\)\)"
    with pytest.raises(DataError, match=message):
        frame(tmp_path, "y ~ factor(id) + (1 | g)", data)


def test_levels_of_dropped_rows(tmp_path):
    """A level that no used row has leaves the coding, as in memory, and is learnt of from one reading."""
    data = table()
    data.loc[data["f"] == "a", "x"] = np.nan
    data["f"] = data["f"].where(data["g"] > 0)
    found = frame(tmp_path, "y ~ x + f + (f | g)", data)
    *_, tally = gathered(found)
    fewer = found.without_unused(tally)
    assert fewer.columns.fixed.names == ("(Intercept)", "x", "fc")
    assert fewer.columns.effects[0].names == ("(Intercept)", "fc")
    *_, tally = gathered(fewer)
    assert fewer.without_unused(tally) is None
    memory = build_design("y ~ x + f + (f | g)", data)
    assert tally.notices() == memory.notices
    assert fewer.columns.fixed.names == memory.x_names


def test_what_is_read(tmp_path):
    """Only the columns that the formula names."""
    found = frame(tmp_path, "y ~ x + (1 | g)", table(huge="text"), weights="abs(z)")
    assert sorted(found.names) == ["g", "x", "y", "z"]


def test_unsigned_and_fractional_identifiers(tmp_path):
    data = table(u=np.arange(N, dtype=np.uint64) % 5 + 2**63, half=np.arange(N) % 4 / 2 - 0.5)
    data.loc[0, "half"] = -0.0
    pa.parquet.write_table(pa.Table.from_pandas(data), tmp_path / "part.parquet")
    found = frame(tmp_path, "y ~ x + (1 | u) + (1 | half)", data)
    ours = {r.group: tuple(r.levels) for r in gathered(found)[2].random}
    memory = build_design("y ~ x + (1 | u) + (1 | half)", data)
    assert ours == {r.group: tuple(r.levels) for r in memory.random}
