"""Parquet files in batches: the same columns as the table in memory, or one sentence."""

import datetime
import re
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from henderson.errors import DataError
from henderson.io.batches import open_rows
from henderson.io.columns import NumericColumn
from henderson.io.frame import open_table

N = 50


def columns():
    rng = np.random.default_rng(0)
    gaps = rng.random(N) < 0.2
    words = [None if gap else word for gap, word in zip(gaps, rng.choice(["b", "a", "ccc"], N), strict=True)]
    return {
        "i": pa.array(rng.integers(-9, 9, N), pa.int32()),
        "i_gaps": pa.array(np.arange(N), mask=gaps),
        "x": pa.array(rng.normal(size=N)),
        "x_gaps": pa.array(rng.normal(size=N), mask=gaps),
        "x_nan": pa.array(np.where(gaps, np.nan, 1.5)),
        "half": pa.array(rng.normal(size=N).astype(np.float32)),
        "word": pa.array(words),
        "long": pa.array(words, pa.large_string()),
        "grade": pa.array(pd.Categorical(words, ["ccc", "a", "b", "never"], ordered=True)),
        "yes": pa.array([None if gap else bool(k % 2) for k, gap in enumerate(gaps)]),
        "big": pa.array(np.arange(N, dtype=np.uint64) + 2**63),
    }


def joined(batches, name):
    """Labels or numbers of a column, all batches together."""
    found = [batch.table.column(name) for batch in batches]
    if isinstance(found[0], NumericColumn):
        missing = [np.zeros(len(c.values), bool) if c.missing is None else c.missing for c in found]
        values = np.concatenate([c.values for c in found])
        return values, np.concatenate(missing)
    return [label for column in found for label in column.labels()], None


@settings(max_examples=25, deadline=None)
@given(st.integers(1, N), st.integers(1, N), st.lists(st.integers(0, N), max_size=3))
def test_columns_as_in_memory(tmp_path_factory, row_group, size, cuts):
    folder = tmp_path_factory.mktemp("parts")
    table = pa.table(columns())
    ends = [0, *sorted(cuts), N]
    for k, (a, b) in enumerate(pairwise(ends)):
        pa.parquet.write_table(table.slice(a, b - a), folder / f"{k}.parquet", row_group_size=row_group)
    rows = open_rows(folder)
    assert rows.n_rows == N
    batches = list(rows.batches(rows.names, size))
    assert max(batch.table.n_rows for batch in batches) <= size
    memory = open_table(table)
    for name in rows.names:
        expected = memory.column(name)
        found, missing = joined(batches, name)
        if isinstance(expected, NumericColumn):
            assert found.dtype.kind == expected.values.dtype.kind
            kept = ~missing
            assert (missing == (False if expected.missing is None else expected.missing)).all()
            assert (found[kept] == expected.values[kept]).all()
        else:
            assert found == expected.labels().tolist()
            assert batches[0].table.column(name).ordered == expected.ordered


def write(folder, name="part.parquet", **more):
    path = folder / name
    pa.parquet.write_table(pa.table({**columns(), **more}), path, row_group_size=20)
    return path


def test_rows_know_their_place(tmp_path):
    write(tmp_path, "1.parquet")
    write(tmp_path, "2.parquet")
    batches = list(open_rows(str(tmp_path)).batches(["x"], 15))
    assert [b.table.n_rows for b in batches] == [15, 15, 15, 5] * 2
    assert batches[-1].where(3) == "row 48 (counted from 0) of 2.parquet"


def test_sample_is_spread(tmp_path):
    for k in range(4):
        write(tmp_path, f"{k}.parquet")
    rows = open_rows(tmp_path)
    assert [(b.file, b.first, b.table.n_rows) for b in rows.sample(["x"], 3, 7)] == [
        ("0.parquet", 0, 7),
        ("2.parquet", 0, 7),
        ("3.parquet", 40, 7),
    ]
    assert len(list(rows.sample(["x"], 100, 7))) == 12


