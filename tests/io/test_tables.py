import gzip

import numpy as np
import pandas as pd
import pytest

from henderson.errors import DataError
from henderson.io.tables import read_table

PEOPLE = "name,height,variant\nAda,180,CC\nBo,NA,NA\nCy,158.5,\n"


def written(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("people.csv", PEOPLE),
        ("people.CSV", PEOPLE),
        ("people.tsv", PEOPLE.replace(",", "\t")),
        ("people.csv.gz", gzip.compress(PEOPLE.encode())),
        ("people.tsv.gz", gzip.compress(PEOPLE.replace(",", "\t").encode())),
        ("windows.csv", b"\xef\xbb\xbf" + PEOPLE.replace("\n", "\r\n").encode()),
        ("unended.csv", PEOPLE.rstrip("\n")),
    ],
)
def test_reads_text(tmp_path, name, content):
    table = read_table(written(tmp_path, name, content))

    assert list(table.columns) == ["name", "height", "variant"]
    np.testing.assert_array_equal(table["height"], [180.0, np.nan, 158.5])
    assert table["variant"].isna().tolist() == [False, True, True]
    assert table["name"].tolist() == ["Ada", "Bo", "Cy"]


def test_reads_parquet(tmp_path):
    path = tmp_path / "people.parquet"
    people = pd.DataFrame({"name": ["Ada", "Bo"], "height": [180.0, np.nan]})
    people.to_parquet(path)

    pd.testing.assert_frame_equal(read_table(path), people)


def test_text_stays_text(tmp_path):
    table = read_table(written(tmp_path, "t.csv", "a,b,c\nnull,None,n/a\nnan,#N/A,-\n"))

    assert table.to_numpy().tolist() == [["null", "None", "n/a"], ["nan", "#N/A", "-"]]


def test_only_missing_spellings_make_a_number_column_text(tmp_path):
    table = read_table(written(tmp_path, "t.csv", "a,b\n1,2\nNaN,x\n,3\nNA,4\n"))

    assert table["a"].dtype == np.float64
    assert table["b"].tolist() == ["2", "x", "3", "4"]


def test_numbers_keep_their_digits(tmp_path):
    numbers = np.random.default_rng(5).normal(size=500) * 10.0 ** np.arange(-250, 250)
    table = read_table(written(tmp_path, "t.csv", "x\n" + "\n".join(map(repr, numbers.tolist()))))

    np.testing.assert_allclose(table["x"], numbers, rtol=1e-15)


def test_quoted_fields_may_hold_separators_and_line_ends(tmp_path):
    table = read_table(written(tmp_path, "t.csv", 'name,x\n"Lovelace, Ada",1\n"two\nlines",\n'))

    assert table["name"].tolist() == ["Lovelace, Ada", "two\nlines"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", "", "t.csv is empty"),
        ("t.csv", "\n \n", "t.csv is empty"),
        ("t.csv", "a,b\n", "t.csv has column names but no rows"),
        ("t.csv", "a,b,a\n1,2,3\n", "more than one column is called 'a'"),
        ("t.csv", "a,,c\n1,2,3\n", "column 2 has no name"),
        ("t.csv", "a,b\n1,2\n1,2,3\n", "t.csv, line 3: 3 fields, but there are 2 columns"),
        ("t.csv", "a,b\n1,2,3\n1,2,3\n", "t.csv, line 2: 3 fields, but there are 2 columns"),
        ("t.csv", "a,b\n1,2\n\n1\n", "t.csv, line 4: 1 field, but there are 2 columns"),
        ("t.csv", "a,b\r\n1,2\r\n\r\n1\r\n", "t.csv, line 4: 1 field, but there are 2 columns"),
        ("t.csv", "a,b\n\u00e9,2\n1", "t.csv, line 3: 1 field, but there are 2 columns"),
        ("t.csv", 'a,b\n"x\ny",2\n1\n', "t.csv, line 4: 1 field, but there are 2 columns"),
        ("t.csv", "a\tb\n1\t2\n", "separated by tabs (.tsv), but its ending says commas (.csv)"),
        ("t.tsv", "a,b\n1,2\n", "separated by commas (.csv), but its ending says tabs (.tsv)"),
        ("t.csv", b"a,b\n1,2\nx\x00y,2\n", "line 3 holds binary data"),
        ("t.csv", b"a,b\n1,2\nJos\xe9,2\n", "t.csv, line 3: the byte 0xe9 is not UTF-8"),
        ("t.csv", "a,b\n1,2\n".encode("utf-16"), "encoded as UTF-16"),
        ("t.csv", gzip.compress(b"a,b\n1,2\n"), "t.csv is a gzip file; add .gz"),
        ("t.csv.gz", b"a,b\n1,2\n", "ends in .gz but is not a gzip file"),
        ("t.csv.gz", gzip.compress(b"a,b\n1,2\n" * 99)[:-12], "damaged or incomplete gzip file"),
        ("t.xlsx", b"PK", "t.xlsx: the ending does not say how to read it"),
        ("t", "a,b\n1,2\n", "the ending does not say how to read it"),
        ("t.parquet", b"a,b\n1,2\n", "t.parquet is not a readable Parquet file"),
        ("t.csv", 'a,b\n"1,2\n', "t.csv"),
    ],
)
def test_refuses_in_one_sentence(tmp_path, name, content, message):
    with pytest.raises(DataError) as refused:
        read_table(written(tmp_path, name, content))

    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_file_suggests_its_neighbour(tmp_path):
    written(tmp_path, "people.csv", PEOPLE)

    with pytest.raises(DataError, match=r"There is no file .*poeple\.csv; did you mean .*people\.csv\."):
        read_table(tmp_path / "poeple.csv")


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match=r"there is no folder .*nowhere either"):
        read_table(tmp_path / "nowhere" / "people.csv")


def test_a_folder_is_not_a_table(tmp_path):
    with pytest.raises(DataError, match="is a folder"):
        read_table(tmp_path)