def test_names_of_folders_are_columns(tmp_path):
    for year, site in ((2020, "a"), (2021, "b")):
        (tmp_path / f"year={year}" / f"site={site}").mkdir(parents=True)
        write(tmp_path / f"year={year}" / f"site={site}")
    rows = open_rows(tmp_path)
    batches = list(rows.batches(["year", "site"], 30))
    assert joined(batches, "year")[0].tolist() == [2020] * N + [2021] * N
    assert joined(batches, "site")[0] == ["a"] * N + ["b"] * N
    assert joined(list(rows.batches(["site", "i"], 30)), "i")[0].size == 2 * N


def test_whole_numbers_beside_others(tmp_path):
    """A column that is whole in one file and not in another is of numbers, not of identifiers."""
    write(tmp_path, "1.parquet", z=pa.array(np.arange(N)))
    write(tmp_path, "2.parquet", z=pa.array(np.arange(N) + 0.5))
    values = [b.table.column("z").values for b in open_rows(tmp_path).batches(["z"], 100)]
    assert {v.dtype for v in values} == {np.dtype(np.float64)}


def test_datasets(tmp_path):
    path = write(tmp_path)
    dataset = pa.dataset.dataset(path)
    assert open_rows(dataset).n_rows == open_rows(path).n_rows == N
    with pytest.raises(DataError, match=r"has a filter, .* the condition as subset"):
        open_rows(dataset.filter(pa.dataset.field("x") > 0))
    pa.csv.write_csv(pa.table({"x": [1]}), tmp_path / "x.csv")
    with pytest.raises(DataError, match="not consist of Parquet files: write it with"):
        open_rows(pa.dataset.dataset(tmp_path / "x.csv", format="csv"))


def read(folder, *names):
    rows = open_rows(folder)
    return [batch.table.column(name) for batch in rows.batches(names, 10) for name in names]


def test_no_such_file(tmp_path):
    with pytest.raises(DataError, match=r"no file or folder .*gone\.parquet"):
        open_rows(tmp_path / "gone.parquet")
    with pytest.raises(DataError, match="folder or dataset is empty"):
        open_rows(tmp_path)


def test_a_file_of_another_kind(tmp_path):
    write(tmp_path, "1.parquet")
    (tmp_path / "2.parquet").write_text("x,y\n1,2\n")
    with pytest.raises(DataError, match=r"^2\.parquet cannot be read as Parquet \(.*\): is it complete\?"):
        read(tmp_path, "x")


@pytest.mark.parametrize("keep", [0.4, 0.95])
def test_a_file_cut_short(tmp_path, keep):
    path = write(tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data))])
    with pytest.raises(DataError, match=r"part\.parquet cannot be read as Parquet"):
        read(tmp_path, "x")


def test_spoilt_pages(tmp_path):
    path = write(tmp_path)
    data = bytearray(path.read_bytes())
    data[4 : len(data) // 2] = b"\xff" * (len(data) // 2 - 4)
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"part\.parquet cannot be read as Parquet"):
        read(tmp_path, *columns())


def test_a_column_that_is_missing(tmp_path):
    write(tmp_path, "1.parquet", weight=pa.array(np.ones(N)))
    with pytest.raises(DataError, match="no column 'wieght'; did you mean 'weight'"):
        read(tmp_path, "wieght")
    write(tmp_path, "2.parquet")
    with pytest.raises(DataError, match=r"2\.parquet has no column 'weight', and 1\.parquet has one"):
        read(tmp_path, "weight")


def test_columns_of_two_kinds(tmp_path):
    write(tmp_path, "1.parquet", z=pa.array(np.arange(N)))
    write(tmp_path, "2.parquet", z=pa.array(list(map(str, range(N)))))
    with pytest.raises(
        DataError, match=r"'z' is string in 2\.parquet and int64 in 1\.parquet: write it with one"
    ):
        read(tmp_path, "z")


def test_dates_are_refused_as_in_memory(tmp_path):
    day = pa.array([datetime.date(2020, 1, 1)] * N)
    write(tmp_path, day=day)
    with pytest.raises(DataError) as expected:
        open_table(pa.table({"day": day})).column("day")
    with pytest.raises(DataError, match=re.escape(str(expected.value))):
        read(tmp_path, "day")
